//! How many jobs a pool has, how those ended that it had, and how long they took.

mod lane;

pub use lane::LaneMetrics;

use crate::forecast::Pace;
use crate::histogram::{Histogram, Latencies};
use crate::job::Tally;
use crate::moment::Moment;
use crate::priority::Priority;
use crate::stop::Phase;
use crate::sync::{AtomicU64, Ordering, Statistic};
use std::time::Duration;

/// A snapshot of a pool's numbers.
///
/// Every job that was accepted is counted once in exactly one of the outcomes, or is
/// [`unresolved`](Self::unresolved). The numbers are read one after the other while jobs go on: none
/// of [`queued`](Self::queued), [`running`](Self::running) and [`overdue`](Self::overdue) is ever more
/// than there were. When nothing goes on, all are exact. It costs some microseconds.
///
/// With the feature `serde` it can be written and read; a field that is missing then is zero.
///
/// # Examples
///
/// ```
/// let pool = punctual::Pool::new();
/// pool.spawn_blocking(|| ()).wait().unwrap();
/// let metrics = pool.metrics();
/// assert_eq!((metrics.accepted, metrics.returned, metrics.unresolved()), (1, 1, 0));
/// assert_eq!((metrics.queue_wait.count(), metrics.run_time.count()), (1, 1));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct Metrics {
    /// Threads there are.
    pub threads: usize,
    /// Threads that are parked.
    pub idle: usize,
    /// Threads that are neither parked nor looking for a job: mostly, those that are at one.
    pub busy: usize,
    /// Spare threads that are lent: each takes the place of one that is stuck or waits, while that does.
    pub spare: usize,
    /// Jobs that wait, of all priorities: for a thread, or for their lane to let them through.
    pub queued: usize,
    /// Those of [`Priority::High`].
    pub queued_high: usize,
    /// Those of [`Priority::Normal`].
    pub queued_normal: usize,
    /// Those of [`Priority::Low`].
    pub queued_low: usize,
    /// Jobs whose body is being called, overdue or not.
    pub running: usize,
    /// Jobs whose body goes on after their handle has resolved.
    pub overdue: usize,
    /// Alarms that the timekeeper watches.
    pub timers: usize,
    /// Jobs that were accepted since the pool was made.
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
        self.returned + self.failed + self.panicked + stopped + self.rejected_queued
    }
}

/// What the metrics are read from: the numbers of a pool, or of a part of it.
///
/// # Rules
/// 1. What happens to a job is counted in the order in which it happens, and outcomes are read before
///    the accepted jobs: so there are never too many outcomes.
/// 2. A job that comes to where it is counted is counted before it can be in the next place, and
///    places are read in the order in which a job comes to them: so no place has too many.
#[derive(Debug, Default)]
pub(crate) struct Scoreboard {
    submitters: Apart<Submitters>,
    workers: Apart<Workers>,
    /// How long jobs had waited that were started, by their priority: also how many were.
    queue_wait: [Histogram; 3],
    /// How long bodies ran that have returned: also how many have.
    run_time: Histogram,
}

/// Keeps what some threads write away from what others write: no two are in one line of a cache.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// What is written by those who submit.
#[derive(Debug, Default)]
struct Submitters {
    accepted: [AtomicU64; 3],
    /// Those of them that were taken out of the queue to be refused, or never came there.
    refused: AtomicU64,
    rejected: AtomicU64,
    rejected_queued: AtomicU64,
}

/// What is written by workers, and by those who end jobs in the queue.
#[derive(Debug, Default)]
struct Workers {
    returned: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    cancelled: [AtomicU64; 2],
    timed_out: [AtomicU64; 2],
    /// How many were ended in the queue, or refused there, by their priority.
    claimed: [Statistic; 3],
    given_up: Statistic,
    /// How many of those whose handle had resolved without them have returned.
    late: Statistic,
    pace: Pace,
}

impl Scoreboard {
    /// A job is accepted: it will be started, or claimed, or refused.
    pub(crate) fn accept(&self, priority: Priority) {
        add(&self.submitters.0.accepted[class(priority)]);
    }

    /// A job that was accepted is refused after all.
    pub(crate) fn refused(&self, priority: Priority) {
        self.claimed(priority);
        add(&self.submitters.0.refused);
    }

    /// A job that was accepted does not enter the queue after all.
    pub(crate) fn kept_out(&self, priority: Priority) {
        self.refused(priority);
        add(&self.submitters.0.rejected_queued);
    }

    /// A worker has started a job, at this moment.
    pub(crate) fn started(&self, priority: Priority, queue_wait: Duration, at: Moment) {
        self.workers.0.pace.started(at); // before it is counted
        self.queue_wait[class(priority)].record(queue_wait);
    }

    /// A job was ended in the queue.
    pub(crate) fn claimed(&self, priority: Priority) {
        note(&self.workers.0.claimed[class(priority)]);
    }

    /// A body has returned, or unwound.
    pub(crate) fn returned(&self, run_time: Duration) {
        self.run_time.record(run_time);
        self.workers.0.pace.saw(run_time);
    }

    /// A handle resolves without its body, which goes on.
    pub(crate) fn given_up(&self) {
        note(&self.workers.0.given_up);
    }

    /// A body has returned whose handle had resolved without it.
    pub(crate) fn late(&self) {
        note(&self.workers.0.late);
    }

    /// A job's outcome is decided.
    pub(crate) fn count(&self, tally: Tally) {
        let workers = &self.workers.0;
        add(match tally {
            Tally::Returned => &workers.returned,
            Tally::Failed => &workers.failed,
            Tally::Panicked => &workers.panicked,
            Tally::Cancelled(phase) => &workers.cancelled[index(phase)],
            Tally::TimedOut(phase) => &workers.timed_out[index(phase)],
            Tally::Rejected(_) | Tally::Refused(_) => &self.submitters.0.rejected,
        });
        if let Tally::Refused(_) = tally {
            add(&self.submitters.0.rejected_queued); // read before: it is never the larger
        }
    }

    /// How many were accepted and not refused since; for a moment, this includes one that is being
    /// refused.
    pub(crate) fn accepted_for_good(&self) -> u64 {
        let refused = get(&self.submitters.0.refused); // rule 1
        self.accepted_by_class().iter().sum::<u64>() - refused
    }

    /// How many wait, and how many run: for who asks often.
    pub(crate) fn now(&self) -> [usize; 2] {
        let accepted = self.accepted_by_class().iter().sum(); // rule 2
        let started = self.queue_wait.iter().map(Histogram::count).sum::<u64>();
        let claimed = self.workers.0.claimed.iter().map(seen).sum::<u64>();
        [between(accepted, started + claimed), between(started, self.run_time.count())]
    }

    /// How long they take.
    pub(crate) fn pace(&self) -> &Pace {
        &self.workers.0.pace
    }

    /// All but the numbers of threads and timers.
    pub(crate) fn snapshot(&self) -> Metrics {
        let queued = self.accepted_by_class(); // rule 2
        let waits = self.queue_wait.each_ref().map(Histogram::snapshot);
        let gone = |class: usize| waits[class].count() + seen(&self.workers.0.claimed[class]);
        let queued = [0, 1, 2].map(|class| between(queued[class], gone(class)));
        let given_up = seen(&self.workers.0.given_up);
        let overdue = between(given_up, seen(&self.workers.0.late));
        let run_time = self.run_time.snapshot();
        let mut queue_wait = Latencies::default();
        waits.iter().for_each(|waits| queue_wait.merge(waits));
        Metrics {
            queued: queued.iter().sum(),
            queued_high: queued[class(Priority::High)],
            queued_normal: queued[class(Priority::Normal)],
            queued_low: queued[class(Priority::Low)],
            running: between(queue_wait.count(), run_time.count()),
            overdue,
            queue_wait,
            run_time,
            ..self.outcomes()
        }
    }

    /// Rule 1.
    fn outcomes(&self) -> Metrics {
        let workers = &self.workers.0;
        let mut metrics = Metrics {
            rejected_queued: get(&self.submitters.0.rejected_queued),
            rejected: get(&self.submitters.0.rejected),
            returned: get(&workers.returned),
            failed: get(&workers.failed),
            panicked: get(&workers.panicked),
            cancelled_queued: get(&workers.cancelled[0]),
            cancelled_running: get(&workers.cancelled[1]),
            timed_out_queued: get(&workers.timed_out[0]),
            timed_out_running: get(&workers.timed_out[1]),
            ..Metrics::default()
        };
        metrics.accepted = self.accepted_by_class().iter().sum();
        metrics
    }

    fn accepted_by_class(&self) -> [u64; 3] {
        self.submitters.0.accepted.each_ref().map(get)
    }
}

/// How many are between two places.
fn between(came: u64, went: u64) -> usize {
    usize::try_from(came.saturating_sub(went)).unwrap_or(usize::MAX)
}

fn class(priority: Priority) -> usize {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
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

fn note(counter: &Statistic) {
    // ORDERING: Release pairs with the Acquire in `seen`: what a job does next is read before.
    counter.fetch_add(1, Ordering::Release);
}

fn seen(counter: &Statistic) -> u64 {
    // ORDERING: Acquire, see `note`; and so that what is read next is read after this.
    counter.load(Ordering::Acquire)
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests;
