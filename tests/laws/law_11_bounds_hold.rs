//! Queue length ≤ limit under any number of submitters; threads ≤ max.

use crate::support::{Busy, PATIENCE, error, outcome, pool_of};
use punctual::{JobError, Pool, Rejection};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

fn limited(limit: usize) -> Pool {
    Pool::builder().threads(1..=1).queue_limit(limit).build().expect("a thread")
}

#[test]
fn exactly_as_many_wait_as_the_limit_allows() {
    let pool = limited(100);
    let busy = Busy::all(&pool, 1);
    let jobs: Vec<_> = std::thread::scope(|s| {
        let submit = || (0..200).map(|_| pool.spawn_blocking(|| ())).collect::<Vec<_>>();
        let submitters: Vec<_> = (0..8).map(|_| s.spawn(submit)).collect();
        submitters.into_iter().flat_map(|s| s.join().expect("no panic")).collect()
    });
    assert_eq!(pool.metrics().queued, 100);
    drop(busy);
    let (ran, refused): (Vec<_>, Vec<_>) = jobs.into_iter().map(outcome).partition(Result::is_ok);
    assert_eq!((ran.len(), refused.len()), (100, 1_500));
    let full =
        |end: &Result<(), JobError>| matches!(end, Err(JobError::Rejected(Rejection::QueueFull)));
    assert!(refused.iter().all(full));
}

#[test]
fn a_reserved_place_counts_and_is_given_back() {
    let pool = limited(2);
    let _busy = Busy::all(&pool, 1);
    let (first, second) = (pool.try_reserve().expect("free"), pool.try_reserve().expect("free"));
    assert!(matches!(pool.try_reserve(), Err(Rejection::QueueFull)));
    assert!(matches!(error(pool.spawn_blocking(|| ())), JobError::Rejected(Rejection::QueueFull)));
    drop(first);
    let job = pool.spawn_blocking(|| ());
    assert!(!job.is_finished());
    let job = second.job().name("reserved").spawn_blocking(|| ());
    assert!(!job.is_finished(), "its place was kept for it");
    assert!(pool.try_reserve().is_err());
}

#[test]
fn a_blocked_reservation_is_served_when_a_place_is_free() {
    let pool = limited(1);
    let busy = Busy::all(&pool, 1);
    let queued = pool.spawn_blocking(|| ());
    std::thread::scope(|s| {
        let waiting = s.spawn(|| pool.blocking_reserve().expect("the pool is open"));
        queued.cancel();
        let permit = waiting.join().expect("no panic");
        assert!(pool.try_reserve().is_err());
        drop(permit);
    });
    assert!(pool.try_reserve().is_ok());
    drop(busy);
}

#[test]
fn a_closing_pool_refuses_those_who_wait_for_a_place() {
    let pool = limited(1);
    let busy = Busy::all(&pool, 1);
    let queued = pool.spawn_blocking(|| ());
    std::thread::scope(|s| {
        let waiting = s.spawn(|| pool.blocking_reserve().map(drop));
        drop(pool.drain());
        assert_eq!(waiting.join().expect("no panic"), Err(Rejection::ShutDown));
    });
    drop(busy);
    outcome(queued).expect("a drain finishes it");
}

#[test]
fn dropped_reservations_leave_no_place_behind() {
    let pool = limited(3);
    let _busy = Busy::all(&pool, 1);
    for round in 0..1_000 {
        let held: Vec<_> = (0..round % 4).map(|_| pool.try_reserve()).collect();
        let mut waiting = Box::pin(pool.reserve());
        let polled = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled.is_pending(), round % 4 == 3);
        drop(polled);
        if round % 2 == 0 {
            drop((waiting, held));
        } else {
            drop((held, waiting)); // the place is given to the waiting one, which is then dropped
        }
    }
    let all: Vec<_> = (0..3).map(|_| pool.try_reserve()).collect();
    assert!(all.iter().all(Result::is_ok) && pool.try_reserve().is_err());
}

#[test]
fn no_more_bodies_run_at_once_than_there_may_be_threads() {
    let pool = Pool::builder().threads(0..=3).build().expect("no thread is needed");
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let spawn = |_| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        pool.spawn_blocking(move || {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
        })
    };
    let jobs: Vec<_> = (0..2_000).map(spawn).collect();
    for job in jobs {
        outcome(job).expect("it returns");
        assert!(pool.metrics().threads <= 3);
    }
    assert!(most.load(Ordering::SeqCst) <= 3);
}

#[test]
fn as_many_bodies_run_at_once_as_there_may_be_threads() {
    for max in [1, 2, 16, 64] {
        let pool = Pool::builder().threads(0..=max).build().expect("no thread is needed");
        let busy = Busy::all(&pool, max); // hangs unless all of them run at once
        assert_eq!(pool.metrics().threads, max);
        drop(busy);
    }
}

#[test]
fn a_limit_of_any_size_will_do() {
    let pool = Pool::builder().queue_limit(usize::MAX).build().expect("a limit");
    assert!(outcome(pool.spawn_blocking(|| ())).is_ok());
    let report = pool_of(1).drain().within(PATIENCE).wait();
    assert_eq!(report.finished, 0);
}
