//! The one word that decides what becomes of a job, and its named transitions.
//!
//! A job is decided once: [`claim`](State::claim) for one that has not started,
//! [`finish`](State::finish) or [`give_up`](State::give_up) for one that has. Who wins that step
//! [`publish`](State::publish)es it. Everybody else only looks.
//!
//! The outcome of a job that was ended early is in this word alone: the slot may still hold the body
//! that a worker is about to take. Only `finish` has an outcome to put there.
//!
//! ```text
//!            start()                  finish() / give_up()          publish()
//!   Queued ───────────▶ RUNNING ───────────────────────────▶ DECIDED ────────▶ READY
//!      └───────────────────────── claim() ──────────────────────▲
//! ```
//!
//! Bits are only ever set. `RUNNING` stays set, and so tells the phase for ever after.

use crate::error::Rejection;
use crate::stop::{Cause, Phase};
use crate::sync::{AtomicU32, Ordering};

/// A worker has the body, or had it.
const RUNNING: u32 = 1;
/// Somebody has won the right to write the outcome.
const DECIDED: u32 = 1 << 1;
/// The outcome can be taken.
const READY: u32 = 1 << 2;
/// The body has returned, or will never be called.
const ENDED: u32 = 1 << 3;
/// The handle has taken the outcome.
const TAKEN: u32 = 1 << 4;
/// The handle is gone.
const DETACHED: u32 = 1 << 5;
/// There is a waker to be woken when the outcome is ready.
const WAKER: u32 = 1 << 6;
/// There are wakers to be woken when the body has ended.
const END_WAKERS: u32 = 1 << 7;
/// There may be listeners to be told of a stop.
const LISTENING: u32 = 1 << 8;
/// The cause of the stop, plus one; zero while there was none.
const CAUSE_SHIFT: u32 = 9;
const CAUSE: u32 = 7 << CAUSE_SHIFT;
/// Why the job was refused, plus one; zero if it was not.
const REFUSED_SHIFT: u32 = 12;
const REFUSED: u32 = 7 << REFUSED_SHIFT;
/// It was decided without waiting for the running body.
const GIVEN_UP: u32 = 1 << 15;
/// Who watches the pool was told of the start. Never set where nobody watches; nor are the next three.
const START_TOLD: u32 = 1 << 16;
/// The job was given up, which is to be told after its start.
const OVERDUE: u32 = 1 << 17;
/// And was told.
const OVERDUE_TOLD: u32 = 1 << 18;
/// The body of a job that was given up is through, which is to be told after that.
const LATE: u32 = 1 << 19;
/// An alarm rang while a worker was about to start the job: the worker looks what is due.
const RANG: u32 = 1 << 20;

/// As many as three bits can tell.
const CAUSES: [Cause; 7] = [
    Cause::Caller,
    Cause::Token,
    Cause::Deadline,
    Cause::Shutdown,
    Cause::Dropped,
    Cause::Parent,
    Cause::Scope,
];

const REJECTIONS: [Rejection; 5] = [
    Rejection::QueueFull,
    Rejection::ShutDown,
    Rejection::TooLate,
    Rejection::NoThread,
    Rejection::Overdue,
];

/// How a job ended without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Early {
    /// It was stopped: in the queue, or while it ran and its handle did not wait.
    Stopped(Cause),
    /// The pool did not take it.
    Refused(Rejection),
}

/// A job's state.
#[derive(Debug)]
pub(crate) struct State(AtomicU32);

/// What a request to stop hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Requested {
    /// A job that had not started, and now never will: the caller publishes its end.
    Claimed,
    /// A running body; this is the first request, and the caller tells the listeners if any.
    First { listening: bool },
    /// A running body that was asked before.
    Again,
    /// Nothing: the outcome was decided.
    Decided,
}

/// What a body's return amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Finished {
    /// It decides the outcome; the job had been asked to stop for this cause, if any.
    Decides(Option<Cause>),
    /// The handle resolved without it.
    Late,
}

/// What is to be done by the one who published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Published {
    /// The handle is gone: drop the outcome.
    pub(crate) detached: bool,
    /// Wake the waker.
    pub(crate) waker: bool,
    /// Wake those who wait for the end.
    pub(crate) end_wakers: bool,
}

impl State {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// A worker claims the right to run the body.
    #[must_use]
    pub(crate) fn start(&self) -> bool {
        self.set_if(RUNNING, |bits| bits & (RUNNING | DECIDED) == 0).is_ok()
    }

    /// Leaves an alarm that rings to the worker that is about to start the job; `false` if it has, or the
    /// job was ended.
    #[must_use]
    pub(crate) fn ring(&self) -> bool {
        self.set_if(RANG, |bits| bits & (RUNNING | DECIDED) == 0).is_ok()
    }

    /// Whether an alarm was left to the worker that has started the job.
    pub(crate) fn rang(&self) -> bool {
        self.load() & RANG != 0
    }

    /// Claims the right to end a job that has not started.
    #[must_use]
    pub(crate) fn claim(&self, end: Early) -> bool {
        let bits = match end {
            Early::Stopped(cause) => code(&CAUSES, cause) << CAUSE_SHIFT,
            Early::Refused(why) => code(&REJECTIONS, why) << REFUSED_SHIFT,
        };
        self.set_if(DECIDED | bits, |bits| bits & (RUNNING | DECIDED) == 0).is_ok()
    }

    /// Asks for a stop, whatever the job is doing.
    pub(crate) fn request_stop(&self, cause: Cause) -> Requested {
        if self.claim(Early::Stopped(cause)) {
            return Requested::Claimed;
        }
        let bits = code(&CAUSES, cause) << CAUSE_SHIFT;
        match self.set_if(bits, |bits| bits & (DECIDED | CAUSE) == 0) {
            Ok(before) => Requested::First { listening: before & LISTENING != 0 },
            Err(bits) if bits & DECIDED != 0 => Requested::Decided,
            Err(_) => Requested::Again,
        }
    }

    /// Decides that the handle resolves without waiting any longer for the running body.
    #[must_use]
    pub(crate) fn give_up(&self) -> bool {
        // One with a cause that is not decided is running: in the queue, the stop decides it.
        let stopped = |bits| bits & CAUSE != 0 && bits & DECIDED == 0;
        self.set_if(DECIDED | GIVEN_UP, stopped).is_ok()
    }

    /// The body has returned.
    pub(crate) fn finish(&self) -> Finished {
        match self.set_if(DECIDED, |bits| bits & DECIDED == 0) {
            Ok(before) => Finished::Decides(cause_in(before)),
            Err(_) => Finished::Late,
        }
    }

    /// The outcome can be taken; `ended` says that the body is through, too.
    pub(crate) fn publish(&self, ended: bool) -> Published {
        // ORDERING: AcqRel. Release pairs with the Acquire in `load`, `watch` and `watch_end`, so
        // that who sees READY sees the outcome, and who sees ENDED what the body did. Acquire, for
        // the waker of who set WAKER, is more than is needed: the waker's slot has a lock.
        let before = self.0.fetch_or(READY | if ended { ENDED } else { 0 }, Ordering::AcqRel);
        Published {
            detached: before & DETACHED != 0,
            waker: before & WAKER != 0,
            end_wakers: ended && before & END_WAKERS != 0,
        }
    }

    /// The body of a job that was given up has returned; `true` if somebody waits for that.
    #[must_use]
    pub(crate) fn end(&self) -> bool {
        // ORDERING: AcqRel, as in `publish`; Release pairs with the Acquire in `watch_end` and `load`.
        self.0.fetch_or(ENDED, Ordering::AcqRel) & END_WAKERS != 0
    }

    /// The worker has told of the start; `true` if the job was given up since: it tells that next.
    #[must_use]
    pub(crate) fn told_start(&self) -> bool {
        self.meet(START_TOLD, OVERDUE)
    }

    /// The job was given up; `true` if that can be told now. If not, the worker tells it next.
    #[must_use]
    pub(crate) fn may_tell_overdue(&self) -> bool {
        self.meet(OVERDUE, START_TOLD)
    }

    /// It was told that the job was given up; `true` if the body is through since: whoever told the
    /// one tells the other next.
    #[must_use]
    pub(crate) fn told_overdue(&self) -> bool {
        self.meet(OVERDUE_TOLD, LATE)
    }

    /// The body of a job that was given up is through; `true` if that can be told now. If not, whoever
    /// tells that it was given up tells it next.
    #[must_use]
    pub(crate) fn may_tell_late(&self) -> bool {
        self.meet(LATE, OVERDUE_TOLD)
    }

    /// Of two that meet here, the later one is told so.
    fn meet(&self, own: u32, other: u32) -> bool {
        // ORDERING: AcqRel; the later one sees the other by the word alone. Acquire and Release let it
        // see, too, what the user's code did that was told first.
        self.0.fetch_or(own, Ordering::AcqRel) & other != 0
    }

    /// A waker is in its slot; `true` if the outcome was ready before, and nobody will wake it.
    #[must_use]
    pub(crate) fn watch(&self) -> bool {
        // ORDERING: AcqRel, see `publish`. The Acquire is here and in `take`, which follows; either
        // would do. The Release is as the Acquire there.
        self.0.fetch_or(WAKER, Ordering::AcqRel) & READY != 0
    }

    /// A waker is in the list of those that wait for the end; `true` if that was before.
    #[must_use]
    pub(crate) fn watch_end(&self) -> bool {
        // ORDERING: AcqRel. Acquire pairs with the Release in `publish` and `end`: who waits for the
        // end sees what the body did. The Release is as in `watch`.
        self.0.fetch_or(END_WAKERS, Ordering::AcqRel) & ENDED != 0
    }

    /// Whether the handle has put a waker in its slot, ever; for the handle itself to ask when it goes:
    /// it alone puts one there, and `watch` follows in the same call.
    pub(crate) fn is_watched(&self) -> bool {
        self.load() & WAKER != 0
    }

    /// There is a list of listeners. Returns the cause if the stop was requested before; who
    /// requests it later will see the list.
    #[must_use]
    pub(crate) fn listen(&self) -> Option<Cause> {
        // ORDERING: AcqRel, more than is needed: that the later of this and `request_stop` sees the
        // earlier is a matter of one word, and the list has a lock.
        cause_in(self.0.fetch_or(LISTENING, Ordering::AcqRel))
    }

    /// The handle takes the outcome; `false` if it is not ready, or was taken.
    #[must_use]
    pub(crate) fn take(&self) -> bool {
        self.set_if(TAKEN, |bits| bits & READY != 0 && bits & TAKEN == 0).is_ok()
    }

    /// The handle is gone; `true` if the outcome is ready and was not taken: drop it. One that has taken
    /// it need tell nobody: a job is published once, and only then can be taken.
    #[must_use]
    pub(crate) fn detach(&self) -> bool {
        if self.load() & TAKEN != 0 {
            return false; // this handle has it; and who published it looked for the handle before
        }
        // ORDERING: AcqRel. Of `detach` and `publish`, the later one in the word's order drops the
        // outcome. The Acquire is here and in `early_end`, by which it is dropped; either would do.
        // The Release is more than is needed: a publisher drops what it put there itself.
        let before = self.0.fetch_or(DETACHED, Ordering::AcqRel);
        before & READY != 0 && before & TAKEN == 0
    }

    /// Why the job was asked to stop, if it was.
    pub(crate) fn cause(&self) -> Option<Cause> {
        cause_in(self.load())
    }

    /// How the job ended, if it was decided without its body.
    pub(crate) fn early_end(&self) -> Option<Early> {
        let bits = self.load();
        // One that waits was neither refused nor stopped: that decides it.
        let early = bits & RUNNING == 0 || bits & GIVEN_UP != 0;
        let refused = decode(&REJECTIONS, (bits & REFUSED) >> REFUSED_SHIFT).map(Early::Refused);
        refused.or_else(|| cause_in(bits).map(Early::Stopped)).filter(|_| early)
    }

    pub(crate) fn phase(&self) -> Phase {
        if self.load() & RUNNING == 0 { Phase::Queued } else { Phase::Running }
    }

    /// Whether it has neither been started nor ended.
    pub(crate) fn is_waiting(&self) -> bool {
        self.load() & (RUNNING | DECIDED) == 0
    }

    pub(crate) fn is_running(&self) -> bool {
        self.load() & RUNNING != 0
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.load() & GIVEN_UP != 0
    }

    pub(crate) fn is_decided(&self) -> bool {
        self.load() & DECIDED != 0
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.load() & READY != 0
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.load() & ENDED != 0
    }

    fn load(&self) -> u32 {
        // ORDERING: Acquire pairs with the Release of every transition: who sees that a stop was
        // asked for sees what was done before, and so with the outcome and with the end.
        self.0.load(Ordering::Acquire)
    }

    /// Sets `bits` if the word allows it; gives the word as it was.
    fn set_if(&self, bits: u32, allowed: impl Fn(u32) -> bool) -> Result<u32, u32> {
        // ORDERING: AcqRel. Release pairs with the Acquire in `load`. Acquire is more than is needed:
        // who takes the outcome has seen READY by another, and the body is there from the start.
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            allowed(word).then_some(word | bits)
        })
    }
}

fn cause_in(bits: u32) -> Option<Cause> {
    decode(&CAUSES, (bits & CAUSE) >> CAUSE_SHIFT)
}

/// The place of a value in its list, plus one.
fn code<V: PartialEq>(list: &[V], value: V) -> u32 {
    list.iter().zip(1..).find(|(known, _)| **known == value).map_or(0, |(_, code)| code)
}

fn decode<V: Copy>(list: &[V], code: u32) -> Option<V> {
    list.get((code as usize).checked_sub(1)?).copied()
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests;
