//! The counts of a run: how many files ended in which way, and after how long.

use crate::hash::{Hash, Outcome};
use hdrhistogram::Histogram;
use punctual::{JobError, Phase, Stop};
use std::time::Duration;

/// How many failures are kept, to be named in the table.
const KEPT: usize = 3;

/// Times beyond this, in nanoseconds, are counted as this: an hour.
const LONGEST_TIME: u64 = 3_600_000_000_000;

/// Counts outcomes. Its size does not grow with their number.
pub(crate) struct Tally {
    pub(crate) finished: u64,
    pub(crate) bytes: u64,
    pub(crate) failed: u64,
    pub(crate) first_failures: Vec<String>,
    pub(crate) cancelled: Split,
    pub(crate) timed_out: Split,
    pub(crate) queue_times: Times,
    pub(crate) run_times: Times,
    pub(crate) walk_ended: Option<JobError>,
}

/// How many were stopped in each phase.
#[derive(Default)]
pub(crate) struct Split {
    pub(crate) queued: u64,
    pub(crate) running: u64,
}

/// The distribution of some durations.
pub(crate) struct Times(Histogram<u64>);

impl Tally {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            finished: 0,
            bytes: 0,
            failed: 0,
            first_failures: Vec::new(),
            cancelled: Split::default(),
            timed_out: Split::default(),
            queue_times: Times::new()?,
            run_times: Times::new()?,
            walk_ended: None,
        })
    }

    pub(crate) fn count(&mut self, outcome: Outcome) {
        let complaint = outcome.complaint();
        match outcome {
            Outcome::Hashed { hash, queued_for, .. } => self.finish(&hash, queued_for),
            Outcome::NotHashed { why: JobError::Cancelled(stop), .. } => {
                self.cancelled.count(stop.phase());
                self.time(&stop);
            }
            Outcome::NotHashed { why: JobError::TimedOut(stop), .. } => {
                self.timed_out.count(stop.phase());
                self.time(&stop);
            }
            Outcome::NotHashed { .. } => self.fail(complaint),
            Outcome::WalkEnded(why) => self.walk_ended = Some(why),
        }
    }

    /// Whether all there is was hashed.
    pub(crate) fn is_complete(&self) -> bool {
        let stopped = self.cancelled.sum() + self.timed_out.sum();
        self.failed + stopped == 0 && self.walk_ended.is_none()
    }

    fn finish(&mut self, hash: &Hash, queued_for: Duration) {
        self.finished += 1;
        self.bytes += hash.bytes;
        self.queue_times.record(queued_for);
        self.run_times.record(hash.ran_for);
    }

    /// The times of a file that was started, though not finished.
    fn time<E>(&mut self, stop: &Stop<E>) {
        if stop.phase() == Phase::Running {
            self.queue_times.record(stop.queued_for());
            self.run_times.record(stop.ran_for());
        }
    }

    fn fail(&mut self, complaint: Option<String>) {
        self.failed += 1;
        if self.first_failures.len() < KEPT {
            self.first_failures.extend(complaint);
        }
    }
}

impl Split {
    fn count(&mut self, phase: Phase) {
        match phase {
            Phase::Queued => self.queued += 1,
            Phase::Running => self.running += 1,
        }
    }

    fn sum(&self) -> u64 {
        self.queued + self.running
    }
}

impl Times {
    fn new() -> anyhow::Result<Self> {
        Ok(Self(Histogram::new_with_max(LONGEST_TIME, 3)?)) // to three digits
    }

    fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The time that this share of all stayed within; `None` if there are none.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        (!self.0.is_empty()).then(|| Duration::from_nanos(self.0.value_at_quantile(share)))
    }
}
