//! Jobs that sleep: how near a new pool comes to the ideal, and how many threads it takes for that.

use crate::contenders::{Contender, await_all};
use crate::measure::{Figures, Goal, Line, Shown, Workload, nanoseconds, pools, timed};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const SLEEP: Duration = Duration::from_millis(5);

pub(crate) fn workloads(quick: bool) -> Vec<Workload> {
    let (rounds, jobs) = if quick { (3, 1_000) } else { (9, 2_000) };
    let of = |threads: usize, most| Workload {
        title: format!("{jobs} jobs that sleep 5 ms, {threads} threads"),
        rounds,
        lines: vec![
            Line { name: "of the ideal", shown: Shown::In("×", 3), goal: Goal::AtMost(most) },
            Line { name: "threads that ran one", shown: Shown::In("", 0), goal: Goal::AsTokio },
        ],
        runs: pools!(sleep(threads, jobs)),
    };
    vec![of(64, 1.04), of(512, 1.4)]
}

thread_local!(static COUNTED: Cell<u64> = const { Cell::new(0) });

/// How much longer it takes than a pool that costs nothing, and how many threads have run a job, or are
/// there where the pool says more. The start of the pool counts.
fn sleep<C: Contender>(threads: usize, jobs: u64) -> Figures {
    static ROUND: AtomicU64 = AtomicU64::new(1);
    // Relaxed, here and below: the jobs' ends are awaited.
    let (round, seen) = (ROUND.fetch_add(1, Relaxed), Arc::new(AtomicU64::new(0)));
    let (time, (pool, sum)) = timed(|| {
        let pool = C::new(threads);
        let body = |n| {
            let seen = Arc::clone(&seen);
            move || {
                if COUNTED.replace(round) != round {
                    seen.fetch_add(1, Relaxed);
                }
                thread::sleep(SLEEP);
                n
            }
        };
        let all: Vec<_> = (0..jobs).map(|n| pool.spawn(body(n))).collect();
        let sum = await_all(all);
        (pool, sum)
    });
    assert_eq!(sum, jobs * (jobs - 1) / 2);
    let turns = jobs.div_ceil(threads as u64) as f64;
    let threads = seen.load(Relaxed).max(pool.threads() as u64);
    vec![time / (turns * nanoseconds(SLEEP)), threads as f64]
}
