//! Who is parked, and whom to wake: the protocol that loses no wake-up.
//!
//! One word counts what the decision needs: entries in the queue (or about to be), workers that
//! search, workers that are parked, workers there are. A stack names the parked ones.
//!
//! # Rules
//! 1. `queued` rises before an entry is pushed and falls after it is popped, by whoever does it.
//! 2. `searching`, `idle` and `total` change under the stack's lock, but for a searcher that finds
//!    an entry, which leaves in the step that lowers `queued`, for a busy worker that begins to
//!    search, which only spares others a wake-up, and for a new one that has user code to run first.
//! 3. `idle` is the length of the stack. Who takes a worker off the stack lowers `idle` and raises
//!    `searching` for it. The woken worker counts nothing. (tokio's sharded queue let the woken do
//!    it; two quick submissions then counted on one sleeper, and the second hung.)
//! 4. A worker parks only while `queued` is zero, which it sees in the word it changes.
//! 5. The stack is last in, first out: the warm end is woken, the cold end times out, so a pool
//!    shrinks under a trickle.
//! 6. `max` changes under the stack's lock. Who raises it then calls `wake` if the word, which it
//!    changes after that, says that entries wait. When it has fallen below `total`, a worker that has
//!    done its job, or finds nothing, leaves.
//! 7. `waiting` changes under the stack's lock. Who raises it, a worker and no other, does so once, and
//!    is busy until it lowers it again. When it has raised it, it calls `wake` if the word, which it
//!    changes after that, says that entries wait; it need not when it has lowered it: it is busy.
//!
//! # Why this is correct
//! Claim: while `queued > 0`, a worker searches, or is about to be woken by a thread that is not
//! itself waiting, or none is parked and all there may be are busy, or new and in their start hook
//! (and look here after that).
//! - *A submission* raises `queued` and learns in the same step whether anyone searches. If so,
//!   that searcher can not park (rule 4): it finds an entry, and then the next case holds. If not,
//!   the submitter calls `wake`, which takes a sleeper, or asks for a new worker, or finds neither
//!   and then all are busy.
//! - *A searcher finds an entry* and leaves. If it was the last one and entries remain, the same
//!   step tells it to call `wake`.
//! - *A new worker has a start hook*: it leaves, and if it was the last searcher while entries remain
//!   and somebody is parked, the same step tells it to call `wake`.
//! - *A worker parks*: only at `queued == 0`, in one step with raising `idle` (rule 4). A later
//!   submission sees it idle.
//! - *A sleeper times out*: under the lock, so it was taken off the stack and searches, or it is on
//!   the stack and leaves. A submission that counted on it calls `wake`, which waits for the lock,
//!   finds it gone, and asks for a new worker: there is room for one.
//! - *There may be more workers*: who raised `max` and a submission both change the word; if the
//!   submission comes first, the other sees its entry; if not, it sees the new `max`.
//! - *There are more than there may be*: one that leaves after its job was busy before, and looked for
//!   nothing.
//! - *A new worker fails to start*: it was counted as a searcher; taking it back is a searcher
//!   leaving, with the check of that case. If all others wait for a job, it is not taken back before
//!   nothing is queued: either it sees the last one wait, or that one sees that nobody searches.

mod counts;

pub(crate) use counts::{Counts, MAX_QUEUED, MAX_THREADS};

use crate::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};
use counts::{IDLE, QUEUED, RETIRED, SEARCHING, TOTAL};

/// Whom [`Idle::wake`] found for the entries that wait.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wake<W> {
    /// This parked worker; it counts as searching: unpark it.
    Parked(W),
    /// A worker that is not there yet; it counts as searching: start it, or call `not_started`.
    New,
    /// Nobody is needed, or nobody is to be had.
    Nobody,
}

/// What a worker that found nothing does next.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Rest {
    /// Park until taken off the stack.
    Park,
    /// Search; it counts as searching.
    Search,
    /// Leave; it is no longer counted.
    Leave,
    /// Park until taken off the stack, however long that is.
    Stay,
}

/// What follows when a new worker could not be started.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum NotStarted<W> {
    /// The workers there are will do.
    Uncounted,
    /// This one was parked in the meantime; it counts as searching: unpark it.
    Unpark(W),
    /// There is no other worker, or all others wait for a job. The caller stays counted as a searching
    /// one: it must end all that is queued, until [`leave_alone`](Idle::leave_alone) lets it go.
    Alone,
}

/// The counts and the stack of parked workers, each known by a `W`.
#[derive(Debug)]
pub(crate) struct Idle<W> {
    word: AtomicU64,
    parked: Mutex<Vec<W>>,
    min: usize,
    /// Rule 6.
    max: AtomicUsize,
    /// How many workers wait for a job (rule 7).
    waiting: AtomicUsize,
}

impl<W: Clone + PartialEq> Idle<W> {
    /// Counts for a crew of `min` to `max` workers, of which there is none yet.
    pub(crate) fn new(min: usize, max: usize) -> Self {
        debug_assert!(min <= max && max <= MAX_THREADS);
        Self {
            word: AtomicU64::new(0),
            parked: Mutex::new(Vec::new()),
            min,
            max: AtomicUsize::new(max),
            waiting: AtomicUsize::new(0),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        // ORDERING: Acquire pairs with the Release of every change, so that who sees `queued == 0`
        // sees what was done by those who took the entries. The protocol itself needs less: who acts
        // on these counts changes them, and the queue and the stack have locks.
        Counts(self.word.load(Ordering::Acquire))
    }

    /// How many workers there are. A step in the chain of changes: who counts one later sees all that
    /// the caller saw before.
    pub(crate) fn total(&self) -> usize {
        self.add(0).total()
    }

    /// Announces one entry, which the caller pushes next; `true` if it must then call `wake`.
    #[must_use]
    pub(crate) fn announce(&self) -> bool {
        let before = self.add(QUEUED);
        before.searching() == 0 && self.may_wake(before)
    }

    /// Lowers `queued` by an entry that was popped, and `searching` if the popper counted there;
    /// `true` if it must then call `wake`.
    #[must_use]
    pub(crate) fn took(&self, searching: bool) -> bool {
        let before = self.sub(QUEUED + if searching { SEARCHING } else { 0 });
        searching && before.searching() == 1 && before.queued() > 1 && self.may_wake(before)
    }

    /// Finds somebody for the entries that wait, unless somebody searches already.
    pub(crate) fn wake(&self) -> Wake<W> {
        let mut parked = self.parked.lock();
        let counts = self.counts();
        if counts.queued() == 0 || counts.searching() > 0 {
            return Wake::Nobody;
        }
        if let Some(worker) = self.unpark_one(&mut parked) {
            return Wake::Parked(worker);
        }
        if counts.total() >= self.max() {
            return Wake::Nobody;
        }
        self.add(TOTAL + SEARCHING);
        Wake::New
    }

    /// Counts a worker that is started before there is work; it searches first.
    pub(crate) fn starting(&self) {
        let _lock = self.parked.lock();
        self.add(TOTAL + SEARCHING);
    }

    /// Takes back a new worker that could not be started.
    pub(crate) fn not_started(&self) -> NotStarted<W> {
        let mut parked = self.parked.lock();
        // ORDERING: Relaxed; it changes under the lock.
        if self.counts().total() <= 1 + self.waiting.load(Ordering::Relaxed) {
            return NotStarted::Alone;
        }
        let before = self.sub(TOTAL + SEARCHING);
        if before.searching() == 1 && before.queued() > 0 {
            if let Some(worker) = self.unpark_one(&mut parked) {
                return NotStarted::Unpark(worker);
            }
        }
        NotStarted::Uncounted
    }

    /// A worker begins to wait for a job; it comes for no other before that has ended. The caller then
    /// calls `wake` if one [is waited for](Self::is_waited_for).
    pub(crate) fn waits(&self) {
        let _lock = self.parked.lock();
        // ORDERING: Relaxed, see `not_started`.
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// A worker that waited goes on.
    pub(crate) fn goes_on(&self) {
        let _lock = self.parked.lock();
        // ORDERING: Relaxed, see `not_started`.
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// A new worker runs user code before it searches; `true` if the caller must call `wake`.
    #[must_use]
    pub(crate) fn pause(&self) -> bool {
        let before = self.sub(SEARCHING);
        before.searching() == 1 && before.queued() > 0 && before.idle() > 0
    }

    /// Counts the caller, which has just done its job, as searching, unless somebody else is.
    #[must_use]
    pub(crate) fn search(&self) -> bool {
        // ORDERING: AcqRel, as in `add`; that a submission sees the searcher or is seen by it is a
        // matter of one word.
        self.word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                let counts = Counts(word);
                (counts.searching() == 0 && !counts.retired()).then(|| word + SEARCHING)
            })
            .is_ok()
    }

    /// Parks `me`, which found nothing, if nothing is queued.
    pub(crate) fn rest(&self, me: &W, searching: bool) -> Rest {
        let mut parked = self.parked.lock();
        let leave = if searching { SEARCHING } else { 0 };
        let mut counts = self.counts();
        loop {
            let (next, rest) = match counts {
                _ if counts.queued() > 0 => (counts.0 - leave + SEARCHING, Rest::Search),
                _ if counts.retired() || counts.total() > self.max() => {
                    (counts.0 - leave - TOTAL, Rest::Leave)
                }
                _ => (counts.0 - leave + IDLE, Rest::Park),
            };
            // ORDERING: AcqRel, as in `add`. Rule 4 needs no more than one word: the counts it decides
            // on are the ones it changes.
            let swap = self.word.compare_exchange_weak(
                counts.0,
                next,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match swap {
                Ok(_) if rest == Rest::Park => {
                    parked.push(me.clone());
                    return rest;
                }
                Ok(_) => return rest,
                Err(now) => counts = Counts(now),
            }
        }
    }

    /// What `me`, parked for its keep-alive time, does next. If it was taken off the stack it is
    /// about to be woken, and parks until then.
    pub(crate) fn timed_out(&self, me: &W) -> Rest {
        let mut parked = self.parked.lock();
        let Some(at) = parked.iter().position(|worker| worker == me) else {
            return Rest::Stay;
        };
        let counts = self.counts();
        if counts.queued() > 0 {
            parked.remove(at);
            self.step(IDLE, SEARCHING);
            return Rest::Search;
        }
        if counts.total() <= self.min {
            return Rest::Stay;
        }
        parked.remove(at);
        self.sub(IDLE + TOTAL);
        Rest::Leave
    }

    /// Takes back the caller of `not_started` that was left alone, unless something is queued.
    #[must_use]
    pub(crate) fn leave_alone(&self) -> bool {
        let _lock = self.parked.lock();
        // ORDERING: as in `rest`.
        self.word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                (Counts(word).queued() == 0).then(|| word - TOTAL - SEARCHING)
            })
            .is_ok()
    }

    /// From now on a worker with nothing to do leaves. Returns those parked, who count as
    /// searching: unpark them all.
    pub(crate) fn retire(&self) -> Vec<W> {
        let mut parked = self.parked.lock();
        // ORDERING: AcqRel, in one chain with `announce`. Release: a submission that comes after it in
        // the chain sees the stage that the retiring thread had set (see `submit` in pool). The step
        // below has the same; either would do.
        self.word.fetch_or(RETIRED, Ordering::AcqRel);
        let woken = std::mem::take(&mut *parked);
        self.step(IDLE * woken.len() as u64, SEARCHING * woken.len() as u64);
        woken
    }

    /// Allows one worker more, unless the word can not count it. The caller then submits an entry, or
    /// calls `wake` if one [is waited for](Self::is_waited_for).
    #[must_use]
    pub(crate) fn grow(&self) -> bool {
        let _lock = self.parked.lock();
        let max = self.max();
        if max == MAX_THREADS {
            return false;
        }
        // ORDERING: Relaxed. A submission that misses it comes before the step below in the word's
        // order (rule 6); one that comes after it sees what was done before (see `add`).
        self.max.store(max + 1, Ordering::Relaxed);
        true
    }

    /// Whether entries wait and nobody searches. A step in the chain of changes: a submission that comes
    /// after it sees the room that the caller made before.
    pub(crate) fn is_waited_for(&self) -> bool {
        let counts = self.add(0);
        counts.queued() > 0 && counts.searching() == 0
    }

    /// Takes back what `grow` allowed.
    pub(crate) fn shrink(&self) {
        let _lock = self.parked.lock();
        // ORDERING: Relaxed; the bound is kept under the lock.
        self.max.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether the caller, which has just done its job, leaves because there are more workers than
    /// there may be; then it is no longer counted.
    #[must_use]
    pub(crate) fn leaves(&self) -> bool {
        if self.counts().total() <= self.max() {
            return false;
        }
        let _lock = self.parked.lock();
        let leaves = self.counts().total() > self.max();
        if leaves {
            self.sub(TOTAL);
        }
        leaves
    }

    /// How many workers there may be.
    pub(crate) fn max(&self) -> usize {
        // ORDERING: Relaxed, see `grow`.
        self.max.load(Ordering::Relaxed)
    }

    fn may_wake(&self, counts: Counts) -> bool {
        counts.idle() > 0 || counts.total() < self.max()
    }

    /// Takes the warmest worker off the stack, in its name (rule 3).
    fn unpark_one(&self, parked: &mut MutexGuard<'_, Vec<W>>) -> Option<W> {
        let worker = parked.pop()?;
        self.step(IDLE, SEARCHING);
        Some(worker)
    }

    fn add(&self, units: u64) -> Counts {
        // ORDERING: AcqRel on every change: one chain of read-modify-writes, in which each sees what
        // all before it published. `announce` needs the Acquire, `retire` the Release; the others have
        // both so that nobody need look which is which.
        Counts(self.word.fetch_add(units, Ordering::AcqRel))
    }

    fn sub(&self, units: u64) -> Counts {
        // ORDERING: as in `add`.
        Counts(self.word.fetch_sub(units, Ordering::AcqRel))
    }

    /// Moves a count from one field to another in one step.
    fn step(&self, from: u64, to: u64) {
        self.add(to.wrapping_sub(from));
    }
}

#[cfg(all(test, punctual_loom))]
mod models;

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests;
