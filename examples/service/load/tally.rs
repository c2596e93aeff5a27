//! What became of the requests, and how long they took.

use hdrhistogram::Histogram;
use std::time::Duration;

/// In microseconds, to within a percent, up to a minute.
const LONGEST: u64 = 60_000_000;
const DIGITS: u8 = 2;

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Lookup,
    Slow,
}

#[derive(Clone)]
pub(crate) struct Tally {
    /// How long lookups took that were answered.
    pub(crate) lookups: Histogram<u64>,
    /// The same for those of each second.
    pub(crate) by_second: Vec<Histogram<u64>>,
    pub(crate) lookups_lost: u64,
    pub(crate) slow: Fates,
    /// How long reports and scans took that were answered.
    pub(crate) answered: Histogram<u64>,
}

/// What became of reports and scans.
#[derive(Clone, Copy, Default)]
pub(crate) struct Fates {
    pub(crate) answered: u64,
    pub(crate) shed: u64,
    pub(crate) late: u64,
    pub(crate) other: u64,
}

impl Tally {
    pub(crate) fn new(time: Duration) -> Self {
        let seconds = time.as_secs_f64().ceil() as usize;
        Self {
            lookups: histogram(),
            by_second: vec![histogram(); seconds],
            lookups_lost: 0,
            slow: Fates::default(),
            answered: histogram(),
        }
    }

    pub(crate) fn count(&mut self, kind: Kind, status: u16, due: Duration, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST);
        match (kind, status) {
            (Kind::Lookup, 200) => {
                self.lookups.saturating_record(micros);
                if let Some(second) = self.by_second.get_mut(due.as_secs() as usize) {
                    second.saturating_record(micros);
                }
            }
            (Kind::Lookup, _) => self.lookups_lost += 1,
            (Kind::Slow, 200) => {
                self.slow.answered += 1;
                self.answered.saturating_record(micros);
            }
            (Kind::Slow, 503) => self.slow.shed += 1,
            (Kind::Slow, 504) => self.slow.late += 1,
            (Kind::Slow, _) => self.slow.other += 1,
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST, DIGITS).expect("these bounds are right")
}
