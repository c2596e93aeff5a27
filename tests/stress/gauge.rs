//! Who is in a lane: its limit is told by the bodies themselves (law 11).

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// How many threads are in bodies of one lane, or of a lane within it.
///
/// Threads, and not bodies: one that waits for another of its lane lends that its permit, and then both
/// are on one thread (law 12).
#[derive(Debug)]
pub(crate) struct Gauge {
    limit: usize,
    now: AtomicUsize,
    most: AtomicUsize,
}

thread_local! {
    /// The gauges of the bodies that this thread is in.
    static HERE: RefCell<Vec<Arc<Gauge>>> = const { RefCell::new(Vec::new()) };
}

impl Gauge {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, now: AtomicUsize::new(0), most: AtomicUsize::new(0) })
    }

    /// How many may be in, how many are, and the most that ever were.
    pub(crate) fn read(&self) -> [usize; 3] {
        [self.limit, self.now.load(SeqCst), self.most.load(SeqCst)]
    }
}

/// A body on its thread.
pub(crate) struct Inside {
    gauges: usize,
}

impl Inside {
    /// A body is called whose job has passed these gauges.
    pub(crate) fn enter(way: &[Arc<Gauge>]) -> Self {
        for gauge in way {
            if !is_here(gauge) {
                let now = gauge.now.fetch_add(1, SeqCst) + 1;
                gauge.most.fetch_max(now, SeqCst);
            }
            HERE.with_borrow_mut(|here| here.push(Arc::clone(gauge)));
        }
        Self { gauges: way.len() }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        for _ in 0..self.gauges {
            let gauge = HERE.with_borrow_mut(Vec::pop).expect("it was entered");
            if !is_here(&gauge) {
                gauge.now.fetch_sub(1, SeqCst);
            }
        }
    }
}

fn is_here(gauge: &Arc<Gauge>) -> bool {
    HERE.with_borrow(|here| here.iter().any(|other| Arc::ptr_eq(other, gauge)))
}
