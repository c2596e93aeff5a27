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
//! done: earliest deadline first among those, which is optimal again. (Admission that heeds response
//! times, at the door, is in Welsh and Culler, "Adaptive overload control for busy Internet servers",
//! 2003; a job is judged when it is to be started, where it is known how long it has waited.)
//!
//! # What it does
//! `cargo test --test overload -- --nocapture` measures it by a clock that is moved by hand, so these
//! figures are exact. Jobs come at random, half as many again as one thread can do. Of its time, what
//! went into jobs that were done in time, and what was wasted on others:
//!
//! | jobs | no deadlines known | `Order::Fifo` | this |
//! |---|---|---|---|
//! | 200 µs by 20 ms | 2.8 %, 97.2 % | 42.5 %, 57.5 % | 100 %, 0 % |
//! | 200 µs by 10 or 500 ms | 37.6 %, 62.4 % | 85.1 %, 14.8 % | 100 %, 0 % |
//! | 180 µs, one of 200 takes 4 ms, by 20 ms | | | 99.8 %, 0.2 % |
//! | 200 µs on average, exponential, by 20 ms | | | 99.6 %, 0.3 % |
//! | 200 µs on average, heavy tail, by 50 ms | 6.4 %, 94.0 % | 57.1 %, 42.9 % | 95.1 %, 4.9 % |
//!
//! `cargo run --release --example overload -- src` (`examples/overload/main.rs`) measures it with real
//! work in real time, beside tokio.
//!
//! # The estimate
//! Each kind of job (its name; or its lane; or where it is spawned) has two figures, from the times its
//! bodies took that were not stopped:
//! - `low` follows short times at once, and long ones slowly: by a quarter of itself at most, however
//!   long one took. (Else all would be refused after one pause of the machine, and none be short again.)
//!   A job with less time left than that would surely be too late: it is refused, at submission or by the
//!   worker, however idle the pool is.
//! - `high` is the longest time of the last thousand or so. Under overload a queue always brings forward
//!   what only just fits, so whatever takes longer than was foreseen is done for nobody; and a few long
//!   ones are a large part of the work. So while so much waits that the thread has enough to do for as
//!   long as a job has left, that job is refused if this is less than `high`: the others make better use
//!   of the thread. But never one that has more than half of its time left: where times vary so much, an
//!   estimate is none. (A maximum over a window: as BBR's filters, Cardwell et al., 2016.)
//!
//! Who is refused teaches nothing: a few long jobs would lock all short ones of their kind out, for as
//! long as there are long ones. So when some were refused for [`TRIES`] times as long as `low`, and there
//! is a thread for it, one is tried that has less time left than that.
//!
//! Both are off until [`ENOUGH`] jobs of the kind were seen, and again when none was for [`LATELY`], or for
//! as long as [`ENOUGH`] of them take: then all are let through, until enough were seen again.

use crate::moment::{Moment, Stamp};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::panic::Location;
use std::time::Duration;

/// So many jobs of a kind must have been seen.
const ENOUGH: u32 = 8;
/// How long what was seen counts for.
const LATELY: Duration = Duration::from_secs(1);
/// Where `low` is less, in nanoseconds, it rises as if it were this.
const LEAST: u64 = 100_000;
/// The longest time is that of the last window of so many, and of what there is of the next.
const WINDOW: u32 = 512;
/// One that would surely be too late is tried when others were refused for so many times the time it
/// needs, and for [`TRY_EVERY`] at least.
const TRIES: u64 = 8;
const TRY_EVERY: Duration = Duration::from_millis(100);
/// How many kinds are kept; of two that share a place, the one that was seen last.
const KINDS: usize = 1 << (u64::BITS - KIND_SHIFT);
/// The upper bits of a kind say which place it has.
const KIND_SHIFT: u32 = 56;
/// An odd number by which an address is spread over the upper bits: 2⁶⁴ by the golden ratio
/// (multiplicative hashing: Knuth, "The Art of Computer Programming", volume 3, 6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(u64);

impl Kind {
    pub(crate) fn of(what: impl std::hash::Hash) -> Self {
        Self(BuildHasherDefault::<DefaultHasher>::default().hash_one(what) | 1) // 0 is nobody's
    }

    /// Those that are spawned at one place in the source.
    pub(crate) fn at(place: &'static Location<'static>) -> Self {
        let address = std::ptr::from_ref(place).addr() as u64;
        Self(address.wrapping_mul(SPREAD) | 1) // addresses are even: two places are two kinds
    }
}

/// What is known of each kind.
pub(crate) struct Forecasts {
    start: Moment,
    kinds: Box<[Seen]>,
}

/// What was seen of one kind, in nanoseconds. Writers may overwrite each other: it is an estimate.
#[derive(Default)]
struct Seen {
    kind: AtomicU64,
    /// Up to the end of the first window; from there on, it goes round and round in the second.
    count: AtomicU32,
    low: AtomicU64,
    /// Of this window, and of the one before.
    longest: AtomicU64,
    longest_before: AtomicU64,
    last: AtomicU64,
    /// The first refusal since one was tried; zero if there was none.
    refused_since: AtomicU64,
}

/// How much time a job needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) low: Duration,
    pub(crate) high: Duration,
}

/// How long jobs take on average, of late, and when the last of them was started.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// In nanoseconds.
    mean: AtomicU64,
    /// When the last body was called: whoever has seen the job run by `now()` sees this, too, or a later
    /// one. Two that start at once may overwrite each other: it is for an estimate.
    last_start: Stamp,
}

impl Pace {
    /// A body is called, at this moment.
    pub(crate) fn started(&self, at: Moment) {
        self.last_start.renew(at);
    }

    /// How long ago, at `now`, the last body was called; zero if none ever was.
    pub(crate) fn since_last_start(&self, now: Moment) -> Duration {
        self.last_start.get().map_or(Duration::ZERO, |last| now.since(last))
    }

    /// A body took so long.
    pub(crate) fn saw(&self, took: Duration) {
        // ORDERING: Relaxed, as in `Forecasts::saw`.
        let (before, took) = (self.mean.load(Ordering::Relaxed), nanos(took));
        let next = match before {
            0 => took,
            _ if took > before => before + (took - before) / 16,
            _ => before - (before - took) / 16,
        };
        self.mean.store(next, Ordering::Relaxed);
    }

    /// How long so many jobs take one after the other, if they take as long as others lately did.
    pub(crate) fn time_for(&self, jobs: usize) -> Duration {
        // ORDERING: Relaxed, as in `saw`.
        let mean = Duration::from_nanos(self.mean.load(Ordering::Relaxed));
        mean.saturating_mul(u32::try_from(jobs).unwrap_or(u32::MAX))
    }
}

impl Needs {
    /// Whether a job that has so much time left, of so much in all, is not worth being started, while
    /// there is so much else to do.
    pub(crate) fn exceed(
        self,
        left: Duration,
        of: Duration,
        backlog: impl FnOnce() -> Duration,
    ) -> bool {
        left < self.low || left < self.high && left < of / 2 && left < backlog()
    }
}

impl Forecasts {
    pub(crate) fn new(start: Moment) -> Self {
        Self { start, kinds: (0..KINDS).map(|_| Seen::default()).collect() }
    }

    /// A body of this kind, which nobody stopped, took so long, until `now`.
    pub(crate) fn saw(&self, kind: Kind, took: Duration, now: Moment) {
        let (seen, took, now) = (self.seen(kind), nanos(took), self.nanos_at(now));
        // ORDERING: Relaxed, all of them: nothing but these estimates hangs on them.
        let known = seen.kind.load(Ordering::Relaxed) == kind.0 && seen.is_fresh(now);
        seen.last.store(now, Ordering::Relaxed);
        if known { seen.go_on(took) } else { seen.begin(kind, took) }
    }

    /// Whether a job of this kind that would surely be too late is tried all the same, since others were
    /// refused for long. It has been if it `starts`.
    pub(crate) fn tries(&self, kind: Kind, now: Moment, starts: bool) -> bool {
        let (seen, now) = (self.seen(kind), self.nanos_at(now));
        // ORDERING: Relaxed, as in `saw`; who changes it is the one that tries.
        let since = seen.refused_since.load(Ordering::Relaxed);
        if since == 0 {
            seen.refused_since.store(now.max(1), Ordering::Relaxed);
            return false;
        }
        let rest = seen.low.load(Ordering::Relaxed).saturating_mul(TRIES).max(nanos(TRY_EVERY));
        let begin = || {
            // ORDERING: as above.
            seen.refused_since
                .compare_exchange(since, 0, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        };
        now.saturating_sub(since) >= rest && (!starts || begin())
    }

    /// How much time a job of this kind needs, if enough of them were seen lately.
    pub(crate) fn needs(&self, kind: Kind, now: Moment) -> Option<Needs> {
        let seen = self.seen(kind);
        // ORDERING: Relaxed, as in `saw`.
        let is_known = seen.kind.load(Ordering::Relaxed) == kind.0
            && seen.count.load(Ordering::Relaxed) >= ENOUGH
            && seen.is_fresh(self.nanos_at(now));
        is_known.then(|| seen.needs())
    }

    fn seen(&self, kind: Kind) -> &Seen {
        &self.kinds[(kind.0 >> KIND_SHIFT) as usize]
    }

    fn nanos_at(&self, now: Moment) -> u64 {
        nanos(now.since(self.start))
    }
}

impl Seen {
    fn begin(&self, kind: Kind, took: u64) {
        // ORDERING: Relaxed, here and below, as in `Forecasts::saw`.
        self.kind.store(kind.0, Ordering::Relaxed);
        for figure in [&self.low, &self.longest, &self.longest_before] {
            figure.store(took, Ordering::Relaxed);
        }
        self.refused_since.store(0, Ordering::Relaxed);
        self.count.store(1, Ordering::Relaxed);
    }

    fn go_on(&self, took: u64) {
        // ORDERING: Relaxed, all of them, as in `Forecasts::saw`.
        let (low, longest) =
            (self.low.load(Ordering::Relaxed), self.longest.load(Ordering::Relaxed));
        let most = low.max(LEAST) / 4;
        let next_low = if took < low { took } else { low + ((took - low) / 16).min(most) };
        self.low.store(next_low, Ordering::Relaxed);
        // ORDERING: as above.
        let count = self.count.load(Ordering::Relaxed) + 1;
        if count % WINDOW == 0 {
            self.longest_before.store(longest, Ordering::Relaxed);
            self.longest.store(took, Ordering::Relaxed);
        } else if took > longest {
            self.longest.store(took, Ordering::Relaxed);
        }
        let count = if count < 2 * WINDOW { count } else { WINDOW };
        self.count.store(count, Ordering::Relaxed);
    }

    fn is_fresh(&self, now: u64) -> bool {
        // ORDERING: Relaxed, as in `Forecasts::saw`.
        let rounds = self.low.load(Ordering::Relaxed).saturating_mul(u64::from(ENOUGH));
        now.saturating_sub(self.last.load(Ordering::Relaxed)) <= nanos(LATELY).max(rounds)
    }

    fn needs(&self) -> Needs {
        // ORDERING: Relaxed, as in `Forecasts::saw`.
        let time = |figure: &AtomicU64| Duration::from_nanos(figure.load(Ordering::Relaxed));
        let high = time(&self.longest).max(time(&self.longest_before));
        Needs { low: time(&self.low), high }
    }
}

/// For some centuries; then it stands still.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;
    use crate::sync;

    const MS: Duration = Duration::from_millis(1);

    fn after(times: &[Duration]) -> (Forecasts, Moment) {
        let start = Moment::of(sync::now());
        let (forecasts, mut now) = (Forecasts::new(start), start);
        for took in times {
            now = now + MS;
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
    fn the_low_figure_follows_what_is_short_and_the_high_one_is_the_longest() {
        let (mixed, now) = after(&[10 * MS, MS, 9 * MS, 9 * MS, MS, 9 * MS, 9 * MS, 9 * MS]);
        let needs = mixed.needs(Kind::of("x"), now).expect("enough were seen");
        assert!(needs.low >= MS && needs.low < 3 * MS, "{needs:?}");
        assert_eq!(needs.high, 10 * MS);
    }

    /// After one pause of the machine, all would be refused.
    #[test]
    fn one_long_time_says_nothing_of_what_others_need_at_least() {
        let low = |times: &[Duration]| {
            let (seen, now) = after(times);
            seen.needs(Kind::of("x"), now).expect("enough were seen").low
        };
        let hour = 3_600_000 * MS;
        assert!(low(&[&[MS; 20][..], &[hour]].concat()) < 2 * MS);
        assert!(
            low(&[&[MS; 20][..], &[100 * MS; 120]].concat()) > 90 * MS,
            "now they all take so long"
        );
        assert!(
            low(&[&[Duration::ZERO; 20][..], &[50 * MS; 60]].concat()) > 10 * MS,
            "out of nothing"
        );
    }

    #[test]
    fn what_takes_long_counts_for_longer() {
        let start = Moment::of(sync::now());
        let (forecasts, slow) = (Forecasts::new(start), 3 * LATELY);
        for n in 1..=ENOUGH {
            forecasts.saw(Kind::of("x"), slow, start + slow * n);
        }
        let last = start + slow * ENOUGH;
        let after = |rounds| forecasts.needs(Kind::of("x"), last + slow * rounds).is_some();
        assert_eq!((after(ENOUGH), after(ENOUGH + 1)), (true, false));
    }

    #[test]
    fn what_took_long_is_known_for_one_window_and_forgotten_after_two() {
        let window = WINDOW as usize;
        for before in [20, window - 2, window - 1, window, 3 * window + 7] {
            let high = |more| {
                let (seen, now) =
                    after(&[&vec![MS; before][..], &[100 * MS], &vec![MS; more]].concat());
                seen.needs(Kind::of("x"), now).expect("enough were seen").high
            };
            assert_eq!((high(window), high(2 * window)), (100 * MS, MS), "{before}");
        }
    }

    #[test]
    fn a_job_is_refused_that_surely_is_too_late_or_perhaps_while_there_is_enough_else_to_do() {
        let needs = Needs { low: 2 * MS, high: 6 * MS };
        assert!(needs.exceed(MS, 100 * MS, || Duration::ZERO), "surely");
        assert!(!needs.exceed(2 * MS, 100 * MS, || Duration::ZERO));
        assert!(needs.exceed(5 * MS, 100 * MS, || 6 * MS), "others make better use of the thread");
        assert!(!needs.exceed(5 * MS, 100 * MS, || 5 * MS), "they are done by then");
        assert!(!needs.exceed(6 * MS, 100 * MS, || 50 * MS));
        assert!(!needs.exceed(5 * MS, 10 * MS, || 50 * MS), "half of its time is left");
    }

    #[test]
    fn no_time_is_too_long() {
        let (forecasts, now) = after(&[Duration::MAX; 20]);
        assert!(forecasts.needs(Kind::of("x"), now).is_some_and(|needs| needs.low > LATELY));
        assert_eq!(forecasts.needs(Kind::of(0), Moment::of(sync::now())), None);
    }
}
