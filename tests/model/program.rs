//! The words of a program: what is done to a pool, step by step, and what it answers.
//!
//! They are printed as the code that makes them, so that a failing program can be kept.

use punctual::{Cause, Phase, Priority, Rejection};
use std::fmt;

/// Milliseconds; a moment counts from when the pool was made.
pub(crate) type Time = i64;

/// Longer than any program lasts; for the pool it is `Duration::MAX`.
pub(crate) const FAR: Time = 1 << 40;

/// How many tokens there are for jobs to be given.
pub(crate) const TOKENS: usize = 2;

/// What a pool is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) workers: usize,
    /// Whether all threads are there from the beginning; if not, they come when they are needed.
    pub(crate) ready: bool,
    pub(crate) limit: Option<usize>,
    pub(crate) timeout: Option<Time>,
    pub(crate) grace: Option<Time>,
}

/// One worker, and no limits.
pub(crate) const PLAIN: Settings =
    Settings { workers: 1, ready: true, limit: None, timeout: None, grace: None };

/// What is asked of a job. Times count from its submission, `run` from its start.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) named: bool,
    pub(crate) priority: Priority,
    pub(crate) timeout: Option<Time>,
    /// As a moment from now, which may be in the past.
    pub(crate) deadline: Option<Time>,
    pub(crate) queue: Option<Time>,
    pub(crate) run: Option<Time>,
    pub(crate) grace: Option<Time>,
    /// Which of the tokens it is given.
    pub(crate) token: Option<usize>,
    pub(crate) on_late: bool,
}

/// Through what a job is submitted. Jobs are named by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Pool,
    Permit,
    /// The context of a job that has started, used outside of it.
    Context(usize),
    /// A body that runs, on its worker.
    Body(usize),
}

/// What a body does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Return,
    Fail,
    Panic,
    Checkpoint,
    Check,
    /// Looks at the job's own token.
    Token,
    /// Has a function told of the stop, which may panic.
    Listen {
        panics: bool,
    },
    /// Drops the guard of the last function.
    Unlisten,
}

/// One step of a program. Jobs are named by numbers: those that fit the step, counted round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Submit(By, Asked),
    Act(usize, Act),
    Cancel(usize),
    CancelToken(usize),
    CancelOwnToken(usize),
    Advance(Time),
    /// Takes the outcome, if it is there.
    Take(usize),
    DropHandle(usize),
    CancelByDrop(usize),
    Reserve,
    /// Waits for a place.
    Await,
    /// Waits no longer.
    GiveUp(usize),
    DropPermit,
    /// Within a time, or without one.
    Drain(Option<Time>),
    Shutdown(Option<Time>),
    DropPool,
}

/// What a step answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Nothing,
    /// To `cancel`.
    Hit(Option<Phase>),
    /// To `try_reserve`.
    Reserved(Result<(), Rejection>),
    /// To a body that goes on: why it is to stop.
    Checked(Option<Cause>),
    /// The body has ended.
    Ended,
    /// To the attempt to take an outcome.
    Gave(Option<Outcome>),
}

/// How a job ended for its handle. A stop comes with how long the job was queued, and ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Returned,
    Failed,
    Panicked,
    Refused(Rejection),
    /// Stopped in the queue.
    Never(Cause, Time),
    /// Stopped while it ran; `kept` if the body's own error is there.
    Cut {
        cause: Cause,
        kept: bool,
        queued_for: Time,
        ran_for: Time,
    },
}

/// Only what was asked for.
impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = Self::default();
        if *self == plain {
            return f.write_str("Asked::default()");
        }
        f.write_str("Asked { ")?;
        let mut field = |name, value: &dyn fmt::Debug, asked: bool| match asked {
            true => write!(f, "{name}: {value:?}, "),
            false => Ok(()),
        };
        field("named", &self.named, self.named)?;
        field("timeout", &self.timeout, self.timeout.is_some())?;
        field("deadline", &self.deadline, self.deadline.is_some())?;
        field("queue", &self.queue, self.queue.is_some())?;
        field("run", &self.run, self.run.is_some())?;
        field("grace", &self.grace, self.grace.is_some())?;
        field("token", &self.token, self.token.is_some())?;
        field("on_late", &self.on_late, self.on_late)?;
        if self.priority != plain.priority {
            write!(f, "priority: Priority::{:?}, ", self.priority)?;
        }
        f.write_str("..Asked::default() }")
    }
}
