//! Very many of everything.

use crate::support::{Busy, PATIENCE, error, ms, outcome, pool_of, until};
use punctual::{AbortHandle, Cause, JobError, Phase, Pool};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Enough for anything that looks through all of them each time to take minutes.
const MANY: usize = 100_000;

/// Fault 25: nothing recurses, and nothing is looked through once for each.
#[test]
fn a_long_queue_ends_at_once() {
    let pool = pool_of(1);
    let busy = Busy::all(&pool, 1);
    let jobs: Vec<_> = (0..MANY).map(|_| pool.spawn_blocking(|| ())).collect();
    assert_eq!(pool.metrics().queued, MANY);
    let end = pool.shutdown();
    assert_eq!(pool.metrics().queued, 0);
    drop(busy);
    assert_eq!(end.within(PATIENCE).wait().never_started.len(), MANY);
    for job in jobs {
        assert_eq!(error(job).phase(), Some(Phase::Queued));
    }
}

/// Fault 25, of a pool that nobody has any more: it does them all.
#[test]
fn a_long_queue_of_a_dropped_pool_is_done() {
    let pool = pool_of(2);
    let jobs: Vec<_> = (0..MANY).map(|n| pool.spawn_blocking(move || n)).collect();
    drop(pool);
    for (n, job) in jobs.into_iter().enumerate() {
        assert_eq!(outcome(job).expect("it returns"), n);
    }
}

/// Fault 26: in any order.
#[test]
fn many_deadlines_are_set_and_taken_back_quickly() {
    let pool = pool_of(1);
    let busy = Busy::all(&pool, 1);
    let start = Instant::now();
    let spawn = |n: usize| {
        let time = PATIENCE * 100 + Duration::from_nanos((n * 7919 % MANY) as u64);
        pool.job().timeout(time).spawn_blocking(|| ())
    };
    let jobs: Vec<_> = (0..MANY).map(spawn).collect();
    assert_eq!(pool.metrics().timers, MANY);
    for n in 0..MANY {
        assert_eq!(jobs[n * 104_729 % MANY].cancel(), Some(Phase::Queued));
    }
    assert_eq!((pool.metrics().timers, pool.metrics().queued), (0, 0));
    // An alarm: under a sanitizer, on a busy machine, it took 36 s once.
    assert!(start.elapsed() < 10 * PATIENCE, "{:?}", start.elapsed());
    drop(busy);
}

/// Fault 26: all at one moment.
#[test]
fn many_deadlines_at_one_moment_are_all_kept() {
    let pool = pool_of(1);
    let busy = Busy::all(&pool, 1);
    let at = Instant::now() + ms(200);
    let jobs: Vec<_> =
        (0..MANY / 10).map(|_| pool.job().deadline(at).spawn_blocking(|| ())).collect();
    for job in jobs {
        assert!(error(job).is_timed_out());
    }
    until("no alarm is left", || pool.metrics().timers == 0);
    drop(busy);
}

/// Fault 38: the root of a deep tree of tokens is cancelled, and the job has the last of its leaves.
#[test]
fn a_deep_tree_of_tokens_stops_its_job() {
    let pool = pool_of(1);
    let root = CancellationToken::new();
    let mut line = vec![root.clone()];
    for _ in 0..100_000 {
        let child = line.last().expect("there is the root").child_token();
        line.push(child);
    }
    let leaf = line.last().expect("there is the root");
    let job = pool.job().token(leaf).spawn(|cx| cx.sleep(Duration::MAX));
    until("it runs", || pool.metrics().queued == 0);
    root.cancel();
    match outcome(job) {
        Err(JobError::Cancelled(stop)) => assert_eq!(stop.cause(), Cause::Token),
        other => panic!("{other:?}"),
    }
}

/// Fault 38: each job's listener stops the next, and the last one's the first.
#[test]
fn jobs_that_stop_each_other_in_a_ring_stop_once() {
    const RING: usize = 8;
    let pool = Pool::builder().threads(RING..=RING).build().expect("threads");
    let ring: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
    let told = Arc::new(std::sync::Barrier::new(RING + 1));
    let stops: Arc<[AtomicUsize; RING]> = Arc::default();
    let jobs: Vec<_> = (0..RING)
        .map(|n| {
            let (ring, ready) = (Arc::clone(&ring), Arc::clone(&told));
            let stops = Arc::clone(&stops);
            pool.spawn(move |cx| {
                // Forgotten: or the body, which is stopped, too, could take it back before it is told.
                std::mem::forget(cx.on_stop(move |_| {
                    stops[n].fetch_add(1, Ordering::Relaxed);
                    let next = ring.lock().expect("no panic")[(n + 1) % RING].clone();
                    next.cancel();
                }));
                ready.wait();
                cx.sleep(Duration::MAX)
            })
        })
        .collect();
    *ring.lock().expect("no panic") = jobs.iter().map(|job| job.abort_handle()).collect();
    told.wait();
    assert_eq!(jobs[0].cancel(), Some(Phase::Running));
    for job in jobs {
        assert_eq!(error(job).phase(), Some(Phase::Running));
    }
    let told = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    until("all are told", || stops.iter().all(|stops| told(stops) > 0));
    assert!(stops.iter().all(|stops| told(stops) == 1), "{stops:?}");
}
