//! Models of a job's outcome: the real cell and the real handle, every interleaving, by loom.
//!
//! The slot is watched for races (see `Reserved`), and so is the data that bodies, captures and
//! handles of these models touch: who sees an outcome must see all that was done before it.
//!
//! | what against what | model |
//! |---|---|
//! | 1 finish, poll | `the_end_of_a_job_against_a_poll` |
//! | 2 finish, a handle dropped after one poll | `the_end_of_a_job_against_a_handle_that_goes_after_a_poll` |
//! | 3 cancel, start | `a_cancel_against_the_start` |
//! | 3 cancel, who sees it | `who_sees_a_stop_sees_the_captures_dropped` |
//! | 7 a waker is replaced, and woken | `the_end_of_a_job_against_a_waker_that_is_replaced` |
//! | 8 a waker panics | `a_waker_that_panics_harms_nobody` |
//! | 9 who drops the last reference | `the_last_reference_goes_on_either_side` |
//! | the body's real end, who waits for it | `the_end_of_a_body_against_who_waits_for_it` |
//! | the end, who only looks | `who_sees_that_a_job_is_over_sees_what_it_did` |
//! | the drop of its hook, who waits for its end | `the_drop_of_a_hook_against_who_waits_for_the_end` |
//!
//! Deadlines: `time/models.rs`. Listeners, tokens, parents: `listen/models.rs`.

use super::ambient::Ambient;
use super::*;
use crate::error::JobError;
use crate::priority::Priority;
use crate::spawner::Spawner;
pub(super) use crate::sync::models::{Bare, Count, check, check_all};
use std::borrow::Cow;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

pub(super) use loom::thread::{self, JoinHandle as Thread};

/// A pool reduced to what its jobs tell it.
pub(crate) struct Host {
    pub(crate) keeper: Arc<Timekeeper<Bell>>,
    pub(crate) decided: Count,
    pub(crate) ended: Count,
    pub(crate) panics: Count,
}

impl Host {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        let (decided, ended, panics) = Default::default();
        Arc::new(Self {
            keeper: Timekeeper::new(String::new(), clock, Spawner::default()),
            decided,
            ended,
            panics,
        })
    }

    /// A job of this pool.
    pub(crate) fn job<T: Send + 'static>(
        self: &Arc<Self>,
        settings: Option<Settings>,
        call: impl FnOnce(&JobContext) -> T + Send + 'static,
    ) -> (Task, JobHandle<T>) {
        job_of(Arc::clone(self) as Arc<dyn Owner>, settings, call)
    }

    /// A job with a hook for a late value.
    fn job_with_hook(
        self: &Arc<Self>,
        on_late: impl FnOnce(()) + Send + 'static,
    ) -> (Task, JobHandle<()>) {
        let now = self.clock().now();
        let owner = Arc::clone(self) as Arc<dyn Owner>;
        let head = Head::new(owner, None, Priority::Normal, now, Location::caller());
        let call = |_: &JobContext| Ok(());
        let on_late: Option<Box<dyn FnOnce(()) + Send>> = Some(Box::new(on_late));
        let ambient = Ambient::capture(&head);
        new_job(head, Body { call, on_late, ambient })
    }
}

/// A job of any pool.
pub(crate) fn job_of<T: Send + 'static>(
    owner: Arc<dyn Owner>,
    settings: Option<Settings>,
    call: impl FnOnce(&JobContext) -> T + Send + 'static,
) -> (Task, JobHandle<T>) {
    let now = owner.clock().now();
    let settings = settings.map(Box::new);
    let head = Head::new(owner, settings, Priority::Normal, now, Location::caller());
    let call = move |cx: &JobContext| Ok::<_, Infallible>(call(cx));
    let ambient = Ambient::capture(&head);
    new_job(head, Body { call, on_late: None, ambient })
}

impl Owner for Host {
    fn clock(&self) -> &Clock {
        self.keeper.clock()
    }

    fn keeper(&self) -> &Arc<Timekeeper<Bell>> {
        &self.keeper
    }

    fn lane(&self) -> Option<&Cow<'static, str>> {
        None
    }

    fn is_hopeless(&self, _: &Head, _: Moment) -> Option<Rejection> {
        None
    }

    fn started(&self, _: &Head) {}

    fn claimed(&self, _: &Head, _: Early) {}

    fn overdue(&self, _: &Head) -> bool {
        false
    }

    fn stand_in(&self) {}

    fn returned(&self, _: &Head, _: Moment, _: bool) -> bool {
        true
    }

    fn late(&self) {}

    fn let_through(&self, _: &Task, _: Next) {}

    fn wait_begins(&self, _: &Task, _: How) -> Absence {
        Absence::default()
    }

    fn wait_ends(&self, _: Absence) {}

    fn ending(&self, end: &mut dyn FnMut()) {
        end();
    }

    fn decided(&self, _: Tally) {
        self.decided.add();
    }

    fn tell(&self, _: &Head, _: News) -> bool {
        false
    }

    fn ended(&self) {
        self.ended.add();
    }

    fn unseen_panic(&self, _panic: Panic) {
        self.panics.add();
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// A worker that has found this one job.
pub(crate) fn work(task: Task) -> Thread<()> {
    thread::spawn(move || {
        if task.execute() {
            task.head.owner.ended();
        }
    })
}

/// A value that touches some data when it is dropped.
pub(super) struct Trace(pub(super) Arc<Bare>);

impl Drop for Trace {
    fn drop(&mut self) {
        self.0.touch();
    }
}

/// Counts how often it is woken.
#[derive(Default)]
pub(super) struct Woken(pub(super) Count);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.add();
    }
}

struct PanicsWhenWoken;

impl Wake for PanicsWhenWoken {
    fn wake(self: Arc<Self>) {
        resume_unwind(Box::new("a waker panics"));
    }
}

pub(super) fn poll<F: Future + Unpin>(future: &mut F, waker: &Arc<Woken>) -> Option<F::Output> {
    poll_with(future, &Waker::from(Arc::clone(waker)))
}

fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(waker)) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// What a handle gives that resolves at once.
pub(super) fn outcome<T>(mut job: JobHandle<T>) -> Result<T, JobError> {
    poll(&mut job, &Arc::default()).expect("the outcome is there")
}

#[test]
fn the_end_of_a_job_against_a_poll() {
    check_all(|| {
        let (host, data) = (Host::new(Clock::System), Bare::new());
        let at_work = Arc::clone(&data);
        let (task, mut job) = host.job(None, move |_| at_work.touch());
        let worker = work(task);
        let woken = Arc::default();
        let early = poll(&mut job, &woken);
        if early.is_some() {
            assert_eq!(data.touch(), 1, "the body's work is seen");
        }
        worker.join().expect("no panic");
        assert!(early.is_some() || woken.0.get() == 1, "no lost wake-up");
        let outcome = early.unwrap_or_else(|| outcome(job));
        assert_eq!(outcome.expect("it returned"), 0);
        assert_eq!((host.decided.get(), host.ended.get()), (1, 1));
    });
}

/// oneshot #87.
#[test]
fn the_end_of_a_job_against_a_handle_that_goes_after_a_poll() {
    check_all(|| {
        let (host, data) = (Host::new(Clock::System), Bare::new());
        let value = Trace(Arc::clone(&data));
        let (task, mut job) = host.job(None, move |_| value);
        let worker = work(Arc::clone(&task));
        let woken = Arc::default();
        drop(poll(&mut job, &woken));
        drop(job);
        assert_eq!(Arc::strong_count(&woken), 1, "nobody keeps the waker");
        worker.join().expect("no panic");
        assert_eq!(data.touch(), 1, "the value was dropped, once");
        assert!(woken.0.get() <= 1 && task.head.state.has_ended());
    });
}

#[test]
fn a_cancel_against_the_start() {
    check_all(|| {
        let (host, data, runs) = (Host::new(Clock::System), Bare::new(), Arc::<Count>::default());
        let (capture, ran) = (Trace(Arc::clone(&data)), Arc::clone(&runs));
        let (task, mut job) = host.job(None, move |_| {
            ran.add();
            drop(capture);
        });
        let worker = work(task);
        let hit = job.cancel();
        let early = poll(&mut job, &Arc::default());
        if early.is_some() {
            assert_eq!(data.touch(), 1, "captures are gone when the outcome is seen (law 2)");
        }
        worker.join().expect("no panic");
        let outcome = early.unwrap_or_else(|| outcome(job));
        match hit {
            Some(Phase::Queued) => {
                assert_eq!(outcome.expect_err("stopped").phase(), Some(Phase::Queued));
                assert_eq!(runs.get(), 0);
            }
            _ => assert!(outcome.is_ok() && runs.get() == 1),
        }
        assert_eq!((host.decided.get(), host.ended.get()), (1, 1));
    });
}

/// Law 2.
#[test]
fn who_sees_a_stop_sees_the_captures_dropped() {
    check_all(|| {
        let (host, data) = (Host::new(Clock::System), Bare::new());
        let capture = Trace(Arc::clone(&data));
        let (_task, mut job) = host.job(None, move |_| drop(capture));
        let stopper = job.abort_handle();
        let canceller = thread::spawn(move || stopper.cancel());
        if poll(&mut job, &Arc::default()).is_some() {
            assert_eq!(data.touch(), 1);
        }
        assert_eq!(canceller.join().expect("no panic"), Some(Phase::Queued));
    });
}

#[test]
fn the_end_of_a_job_against_a_waker_that_is_replaced() {
    check(|| {
        let host = Host::new(Clock::System);
        let (task, mut job) = host.job(None, |_| ());
        let worker = work(task);
        let (first, second) = (Arc::default(), Arc::default());
        let early = poll(&mut job, &first).is_some() || poll(&mut job, &second).is_some();
        worker.join().expect("no panic");
        assert!(early || second.0.get() == 1, "the last waker is woken");
        assert!(first.0.get() + second.0.get() <= 1);
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 1));
        drop(job);
    });
}

/// And those who wait for the body's end are woken all the same.
#[test]
fn a_waker_that_panics_harms_nobody() {
    check(|| {
        let host = Host::new(Clock::System);
        let (task, mut job) = host.job(None, |_| ());
        let woken = Arc::default();
        let worker = work(task);
        let polled = poll_with(&mut job, &Waker::from(Arc::new(PanicsWhenWoken))).is_some();
        let mut end = job.stopped();
        let ended = poll(&mut end, &woken).is_some();
        worker.join().expect("the panic was caught");
        drop(end);
        assert!(ended || woken.0.get() == 1, "no lost wake-up");
        assert_eq!(host.panics.get(), u32::from(!polled), "the panic was told");
        assert!(polled || outcome(job).is_ok());
        assert_eq!((host.decided.get(), host.ended.get()), (1, 1));
    });
}

/// The worker, the handle, and a handle that only stops.
#[test]
fn the_last_reference_goes_on_either_side() {
    check(|| {
        let (host, captured, value) = (Host::new(Clock::System), Bare::new(), Bare::new());
        let (capture, result) = (Trace(Arc::clone(&captured)), Trace(Arc::clone(&value)));
        let (task, job) = host.job(None, move |_| {
            drop(capture);
            result
        });
        let (stopper, cell) = (job.abort_handle(), Arc::downgrade(&task));
        let worker = work(task);
        let other = thread::spawn(move || stopper.cancel());
        drop(job);
        worker.join().expect("no panic");
        let hit = other.join().expect("no panic");
        assert_eq!(cell.strong_count(), 0, "nobody keeps the cell");
        assert_eq!((captured.touch(), value.touch()), (1, 1), "all was dropped, once");
        assert!(hit != Some(Phase::Queued) || host.decided.get() == 1);
    });
}

#[test]
fn the_end_of_a_body_against_who_waits_for_it() {
    check_all(|| {
        let (host, data) = (Host::new(Clock::System), Bare::new());
        let at_work = Arc::clone(&data);
        let (task, job) = host.job(None, move |_| at_work.touch());
        let worker = work(task);
        let mut end = job.stopped();
        let woken = Arc::default();
        let ended = poll(&mut end, &woken).is_some();
        drop(end);
        if ended {
            assert_eq!(data.touch(), 1, "the body's work is seen");
            assert!(job.is_finished(), "nobody sees the end before the outcome");
        }
        worker.join().expect("no panic");
        assert!(ended || woken.0.get() <= 1);
        assert_eq!(Arc::strong_count(&woken), 1, "nobody keeps the waker");
        drop(job);
    });
}

/// Who looks does nothing else: of a look and a step that follows, as in a poll, loom remembers the step.
/// The body is on this thread, so that it may be over before the look.
#[test]
fn who_sees_that_a_job_is_over_sees_what_it_did() {
    check_all(|| {
        let (host, data) = (Host::new(Clock::System), Bare::new());
        let at_work = Arc::clone(&data);
        let (task, job) = host.job(None, move |_| at_work.touch());
        let other = thread::spawn(move || !job.is_finished() || data.touch() == 1);
        assert!(task.execute());
        assert!(other.join().expect("no panic"), "the body's work is seen");
    });
}

#[test]
fn the_drop_of_a_hook_against_who_waits_for_the_end() {
    check_all(|| {
        let (host, data) = (Host::new(Clock::System), Bare::new());
        let capture = Trace(Arc::clone(&data));
        let (task, job) = host.job_with_hook(move |()| drop(capture));
        let worker = work(task);
        if poll(&mut job.stopped(), &Arc::default()).is_some() {
            assert_eq!(data.touch(), 1, "the job's captures are gone");
        }
        worker.join().expect("no panic");
        assert!(outcome(job).is_ok());
    });
}
