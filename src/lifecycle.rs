//! The stages of a pool, which only rise, and how many accepted jobs have not ended.
//!
//! Both live in one word, so that a submission is either counted before the pool closed, and will
//! be waited for, or refused. There is nothing between (law 10).
//!
//! ```text
//! Open ──drain()──▶ Draining ──shutdown(), or the drain's time is up──▶ Stopping
//!   └───────────────────────shutdown()──────────────────────────────────────▲
//! ```

use crate::sync::{AtomicU64, Ordering};

/// Where a pool is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Takes jobs.
    Open,
    /// Takes no more jobs, runs those it has.
    Draining,
    /// Takes no more jobs, starts none, stops those that run.
    Stopping,
}

const STAGE_SHIFT: u32 = 62;
const COUNT: u64 = (1 << STAGE_SHIFT) - 1;

/// The stage of a pool and the number of its unfinished jobs.
#[derive(Debug)]
pub(crate) struct Lifecycle(AtomicU64);

impl Lifecycle {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one more job, unless the pool takes none.
    #[must_use]
    pub(crate) fn enter(&self) -> bool {
        // ORDERING: AcqRel. Acquire pairs with the Release in `rise`: who is refused sees what the
        // closing thread did before. Release pairs with the Acquire in `unfinished`: who counts the
        // job as unfinished sees that it was counted as accepted, before it entered.
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                (stage(word) == Stage::Open).then_some(word + 1)
            })
            .is_ok()
    }

    /// Counts one job less; `true` if the pool is closed, where somebody may wait for that.
    pub(crate) fn leave(&self) -> bool {
        // ORDERING: AcqRel. Release pairs with the Acquire in `unfinished`: who sees zero sees what
        // every job did. Acquire is more than is needed: a chain of read-modify-writes carries the
        // Release of each.
        let word = self.0.fetch_sub(1, Ordering::AcqRel);
        stage(word) > Stage::Open
    }

    /// Rises to `to`; a later stage stays. `true` for the one that raised it.
    pub(crate) fn rise(&self, to: Stage) -> bool {
        let raised = |word| (stage(word) < to).then_some(word & COUNT | (to as u64) << STAGE_SHIFT);
        // ORDERING: AcqRel. Release pairs with the Acquires of `enter` and `stage`; Acquire as in `leave`.
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, raised).is_ok()
    }

    pub(crate) fn stage(&self) -> Stage {
        // ORDERING: Acquire pairs with the Release in `rise`.
        stage(self.0.load(Ordering::Acquire))
    }

    /// Whether the pool takes no more jobs and all it took have ended: so it stays.
    pub(crate) fn is_over(&self) -> bool {
        // ORDERING: Acquire, as in `unfinished`.
        let word = self.0.load(Ordering::Acquire);
        stage(word) > Stage::Open && word & COUNT == 0
    }

    /// How many accepted jobs have not ended.
    pub(crate) fn unfinished(&self) -> u64 {
        // ORDERING: Acquire pairs with the Releases in `leave` and `enter`.
        self.0.load(Ordering::Acquire) & COUNT
    }
}

fn stage(word: u64) -> Stage {
    match word >> STAGE_SHIFT {
        0 => Stage::Open,
        1 => Stage::Draining,
        _ => Stage::Stopping,
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn stages_rise_and_never_fall() {
        let life = Lifecycle::new();
        assert!(life.enter());
        life.rise(Stage::Stopping);
        life.rise(Stage::Draining);
        assert_eq!(life.stage(), Stage::Stopping);
        assert!(!life.enter());
        assert_eq!(life.unfinished(), 1);
        assert!(life.leave());
    }

    #[test]
    fn each_stage_is_seen_and_leaves_the_count_as_it_is() {
        let life = Lifecycle::new();
        assert_eq!((life.stage(), life.unfinished()), (Stage::Open, 0));
        for _ in 0..5 {
            assert!(life.enter());
        }
        for stage in [Stage::Draining, Stage::Stopping] {
            life.rise(stage);
            life.rise(stage);
            assert_eq!((life.stage(), life.unfinished()), (stage, 5));
            assert!(!life.enter());
        }
        for left in (0..5).rev() {
            assert!(life.leave());
            assert_eq!((life.stage(), life.unfinished()), (Stage::Stopping, left));
        }
    }

    #[test]
    fn who_leaves_a_closed_pool_is_told_so() {
        let life = Lifecycle::new();
        assert!(life.enter());
        assert!(!life.leave(), "nobody waits for an open pool");
        assert!(life.enter() && life.enter());
        life.rise(Stage::Draining);
        assert!(life.leave() && life.leave());
        assert_eq!(life.unfinished(), 0);
    }
}

#[cfg(all(test, punctual_loom))]
mod models;
