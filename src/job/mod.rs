//! One job: a cell that its worker, its handle and whoever stops it share.
//!
//! The cell is one allocation with two faces. The worker, the queue and the timekeeper hold it as
//! [`Task`], which knows neither body nor value; the handle holds it as [`Fetch<T, E>`], which
//! knows the value. The compiler makes both.
//!
//! # Rules
//! 1. The state word decides ([`state`]). The slot is touched only by who won the right to: it
//!    holds the body until the winner of `start` or `claim` takes it, nothing while the body runs,
//!    and the outcome that the winner of `finish` puts there before `publish`, until the winner of
//!    `take`, or the later one of `publish` and `detach`, takes that. The outcome of a job that
//!    was ended without its body is in the word alone.
//! 2. The waker's slot is filled before `watch` and emptied only by the publisher that sees it.
//! 3. Whoever ends a job, a worker or not, does so in this order: its outcome is decided; what ties
//!    it to others is undone (timer, token, parent), its place in the queue is free; captures are
//!    dropped; the outcome is counted, published, and announced to the waker; last, the pool counts
//!    the job as ended. So what a handle's owner looks at next agrees with the outcome.
//! 4. User code (body, captures, outcome, wakers, hooks, listeners) is called and dropped under no
//!    lock, inside [`unwind`](crate::unwind).
//! 5. The body's captures and the outcome are always taken out of the slot to be dropped, so that
//!    dropping the last reference to a cell runs no user code.

mod abort;
pub(crate) mod ambient;
#[cfg(all(unix, feature = "io"))]
mod by_clock;
mod cell;
mod context;
mod end;
mod ended;
mod handle;
mod interruptible;
mod listen;
mod passage;
mod recv;
mod run;
mod settings;
mod several;
mod state;
mod time;
mod until;
mod waiting;

pub use abort::{AbortHandle, CancelOnDrop};
pub use context::{JobContext, StopGuard, checkpoint, current};
pub use ended::Ended;
pub use handle::{JobHandle, JoinHandle};
pub use recv::Receive;

pub(crate) use cell::{Body, Cell, Head, Task, new_job};
pub(crate) use context::{Checkpoint, InBody};
pub(crate) use end::Leftover;
pub(crate) use passage::{Held, Next, Passage};
pub(crate) use settings::Settings;
pub(crate) use state::Early;
pub(crate) use time::Bell;
pub(crate) use waiting::{Absence, How, Waiting};

use crate::clock::Clock;
use crate::error::{Panic, Rejection};
use crate::moment::Moment;
use crate::stop::{Cause, Phase};
use crate::timekeeper::Timekeeper;
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// How a job ended, for the pool's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tally {
    Returned,
    Failed,
    Panicked,
    Cancelled(Phase),
    TimedOut(Phase),
    /// It was never taken.
    Rejected(Rejection),
    /// It was taken, and then refused in the queue.
    Refused(Rejection),
}

impl Tally {
    /// In a word, for the job's span: as a `Publisher` has it.
    #[cfg(feature = "tracing")]
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Cancelled(_) => "cancelled",
            Self::TimedOut(_) => "timed_out",
            Self::Rejected(_) | Self::Refused(_) => "rejected",
        }
    }
}

/// What those who watch a pool are told of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Its body is about to be called.
    Started,
    /// Its outcome is there for its handle to take.
    Ended(Tally),
    /// Its body goes on after that.
    Overdue,
    /// And has returned at last.
    ReturnedLate,
    /// It is overdue, and no thread is left to take the place of its own.
    NoSpare,
}

impl Tally {
    pub(crate) fn stopped(cause: Cause, phase: Phase) -> Self {
        match cause {
            Cause::Deadline => Self::TimedOut(phase),
            _ => Self::Cancelled(phase),
        }
    }
}

/// What a job needs of the pool it belongs to.
pub(crate) trait Owner: Send + Sync + 'static {
    fn clock(&self) -> &Clock;

    fn keeper(&self) -> &Arc<Timekeeper<Bell>>;

    /// The name of the lane, if it is one.
    fn lane(&self) -> Option<&Cow<'static, str>>;

    /// Whether the job, which is about to be started, is not worth that any more.
    fn is_hopeless(&self, head: &Head, now: Moment) -> Option<Rejection>;

    /// The job was accepted, and is about to be queued. For what it is to be stopped at once, if it
    /// is.
    fn accepted(&self, _job: &Task) -> Option<Cause> {
        None
    }

    /// A worker has started the job: its place in the queue is free.
    fn started(&self, head: &Head);

    /// The job was claimed in the queue, to end like this: its place is free.
    fn claimed(&self, head: &Head, end: Early);

    /// The handle of the job has resolved, or is just about to, and its body goes on. `true` if there
    /// was to be another thread for the one that it holds, and none is left.
    #[must_use]
    fn overdue(&self, head: &Head) -> bool;

    /// The handle of a job that is overdue has resolved: whoever is to take the place of its worker comes.
    fn stand_in(&self);

    /// The body has returned, just now; `stopped` says whether it had been asked to stop. `true` if
    /// little was to be done for that: no other job goes on in its place.
    fn returned(&self, head: &Head, now: Moment, stopped: bool) -> bool;

    /// The body of a job that was overdue is through, hook and all.
    fn late(&self);

    /// A bulkhead has let the job through: it goes on to the next.
    fn let_through(&self, task: &Task, next: Next);

    /// A thread is going to wait for the job like this.
    fn wait_begins(&self, task: &Task, how: How) -> Absence;

    /// Such a wait, for which `wait_begins` gave this, is over.
    fn wait_ends(&self, absence: Absence);

    /// Calls what ends a job that never ran: user code, while the pool still counts the job.
    fn ending(&self, end: &mut dyn FnMut());

    /// The job's outcome is decided.
    fn decided(&self, tally: Tally);

    /// Calls whoever watches the pool: user code. `false` if nobody does.
    fn tell(&self, head: &Head, news: News) -> bool;

    /// All is done for the job: its body has returned or was dropped, its outcome is published.
    fn ended(&self);

    /// User code of the job panicked where nobody sees it.
    fn unseen_panic(&self, panic: Panic);

    /// For who knows the pool's own type.
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
pub(crate) mod fake;
#[cfg(all(test, punctual_loom))]
pub(crate) mod models;
#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests;
