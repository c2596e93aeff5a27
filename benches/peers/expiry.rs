//! Deadlines of queued jobs, while the pool's only thread is held: when their waiters are told, what
//! becomes of the captures, and how many are run all the same.

use crate::contenders::Contender;
use crate::held::{Fates, Held, poll_with, timers};
use crate::measure::{Figures, Goal, Line, Shown, Workload, nanoseconds, pools, quantile};
use std::sync::{Arc, OnceLock};
use std::task::Wake;
use std::thread;
use std::time::{Duration, Instant};

/// The last deadline is so long after the last job was submitted, at the least.
const MARGIN: Duration = Duration::from_millis(300);
/// On a machine that has other things to do, the first deadlines may pass before the last job is
/// submitted: then it is begun again, so often.
const TRIES: usize = 3;

pub(crate) fn workloads(quick: bool) -> Vec<Workload> {
    let (rounds, jobs, rolling) = if quick { (1, 10_000, 100) } else { (3, 100_000, 500) };
    let of = |within: u64, most| Workload {
        title: format!("{jobs} queued jobs expire, within {within} ms"),
        rounds,
        lines: vec![
            line("late, p99", "ms", 2, most),
            line("run all the same", "%", 1, 0.0),
            line("captures kept when told", "%", 1, 0.0),
        ],
        runs: pools!(expire(jobs, Duration::from_millis(within))),
    };
    vec![of(rolling, 2.0), of(45, 20.0)]
}

fn line(name: &'static str, unit: &'static str, decimals: usize, most: f64) -> Line {
    Line { name, shown: Shown::In(unit, decimals), goal: Goal::AtMost(most) }
}

/// Notes when it is woken.
#[derive(Default)]
struct Told(OnceLock<Instant>);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.get_or_init(Instant::now);
    }
}

/// How late a waiter is told, the 99th percentile in milliseconds; the share of the jobs that are run, and
/// of the captures that are there when the last one is told.
fn expire<C: Contender>(jobs: u32, within: Duration) -> Figures {
    let mut tries = (0..TRIES).map(|_| expire_once::<C>(jobs, within));
    tries.find_map(|figures| figures).unwrap_or_else(|| vec![f64::NAN; 3])
}

fn expire_once<C: Contender>(jobs: u32, within: Duration) -> Option<Figures> {
    let runtime = timers();
    let _inside = runtime.enter();
    let (pool, fates) = (C::new(1), Arc::<Fates>::default());
    let held = Held::new(&pool);
    let first = Instant::now() + submitting(jobs) + MARGIN;
    let submit = |n| {
        let (deadline, capture) = (first + within * n / jobs, fates.capture());
        let time = deadline.saturating_duration_since(Instant::now());
        let mut job = Box::pin(pool.spawn_within(time, move || capture.run()));
        let told = Arc::<Told>::default();
        let early = poll_with(&mut job, &told).is_none();
        early.then_some((deadline, told, job))
    };
    let all: Option<Vec<_>> = (0..jobs).map(submit).collect();
    let Some(all) = all.filter(|_| Instant::now() < first) else {
        held.open(&pool);
        return None;
    };
    let mut late: Vec<_> =
        all.iter().map(|(deadline, told, _)| lateness(*deadline, told)).collect();
    for (_, told, mut job) in all {
        assert_eq!(poll_with(&mut job, &told), Some(None), "it was told, and never ran");
    }
    let share = |count: f64| count / f64::from(jobs) * 100.0;
    let kept = 100.0 - share(fates.dropped());
    held.open(&pool);
    Some(vec![quantile(&mut late, 0.99) / 1e6, share(fates.run()), kept])
}

/// Enough to submit so many.
fn submitting(jobs: u32) -> Duration {
    Duration::from_micros(5) * jobs
}

/// Waits until it is told.
fn lateness(deadline: Instant, told: &Told) -> f64 {
    loop {
        match told.0.get() {
            Some(at) => return nanoseconds(at.saturating_duration_since(deadline)),
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
}
