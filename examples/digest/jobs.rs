//! What all jobs of a run share: one pool, one token, one deadline.

use crate::args::Args;
use punctual::{Deadline, Job, Pool, ShutdownReport};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How many jobs wait, at most, for each that runs: enough that no thread waits for the walk.
const QUEUED_PER_THREAD: usize = 32;

/// Makes the jobs of a run, and stops them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Jobs {
    pool: Pool,
    token: CancellationToken,
    threads: usize,
    deadline: Deadline,
    walk_deadline: Deadline,
    per_file: Duration,
    grace: Duration,
}

impl Jobs {
    /// The time of the run begins here.
    pub(crate) fn new(args: &Args, token: CancellationToken) -> anyhow::Result<Self> {
        let timeout = args.timeout.unwrap_or(Duration::MAX);
        let threads = args.threads();
        Ok(Self {
            pool: Pool::builder().name("digest").threads(..=threads).build()?,
            token,
            threads,
            deadline: Deadline::after(timeout),
            walk_deadline: Deadline::after(timeout.saturating_add(args.grace)),
            per_file: args.per_file.unwrap_or(Duration::MAX),
            grace: args.grace,
        })
    }

    /// A job that hashes a file.
    pub(crate) fn hash(&self, name: String) -> Job {
        self.job(name).deadline(self.deadline).run_timeout(self.per_file)
    }

    /// A job that walks on. It overtakes what is to be hashed, and has the grace time of the run as
    /// well, to count what will not be hashed any more.
    pub(crate) fn walk(&self) -> Job {
        self.job("walk".into()).deadline(self.walk_deadline).priority(punctual::Priority::High)
    }

    /// How many files to hash at a time, running and queued: what bounds the memory of the run.
    pub(crate) fn in_flight(&self) -> usize {
        self.threads.saturating_mul(1 + QUEUED_PER_THREAD)
    }

    pub(crate) fn cancel(&self) {
        self.token.cancel();
    }

    pub(crate) fn are_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Ends the pool, when all handles have resolved. What still runs did not listen in time.
    pub(crate) async fn shutdown(&self) -> ShutdownReport {
        self.pool.shutdown().within(self.grace).await
    }

    fn job(&self, name: String) -> Job {
        self.pool.job().name(name).token(&self.token).grace(self.grace)
    }
}
