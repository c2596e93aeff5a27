//! Models of who listens to a job, and whom it listens to: the real cell, every interleaving, by
//! loom.
//!
//! The `CancellationToken` is tokio-util's own, which loom does not see into: a call of it is one
//! step. That is enough. Each of its calls takes effect under its own lock, and it wakes under none;
//! what is ours is what happens before and after, and that is modelled.
//!
//! | what against what | model |
//! |---|---|
//! | 17 parent stopped, child tied | `a_child_that_is_tied_against_its_parents_stop` |
//! | 17 parent stopped, child ends | `the_end_of_a_child_against_its_parents_stop` |
//! | 17 token cancelled, job tied | `a_job_that_is_tied_against_its_tokens_cancel` |
//! | 17 token cancelled, job ends | `the_end_of_a_job_against_its_tokens_cancel` |
//! | 17 own token made, job stopped | `an_own_token_against_a_stop` |
//! | 17 own token made twice, cancelled | `two_threads_that_ask_for_the_own_token` |
//! | 17 job with a token and a parent ends, stop | `the_end_of_a_tied_job_against_its_own_stop` |
//! | 18 listener added, stop | `a_listener_against_a_stop` |
//! | 18 listener removed, stop | `a_guard_that_goes_against_a_stop` |
//! | 18 listener added from outside, job ends | `a_listener_from_outside_against_the_end` |
//! | 18 scope of `interruptible` left, stop | `a_scope_that_is_left_against_a_stop` |
//! | 18 scope of `interruptible` left, fired again | `a_scope_that_is_left_against_its_next_firing` |
//! | sleep, stop | `a_sleep_against_a_stop` |
//! | told, what was done before | `who_is_told_sees_what_the_canceller_did` |

use super::*;
use crate::clock::{Clock, Manual};
use crate::job::models::*;
use crate::job::{JobContext, JobHandle, Settings};
use crate::stop::Phase;
use std::time::Duration;

/// A job whose body this thread plays.
fn running() -> (Arc<Host>, JobContext, JobHandle<()>) {
    let host = Host::new(Clock::Manual(Manual::new()));
    let (task, job) = host.job(None, |_| ());
    assert!(task.head.state.start());
    (host, JobContext::new(task), job)
}

/// Cancels the job on another thread, and gives what that hit.
fn cancel<T>(job: &JobHandle<T>) -> Thread<Option<Phase>> {
    let stopper = job.abort_handle();
    thread::spawn(move || stopper.cancel())
}

fn with_token(token: &CancellationToken) -> Option<Settings> {
    Some(Settings { token: Some(token.clone()), ..Settings::default() })
}

/// How many listen to a job; none of them does any more.
fn listeners(task: &Task) -> usize {
    task.head.extras().listeners.clear().len()
}

#[test]
fn a_listener_against_a_stop() {
    check_all(|| {
        let (_host, cx, job) = running();
        let canceller = cancel(&job);
        let told = Arc::<Count>::default();
        let hear = || {
            let told = Arc::clone(&told);
            cx.on_stop(move |_| _ = told.add())
        };
        let guards = [hear(), hear()];
        canceller.join().expect("no panic");
        assert_eq!(told.get(), 2, "each is told, once (law 7)");
        drop(guards);
    });
}

/// Laws 7 and 9: what is called after the guard has gone would touch the data unordered.
#[test]
fn a_guard_that_goes_against_a_stop() {
    check_all(|| {
        let ((_host, cx, job), data) = (running(), Bare::new());
        let told = Arc::clone(&data);
        let guard = cx.on_stop(move |_| _ = told.touch());
        let canceller = cancel(&job);
        drop(guard);
        let before = data.touch();
        canceller.join().expect("no panic");
        assert_eq!(data.touch(), before + 1, "none is called after its removal");
        assert!(before <= 1);
    });
}

/// A context that outlives its job adds a listener while it ends: that must not stay for ever.
#[test]
fn a_listener_from_outside_against_the_end() {
    check_all(|| {
        let (host, data) = (Host::new(Clock::System), Bare::new());
        let (task, job) = host.job(None, |_| ());
        let worker = work(Arc::clone(&task));
        let capture = Trace(Arc::clone(&data));
        std::mem::forget(JobContext::new(Arc::clone(&task)).on_stop(move |_| drop(capture)));
        worker.join().expect("no panic");
        assert_eq!(data.touch(), 1, "it was dropped when the job had ended");
        drop((task, job));
    });
}

#[test]
fn a_scope_that_is_left_against_a_stop() {
    check(|| {
        let ((host, cx, job), data) = (running(), Bare::new());
        let canceller = cancel(&job);
        cx.interruptible(|| _ = data.touch(), || ());
        let calls = data.touch();
        canceller.join().expect("no panic");
        assert_eq!(data.touch(), calls + 1, "nothing is called once the scope is left");
        assert_eq!(host.keeper.alarms(), 0, "nor will be");
    });
}

/// The scope's references are dead once it is left: so none of its calls may go on.
#[test]
fn a_scope_that_is_left_against_its_next_firing() {
    check(|| {
        let ((host, cx, job), data) = (running(), Bare::new());
        let Clock::Manual(time) = host.keeper.clock().clone() else { unreachable!("see running") };
        let clock = cx.interruptible(
            || _ = data.touch(),
            || {
                job.cancel(); // fires it, here
                thread::spawn(move || time.advance(Duration::from_millis(1)))
            },
        );
        let calls = data.touch();
        clock.join().expect("no panic");
        assert_eq!(data.touch(), calls + 1, "nothing is called once the scope is left");
        assert_eq!(host.keeper.alarms(), 0, "nor will be");
    });
}

#[test]
fn a_sleep_against_a_stop() {
    check(|| {
        let (_host, cx, job) = running();
        let canceller = cancel(&job);
        assert!(cx.sleep(Duration::MAX).is_err(), "the stop ends the sleep");
        assert_eq!(canceller.join().expect("no panic"), Some(Phase::Running));
    });
}

#[test]
fn who_is_told_sees_what_the_canceller_did() {
    check_all(|| {
        let ((_host, cx, job), data) = (running(), Bare::new());
        let (stopper, before) = (job.abort_handle(), Arc::clone(&data));
        let canceller = thread::spawn(move || {
            before.touch();
            stopper.cancel()
        });
        if cx.is_stopped() {
            assert_eq!(data.touch(), 1);
        }
        canceller.join().expect("no panic");
    });
}

#[test]
fn a_job_that_is_tied_against_its_tokens_cancel() {
    check_all(|| {
        let (host, token) = (Host::new(Clock::System), CancellationToken::new());
        let (task, job) = host.job(with_token(&token), |_| ());
        let canceller = thread::spawn(move || token.cancel());
        task.tie(None).expect("it has no deadline");
        canceller.join().expect("no panic");
        assert_eq!(task.head.state.cause(), Some(Cause::Token), "no lost stop");
        assert_eq!(outcome(job).expect_err("stopped").phase(), Some(Phase::Queued));
        let settings = task.head.settings.as_ref().expect("it has some");
        assert!(settings.ties.lock().token.is_none(), "an ended job has no ties");
    });
}

#[test]
fn the_end_of_a_job_against_its_tokens_cancel() {
    check_all(|| {
        let (host, token) = (Host::new(Clock::System), CancellationToken::new());
        let (task, job) = host.job(with_token(&token), |_| ());
        let cell = Arc::downgrade(&task);
        task.tie(None).expect("it has no deadline");
        let worker = work(task);
        token.cancel();
        worker.join().expect("no panic");
        assert!(outcome(job).err().is_none_or(|error| error.phase() == Some(Phase::Queued)));
        assert_eq!((host.decided.get(), host.ended.get()), (1, 1));
        assert_eq!((cell.strong_count(), cell.weak_count()), (0, 0), "no link is left");
    });
}

#[test]
fn an_own_token_against_a_stop() {
    check_all(|| {
        let (_host, cx, job) = running();
        let canceller = cancel(&job);
        let token = cx.token();
        canceller.join().expect("no panic");
        assert!(token.is_cancelled(), "no lost stop");
    });
}

#[test]
fn two_threads_that_ask_for_the_own_token() {
    check_all(|| {
        let (_host, cx, job) = running();
        let other = cx.clone();
        let asks = thread::spawn(move || other.token().cancel());
        let token = cx.token();
        asks.join().expect("no panic");
        assert!(token.is_cancelled(), "they were given the same");
        assert_eq!(cx.cause(), Some(Cause::Token));
        drop(job);
    });
}

#[test]
fn a_child_that_is_tied_against_its_parents_stop() {
    check_all(|| {
        let (host, parent, parents_job) = running();
        let (child, job) = host.job(Some(Settings::default()), |_| ());
        let canceller = cancel(&parents_job);
        child.tie(Some(parent.task())).expect("it has no deadline");
        canceller.join().expect("no panic");
        assert_eq!(child.head.state.cause(), Some(Cause::Parent), "no lost stop");
        assert!(outcome(job).is_err());
        let settings = child.head.settings.as_ref().expect("it has some");
        assert!(settings.ties.lock().parent.is_none(), "an ended job has no ties");
        assert_eq!(listeners(parent.task()), 0);
    });
}

#[test]
fn the_end_of_a_child_against_its_parents_stop() {
    check(|| {
        let (host, parent, parents_job) = running();
        let (child, job) = host.job(Some(Settings::default()), |_| ());
        let cell = Arc::downgrade(&child);
        child.tie(Some(parent.task())).expect("it has no deadline");
        let worker = work(child);
        parents_job.cancel();
        worker.join().expect("no panic");
        assert!(outcome(job).err().is_none_or(|error| error.phase() == Some(Phase::Queued)));
        assert_eq!((listeners(parent.task()), cell.strong_count()), (0, 0), "nothing is left");
        assert_eq!((host.decided.get(), host.ended.get()), (1, 1));
    });
}

/// Nobody stops its parent or cancels its token, which must not keep it.
#[test]
fn the_end_of_a_tied_job_against_its_own_stop() {
    check(|| {
        let ((host, parent, _job), token) = (running(), CancellationToken::new());
        let (child, job) = host.job(with_token(&token), |_| ());
        let cell = Arc::downgrade(&child);
        child.tie(Some(parent.task())).expect("it has no deadline");
        let worker = work(child);
        job.cancel();
        worker.join().expect("no panic");
        assert_eq!((listeners(parent.task()), cell.weak_count()), (0, 1), "no tie is left");
        drop(job);
        assert_eq!(cell.strong_count(), 0, "nobody keeps it");
    });
}
