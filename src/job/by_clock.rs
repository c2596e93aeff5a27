//! A job's time for who waits in the system, which wakes it at the deadline by itself.

use crate::error::Stopped;
use crate::job::JobContext;
use crate::stop::Cause;
use std::time::Duration;

impl JobContext {
    /// How long to wait at the longest; `None` is until somebody wakes the waiter: there is no
    /// deadline, or who moves the clock stops the job.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let is_manual = self.task().head.owner.clock().is_manual();
        self.remaining().filter(|_| !is_manual)
    }

    /// As [`check`](Self::check), but looks at the clock, too: the timekeeper may be late, or have other
    /// things to do. The job is asked to stop here then; to tell who listens is left to the timekeeper.
    ///
    /// # Errors
    /// If the job was asked to stop, or its deadline has passed. So has it for who holds the context of
    /// a job that has ended: that one is stopped no more, but its time is up all the same.
    pub(crate) fn check_by_clock(&self) -> Result<(), Stopped> {
        self.check()?;
        if !self.task().head.owner.clock().is_past(self.deadline()) {
            return Ok(());
        }
        self.task().stop_from_within(Cause::Deadline);
        self.check()?;
        Err(Stopped { id: self.id(), cause: Cause::Deadline })
    }
}
