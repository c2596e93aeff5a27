//! What the specification knows of a pool and its jobs.

use crate::program::{Asked, By, Outcome, Settings, TOKENS, Time};
use punctual::{Cause, Phase, Priority};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Queued,
    Running,
    /// The body has returned, or will never be called.
    Over,
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) by: By,
    pub(crate) asked: Asked,
    pub(crate) stage: Stage,
    pub(crate) stop: Option<Cause>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) submitted: Time,
    pub(crate) started: Option<Time>,
    /// When its outcome was there.
    pub(crate) decided: Option<Time>,
    pub(crate) deadline: Option<Time>,
    pub(crate) grace: Option<Time>,
    /// When its handle resolves after a stop, at the latest.
    pub(crate) last_word: Option<Time>,
    /// Whether there is a handle to take the outcome.
    pub(crate) held: bool,
    /// Whether its body returned a value.
    pub(crate) returned: bool,
    /// The functions that are to be told of a stop: whether each will panic.
    pub(crate) listening: Vec<bool>,
    /// How many were told.
    pub(crate) told: usize,
}

/// Somebody who waits for the end of the pool.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) limit: Option<Time>,
    pub(crate) report: Option<Report>,
}

#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) finished: usize,
    pub(crate) never_started: Vec<usize>,
    pub(crate) still_running: Vec<usize>,
}

#[derive(Clone)]
pub(crate) struct Pool {
    pub(crate) settings: Settings,
    pub(crate) now: Time,
    pub(crate) jobs: Vec<Job>,
    pub(crate) ends: Vec<End>,
    pub(crate) permits: usize,
    /// How many wait for a place.
    pub(crate) waiting: usize,
    pub(crate) tokens: [bool; TOKENS],
    pub(crate) closed: bool,
    /// Whether anybody holds the pool.
    pub(crate) held: bool,
    /// How many panics the pool was told of that nobody saw.
    pub(crate) unseen: usize,
    /// How often the one worker may have looked for a job since it last took one out of order, if
    /// that is known. It looks at what is left of each that ended in the queue, too.
    pub(crate) looks: Option<usize>,
}

impl Job {
    pub(crate) fn new(by: By, asked: &Asked, now: Time) -> Self {
        Self {
            by,
            asked: asked.clone(),
            stage: Stage::Queued,
            stop: None,
            outcome: None,
            submitted: now,
            started: None,
            decided: None,
            deadline: None,
            grace: None,
            last_word: None,
            held: true,
            returned: false,
            listening: Vec::new(),
            told: 0,
        }
    }

    pub(crate) fn parent(&self) -> Option<usize> {
        match self.by {
            By::Context(parent) | By::Body(parent) => Some(parent),
            By::Pool | By::Permit => None,
        }
    }

    /// Law 2: queued means never ran.
    pub(crate) fn phase(&self) -> Phase {
        if self.started.is_none() { Phase::Queued } else { Phase::Running }
    }

    pub(crate) fn is_overdue(&self) -> bool {
        self.stage == Stage::Running && self.outcome.is_some()
    }

    /// How long it was queued, and how long it has run.
    pub(crate) fn times(&self, now: Time) -> (Time, Time) {
        let started = self.started.unwrap_or(now);
        (started - self.submitted, now - started)
    }
}

impl Pool {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            now: 0,
            jobs: Vec::new(),
            ends: Vec::new(),
            permits: 0,
            waiting: 0,
            tokens: [false; TOKENS],
            closed: false,
            held: true,
            unseen: 0,
            looks: None,
        }
    }

    pub(crate) fn all(&self, which: impl Fn(&Job) -> bool) -> Vec<usize> {
        (0..self.jobs.len()).filter(|n| which(&self.jobs[*n])).collect()
    }

    pub(crate) fn at(&self, stage: Stage) -> Vec<usize> {
        self.all(|job| job.stage == stage)
    }

    /// Where a job waits: in its class, and there with the others or in its worker's own deque.
    pub(crate) fn place(&self, own: usize) -> (Priority, bool) {
        let Job { asked: Asked { priority, .. }, by, .. } = self.jobs[own];
        (priority, matches!(by, By::Body(_)) && priority == Priority::Normal)
    }

    /// The highest class in which a job waits.
    pub(crate) fn best_class(&self) -> Priority {
        let waiting = self.at(Stage::Queued).into_iter();
        waiting.map(|n| self.place(n).0).max().unwrap_or_default()
    }

    /// How many jobs ended in the queue.
    pub(crate) fn dead(&self) -> usize {
        self.all(|job| matches!(job.outcome, Some(Outcome::Never(..)))).len()
    }

    /// How many workers have nothing to do.
    pub(crate) fn free(&self) -> usize {
        self.settings.workers - self.at(Stage::Running).len()
    }
}

/// The beginning of a program, as it is printed with a failing one.
impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.settings)
    }
}
