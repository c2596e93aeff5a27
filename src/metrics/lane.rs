//! The numbers of one lane, as its users see them.

use crate::histogram::Latencies;
use crate::metrics::Metrics;

/// A snapshot of a lane's numbers; see [`Lane::metrics`](crate::Lane::metrics).
///
/// They are read as [those of a pool](Metrics), and mean the same. What happens to a lane's job is
/// counted in the lane and in its pool. The jobs of a lane within it are that one's; only
/// [`most_running`](Self::most_running) has them, too.
///
/// With the feature `serde` it can be written and read; a field that is missing then is zero.
///
/// # Examples
///
/// ```
/// let pool = punctual::Pool::new();
/// let lane = pool.lane("thumbnails").limit(2);
/// for n in 0..10 {
///     drop(lane.spawn_blocking(move || n));
/// }
/// pool.spawn_blocking(|| ()).wait().unwrap(); // of another
/// pool.drain().wait();
/// let metrics = lane.metrics();
/// assert_eq!((metrics.accepted, metrics.returned), (10, 10));
/// assert!(metrics.most_running >= Some(1) && metrics.most_running <= metrics.limit);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct LaneMetrics {
    /// The lane's name.
    pub name: String,
    /// How many jobs may run at a time, if there is a limit of its own.
    pub limit: Option<usize>,
    /// The most jobs that the limit ever let through at a time, and so never more than that. A job that
    /// was let through may still wait for a thread. None if there is no limit.
    pub most_running: Option<usize>,
    /// Jobs that wait, of all priorities: for a thread, or to be let through.
    pub queued: usize,
    /// Those of [`Priority::High`](crate::Priority::High).
    pub queued_high: usize,
    /// Those of [`Priority::Normal`](crate::Priority::Normal).
    pub queued_normal: usize,
    /// Those of [`Priority::Low`](crate::Priority::Low).
    pub queued_low: usize,
    /// Jobs whose body is being called, overdue or not.
    pub running: usize,
    /// Jobs whose body goes on after their handle has resolved.
    pub overdue: usize,
    /// Jobs that were accepted since the lane was made.
    pub accepted: u64,
    /// Jobs that were refused: at once, or out of the queue.
    pub rejected: u64,
    /// Jobs that were accepted, and then refused out of the queue: they would have been too late, or
    /// made way for others, or there was no thread for them. They are among the rejected, too.
    pub rejected_queued: u64,
    /// Jobs that gave a value.
    pub returned: u64,
    /// Jobs whose body returned an error, without having been stopped.
    pub failed: u64,
    /// Jobs whose body panicked.
    pub panicked: u64,
    /// Jobs stopped in the queue, by anything but a deadline.
    pub cancelled_queued: u64,
    /// Jobs stopped while they ran, by anything but a deadline.
    pub cancelled_running: u64,
    /// Jobs stopped in the queue by a deadline.
    pub timed_out_queued: u64,
    /// Jobs stopped while they ran by a deadline.
    pub timed_out_running: u64,
    /// How long the jobs that were started had waited, from `spawn` on.
    pub queue_wait: Latencies,
    /// How long each body ran that has returned, however it ended, and also if too late.
    pub run_time: Latencies,
}

impl LaneMetrics {
    /// Of a lane whose jobs have these numbers.
    pub(crate) fn new(
        name: String,
        limit: Option<usize>,
        most_running: Option<usize>,
        jobs: Metrics,
    ) -> Self {
        Self {
            name,
            limit,
            most_running,
            queued: jobs.queued,
            queued_high: jobs.queued_high,
            queued_normal: jobs.queued_normal,
            queued_low: jobs.queued_low,
            running: jobs.running,
            overdue: jobs.overdue,
            accepted: jobs.accepted,
            rejected: jobs.rejected,
            rejected_queued: jobs.rejected_queued,
            returned: jobs.returned,
            failed: jobs.failed,
            panicked: jobs.panicked,
            cancelled_queued: jobs.cancelled_queued,
            cancelled_running: jobs.cancelled_running,
            timed_out_queued: jobs.timed_out_queued,
            timed_out_running: jobs.timed_out_running,
            queue_wait: jobs.queue_wait,
            run_time: jobs.run_time,
        }
    }

    /// Jobs that were accepted and have no outcome yet.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("one at a time").limit(1);
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let job = lane.spawn_blocking(move || gate.recv());
    /// assert_eq!(lane.metrics().unresolved(), 1);
    /// drop(go);
    /// assert!(job.wait().is_ok());
    /// assert_eq!(lane.metrics().unresolved(), 0);
    /// ```
    #[must_use]
    pub fn unresolved(&self) -> u64 {
        self.jobs().unresolved()
    }

    /// Jobs that were accepted and have an outcome.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("numbers").limit(4);
    /// assert!(lane.spawn_blocking(|| 1).wait().is_ok());
    /// assert!(lane.spawn(|_| "12x".parse::<u32>()).wait().is_err());
    /// assert_eq!(lane.metrics().resolved(), 2);
    /// ```
    #[must_use]
    pub fn resolved(&self) -> u64 {
        self.jobs().resolved()
    }

    /// The numbers of its jobs, in the words of a pool.
    pub(crate) fn jobs(&self) -> Metrics {
        Metrics {
            queued: self.queued,
            queued_high: self.queued_high,
            queued_normal: self.queued_normal,
            queued_low: self.queued_low,
            running: self.running,
            overdue: self.overdue,
            accepted: self.accepted,
            rejected: self.rejected,
            rejected_queued: self.rejected_queued,
            returned: self.returned,
            failed: self.failed,
            panicked: self.panicked,
            cancelled_queued: self.cancelled_queued,
            cancelled_running: self.cancelled_running,
            timed_out_queued: self.timed_out_queued,
            timed_out_running: self.timed_out_running,
            queue_wait: self.queue_wait.clone(),
            run_time: self.run_time.clone(),
            ..Metrics::default()
        }
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_the_jobs_is_lost_on_the_way() {
        let jobs = Metrics {
            queued: 6,
            queued_high: 1,
            queued_normal: 2,
            queued_low: 3,
            running: 4,
            overdue: 5,
            accepted: 100,
            rejected: 7,
            rejected_queued: 1,
            returned: 8,
            failed: 9,
            panicked: 10,
            cancelled_queued: 11,
            cancelled_running: 12,
            timed_out_queued: 13,
            timed_out_running: 14,
            ..Metrics::default()
        };
        let lane = LaneMetrics::new("x".to_owned(), Some(9), Some(8), jobs.clone());
        assert_eq!(lane.jobs(), jobs);
        assert_eq!((lane.resolved(), lane.unresolved()), (78, 22));
        assert_eq!((lane.name.as_str(), lane.limit, lane.most_running), ("x", Some(9), Some(8)));
    }
}
