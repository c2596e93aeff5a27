//! Waiting in steps and for messages: what ends it, and what it leaves as it was.

#[path = "laws/support.rs"]
#[allow(dead_code, reason = "shared with others, who use the rest")]
mod support;

use punctual::testing::ManualClock;
use punctual::{Cause, Checked, JobContext, JobError, Phase, Pool, Receive};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use support::{Gate, PATIENCE, error, ms, news, outcome, pool_of, until};

/// Far less than anything would take that is not cut short.
const AT_ONCE: Duration = Duration::from_secs(5);

#[test]
fn an_attempt_that_succeeds_at_once_is_the_only_one() {
    let pool = pool_of(1);
    let job = pool.spawn(|cx| -> Checked<_> {
        let mut attempts = 0;
        let got = cx.until(|| {
            attempts += 1;
            Some("it")
        })?;
        Ok((got, attempts))
    });
    assert_eq!(outcome(job).expect("nobody stopped it"), ("it", 1));
}

#[test]
fn what_is_not_to_be_had_is_tried_again_until_it_is() {
    let pool = pool_of(1);
    let lock = Arc::new(Mutex::new(0));
    let held = lock.lock().expect("no panic");
    let (tried, attempts) = news();
    let own = Arc::clone(&lock);
    let job = pool.spawn(move |cx| -> Checked<_> {
        let mut value = cx.until(|| {
            let _ = tried.send(());
            own.try_lock().ok()
        })?;
        *value += 1;
        Ok(())
    });
    (0..5).for_each(|_| attempts.next());
    drop(held);
    outcome(job).expect("nobody stopped it");
    assert_eq!(*lock.lock().expect("no panic"), 1);
}

#[test]
fn no_attempt_is_made_after_a_stop() {
    let pool = pool_of(1);
    let job = pool.spawn(|cx| -> Checked<_> {
        cx.token().cancel();
        let stopped = cx.until(|| -> Option<()> { panic!("it is stopped") });
        Ok(stopped.expect_err("it is stopped").cause())
    });
    assert_eq!(outcome(job).expect("it returned Ok"), Cause::Token);
    let attempts = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&attempts);
    let job = pool.spawn(move |cx| {
        cx.until(|| {
            assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "it was stopped by the first");
            cx.token().cancel();
            None::<()>
        })
    });
    assert!(matches!(error(job), JobError::Cancelled(_)));
    assert_eq!(attempts.load(Ordering::SeqCst), 1);
}

#[test]
fn an_attempts_failure_is_no_reason_to_try_again() {
    let pool = pool_of(1);
    let job = pool.spawn(|cx| -> Checked<Result<(), &str>> { cx.until(|| Some(Err("torn"))) });
    assert_eq!(outcome(job).expect("nobody stopped it"), Err("torn"));
}

#[test]
fn steps_grow_to_five_milliseconds_of_the_pools_clock() {
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(1..=1).clock(&clock).build().expect("a thread");
    let (tried, attempts) = news();
    let job = pool.job().run_timeout(ms(500)).spawn(move |cx| {
        cx.until(|| {
            tried.send(()).expect("the test listens");
            None::<()>
        })
    });
    let moment = Duration::from_nanos(1);
    for step in [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000].map(Duration::from_micros) {
        attempts.next();
        until("its deadline and its next attempt are awaited", || pool.metrics().timers == 2);
        clock.advance(step - moment);
        assert_eq!((pool.metrics().timers, attempts.so_far().len()), (2, 0), "before {step:?}");
        clock.advance(moment);
    }
    attempts.next();
    clock.advance(ms(500));
    assert!(matches!(error(job), JobError::TimedOut(_)));
}

/// A stop while a body waits, so that it has been waiting for a while.
fn stopped_while_waiting<T: Send + 'static>(
    wait: impl FnOnce(&JobContext) -> Checked<T> + Send + 'static,
) {
    let pool = pool_of(1);
    let start = Instant::now();
    let job = pool.spawn(wait);
    until("it runs", || job.info().phase() == Phase::Running);
    assert_eq!(job.cancel(), Some(Phase::Running));
    let Err(JobError::Cancelled(stop)) = outcome(job) else { panic!("it waits for ever") };
    assert_eq!(stop.cause(), Cause::Caller);
    assert!(start.elapsed() < AT_ONCE);
}

/// And one that nobody stops but its deadline.
fn late_while_waiting<T: Send + 'static>(
    wait: impl FnOnce(&JobContext) -> Checked<T> + Send + 'static,
) {
    let pool = pool_of(1);
    let (left, has_left) = news();
    let job = pool.job().run_timeout(ms(5)).spawn(move |cx| {
        let waited = wait(cx);
        left.send(waited.as_ref().err().map(|stopped| stopped.cause())).expect("the test listens");
        waited
    });
    assert!(matches!(outcome(job), Err(JobError::TimedOut(_))));
    assert!(matches!(has_left.next(), Some(Cause::Deadline)), "the body is not left waiting");
}

#[test]
fn a_stop_and_a_deadline_end_attempts() {
    stopped_while_waiting(|cx| cx.until(|| None::<()>));
    late_while_waiting(|cx| cx.until(|| None::<()>));
}

/// What a channel's receiver must do, whoever made it.
fn receives<R>(channel: impl Fn() -> (Box<dyn Fn(u32) + Send>, R))
where
    R: Receive<Message = u32> + Send + 'static,
{
    let pool = pool_of(1);
    let (send, receive) = channel();
    let (taken, takes) = news();
    let job = pool.spawn(move |cx| -> Checked<()> {
        while let Some(message) = cx.recv(&receive)? {
            taken.send(message).expect("the test listens");
        }
        Ok(())
    });
    (1..=3).for_each(&send); // it waits by now, or will find them
    assert_eq!([takes.next(), takes.next(), takes.next()], [1, 2, 3]);
    send(4);
    assert_eq!(takes.next(), 4);
    drop(send);
    outcome(job).expect("it ends when all senders are gone");

    for late in [false, true] {
        let (send, receive) = channel();
        let wait = move |cx: &JobContext| cx.recv(&receive);
        if late {
            late_while_waiting(wait)
        } else {
            stopped_while_waiting(wait)
        }
        drop(send);
    }
}

/// After a stop nothing is taken, and what there is stays.
fn takes_nothing_after_a_stop<R>((send, receive): (Box<dyn Fn(u32) + Send>, R))
where
    R: Receive<Message = u32> + Send + 'static,
{
    let pool = pool_of(1);
    send(7);
    let job = pool.spawn(move |cx| -> Checked<_> {
        cx.token().cancel();
        assert!(cx.recv(&receive).is_err());
        Ok(receive)
    });
    let receive = outcome(job).expect("it returned Ok");
    let job = pool.spawn(move |cx| cx.recv(&receive));
    assert_eq!(outcome(job).expect("nobody stopped it"), Some(7));
}

fn of_std() -> (Box<dyn Fn(u32) + Send>, mpsc::Receiver<u32>) {
    let (send, receive) = mpsc::channel();
    (Box::new(move |n| send.send(n).expect("the job listens")), receive)
}

#[test]
fn stds_channels() {
    receives(of_std);
    takes_nothing_after_a_stop(of_std());
    let rendezvous = || {
        let (send, receive) = mpsc::sync_channel(0);
        let send = move |n| send.send(n).expect("the job listens");
        (Box::new(send) as Box<dyn Fn(u32) + Send>, receive)
    };
    receives(rendezvous);
}

#[cfg(feature = "crossbeam-channel")]
#[test]
fn crossbeams_channels() {
    let unbounded = || {
        let (send, receive) = crossbeam_channel::unbounded();
        let send = move |n| send.send(n).expect("the job listens");
        (Box::new(send) as Box<dyn Fn(u32) + Send>, receive)
    };
    receives(unbounded);
    takes_nothing_after_a_stop(unbounded());
    receives(|| {
        let (send, receive) = crossbeam_channel::bounded(0);
        let send = move |n| send.send(n).expect("the job listens");
        (Box::new(send) as Box<dyn Fn(u32) + Send>, receive)
    });
}

/// A context may outlive its job, and nobody can stop it then: a wait is a plain one.
#[test]
fn a_context_that_outlives_its_job_still_receives() {
    fn receives<R: Receive<Message = u32> + Send + 'static>(
        (send, receive): (Box<dyn Fn(u32) + Send>, R),
    ) {
        let pool = pool_of(1);
        let job = pool.spawn(|cx| -> Checked<_> { Ok(cx.clone()) });
        let cx = outcome(job).expect("nobody stopped it");
        let (taken, takes) = news();
        let receiver = std::thread::spawn(move || {
            taken.send(None).expect("the test listens");
            taken.send(cx.recv(&receive).expect("it can not be stopped")).expect("it listens");
        });
        assert_eq!(takes.next(), None);
        send(1);
        assert_eq!(takes.next(), Some(1));
        receiver.join().expect("no panic");
    }
    receives(of_std());
    #[cfg(feature = "crossbeam-channel")]
    {
        let (send, receive) = crossbeam_channel::unbounded();
        receives((Box::new(move |n| send.send(n).expect("it listens")), receive));
    }
}

#[test]
fn a_wait_for_a_message_ends_at_its_deadline_by_a_clock_that_is_moved() {
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(1..=1).clock(&clock).build().expect("a thread");
    let (send, receive) = of_std();
    let gate = Gate::default();
    let pass = gate.clone();
    let job = pool.job().timeout(PATIENCE).spawn(move |cx| {
        pass.open();
        cx.recv(&receive)
    });
    gate.pass();
    clock.advance(PATIENCE);
    assert!(matches!(error(job), JobError::TimedOut(_)));
    pool.drain().within(PATIENCE).wait();
    drop(send);
}
