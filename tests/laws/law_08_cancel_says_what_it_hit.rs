//! `cancel()` gives `Some(Queued)`, `Some(Running)`, or `None` when the outcome was already decided.
//! Idempotent; the first cause wins.

use crate::support::{Busy, Gate, PATIENCE, error, ms, news, outcome, pool_of};
use punctual::{Cause, JobError, Phase};
use tokio_util::sync::CancellationToken;

#[test]
fn a_queued_job_once_and_then_nothing() {
    let pool = pool_of(1);
    let _busy = Busy::all(&pool, 1);
    let job = pool.spawn_blocking(|| ());
    assert_eq!(job.cancel(), Some(Phase::Queued));
    assert_eq!(job.cancel(), None, "its outcome is decided");
    assert_eq!(job.abort_handle().cancel(), None);
}

#[test]
fn a_running_job_every_time_until_it_is_decided() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let wait = gate.clone();
    let (started, starts) = news();
    let job = pool.spawn_blocking(move || {
        started.send(()).expect("the test listens");
        wait.pass();
    });
    starts.next();
    let stopper = job.abort_handle();
    assert_eq!(job.cancel(), Some(Phase::Running));
    assert_eq!(stopper.cancel(), Some(Phase::Running));
    gate.open();
    outcome(job).expect("it returned Ok");
    assert_eq!(stopper.cancel(), None);
    assert!(stopper.is_finished());
}

#[test]
fn nothing_of_a_job_that_returned_or_is_overdue() {
    let pool = pool_of(1);
    let mut job = pool.spawn_blocking(|| 1);
    assert!(job.wait_timeout(PATIENCE).is_some());
    assert_eq!(job.cancel(), None);

    let gate = Gate::default();
    let wait = gate.clone();
    let mut job = pool.job().run_timeout(ms(3)).spawn_blocking(move || wait.pass());
    assert!(job.wait_timeout(PATIENCE).expect("it resolves").is_err());
    assert_eq!(job.cancel(), None, "it runs on, but its outcome is decided");
    gate.open();
}

#[test]
fn the_first_cause_wins() {
    let pool = pool_of(1);
    let token = CancellationToken::new();
    let (started, starts) = news();
    let job = pool.job().token(&token).spawn(move |cx| {
        started.send(()).expect("the test listens");
        let slept = cx.sleep(PATIENCE);
        slept.and(cx.check())
    });
    starts.next();
    token.cancel();
    job.cancel();
    drop(pool.shutdown());
    let JobError::Cancelled(stop) = error(job) else { panic!("it was cancelled") };
    assert_eq!(stop.cause(), Cause::Token);
    assert_eq!(stop.error().map(|error| error.cause()), Some(Cause::Token));
}

#[test]
fn of_racing_cancels_one_hits_the_queued_job() {
    let pool = pool_of(1);
    let _busy = Busy::all(&pool, 1);
    for _ in 0..200 {
        let job = pool.spawn_blocking(|| ());
        let hits: usize = std::thread::scope(|s| {
            let cancels: Vec<_> = (0..3).map(|_| s.spawn(|| job.cancel())).collect();
            let hit =
                |cancel: std::thread::ScopedJoinHandle<'_, _>| cancel.join().expect("no panic");
            cancels.into_iter().filter_map(hit).count()
        });
        assert_eq!(hits, 1);
    }
}
