//! Ok means that the body ran once, to the end.

use crate::support::{outcome, pool_of};
use punctual::{Pool, Priority};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn each_runs_once(pool: &Pool, jobs: usize) {
    let runs: Arc<Vec<AtomicU32>> = Arc::new((0..jobs).map(|_| AtomicU32::new(0)).collect());
    let spawn = |n: usize| {
        let runs = Arc::clone(&runs);
        let priority = [Priority::Low, Priority::Normal, Priority::High][n % 3];
        pool.job().priority(priority).spawn_blocking(move || {
            runs[n].fetch_add(1, Ordering::Relaxed);
            n
        })
    };
    let handles: Vec<_> = (0..jobs).map(spawn).collect();
    for (n, job) in handles.into_iter().enumerate() {
        assert_eq!(outcome(job).expect("it returns"), n);
    }
    assert!(runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1));
}

#[test]
fn with_one_worker() {
    each_runs_once(&pool_of(1), 5_000);
}

#[test]
fn with_eight_workers_that_steal() {
    each_runs_once(&pool_of(8), 20_000);
}

#[test]
fn jobs_that_workers_submit_run_once_too() {
    let pool = pool_of(4);
    let outer = |_| {
        let inner = pool.clone();
        pool.spawn_blocking(move || (0..100).map(|n| inner.spawn_blocking(move || n)).collect())
    };
    let outers: Vec<_> = (0..20).map(outer).collect();
    for job in outers {
        let inners: Vec<_> = outcome(job).expect("it returns");
        let sum: u32 = inners.into_iter().map(|job| outcome(job).expect("it returns")).sum();
        assert_eq!(sum, 4950);
    }
}

#[test]
fn a_job_stuck_behind_a_blocking_one_in_a_workers_deque_is_stolen() {
    let pool = pool_of(2);
    let inner = pool.clone();
    let job = pool.spawn_blocking(move || {
        let child = inner.spawn_blocking(|| 7); // goes to this worker's own deque
        outcome(child).expect("the other worker runs it")
    });
    assert_eq!(outcome(job).expect("it returns"), 7);
}
