//! How many jobs a pool has, and how those ended that it had.

use crate::job::Tally;
use crate::stop::Phase;
use crate::sync::{AtomicU64, Ordering};

/// A snapshot of a pool's counts.
///
/// Every job that was accepted is counted once in exactly one of the outcomes, or is
/// [`unresolved`](Self::unresolved).
///
/// # Examples
///
/// ```
/// let pool = punctual::Pool::new();
/// pool.spawn_blocking(|| ()).wait().unwrap();
/// let metrics = pool.metrics();
/// assert_eq!((metrics.accepted, metrics.returned, metrics.unresolved()), (1, 1, 0));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Threads there are.
    pub threads: usize,
    /// Threads that are parked.
    pub idle: usize,
    /// Jobs that wait for a thread.
    pub queued: usize,
    /// Jobs whose body goes on after their handle has resolved.
    pub overdue: usize,
    /// Alarms that the timekeeper watches.
    pub timers: usize,
    /// Jobs that were accepted since the pool was made.
    pub accepted: u64,
    /// Jobs that were refused.
    pub rejected: u64,
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
}

impl Metrics {
    /// Jobs that were accepted and have no outcome yet.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let job = pool.spawn_blocking(move || gate.recv());
    /// assert_eq!(pool.metrics().unresolved(), 1);
    /// drop(go);
    /// assert!(job.wait().is_ok());
    /// assert_eq!(pool.metrics().unresolved(), 0);
    /// ```
    #[must_use]
    pub fn unresolved(&self) -> u64 {
        self.accepted.saturating_sub(self.resolved())
    }

    /// Jobs that were accepted and have an outcome.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// assert!(pool.spawn_blocking(|| 1).wait().is_ok());
    /// assert!(pool.spawn(|_| "12x".parse::<u32>()).wait().is_err());
    /// assert_eq!(pool.metrics().resolved(), 2);
    /// ```
    #[must_use]
    pub fn resolved(&self) -> u64 {
        let stopped = self.cancelled_queued
            + self.cancelled_running
            + self.timed_out_queued
            + self.timed_out_running;
        self.returned + self.failed + self.panicked + stopped
    }
}

/// The counters behind it.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    rejected: AtomicU64,
    returned: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    cancelled: [AtomicU64; 2],
    timed_out: [AtomicU64; 2],
}

impl Counters {
    pub(crate) fn accept(&self) {
        add(&self.accepted);
    }

    /// A job that was accepted is refused after all.
    pub(crate) fn unaccept(&self) {
        // ORDERING: Release, as in `add`, though nothing was done before that a reader must see.
        self.accepted.fetch_sub(1, Ordering::Release);
    }

    pub(crate) fn count(&self, tally: Tally) {
        add(match tally {
            Tally::Returned => &self.returned,
            Tally::Failed => &self.failed,
            Tally::Panicked => &self.panicked,
            Tally::Cancelled(phase) => &self.cancelled[index(phase)],
            Tally::TimedOut(phase) => &self.timed_out[index(phase)],
            Tally::Rejected => &self.rejected,
        });
    }

    pub(crate) fn accepted(&self) -> u64 {
        get(&self.accepted)
    }

    /// The outcomes, and after them the accepted jobs: so there are never too many outcomes.
    pub(crate) fn snapshot(&self) -> Metrics {
        let mut metrics = Metrics {
            rejected: get(&self.rejected),
            returned: get(&self.returned),
            failed: get(&self.failed),
            panicked: get(&self.panicked),
            cancelled_queued: get(&self.cancelled[0]),
            cancelled_running: get(&self.cancelled[1]),
            timed_out_queued: get(&self.timed_out[0]),
            timed_out_running: get(&self.timed_out[1]),
            ..Metrics::default()
        };
        metrics.accepted = self.accepted();
        metrics
    }
}

fn index(phase: Phase) -> usize {
    match phase {
        Phase::Queued => 0,
        Phase::Running => 1,
    }
}

fn add(counter: &AtomicU64) {
    // ORDERING: Release pairs with the Acquire in `get`: who sees an outcome counted sees the job
    // counted as accepted, which happened before it.
    counter.fetch_add(1, Ordering::Release);
}

fn get(counter: &AtomicU64) -> u64 {
    // ORDERING: Acquire, see `add`.
    counter.load(Ordering::Acquire)
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_counted_in_its_own_place() {
        use Phase::{Queued, Running};
        let counters = Counters::default();
        let ends = [
            Tally::Returned,
            Tally::Failed,
            Tally::Panicked,
            Tally::Cancelled(Queued),
            Tally::Cancelled(Running),
            Tally::TimedOut(Queued),
            Tally::TimedOut(Running),
            Tally::Rejected,
        ];
        for (times, end) in (1..).zip(ends) {
            (0..times).for_each(|_| counters.count(end));
        }
        (0..31).for_each(|_| counters.accept());
        counters.unaccept();
        let metrics = counters.snapshot();
        let expected = Metrics {
            accepted: 30,
            rejected: 8,
            returned: 1,
            failed: 2,
            panicked: 3,
            cancelled_queued: 4,
            cancelled_running: 5,
            timed_out_queued: 6,
            timed_out_running: 7,
            ..Metrics::default()
        };
        assert_eq!((&metrics, counters.accepted()), (&expected, 30));
        assert_eq!((metrics.resolved(), metrics.unresolved()), (28, 2));
        let early = Metrics { accepted: 1, ..metrics };
        assert_eq!(early.unresolved(), 0, "never below zero");
    }
}
