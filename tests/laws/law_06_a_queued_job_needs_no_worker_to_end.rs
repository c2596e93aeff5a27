//! Cancel, timeout and shutdown resolve a queued job at once, and free its place at once, while
//! every worker is busy.

use crate::support::{Busy, Drops, PATIENCE, error, ms, outcome};
use punctual::{JobHandle, Phase, Pool};
use tokio_util::sync::CancellationToken;

fn full_pool() -> (Pool, Busy) {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    (pool, busy)
}

/// The one place in the queue is free again.
#[track_caller]
fn assert_place_is_free(pool: &Pool) {
    assert!(pool.try_reserve().is_ok(), "{:?}", pool.metrics());
    assert_eq!(pool.metrics().queued, 0);
}

fn assert_taken(pool: &Pool, job: &JobHandle<()>) {
    assert!(!job.is_finished() && pool.try_reserve().is_err());
    assert_eq!(pool.metrics().queued, 1);
}

#[test]
fn cancel() {
    let (pool, _busy) = full_pool();
    let drops = Drops::default();
    let capture = drops.value();
    let job = pool.spawn_blocking(move || drop(capture));
    assert_taken(&pool, &job);
    assert_eq!(job.cancel(), Some(Phase::Queued));
    assert!(job.is_finished() && drops.count() == 1, "before cancel returns");
    assert_place_is_free(&pool);
    assert!(error(job).is_cancelled());
}

#[test]
fn queue_timeout() {
    let (pool, _busy) = full_pool();
    let drops = Drops::default();
    let capture = drops.value();
    let job = pool.job().queue_timeout(ms(20)).spawn_blocking(move || drop(capture));
    let error = error(job);
    assert!(error.is_timed_out() && drops.count() == 1);
    assert_place_is_free(&pool);
}

#[test]
fn deadline() {
    let (pool, _busy) = full_pool();
    let job = pool.job().timeout(ms(20)).spawn_blocking(|| ());
    assert!(error(job).is_timed_out());
    assert_place_is_free(&pool);
}

#[test]
fn token() {
    let (pool, _busy) = full_pool();
    let token = CancellationToken::new();
    let job = pool.job().token(&token).spawn_blocking(|| ());
    assert_taken(&pool, &job);
    token.cancel();
    assert!(job.is_finished(), "inside the call that cancels the token");
    assert_place_is_free(&pool);
}

#[test]
fn a_dropped_cancel_on_drop() {
    let (pool, _busy) = full_pool();
    let job = pool.spawn_blocking(|| ()).cancel_on_drop();
    let observer = job.abort_handle();
    drop(job);
    assert!(observer.is_finished());
    assert_place_is_free(&pool);
}

#[test]
fn shutdown() {
    let (pool, busy) = full_pool();
    let job = pool.spawn_blocking(|| ());
    let ending = pool.shutdown();
    assert!(error(job).is_cancelled());
    drop(busy);
    let report = ending.within(PATIENCE).wait();
    assert_eq!((report.finished, report.never_started.len()), (1, 1));
}

#[test]
fn the_end_of_a_drains_time() {
    let (pool, busy) = full_pool();
    let job = pool.job().name("waits").spawn_blocking(|| ());
    let report = pool.drain().within(ms(5)).wait();
    assert_eq!(report.never_started.len(), 1);
    assert_eq!(report.never_started[0].name(), Some("waits"));
    assert_eq!(report.still_running.len(), 1);
    assert!(error(job).is_cancelled());
    drop(busy);
}

#[test]
fn the_place_of_a_job_that_starts_is_free_too() {
    let (pool, busy) = full_pool();
    let job = pool.spawn_blocking(|| ());
    drop(busy);
    outcome(job).expect("it runs");
    assert_place_is_free(&pool);
}

#[test]
fn many_cancelled_jobs_do_not_pile_up() {
    let (pool, _busy) = full_pool();
    for _ in 0..20_000 {
        let job = pool.spawn_blocking(|| ());
        assert_eq!(job.cancel(), Some(Phase::Queued));
    }
    assert_place_is_free(&pool);
}
