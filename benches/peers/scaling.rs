//! Whether a job costs as much with many submitters, in a long queue, and with many threads.
//!
//! Where threads are more than cores they take turns, and what is contended is seen for moments only. What
//! could be is counted in `counts.rs`.

use crate::contenders::{Affinity, Contender, NAMES, Punctual, Tokio, await_all};
use crate::held::Held;
use crate::measure::{Goal, Line, Seen, Shown, quartiles, rest, timed};
use std::thread;

/// A job may cost so many times as much at one point as at another.
pub(crate) const FLAT: f64 = 2.0;
/// How many jobs are timed while others wait.
const PROBES: u64 = 10_000;
/// So many jobs are submitted at a time, or nearly.
const FLOOD: u64 = 32_000;
/// In a queue of that length, noise evens out.
const LONG: u64 = 1_000_000;
/// What a queued job takes at the most, in bytes, of any of them.
const QUEUED: u64 = 400;

/// What a job costs over something.
pub(crate) struct Curve {
    pub(crate) over: &'static str,
    pub(crate) name: &'static str,
    pub(crate) rounds: usize,
    /// At how many, and how many nanoseconds.
    pub(crate) points: Vec<(f64, f64)>,
}

/// How a point is measured.
type Cost = fn(u64) -> f64;

pub(crate) fn curves(quick: bool) -> Vec<Curve> {
    let rounds = if quick { 1 } else { 3 };
    let submitters = [1, 2, 4, 8, 16, 32, 64];
    let threads = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
    let longest = if quick { 5 } else { 7 };
    let lengths: Vec<_> = (0..=longest).map(|n| 10_u64.pow(n)).filter(|n| fits(*n)).collect();
    [
        curves_of(
            "submitters",
            &submitters,
            rounds,
            [
                (Punctual::NAME, submitted_by::<Punctual>),
                (Tokio::NAME, submitted_by::<Tokio>),
                (Affinity::NAME, submitted_by::<Affinity>),
            ],
        ),
        curves_of(
            "queued jobs",
            &lengths,
            1,
            [
                (Punctual::NAME, queued_behind::<Punctual>),
                (Tokio::NAME, queued_behind::<Tokio>),
                (Affinity::NAME, queued_behind::<Affinity>),
            ],
        ),
        curves_of(
            "threads",
            &threads,
            rounds,
            [
                (Punctual::NAME, run_by::<Punctual>),
                (Tokio::NAME, run_by::<Tokio>),
                (Affinity::NAME, run_by::<Affinity>),
            ],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// All points of all in turn, round after round.
fn curves_of(
    over: &'static str,
    points: &[u64],
    rounds: usize,
    costs: [(&'static str, Cost); 3],
) -> Vec<Curve> {
    let one = |(_, cost): (_, Cost), n: u64| {
        rest();
        cost(n)
    };
    let round = |_| points.iter().map(|n| costs.map(|cost| one(cost, *n))).collect::<Vec<_>>();
    let rounds: Vec<_> = (0..rounds).map(round).collect();
    let curve = |(own, (name, _)): (usize, (&'static str, Cost))| {
        let cost = |n: usize| quartiles(rounds.iter().map(|round: &Vec<[f64; 3]>| round[n][own]));
        let points = points.iter().enumerate();
        let points = points.filter_map(|(n, at)| Some((*at as f64, cost(n)?[1]))).collect();
        Curve { over, name, rounds: rounds.len(), points }
    };
    costs.into_iter().enumerate().map(curve).collect()
}

/// For the table: how flat they are.
pub(crate) fn seen(curves: &[Curve]) -> Vec<Seen> {
    let seen = |over: &'static str| {
        let factor = |name| {
            let curve = curves.iter().find(|curve| (curve.over, curve.name) == (over, name))?;
            Some([curve.factor(); 3])
        };
        Seen {
            workload: "scaling: a job at its dearest, by one at its cheapest".to_owned(),
            rounds: curves.iter().map(|curve| curve.rounds).min().unwrap_or(0),
            line: Line { name: over, shown: Shown::In("×", 1), goal: Goal::AtMost(FLAT) },
            figures: NAMES.map(factor).into(),
            tokio: f64::NAN,
        }
    };
    let mut over: Vec<_> = curves.iter().map(|curve| curve.over).collect();
    over.dedup();
    over.into_iter().map(seen).collect()
}

/// All points.
pub(crate) fn print(curves: &[Curve]) {
    for curve in curves {
        let points = curve.points.iter().map(|(at, cost)| format!("{at:.0}: {cost:.0} ns"));
        let points = points.collect::<Vec<_>>().join(", ");
        println!("    over {:12} {:10} {points}", curve.over, curve.name);
    }
}

impl Curve {
    /// How many times as much as at its lowest a job costs at its highest.
    fn factor(&self) -> f64 {
        let costs = || self.points.iter().map(|(_, cost)| *cost);
        costs().fold(0.0, f64::max) / costs().fold(f64::INFINITY, f64::min)
    }
}

/// A job's time where so many threads submit and two run.
fn submitted_by<C: Contender>(threads: u64) -> f64 {
    let jobs = FLOOD / threads * threads;
    flood(&C::new(2), threads, jobs)
}

/// A job's time where one thread submits and so many run.
fn run_by<C: Contender>(threads: u64) -> f64 {
    flood(&C::new(threads as usize), 1, FLOOD)
}

/// A second flood, so that the threads are there.
fn flood<C: Contender>(pool: &C, submitters: u64, jobs: u64) -> f64 {
    let submit = || {
        let all: Vec<_> = (0..jobs / submitters).map(|_| pool.spawn(|| 1)).collect();
        await_all(all)
    };
    let all = || {
        thread::scope(|s| {
            let all: Vec<_> = (0..submitters).map(|_| s.spawn(submit)).collect();
            all.into_iter().map(|one| one.join().expect("no panic")).sum::<u64>()
        })
    };
    assert_eq!(all(), jobs);
    let (time, sum) = timed(all);
    assert_eq!(sum, jobs);
    time / jobs as f64
}

/// A job's time, to be submitted and to be run, where so many wait before it: of the last ones that are
/// submitted, and of all to be run.
fn queued_behind<C: Contender>(length: u64) -> f64 {
    let times = if length < LONG { 5 } else { 1 };
    quartiles((0..times).map(|_| queued_behind_once::<C>(length)))
        .map_or(f64::NAN, |[_, median, _]| median)
}

fn queued_behind_once<C: Contender>(length: u64) -> f64 {
    let pool = C::new(1);
    let mut all = Vec::with_capacity((length + PROBES) as usize);
    let held = Held::new(&pool);
    let spawn = |_| pool.spawn(|| 1);
    all.extend((0..length).map(spawn));
    let (submitting, ()) = timed(|| all.extend((0..PROBES).map(spawn)));
    let (running, ()) = timed(|| held.open(&pool));
    assert_eq!(await_all(all), length + PROBES);
    submitting / PROBES as f64 + running / (length + PROBES) as f64
}

/// Whether there is memory for a queue of that length.
fn fits(length: u64) -> bool {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let free = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    free.is_none_or(|kibibytes| length * QUEUED < kibibytes * 1024 / 2)
}
