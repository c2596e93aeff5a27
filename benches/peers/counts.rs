//! Instructions and atomic read-modify-writes per job, counted by valgrind: they say what the clock can not
//! on a machine with other things to do, or with few cores. `benches/instructions.rs` has a budget for each
//! kind of job of punctual's.
//!
//! This program's allocator looks at a flag each time, so there are some instructions more than there.

use crate::callgrind::{self, Counts};
use crate::contenders::{Contender, Punctual, await_all};
use crate::jobs::{Outcome, Spawn, one_by_one, together};
use crate::measure::{Figures, Goal, Line, Shown, Workload, pools, runs};
use crate::scaling::FLAT;
use std::future::Future;
use std::thread;
use std::time::Duration;

/// The option by which this program's child is told what to do.
pub(crate) const JOBS: &str = "--jobs";
/// So many threads submit where there are many. Both numbers of jobs are multiples of that.
const MANY: u64 = 50;
/// Never passes.
const FAR: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn workloads(quick: bool) -> Vec<Workload> {
    if !callgrind::is_there() {
        eprintln!("{}", callgrind::HOW_TO_GET_IT);
        return Vec::new();
    }
    let line = |name, most| Line { name, shown: Shown::In("", 0), goal: Goal::AtMost(most) };
    let updates = |name| Line { name, shown: Shown::In("", 1), goal: Goal::None };
    let times = |name| Line { name, shown: Shown::In("×", 2), goal: Goal::AtMost(FLAT) };
    // Threads of rayon and blocking go on looking for jobs for a while, or wait with a time limit: what
    // that takes is not a job's.
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
            updates("read-modify-writes, one at a time"),
            updates("read-modify-writes, in a batch"),
            times("from 50 threads: instructions"),
            times("from 50 threads: read-modify-writes"),
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
    let mut on_top = [f64::NAN; 2];
    let mut from_many = [f64::NAN; 2];
    if C::NAME == Punctual::NAME {
        let timed = ["one-timed", "batch-timed"].map(count);
        on_top = [0, 1].map(|n| timed[n].instructions - [one, batch][n].instructions);
        let [few, many] = ["from-one", "from-many"].map(count);
        let times = |of: fn(&Counts) -> f64| of(&many) / of(&few);
        from_many = [times(|counts| counts.instructions), times(|counts| counts.updates)];
    }
    let plain = [one.instructions, batch.instructions];
    [plain, on_top, [one.updates, batch.updates], from_many].concat()
}

/// What the child does: jobs of that contender and kind.
pub(crate) fn run_jobs(name: &str, jobs: u64) {
    callgrind::take_turns();
    let (contender, kind) = name.split_once('/').expect("a contender and a kind");
    let kind = match kind {
        "one" => Kind::One,
        "batch" => Kind::Batch,
        "one-timed" => Kind::OneTimed,
        "batch-timed" => Kind::BatchTimed,
        "from-one" => Kind::From(1),
        "from-many" => Kind::From(MANY),
        _ => panic!("there is no kind {kind}"),
    };
    let run = pools!(go(kind, jobs)).into_iter().find(|run| run.name == contender);
    (run.expect("its name").run)();
}

#[derive(Clone, Copy)]
enum Kind {
    /// Each is awaited before the next.
    One,
    /// All wait before the first is started.
    Batch,
    /// With deadlines that are far.
    OneTimed,
    BatchTimed,
    /// Each of so many threads submits its share, and then awaits it.
    From(u64),
}

fn go<C: Contender>(kind: Kind, jobs: u64) -> Figures {
    let pool = C::new(1);
    match kind {
        Kind::One => one_by_one(&Plain(pool), jobs),
        Kind::Batch => together(&Plain(pool), jobs),
        Kind::OneTimed => one_by_one(&Timed(pool), jobs),
        Kind::BatchTimed => together(&Timed(pool), jobs),
        Kind::From(threads) => from(threads, &pool, jobs),
    }
    Vec::new()
}

fn from(threads: u64, pool: &impl Contender, jobs: u64) {
    let submit = || {
        let all: Vec<_> = (0..jobs / threads).map(|_| pool.spawn(|| DONE)).collect();
        assert_eq!(await_all(all), jobs / threads * DONE);
    };
    thread::scope(|s| (0..threads).for_each(|_| _ = s.spawn(submit)));
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
