//! What all models share: how they are run, and data that loom watches.

use super::Reserved;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// Runs a model in every interleaving with at most three preemptions, or as many as
/// `LOOM_MAX_PREEMPTIONS` says.
pub(crate) fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    run(builder, model);
}

/// Runs a model in every interleaving there is, unless `LOOM_MAX_PREEMPTIONS` bounds it.
pub(crate) fn check_all(model: impl Fn() + Sync + Send + 'static) {
    run(loom::model::Builder::new(), model);
}

fn run(mut builder: loom::model::Builder, model: impl Fn() + Sync + Send + 'static) {
    builder.max_branches = builder.max_branches.max(10_000);
    let runs = Arc::new(Count::default());
    let (count, start) = (Arc::clone(&runs), Instant::now());
    builder.check(move || {
        count.add();
        model();
    });
    let test = std::thread::current();
    let name = test.name().unwrap_or_default();
    println!("{name}: {} executions, {:.2?}", runs.get(), start.elapsed());
}

/// A number for assertions. loom does not see it, so it orders nothing and costs no executions: all
/// threads of a model are turns of one.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU32);

impl Count {
    /// Counts one more, and gives how many there were before.
    pub(crate) fn add(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Data of a user's that nothing guards: loom fails the model in which two threads touch it and
/// nothing orders them.
#[derive(Debug)]
pub(crate) struct Bare(Reserved<u32>);

impl Bare {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Reserved::new(0)))
    }

    /// Touches it, and gives how often it was touched before.
    pub(crate) fn touch(&self) -> u32 {
        let before = self.0.replace(0);
        self.0.replace(before + 1);
        before
    }
}
