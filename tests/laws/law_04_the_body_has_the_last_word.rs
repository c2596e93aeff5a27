//! After a stop request, a body that still returns `Ok(v)` before its handle resolved yields
//! `Ok(v)`. A body that returns `Err(_)` or unwinds through `checkpoint()` after the request yields
//! `Cancelled` or `TimedOut` with phase `Running`, the `Err` kept. A panic stays a panic.

use crate::support::{News, PATIENCE, error, ms, news, outcome, pool_of, quiet_panic};
use punctual::{Cause, JobContext, JobError, JobHandle, Phase, Pool};
use std::sync::mpsc::Sender;

/// Waits until the job is asked to stop.
fn await_stop(cx: &JobContext) {
    cx.sleep(PATIENCE).expect_err("it is stopped");
}

/// A running job that ends as `last` says, once it has been stopped.
fn running<T: Send + 'static>(
    pool: &Pool,
    last: impl FnOnce(&JobContext) -> Result<T, &'static str> + Send + 'static,
) -> JobHandle<T, &'static str> {
    let (started, starts): (Sender<()>, News<()>) = news();
    let job = pool.spawn(move |cx| {
        started.send(()).expect("the test listens");
        await_stop(cx);
        last(cx)
    });
    starts.next();
    job
}

#[test]
fn ok_after_a_cancel_stays_ok() {
    let pool = pool_of(1);
    let job = running(&pool, |_| Ok(5));
    assert_eq!(job.cancel(), Some(Phase::Running));
    assert_eq!(outcome(job).expect("the work was done"), 5);
}

#[test]
fn err_after_a_cancel_is_cancelled_running_and_kept() {
    let pool = pool_of(1);
    let job = running::<()>(&pool, |_| Err("half done"));
    job.cancel();
    let JobError::Cancelled(stop) = error(job) else { panic!("it was cancelled") };
    assert_eq!((stop.phase(), stop.cause()), (Phase::Running, Cause::Caller));
    assert_eq!(stop.error(), Some(&"half done"));
    assert_eq!(stop.into_error(), Some("half done"));
}

#[test]
fn unwinding_through_a_checkpoint_is_cancelled_running() {
    let pool = pool_of(1);
    let job = running::<()>(&pool, |cx| {
        cx.checkpoint();
        Ok(())
    });
    job.cancel();
    let JobError::Cancelled(stop) = error(job) else { panic!("it was cancelled") };
    assert_eq!((stop.phase(), stop.error()), (Phase::Running, None));
}

#[test]
fn the_crates_own_checkpoint_is_the_current_jobs() {
    let pool = pool_of(1);
    let job = running::<()>(&pool, |_| {
        punctual::checkpoint();
        Ok(())
    });
    job.cancel();
    assert!(error(job).is_cancelled());
}

#[test]
fn a_panic_after_a_cancel_stays_a_panic() {
    let pool = pool_of(1);
    let job = running::<()>(&pool, |_| quiet_panic("boom"));
    job.cancel();
    let JobError::Panicked(panic) = error(job) else { panic!("it panicked") };
    assert_eq!(panic.message(), "boom");
}

#[test]
fn err_without_a_stop_is_failed() {
    let pool = pool_of(1);
    let failed = error(pool.spawn(|_| Err::<(), _>("no")));
    assert!(matches!(failed, JobError::Failed("no")), "{failed}");
}

#[test]
fn a_checkpoint_caught_by_the_body_does_not_count() {
    let pool = pool_of(1);
    let job = running(&pool, |cx| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cx.checkpoint()));
        Ok(caught.is_err())
    });
    job.cancel();
    assert!(outcome(job).expect("it returned"));
}

#[test]
fn another_jobs_checkpoint_is_a_panic_here() {
    let pool = pool_of(2);
    let (send, contexts) = news();
    let stopped = pool.spawn(move |cx| {
        send.send(cx.clone()).expect("the test listens");
        cx.sleep(PATIENCE)
    });
    let other = contexts.next();
    stopped.cancel();
    let job = pool.spawn_blocking(move || other.checkpoint());
    assert!(error(job).is_panic(), "this job was never asked to stop");
    assert!(error(stopped).is_cancelled());
}

#[test]
fn with_grace_the_last_word_counts_after_a_deadline_too() {
    let pool = pool_of(1);
    let job = |last: Result<u32, &'static str>| {
        pool.job().run_timeout(ms(3)).grace(PATIENCE).spawn(move |cx| {
            await_stop(cx);
            last
        })
    };
    assert_eq!(outcome(job(Ok(1))).expect("the work was done"), 1);
    let JobError::TimedOut(stop) = error(job(Err("cut"))) else { panic!("it timed out") };
    assert_eq!((stop.phase(), stop.cause()), (Phase::Running, Cause::Deadline));
    assert_eq!(stop.error(), Some(&"cut"));
}
