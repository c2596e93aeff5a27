//! What the service asks of those that do its blocking work: punctual, or plain tokio.

use crate::bars::Bars;
use crate::db::{Database, Trouble};
use crate::questions::Question;
use axum::Router;
use punctual::{JobInfo, Phase};
use serde_json::{Value, json};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub(crate) trait Engine: Send + Sync + 'static {
    fn name(&self) -> &'static str;

    /// A router with one more route: the question's.
    fn route(&self, router: Router, question: Question, database: &Arc<Database>) -> Router;

    /// Starts something slow that no client waits for; `None` if there is no room for it.
    fn start(&self, slow: Slow) -> Option<Box<dyn Started>>;

    fn numbers(&self) -> Numbers;

    /// The same for Prometheus.
    fn metrics(&self) -> String;

    /// Takes no new work, waits for the rest, and says what became of it.
    fn drain(&self, within: Duration) -> Pin<Box<dyn Future<Output = String> + Send + '_>>;
}

/// Something slow: its name, its time, and what it does.
pub(crate) struct Slow {
    pub(crate) name: &'static str,
    pub(crate) time: Duration,
    pub(crate) work: Box<dyn FnOnce() -> Result<Value, Trouble> + Send>,
}

/// Something slow that was started, as who may cancel it has it.
pub(crate) trait Started: Send {
    fn is_over(&self) -> bool;

    /// Where the stop hit it, if it hit.
    fn cancel(&self) -> Option<Phase>;
}

/// What the page shows.
#[derive(Default)]
pub(crate) struct Numbers {
    pub(crate) threads: usize,
    pub(crate) busy: usize,
    pub(crate) most_threads: usize,
    pub(crate) jobs: Jobs,
    pub(crate) lanes: Vec<(String, Option<usize>, Jobs)>,
    pub(crate) wait: Bars,
    pub(crate) run: Bars,
    pub(crate) overdue: Vec<Late>,
}

/// How many jobs are where, and how those ended that were there: in the queue, while running.
#[derive(Clone, Default)]
pub(crate) struct Jobs {
    pub(crate) queued: usize,
    pub(crate) running: usize,
    pub(crate) overdue: usize,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) returned: u64,
    pub(crate) failed: u64,
    pub(crate) panicked: u64,
    pub(crate) timed_out: [u64; 2],
    pub(crate) cancelled: [u64; 2],
}

/// What goes on although nobody waits for it any more.
pub(crate) struct Late {
    name: String,
    place: String,
    thread: String,
    ran_for: Duration,
    late_by: Duration,
}

impl Late {
    /// Where nothing but that is known of it.
    pub(crate) fn of(name: &str, ran_for: Duration, late_by: Duration) -> Self {
        let unknown = || "unknown".to_owned();
        Self { name: name.to_owned(), place: unknown(), thread: unknown(), ran_for, late_by }
    }
}

impl From<&JobInfo> for Late {
    fn from(job: &JobInfo) -> Self {
        Self {
            name: job.name().unwrap_or("unnamed").to_owned(),
            place: job.location().to_string(),
            thread: job.thread().unwrap_or("unknown").to_owned(),
            ran_for: job.ran_for(),
            late_by: job.overdue_by().unwrap_or_default(),
        }
    }
}

impl Numbers {
    pub(crate) fn json(&self) -> Value {
        let lanes = self.lanes.iter().map(
            |(name, limit, jobs)| json!({ "name": name, "limit": limit, "jobs": jobs.json() }),
        );
        let overdue = self.overdue.iter().map(|late| {
            json!({
                "name": late.name, "place": late.place, "thread": late.thread,
                "ran_s": late.ran_for.as_secs_f64(), "late_s": late.late_by.as_secs_f64(),
            })
        });
        json!({
            "threads": self.threads, "busy": self.busy, "most_threads": self.most_threads,
            "jobs": self.jobs.json(), "lanes": lanes.collect::<Vec<_>>(),
            "wait": self.wait.json(), "run": self.run.json(),
            "overdue": overdue.collect::<Vec<_>>(),
        })
    }
}

impl Jobs {
    fn json(&self) -> Value {
        json!({
            "queued": self.queued, "running": self.running, "overdue": self.overdue,
            "accepted": self.accepted, "rejected": self.rejected, "returned": self.returned,
            "failed": self.failed, "panicked": self.panicked,
            "timed_out": self.timed_out, "cancelled": self.cancelled,
        })
    }
}
