//! How long jobs of one kind have lately taken, so that none is started that can not be done in time.
//!
//! # What was chosen, and why
//! A pool that starts jobs in the order in which they came, and more come than can be done, always
//! starts the one that is about to be too late: it spends its threads on work that nobody waits for
//! any more. Nor does it help to throw away what is too late already, or to take the earliest deadline
//! first: where all have the same timeout, that is the same order. (Earliest-deadline-first is optimal
//! while all can be done, and the worst of orders when not: Locke, "Best-effort decision making for
//! real-time scheduling", 1986.) Newest-first ("Fail at Scale", Maurer 2015) keeps the goodput up, but
//! lets jobs wait for nothing whose callers could be told at once; CoDel (Nichols and Jacobson, 2012)
//! bounds how long all wait, but knows nothing of deadlines. So here a job is started only if it can be
//! done: earliest deadline first among those, which is optimal again. `examples/overload.rs` measures
//! all that.
//!
//! # The estimate
//! Each kind of job (its name; or its lane; or where it is spawned) has two figures, from the times its
//! bodies took that were not stopped:
//! - `low` follows short times at once, and long ones slowly. A job with less time left than that would
//!   surely be too late: it is refused, at submission or by the worker, however idle the pool is.
//! - `high` follows long times quickly, and short ones slowly. While others wait, a job is refused that
//!   has less time left than that: one of them will make better use of the thread. But never one that
//!   has more than half of its time left: where times vary so much, an estimate is none.
//!
//! Both are off until [`ENOUGH`] jobs of the kind were seen, and again when none was for [`LATELY`]: then
//! one is let through, and is the next to be seen.

use crate::sync::{AtomicU32, AtomicU64, Ordering};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::{Duration, Instant};

/// So many jobs of a kind must have been seen.
const ENOUGH: u32 = 8;
/// How long what was seen counts for.
const LATELY: Duration = Duration::from_secs(1);
/// How many kinds are kept; of two that share a place, the one that was seen last.
const KINDS: usize = 256;

/// A kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(u64);

impl Kind {
    pub(crate) fn of(what: impl std::hash::Hash) -> Self {
        Self(BuildHasherDefault::<DefaultHasher>::default().hash_one(what) | 1) // 0 is nobody's
    }
}

/// What is known of each kind.
pub(crate) struct Forecasts {
    start: Instant,
    kinds: Box<[Seen]>,
}

/// What was seen of one kind, in nanoseconds. Writers may overwrite each other: it is an estimate.
#[derive(Default)]
struct Seen {
    kind: AtomicU64,
    count: AtomicU32,
    low: AtomicU64,
    high: AtomicU64,
    last: AtomicU64,
}

/// How much time a job needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) low: Duration,
    pub(crate) high: Duration,
}

/// How long a job takes on average, of late; in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU64);

impl Pace {
    pub(crate) fn saw(&self, took: Duration) {
        // ORDERING: Relaxed, as in `Forecasts::saw`.
        let (before, took) = (self.0.load(Ordering::Relaxed), nanos(took));
        let next = match before {
            0 => took,
            _ if took > before => before + (took - before) / 16,
            _ => before - (before - took) / 16,
        };
        self.0.store(next, Ordering::Relaxed);
    }

    pub(crate) fn mean(&self) -> Duration {
        // ORDERING: Relaxed, as in `saw`.
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl Needs {
    /// Whether a job that has so much time left, of so much in all, is not worth being started.
    pub(crate) fn exceed(self, left: Duration, of: Duration, others_wait: bool) -> bool {
        left < self.low || others_wait && left < self.high && left < of / 2
    }
}

impl Forecasts {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, kinds: (0..KINDS).map(|_| Seen::default()).collect() }
    }

    /// A body of this kind, which nobody stopped, took so long, until `now`.
    pub(crate) fn saw(&self, kind: Kind, took: Duration, now: Instant) {
        let (seen, took, now) = (self.seen(kind), nanos(took), self.nanos_at(now));
        // ORDERING: Relaxed, all of them: nothing but these estimates hangs on them.
        let known = seen.kind.load(Ordering::Relaxed) == kind.0;
        let last = seen.last.swap(now, Ordering::Relaxed);
        if !known || now.saturating_sub(last) > nanos(LATELY) {
            seen.kind.store(kind.0, Ordering::Relaxed);
            seen.low.store(took, Ordering::Relaxed);
            seen.high.store(took, Ordering::Relaxed);
            seen.count.store(1, Ordering::Relaxed);
            return;
        }
        let (low, high) = (seen.low.load(Ordering::Relaxed), seen.high.load(Ordering::Relaxed));
        let next_low = if took < low { took } else { low + (took - low) / 16 };
        let next_high =
            if took > high { high + (took - high) / 2 } else { high - (high - took) / 32 };
        // ORDERING: Relaxed, as above.
        seen.low.store(next_low, Ordering::Relaxed);
        seen.high.store(next_high, Ordering::Relaxed);
        if seen.count.load(Ordering::Relaxed) < ENOUGH {
            seen.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How much time a job of this kind needs, if enough of them were seen lately.
    pub(crate) fn needs(&self, kind: Kind, now: Instant) -> Option<Needs> {
        let seen = self.seen(kind);
        // ORDERING: Relaxed, as in `saw`.
        let is_known = seen.kind.load(Ordering::Relaxed) == kind.0
            && seen.count.load(Ordering::Relaxed) >= ENOUGH
            && self.nanos_at(now).saturating_sub(seen.last.load(Ordering::Relaxed))
                <= nanos(LATELY);
        let time = |figure: &AtomicU64| Duration::from_nanos(figure.load(Ordering::Relaxed));
        is_known.then(|| Needs { low: time(&seen.low), high: time(&seen.high) })
    }

    fn seen(&self, kind: Kind) -> &Seen {
        &self.kinds[kind.0 as usize >> 1 & (KINDS - 1)]
    }

    fn nanos_at(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.start))
    }
}

/// For some centuries; then it stands still.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn after(times: &[Duration]) -> (Forecasts, Instant) {
        let start = Instant::now();
        let (forecasts, mut now) = (Forecasts::new(start), start);
        for took in times {
            now += MS;
            forecasts.saw(Kind::of("x"), *took, now);
        }
        (forecasts, now)
    }

    #[test]
    fn nothing_is_said_of_what_was_seldom_or_not_lately_seen() {
        let (few, now) = after(&[MS; ENOUGH as usize - 1]);
        assert_eq!(few.needs(Kind::of("x"), now), None);
        let (enough, now) = after(&[MS; ENOUGH as usize]);
        let needs = Some(Needs { low: MS, high: MS });
        assert_eq!(enough.needs(Kind::of("x"), now + LATELY), needs);
        assert_eq!(enough.needs(Kind::of("x"), now + LATELY + MS), None);
        assert_eq!(enough.needs(Kind::of("y"), now), None);
        enough.saw(Kind::of("x"), 5 * MS, now + 2 * LATELY);
        assert_eq!(enough.needs(Kind::of("x"), now + 2 * LATELY), None, "it begins anew");
    }

    #[test]
    fn the_low_figure_follows_what_is_short_and_the_high_one_what_is_long() {
        let (mixed, now) = after(&[10 * MS, MS, 10 * MS, 10 * MS, MS, 10 * MS, 10 * MS, 10 * MS]);
        let needs = mixed.needs(Kind::of("x"), now).expect("enough were seen");
        assert!(needs.low >= MS && needs.low < 3 * MS, "{needs:?}");
        assert!(needs.high > 9 * MS && needs.high <= 10 * MS, "{needs:?}");
        let (outlier, now) = after(&[&[MS; 20][..], &[100 * MS], &[MS; 200]].concat());
        let needs = outlier.needs(Kind::of("x"), now).expect("enough were seen");
        assert!(needs.low == MS && needs.high < 2 * MS, "{needs:?}");
    }

    #[test]
    fn a_job_is_refused_that_surely_is_too_late_or_probably_while_others_wait() {
        let needs = Needs { low: 2 * MS, high: 6 * MS };
        assert!(needs.exceed(MS, 100 * MS, false), "surely");
        assert!(!needs.exceed(2 * MS, 100 * MS, false));
        assert!(needs.exceed(5 * MS, 100 * MS, true), "others make better use of the thread");
        assert!(!needs.exceed(6 * MS, 100 * MS, true));
        assert!(!needs.exceed(5 * MS, 10 * MS, true), "half of its time is left");
    }

    #[test]
    fn no_time_is_too_long() {
        let (forecasts, now) = after(&[Duration::MAX; 20]);
        assert!(forecasts.needs(Kind::of("x"), now).is_some_and(|needs| needs.low > LATELY));
        assert_eq!(forecasts.needs(Kind::of(0), Instant::now()), None);
    }
}
