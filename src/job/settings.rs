//! What was asked of one job, and what ties it to a timer, a token and a parent because of that.

use crate::deadline::Deadline;
use crate::job::listen::Registration;
use crate::job::passage::Passage;
use crate::job::time::Bell;
use crate::stop::TokenLink;
use crate::sync::Mutex;
use crate::timekeeper::Armed;
use std::borrow::Cow;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A job's settings; a job without any has no box for them.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) name: Option<Cow<'static, str>>,
    /// By when it must have ended.
    pub(crate) deadline: Option<Deadline>,
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
    /// By when its handle must resolve, if it has a deadline.
    pub(crate) fn limit(&self) -> Option<Instant> {
        self.deadline?.plus(self.grace.unwrap_or(Duration::ZERO)).instant()
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
