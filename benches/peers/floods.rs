//! Floods: many jobs are submitted at once, from one thread or several or by jobs, and then awaited.

use crate::contenders::{Contender, Punctual, await_all};
use crate::held::timers;
use crate::measure::{Figures, Goal, Line, Run, Shown, Workload, pools, run, timed};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

/// Never passes here.
const FAR: Duration = Duration::from_secs(3600);

pub(crate) fn workloads(quick: bool) -> Vec<Workload> {
    let (rounds, jobs) = if quick { (3, 30_000) } else { (5, 300_000) };
    let flooded = |producers, threads, goal| Workload {
        title: format!("{jobs} jobs, producers: {producers}, threads: {threads}"),
        rounds,
        lines: vec![line(goal)],
        runs: with_handoff(
            pools!(flood(producers, threads, jobs)),
            run!(flood(producers, threads, jobs) Handoff),
        ),
    };
    vec![
        flooded(1, 2, 12.0),
        flooded(1, 8, 16.0),
        flooded(4, 2, 8.0),
        flooded(4, 8, 13.0),
        trees(quick),
        deadlines(rounds, jobs),
    ]
}

fn with_handoff(mut runs: Vec<Run>, handoff: Run) -> Vec<Run> {
    runs.push(handoff);
    runs
}

fn line(least: f64) -> Line {
    Line { name: "a job", shown: Shown::TimesTokio, goal: Goal::AtLeast(least) }
}

/// Nanoseconds for a job.
fn flood<C: Contender>(producers: u64, threads: usize, jobs: u64) -> Figures {
    let pool = C::new(threads);
    vec![timed_flood(&pool, producers, jobs, |n| pool.spawn(move || n))]
}

fn timed_flood<C: Contender, F: Future<Output = u64>>(
    pool: &C,
    producers: u64,
    jobs: u64,
    spawn: impl Fn(u64) -> F + Sync,
) -> f64 {
    let spawn = &spawn;
    let share = jobs / producers;
    let produce = move |p: u64| {
        let mut all = Vec::with_capacity(share as usize);
        all.extend((p * share..(p + 1) * share).map(spawn));
        await_all(all)
    };
    await_all([pool.spawn(|| 0)]); // so that there is a thread
    pool.settle();
    let (time, sum) = timed(|| {
        let sum: u64 = thread::scope(|s| {
            let all: Vec<_> = (1..producers).map(|p| s.spawn(move || produce(p))).collect();
            produce(0) + all.into_iter().map(|one| one.join().expect("no panic")).sum::<u64>()
        });
        sum + pool.settle()
    });
    assert_eq!(sum, jobs * (jobs - 1) / 2);
    time / jobs as f64
}

fn trees(quick: bool) -> Workload {
    let (rounds, depth) = if quick { (3, 12) } else { (9, 16) };
    Workload {
        title: format!("jobs that submit jobs, tree of depth {depth}"),
        rounds,
        lines: vec![line(9.0)],
        runs: with_handoff(pools!(tree(depth)), run!(tree(depth) Handoff)),
    }
}

/// Nanoseconds for a job, of which each but the leaves submits two.
fn tree<C: Contender>(depth: u32) -> Figures {
    let pool = C::new(2);
    let jobs = (1 << (depth + 1)) - 1;
    let (tell, told) = mpsc::channel();
    let left = Arc::new((AtomicU64::new(jobs), tell));
    let (time, ()) = timed(|| {
        grow(pool.clone(), depth, left);
        told.recv().expect("the last one tells");
    });
    vec![time / jobs as f64]
}

fn grow<C: Contender>(pool: C, depth: u32, left: Arc<(AtomicU64, Sender<()>)>) {
    let body = {
        let pool = pool.clone();
        move || {
            if depth > 0 {
                grow(pool.clone(), depth - 1, Arc::clone(&left));
                grow(pool, depth - 1, Arc::clone(&left));
            } else {
                drop(pool); // the last clone must not be left to a job
            }
            // AcqRel: the last one comes after all others.
            if left.0.fetch_sub(1, AcqRel) == 1 {
                left.1.send(()).expect("it is waited for");
            }
        }
    };
    pool.detach(body);
}

fn deadlines(rounds: usize, jobs: u64) -> Workload {
    let without =
        Line { name: "of the time without", shown: Shown::In("×", 2), goal: Goal::AtMost(1.1) };
    Workload {
        title: format!("{jobs} jobs, each with a far deadline"),
        rounds,
        lines: vec![line(9.0), without],
        runs: pools!(deadline(jobs)),
    }
}

/// Nanoseconds for a job with a deadline; and for punctual, how many times that is what one without takes.
fn deadline<C: Contender>(jobs: u64) -> Figures {
    let runtime = timers();
    let _inside = runtime.enter();
    let pool = C::new(2);
    let time = timed_flood(&pool, 1, jobs, |n| {
        let job = pool.spawn_within(FAR, move || n);
        async { job.await.expect("it is in time") }
    });
    let ratio = if C::NAME == Punctual::NAME {
        time / timed_flood(&pool, 1, jobs, |n| pool.spawn(move || n))
    } else {
        f64::NAN
    };
    vec![time, ratio]
}
