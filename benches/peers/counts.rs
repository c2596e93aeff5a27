//! Instructions per job, counted by valgrind: they say what the clock can not on a machine with other things
//! to do. `benches/instructions.rs` has a budget for each kind of job of punctual's.

use crate::callgrind;
use crate::contenders::{Contender, Punctual};
use crate::jobs::{Outcome, Spawn, one_by_one, together};
use crate::measure::{Figures, Goal, Line, Shown, Workload, pools, runs};
use std::future::Future;
use std::time::Duration;

/// The option by which this program's child is told what to do.
pub(crate) const JOBS: &str = "--jobs";
/// Never passes.
const FAR: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn workloads(quick: bool) -> Vec<Workload> {
    if !callgrind::is_there() {
        println!("{}", callgrind::HOW_TO_GET_IT);
        return Vec::new();
    }
    let line = |name, most| Line { name, shown: Shown::In("", 0), goal: Goal::AtMost(most) };
    let runs = if quick {
        runs!(count(): Punctual Tokio)
    } else {
        runs!(count(): Punctual Tokio Affinity Threadpool Rusty Simple)
    };
    vec![Workload {
        title: "instructions per job".to_owned(),
        rounds: 1, // they repeat
        lines: vec![
            line("one at a time", 800.0),
            line("in a batch", 750.0),
            line("one at a time, a deadline on top", 120.0),
            line("in a batch, a deadline on top", 120.0),
        ],
        runs,
    }]
}

fn count<C: Contender>() -> Figures {
    let count = |kind: &str| {
        let name = format!("{}/{kind}", C::NAME);
        callgrind::per_unit(&[JOBS, &name]).expect("valgrind runs it")
    };
    let [one, batch] = ["one", "batch"].map(count);
    let mut figures = vec![one, batch, f64::NAN, f64::NAN];
    if C::NAME == Punctual::NAME {
        figures[2] = count("one-timed") - one;
        figures[3] = count("batch-timed") - batch;
    }
    figures
}

/// What the child does: jobs of that contender and kind.
pub(crate) fn run_jobs(name: &str, jobs: u64) {
    callgrind::take_turns();
    let all = [
        (Kind { together: false, timed: false }, "one"),
        (Kind { together: true, timed: false }, "batch"),
        (Kind { together: false, timed: true }, "one-timed"),
        (Kind { together: true, timed: true }, "batch-timed"),
    ];
    let (contender, kind) = name.split_once('/').expect("a contender and a kind");
    let (kind, _) = all.into_iter().find(|(_, name)| *name == kind).expect("its name");
    let run = pools!(go(kind, jobs)).into_iter().find(|run| run.name == contender);
    (run.expect("its name").run)();
}

#[derive(Clone, Copy)]
struct Kind {
    together: bool,
    timed: bool,
}

fn go<C: Contender>(kind: Kind, jobs: u64) -> Figures {
    let pool = C::new(1);
    match kind {
        Kind { together: false, timed: false } => one_by_one(&Plain(pool), jobs),
        Kind { together: true, timed: false } => together(&Plain(pool), jobs),
        Kind { together: false, timed: true } => one_by_one(&Timed(pool), jobs),
        Kind { together: true, timed: true } => together(&Timed(pool), jobs),
    }
    Vec::new()
}

struct Plain<C>(C);

impl<C: Contender> Spawn for Plain<C> {
    fn spawn(&self, body: impl FnOnce() + Send + 'static) -> impl Future<Output: Outcome> {
        self.0.spawn(done(body))
    }
}

struct Timed<C>(C);

impl<C: Contender> Spawn for Timed<C> {
    fn spawn(&self, body: impl FnOnce() + Send + 'static) -> impl Future<Output: Outcome> {
        self.0.spawn_within(FAR, done(body))
    }
}

/// What a job returns that was run.
const DONE: u64 = 1;

fn done(body: impl FnOnce()) -> impl FnOnce() -> u64 {
    || {
        body();
        DONE
    }
}

impl Outcome for u64 {
    fn is_ok(&self) -> bool {
        *self == DONE
    }
}

impl Outcome for Option<u64> {
    fn is_ok(&self) -> bool {
        *self == Some(DONE)
    }
}
