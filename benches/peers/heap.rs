//! Heap: what a job takes of it while it waits in the queue, and what is left when all are done.

use crate::contenders::{Contender, await_all};
use crate::held::Held;
use crate::measure::{Figures, Goal, Line, Shown, Workload, pools};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

/// So many wait before it is counted, and are counted: queues that double are full before and after.
const BEFORE: u64 = 1_000;
const COUNTED: u64 = 15_000;

pub(crate) fn workloads(quick: bool) -> Vec<Workload> {
    let many = if quick { 50_000 } else { 1_000_000 };
    let line = |name, unit, decimals, most| Line {
        name,
        shown: Shown::In(unit, decimals),
        goal: Goal::AtMost(most),
    };
    vec![Workload {
        title: "heap per queued no-op job".to_owned(),
        rounds: 1, // it is the same each time
        lines: vec![
            line("bytes", "B", 0, 144.0),
            // The queue's own blocks are no job's, but count.
            line("allocations", "", 2, 1.05),
            line("kept when all are done", "%", 1, 1.0),
        ],
        runs: pools!(heap(many)),
    }]
}

/// The system's allocator, which counts when it is told to.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicI64 = AtomicI64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

// Relaxed: they are read when all others rest.
fn count(allocations: i64, bytes: i64) {
    if COUNTS.load(Relaxed) {
        ALLOCATIONS.fetch_add(allocations, Relaxed);
        BYTES.fetch_add(bytes, Relaxed);
    }
}

// SAFETY: all is the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: as the caller's.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: as the caller's.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// Bytes and allocations for a job in the queue; and the share of the bytes of many that is there when all
/// have been run and awaited.
fn heap<C: Contender>(many: u64) -> Figures {
    let pool = C::new(1);
    let spawn = |_| pool.spawn(|| 1);
    let mut all = Vec::with_capacity((BEFORE + COUNTED) as usize);
    let held = Held::new(&pool);
    all.extend((0..BEFORE).map(spawn));
    let [allocations, bytes] = counted(|| all.extend((0..COUNTED).map(spawn)));
    held.open(&pool);
    assert_eq!(await_all(all), BEFORE + COUNTED);
    let [_, kept] = counted(|| {
        let held = Held::new(&pool);
        let all: Vec<_> = (0..many).map(spawn).collect();
        held.open(&pool);
        assert_eq!(await_all(all), many);
    });
    let each = bytes / COUNTED as f64;
    let kept = kept.max(0.0) / (each * many as f64);
    vec![each, allocations / COUNTED as f64, kept * 100.0]
}

fn counted(work: impl FnOnce()) -> [f64; 2] {
    let now = || [&ALLOCATIONS, &BYTES].map(|count| count.load(Relaxed));
    let before = now();
    COUNTS.store(true, Relaxed);
    work();
    COUNTS.store(false, Relaxed);
    let after = now();
    [0, 1].map(|n| (after[n] - before[n]) as f64)
}
