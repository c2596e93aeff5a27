//! What was asked of one job, and what ties it to a timer, a token and a parent because of that.
//!
//! The box is made by the first setter, and goes into the job as it is.

use crate::deadline::Deadline;
use crate::job::listen::Registration;
use crate::job::passage::Passage;
use crate::job::time::Bell;
use crate::moment::Moment;
use crate::stop::TokenLink;
use crate::sync::Mutex;
use crate::timekeeper::Armed;
use std::borrow::Cow;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A job's settings; a job without any has no box for them.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) name: Option<Cow<'static, str>>,
    /// As it was asked for; it is counted from the submission.
    pub(crate) timeout: Option<Duration>,
    pub(crate) queue_timeout: Option<Duration>,
    /// By when it must have ended; from the submission on, with all that bounds it.
    pub(crate) deadline: Option<Deadline>,
    /// By when its handle must resolve, if it has a deadline.
    pub(crate) limit: Option<Moment>,
    /// By when it must have started.
    pub(crate) queue_deadline: Option<Deadline>,
    /// How long it may run.
    pub(crate) run_timeout: Option<Duration>,
    /// How long its handle waits for the body's last word after a stop.
    pub(crate) grace: Option<Duration>,
    pub(crate) token: Option<CancellationToken>,
    /// What its body is stuck on when it is overdue.
    pub(crate) key: Option<Cow<'static, str>>,
    pub(crate) passage: Passage,
    pub(crate) ties: Mutex<Ties>,
    /// Set when the body is overdue, until it has returned.
    pub(crate) is_stuck: Mutex<bool>,
}

impl Settings {
    /// Settles by when its handle must resolve, if it has a deadline.
    pub(crate) fn settle_limit(&mut self) {
        let limit = self.deadline.map(|by| self.grace.map_or(by, |grace| by.plus(grace)));
        self.limit = limit.and_then(Deadline::instant).map(Moment::of);
    }

    /// The same for another job, which is still to be submitted.
    pub(crate) fn again(&self) -> Self {
        Self {
            name: self.name.clone(),
            timeout: self.timeout,
            queue_timeout: self.queue_timeout,
            deadline: self.deadline,
            run_timeout: self.run_timeout,
            grace: self.grace,
            token: self.token.clone(),
            key: self.key.clone(),
            ..Self::default()
        }
    }
}

/// What must be undone when the job ends. Each tie undoes itself when dropped.
#[derive(Default)]
pub(crate) struct Ties {
    pub(super) alarm: Option<Armed<Bell>>,
    pub(super) token: Option<TokenLink>,
    pub(super) parent: Option<Registration>,
    /// Set by a stop: until when the handle waits for the body's last word.
    pub(super) last_word: Option<Deadline>,
}
