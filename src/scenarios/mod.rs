//! The assembled pool under shuttle: small scenarios, each run under many schedules.
//!
//! ```text
//! RUSTFLAGS="--cfg punctual_shuttle" cargo test --release --lib -- scenarios
//! ```
//!
//! `PUNCTUAL_SCHEDULES` says how many schedules each scenario is run under. One that fails prints
//! the seed of its batch and the scheduler; with `PUNCTUAL_SEED` that batch alone is run again.
//!
//! Whatever a scenario is about, it ends with [`Books::close`]: what was accepted is the sum of
//! the outcomes, each body was called at most once, all captures are dropped, each outcome agrees
//! with what became of the body, no timer is left. That no thread is left shuttle sees: an execution
//! whose threads do not all come to their end is a deadlock.

mod anything;
mod books;
mod ends;
mod handles;
mod scopes;
mod several;
mod stops;
mod support;
mod threads;
mod time;

use crate::sync::for_shuttle;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

/// Makes a test of each scenario: a function of the file's.
macro_rules! scenarios {
    ($($name:ident)*) => {
        mod tests {
            $(
                #[test]
                fn $name() {
                    crate::scenarios::explore(stringify!($name), super::$name);
                }
            )*
        }
    };
}
use scenarios;

/// How many schedules of a scenario there are where nobody says so.
const SCHEDULES: usize = 10_000;
/// How many are run from one seed: the most that must be run to see a failure again.
const BATCH: usize = 500;
/// More steps than any execution takes that comes to an end.
const MOST_STEPS: usize = 200_000;

#[derive(Clone, Copy, Debug)]
enum How {
    Random,
    /// With so many changes of priority, less one.
    Pct(usize),
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|n| n.parse().expect("a number"))
}

/// Runs a scenario under many schedules.
fn explore(name: &'static str, scenario: fn()) {
    let schedules = number("PUNCTUAL_SCHEDULES").map_or(SCHEDULES, |n| n as usize);
    let again = number("PUNCTUAL_SEED");
    let begun = Instant::now();
    let mut run = 0;
    for (how, share) in [(How::Random, 2), (How::Pct(2), 6), (How::Pct(3), 6), (How::Pct(5), 6)] {
        let wanted = if again.is_some() { BATCH } else { (schedules / share).max(1) };
        let mut done = 0;
        while done < wanted {
            let seed = again.unwrap_or_else(|| RandomState::new().build_hasher().finish());
            let size = BATCH.min(wanted - done);
            done += match how {
                How::Random => batch(RandomScheduler::new_from_seed(seed, size), scenario),
                How::Pct(n) => batch(PctScheduler::new_from_seed(seed, n, size), scenario),
            }
            .unwrap_or_else(|payload| {
                eprintln!("{name} fails under {how:?}: PUNCTUAL_SEED={seed}");
                resume_unwind(payload)
            });
        }
        run += done;
    }
    let rate = run as f64 / begun.elapsed().as_secs_f64();
    eprintln!("{name}: {run} schedules, {rate:.0} a second");
}

/// Runs the schedules that this scheduler makes; how many there were.
fn batch(scheduler: impl Scheduler + 'static, scenario: fn()) -> std::thread::Result<usize> {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    config.failure_persistence = FailurePersistence::None; // the seed is short, a schedule is not
    config.silence_warnings = true; // loom's models are there for the orderings
    let runner = Runner::new(scheduler, config);
    let execution = move || {
        for_shuttle::begin();
        scenario();
        for_shuttle::end();
    };
    catch_unwind(AssertUnwindSafe(|| runner.run(execution)))
}
