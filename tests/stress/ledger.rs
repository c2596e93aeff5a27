//! What is counted in a storm: every job, every panic, everything that has a destructor.

use crate::rng::Rng;
use punctual::{JobError, Metrics, Phase};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{
    AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst,
};
use std::sync::{Arc, Mutex, PoisonError};

/// How many ways there are for a job to end.
pub(crate) const ENDS: usize = 8;

/// The books of the storm that rages; there is one at a time.
pub(crate) static BOOKS: Ledger = Ledger::new();

pub(crate) struct Ledger {
    /// Jobs that were submitted, accepted or not.
    pub(crate) submitted: AtomicU64,
    /// Those whose handle is there.
    pub(crate) spawned: AtomicU64,
    /// Bodies that were called.
    pub(crate) started: AtomicU64,
    /// Outcomes that a handle gave, by [`end_of`].
    pub(crate) seen: [AtomicU64; ENDS],
    /// Handles that went without having given an outcome.
    pub(crate) unseen: AtomicU64,
    /// Panics that left user code, wherever that was.
    raised: AtomicU64,
    /// Those of them that the pool's hook was told.
    pub(crate) told: AtomicU64,
    /// Those that came out where the storm itself dropped something.
    own: AtomicU64,
    made: AtomicU64,
    dropped: AtomicU64,
    /// Threads that the gate refused.
    pub(crate) refused_threads: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

/// What became of one job, as its body and its handle's owner know it.
pub(crate) type Record = Arc<AtomicU32>;

const STARTED: u32 = 1;
const RETURNED: u32 = 1 << 1;
const FAILED: u32 = 1 << 2;
const PANICS: u32 = 1 << 3;
const CAPTURE_GONE: u32 = 1 << 4;
const NEVER_RUNS: u32 = 1 << 5;
const SEEN: u32 = 1 << 6;

impl Ledger {
    const fn new() -> Self {
        Self {
            submitted: AtomicU64::new(0),
            spawned: AtomicU64::new(0),
            started: AtomicU64::new(0),
            seen: [const { AtomicU64::new(0) }; ENDS],
            unseen: AtomicU64::new(0),
            raised: AtomicU64::new(0),
            told: AtomicU64::new(0),
            own: AtomicU64::new(0),
            made: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            refused_threads: AtomicU64::new(0),
            wrong: Mutex::new(Vec::new()),
        }
    }

    /// Begins a new page.
    pub(crate) fn clear(&self) {
        let Self { submitted, started, unseen, raised, told, own, made, dropped, .. } = self;
        let counts = [submitted, started, unseen, raised, told, own, made, dropped];
        counts.into_iter().chain(&self.seen).for_each(|count| count.store(0, SeqCst));
        self.spawned.store(0, SeqCst);
        self.refused_threads.store(0, SeqCst);
    }

    /// Something is not as it must be. (A panic here could be taken for a job's.)
    pub(crate) fn wrong(&self, what: impl Into<String>) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(what.into());
    }

    pub(crate) fn is_balanced(&self) -> bool {
        self.made.load(SeqCst) == self.dropped.load(SeqCst)
    }

    /// All that must hold when nothing is left of a storm but these counts and its pools' metrics.
    pub(crate) fn faults(&self, pools: Option<&[Metrics]>) -> Vec<String> {
        let mut wrong =
            std::mem::take(&mut *self.wrong.lock().unwrap_or_else(PoisonError::into_inner));
        let mut equal = |what: &str, left: u64, right: u64| {
            if left != right {
                wrong.push(format!("{what}: {left} is not {right}"));
            }
        };
        let get = |count: &AtomicU64| count.load(SeqCst);
        equal("things made and dropped", get(&self.made), get(&self.dropped));
        let panics = get(&self.seen[2]) + get(&self.told) + get(&self.own);
        equal("panics raised and met again", get(&self.raised), panics);
        let seen: u64 = self.seen.iter().map(get).sum();
        equal("handles and jobs", seen + get(&self.unseen), get(&self.submitted));
        let Some(pools) = pools else { return wrong };
        let sum = |of: fn(&Metrics) -> u64| pools.iter().map(of).sum::<u64>();
        equal(
            "jobs taken or refused",
            sum(|m| m.accepted + m.rejected - m.rejected_queued),
            get(&self.submitted),
        );
        equal("outcomes of those taken", sum(Metrics::resolved), sum(|m| m.accepted));
        let ran = sum(|m| m.returned + m.failed + m.panicked);
        let ran = ran + sum(|m| m.cancelled_running + m.timed_out_running);
        equal("bodies called", get(&self.started), ran);
        let counted = [
            sum(|m| m.returned),
            sum(|m| m.failed),
            sum(|m| m.panicked),
            sum(|m| m.cancelled_queued),
            sum(|m| m.cancelled_running),
            sum(|m| m.timed_out_queued),
            sum(|m| m.timed_out_running),
            sum(|m| m.rejected),
        ];
        let unseen = counted.iter().zip(&self.seen).map(|(all, seen)| all.wrapping_sub(get(seen)));
        equal("outcomes nobody saw", unseen.sum(), get(&self.unseen));
        wrong
    }
}

/// Leaves user code with a panic that is counted; quietly.
pub(crate) fn raise(rng: &mut Rng) -> ! {
    BOOKS.raised.fetch_add(1, Relaxed);
    resume_unwind(Box::new(Payload { grenade: rng.one_in(2), _thing: Thing::new(false) }))
}

/// Drops something of the storm's own, whose destructor may panic.
pub(crate) fn drop_own<T>(thing: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(thing))) {
        BOOKS.own.fetch_add(1, Relaxed);
        discard(payload);
    }
}

pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        drop(second); // of text
    }
}

/// What a panic carries; its destructor may panic, too.
struct Payload {
    grenade: bool,
    _thing: Thing,
}

impl Drop for Payload {
    fn drop(&mut self) {
        if self.grenade && !std::thread::panicking() {
            resume_unwind(Box::new("a payload panics when it is dropped"));
        }
    }
}

/// Something that must be dropped once, and whose destructor may panic.
pub(crate) struct Thing {
    alive: bool,
    grenade: bool,
}

impl Thing {
    pub(crate) fn new(grenade: bool) -> Self {
        BOOKS.made.fetch_add(1, Relaxed);
        Self { alive: true, grenade }
    }

    /// Whoever takes it can drop it.
    fn defused(mut self) {
        self.grenade = false;
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        if !std::mem::replace(&mut self.alive, false) {
            BOOKS.wrong("a thing was dropped twice");
        }
        BOOKS.dropped.fetch_add(1, Relaxed);
        if self.grenade && !std::thread::panicking() {
            raise(&mut Rng::new(BOOKS.dropped.load(Relaxed)));
        }
    }
}

/// What a body has captured.
pub(crate) struct Capture {
    pub(crate) record: Record,
    thing: Thing,
}

impl Capture {
    pub(crate) fn new(record: &Record, grenade: bool) -> Self {
        Self { record: Arc::clone(record), thing: Thing::new(grenade) }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let panics = if self.thing.grenade { PANICS } else { 0 };
        self.record.fetch_or(CAPTURE_GONE | panics, SeqCst);
    }
}

pub(crate) fn starts(record: &Record) {
    BOOKS.started.fetch_add(1, Release); // for the watcher
    let before = record.fetch_or(STARTED, SeqCst);
    if before & (STARTED | NEVER_RUNS) != 0 {
        BOOKS.wrong(format!("a body is called, after {before:#b}"));
    }
}

pub(crate) fn returns(record: &Record, ok: bool) {
    record.fetch_or(if ok { RETURNED } else { FAILED }, SeqCst);
}

pub(crate) fn panics(record: &Record) {
    record.fetch_or(PANICS, SeqCst);
}

/// A handle has given its outcome: it must agree with what the body knows.
pub(crate) fn saw(record: &Record, outcome: Result<Thing, JobError<Thing>>) {
    let end = end_of(&outcome);
    BOOKS.seen[end].fetch_add(1, Release); // for the watcher
    let never = matches!(end, 3 | 5 | 7);
    let before = record.fetch_or(SEEN | if never { NEVER_RUNS } else { 0 }, SeqCst);
    let (must, must_not) = match end {
        0 => (STARTED | RETURNED, 0),
        1 => (STARTED | FAILED, 0),
        2 => (STARTED | PANICS, 0),
        4 | 6 => (0, 0), // one that is given up at once may have its body called after that
        _ => (CAPTURE_GONE, STARTED),
    };
    if before & must != must || before & (must_not | SEEN) != 0 {
        BOOKS.wrong(format!("end {end} of a job that was {before:#b}"));
    }
    match outcome {
        Ok(thing) | Err(JobError::Failed(thing)) => thing.defused(),
        Err(JobError::Cancelled(stop) | JobError::TimedOut(stop)) => {
            if let Some(thing) = stop.into_error() {
                thing.defused();
            }
        }
        Err(JobError::Panicked(panic)) => discard(panic.into_payload()),
        Err(_) => {}
    }
}

fn end_of(outcome: &Result<Thing, JobError<Thing>>) -> usize {
    match outcome {
        Ok(_) => 0,
        Err(JobError::Failed(_)) => 1,
        Err(JobError::Panicked(_)) => 2,
        Err(JobError::Cancelled(stop)) if stop.phase() == Phase::Queued => 3,
        Err(JobError::Cancelled(_)) => 4,
        Err(JobError::TimedOut(stop)) if stop.phase() == Phase::Queued => 5,
        Err(JobError::TimedOut(_)) => 6,
        Err(_) => 7,
    }
}
