//! A job stopped or refused in the queue never had its body called, and everything the body
//! captured has been dropped when the outcome is seen. A slow or panicking destructor delays nobody
//! else's deadline.

use crate::support::{
    Busy, Counted, Drops, Gate, PanicsOnDrop, error, ms, outcome, pool_of, quiet_panic, until,
};
use punctual::{Job, JobError, JobHandle, Phase, Pool, Rejection};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// A job that must never run, and what tells whether its captures are gone.
struct Never {
    drops: Drops,
    called: Arc<AtomicBool>,
}

impl Never {
    fn spawn(job: Job) -> (Self, JobHandle<Counted>) {
        let never = Self { drops: Drops::default(), called: Arc::default() };
        let (capture, called) = (never.drops.value(), Arc::clone(&never.called));
        let job = job.spawn_blocking(move || {
            called.store(true, Ordering::SeqCst);
            capture
        });
        (never, job)
    }

    #[track_caller]
    fn assert_ended_queued(&self, job: JobHandle<Counted>) -> JobError {
        let error = error(job);
        assert_eq!(self.drops.count(), 1, "the capture is dropped when {error} is seen");
        assert_eq!(error.phase(), Some(Phase::Queued), "{error}");
        assert!(!self.called.load(Ordering::SeqCst), "{error}");
        error
    }
}

#[test]
fn a_cancelled_queued_job() {
    let pool = pool_of(1);
    let _busy = Busy::all(&pool, 1);
    let (never, job) = Never::spawn(pool.job());
    assert_eq!(job.cancel(), Some(Phase::Queued));
    assert_eq!(never.drops.count(), 1, "dropped by the time cancel returns");
    assert!(never.assert_ended_queued(job).is_cancelled());
}

#[test]
fn a_queued_job_whose_time_is_up() {
    let pool = pool_of(1);
    let _busy = Busy::all(&pool, 1);
    for job in [pool.job().timeout(ms(5)), pool.job().queue_timeout(ms(5))] {
        let (never, job) = Never::spawn(job);
        assert!(never.assert_ended_queued(job).is_timed_out());
    }
}

#[test]
fn a_queued_job_whose_token_is_cancelled() {
    let pool = pool_of(1);
    let _busy = Busy::all(&pool, 1);
    let token = CancellationToken::new();
    let (never, job) = Never::spawn(pool.job().token(&token));
    token.cancel();
    assert!(never.assert_ended_queued(job).is_cancelled());
    let (never, job) = Never::spawn(pool.job().token(&token));
    assert!(never.assert_ended_queued(job).is_cancelled());
}

#[test]
fn a_queued_job_of_a_pool_that_shuts_down() {
    let pool = pool_of(1);
    let busy = Busy::all(&pool, 1);
    let (never, job) = Never::spawn(pool.job());
    let ending = pool.shutdown();
    assert!(never.assert_ended_queued(job).is_cancelled());
    drop(busy);
    assert_eq!(ending.wait().never_started.len(), 1);
}

#[test]
fn a_refused_job() {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let waiting = pool.spawn_blocking(|| ());
    let (never, job) = Never::spawn(pool.job());
    let full = never.assert_ended_queued(job);
    assert!(matches!(full, JobError::Rejected(Rejection::QueueFull)), "{full}");
    drop(busy);
    outcome(waiting).expect("it runs");
    drop(pool.shutdown());
    let (never, job) = Never::spawn(pool.job());
    let shut = never.assert_ended_queued(job);
    assert!(matches!(shut, JobError::Rejected(Rejection::ShutDown)), "{shut}");
}

#[test]
fn a_job_with_no_time_at_all() {
    let pool = pool_of(1);
    for job in [pool.job().timeout(ms(0)), pool.job().queue_timeout(ms(0))] {
        let (never, job) = Never::spawn(job);
        assert!(never.assert_ended_queued(job).is_timed_out());
    }
}

#[test]
fn a_worker_does_not_start_what_is_past_its_time() {
    let pool = pool_of(1);
    let busy = Busy::all(&pool, 1);
    // The first expiry keeps the timekeeper busy, so that the worker comes to the second first,
    // or a deputy does: either way it never runs.
    let gate = Gate::default();
    let capture = gate.slow_capture();
    let first = pool.job().timeout(ms(1)).spawn_blocking(move || drop(capture));
    let (never, second) = Never::spawn(pool.job().timeout(ms(1)));
    let start = Instant::now();
    until("both are past their time", || start.elapsed() > ms(3));
    drop(busy);
    assert!(never.assert_ended_queued(second).is_timed_out());
    gate.open();
    assert!(error(first).is_timed_out());
}

#[test]
fn a_slow_destructor_delays_nobody_elses_deadline() {
    let pool = pool_of(1);
    let _busy = Busy::all(&pool, 1);
    let gate = Gate::default();
    let slow = |_| {
        let capture = gate.slow_capture();
        pool.job().timeout(ms(5)).spawn_blocking(move || drop(capture))
    };
    let slow: Vec<_> = (0..40).map(slow).collect();
    let (never, quick) = Never::spawn(pool.job().timeout(ms(6)));
    assert!(never.assert_ended_queued(quick).is_timed_out());
    assert!(slow.iter().all(|job| !job.is_finished()), "their captures are not dropped yet");
    gate.open();
    for job in slow {
        assert!(error(job).is_timed_out());
    }
}

#[test]
fn a_panicking_destructor_delays_nobody_elses_deadline() {
    let pool = Pool::builder().threads(1..=1).on_unseen_panic(|_| ()).build().expect("a thread");
    let _busy = Busy::all(&pool, 1);
    let panicking = || {
        let capture = PanicsOnDrop;
        pool.job().timeout(ms(5)).spawn_blocking(move || drop(capture))
    };
    let panicking = [panicking(), panicking()];
    let (never, quick) = Never::spawn(pool.job().timeout(ms(6)));
    assert!(never.assert_ended_queued(quick).is_timed_out());
    for job in panicking {
        assert!(error(job).is_timed_out());
    }
}

#[test]
fn the_functions_of_a_job_that_never_ran_are_dropped_too() {
    let pool = pool_of(1);
    let _busy = Busy::all(&pool, 1);
    let drops = Drops::default();
    let kept = drops.value();
    let job = pool.job().on_late(move |()| drop(kept)).spawn_blocking(|| quiet_panic("never"));
    job.cancel();
    assert_eq!(drops.count(), 1);
}
