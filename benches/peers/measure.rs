//! How workloads are measured: all contenders in turn, round after round, and compared within a round.
//!
//! Machines change their speed from one second to the next. What ran right before and right after one
//! another met the same machine: so ratios are taken within a round, and their median over the rounds.

use crate::contenders::{Contender, Handoff, NAMES, Simple, Tokio};
use std::thread;
use std::time::{Duration, Instant};

/// Figures of one contender in one round, one for each line of the workload; NaN for none.
pub(crate) type Figures = Vec<f64>;

/// A contender's part in a workload.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn Fn() -> Figures>,
}

/// What all do in turn.
pub(crate) struct Workload {
    pub(crate) title: String,
    /// At the most: none is begun after [`ENOUGH`], once there are [`LEAST`].
    pub(crate) rounds: usize,
    pub(crate) lines: Vec<Line>,
    pub(crate) runs: Vec<Run>,
}

/// One line of the table.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) shown: Shown,
    pub(crate) goal: Goal,
}

/// How figures are shown.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Shown {
    /// As many times better as tokio: figures are costs.
    TimesTokio,
    /// As they are, in this unit and with so many decimals.
    In(&'static str, usize),
}

/// What is wanted of punctual.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    None,
    AtLeast(f64),
    AtMost(f64),
    /// As much as that, and no peer better by more than noise.
    Ahead(f64),
    /// As tokio's, at the most.
    AsTokio,
}

/// What was seen of a workload's line.
pub(crate) struct Seen {
    pub(crate) workload: String,
    /// How many were taken.
    pub(crate) rounds: usize,
    pub(crate) line: Line,
    /// For each of [`NAMES`], quartiles over the rounds.
    pub(crate) figures: Vec<Option<[f64; 3]>>,
    /// What one unit costs tokio, in nanoseconds, where figures are ratios to it.
    pub(crate) tokio: f64,
}

/// So long a workload may take, so that all end in time on a slow machine, too.
const ENOUGH: Duration = Duration::from_secs(20);
/// So many rounds are taken whatever they take, if that many are wanted: medians need them.
const LEAST: usize = 3;

/// A peer is ahead if it is better by more than that: less is noise.
const NOISE: f64 = 1.02;

impl Workload {
    pub(crate) fn measure(self) -> Vec<Seen> {
        let one = |run: &Run| {
            rest();
            (run.run)()
        };
        let round = |_| self.runs.iter().map(one).collect::<Vec<_>>();
        let begin = Instant::now();
        let goes_on = |n: &usize| *n < LEAST || begin.elapsed() < ENOUGH;
        let rounds: Vec<_> = (0..self.rounds).take_while(goes_on).map(round).collect();
        let runs = &self.runs;
        let at = |name| runs.iter().position(|run| run.name == name);
        let seen = |(n, line): (usize, Line)| {
            let own = |of: usize| rounds.iter().map(move |round| round[of][n]);
            let figures = NAMES.map(|name| {
                let of = at(name)?;
                match (line.shown, at(Tokio::NAME)) {
                    (Shown::TimesTokio, Some(tokio)) => {
                        quartiles(own(tokio).zip(own(of)).map(|(tokio, own)| tokio / own))
                    }
                    (Shown::TimesTokio, None) => None,
                    (Shown::In(..), _) => quartiles(own(of)),
                }
            });
            let tokio = at(Tokio::NAME).and_then(|of| quartiles(own(of)));
            let tokio = tokio.map_or(f64::NAN, |[_, median, _]| median);
            let workload = self.title.clone();
            Seen { workload, rounds: rounds.len(), line, figures: figures.into(), tokio }
        };
        self.lines.into_iter().enumerate().map(seen).collect()
    }
}

impl Seen {
    /// Whether punctual is where it is to be; `None` if nothing is asked of it.
    pub(crate) fn is_met(&self) -> Option<bool> {
        // What was not seen is not met: nothing compares with NaN.
        let [own, tokio] = [0, 1].map(|of| self.median(of).unwrap_or(f64::NAN));
        match self.line.goal {
            Goal::None => None,
            Goal::AtLeast(least) => Some(own >= least),
            Goal::AtMost(most) => Some(own <= most),
            Goal::Ahead(least) => Some(own >= least && !self.ahead().any(is_peer)),
            Goal::AsTokio => Some(own <= tokio),
        }
    }

    /// Who is better than punctual.
    pub(crate) fn ahead(&self) -> impl Iterator<Item = &'static str> {
        let own = self.median(0).unwrap_or(f64::NAN);
        let better = move |other: f64| match (self.line.goal, self.line.shown) {
            (Goal::AtMost(_) | Goal::AsTokio, _) | (Goal::None, Shown::In(..)) => {
                other * NOISE < own
            }
            _ => other > own * NOISE,
        };
        let is_ahead = move |n: &usize| self.median(*n).is_some_and(better);
        (1..NAMES.len()).filter(is_ahead).map(|n| NAMES[n])
    }

    pub(crate) fn median(&self, of: usize) -> Option<f64> {
        self.figures[of].map(|[_, median, _]| median)
    }
}

/// Whether that is a pool that users could take instead.
fn is_peer(name: &str) -> bool {
    ![Simple::NAME, Handoff::NAME].contains(&name)
}

/// Quartiles of the figures there are.
pub(crate) fn quartiles(figures: impl Iterator<Item = f64>) -> Option<[f64; 3]> {
    let mut figures: Vec<_> = figures.filter(|figure| figure.is_finite()).collect();
    figures.sort_by(f64::total_cmp);
    let last = figures.len().checked_sub(1)?;
    Some([last / 4, last / 2, last - last / 4].map(|n| figures[n]))
}

/// The figure below which so great a share of them is.
pub(crate) fn quantile(figures: &mut [f64], share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[((figures.len() - 1) as f64 * share) as usize]
}

/// Waits until the threads of the contender before have left: they would be in the way of the next one.
pub(crate) fn rest() {
    const TRIES: usize = 200;
    const WHILE: Duration = Duration::from_millis(2);
    let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    let is_at_rest = || {
        let before = threads();
        thread::sleep(WHILE);
        threads() >= before
    };
    (0..TRIES).any(|_| is_at_rest());
}

pub(crate) fn nanoseconds(time: Duration) -> f64 {
    time.as_nanos() as f64
}

/// How long it took, in nanoseconds, and what it gave.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begin = Instant::now();
    let value = work();
    (nanoseconds(begin.elapsed()), value)
}

/// How much CPU time this process has used, on all its threads.
pub(crate) fn cpu_time() -> Duration {
    // SAFETY: plain numbers, for which zero is fine.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: it fills a place of that type.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) }, 0);
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// A run of each contender whose jobs have results: of `f::<C>(args)`.
macro_rules! pools {
    ($f:ident ( $($arg:expr),* )) => {
        $crate::measure::runs!($f ($($arg),*):
            Punctual Tokio Blocking Rayon Affinity Threadpool Rusty Simple)
    };
}

/// A run of each of these contenders.
macro_rules! runs {
    ($f:ident $args:tt : $($contender:ident)*) => {
        vec![$($crate::measure::run!($f $args $contender)),*]
    };
}

/// A run of one contender.
macro_rules! run {
    ($f:ident ( $($arg:expr),* ) $contender:ident) => {
        $crate::measure::Run {
            name: <$crate::contenders::$contender as $crate::contenders::Contender>::NAME,
            run: Box::new(move || $f::<$crate::contenders::$contender>($($arg),*)),
        }
    };
}

pub(crate) use {pools, run, runs};
