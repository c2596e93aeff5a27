//! How long something took, many times over: a histogram that many threads add to at once.
//!
//! The buckets are those of HdrHistogram, by Gil Tene: every power of two is cut into [`PARTS`] equal
//! parts, so that a duration is told from another when they differ by more than a sixteenth, whether
//! they are microseconds or hours. Which bucket is a matter of two shifts.
//!
//! # Rules
//! 1. A duration is counted by one addition to its bucket, and nowhere else: so there are always as
//!    many as there were recorded, whatever a snapshot is taken against.
//! 2. The shortest and the longest are noted before it is counted, and read after the buckets. So no
//!    snapshot has one in a bucket that is beyond them.

#[cfg(feature = "serde")]
mod serial;

use crate::sync::{Ordering, Statistic};
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

/// The first buckets are 8 ns wide: no clock tells much more.
const UNIT_BITS: u32 = 3;
const PART_BITS: u32 = 4;
/// How many buckets each power of two has.
const PARTS: usize = 1 << PART_BITS;
/// The last one begins at 18.9 hours, and takes all that took longer, too.
const BUCKETS: usize = 40 * PARTS;

/// Counts durations. Has no buckets until the first.
pub(crate) struct Histogram {
    buckets: OnceLock<Box<[Statistic]>>,
    /// In nanoseconds, as all numbers here.
    shortest: Statistic,
    longest: Statistic,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: OnceLock::new(),
            shortest: Statistic::new(u64::MAX),
            longest: Statistic::new(0),
        }
    }
}

impl Histogram {
    pub(crate) fn record(&self, time: Duration) {
        let nanos = to_nanos(time);
        // ORDERING: Relaxed for all of these; the Release below is what counts. They are looked at
        // first, since they seldom change.
        if nanos > self.longest.load(Ordering::Relaxed) {
            self.longest.fetch_max(nanos, Ordering::Relaxed);
        }
        if nanos < self.shortest.load(Ordering::Relaxed) {
            self.shortest.fetch_min(nanos, Ordering::Relaxed);
        }
        let buckets =
            self.buckets.get_or_init(|| (0..BUCKETS).map(|_| Statistic::new(0)).collect());
        // ORDERING: Release pairs with the Acquire in `snapshot` (rule 2).
        buckets[bucket_of(nanos)].fetch_add(1, Ordering::Release);
    }

    /// How many there are. Looks only at buckets that something can be in.
    pub(crate) fn count(&self) -> u64 {
        let Some(buckets) = self.buckets.get() else { return 0 };
        // ORDERING: Relaxed; whoever was seen to have counted has noted them before.
        let ends = [&self.shortest, &self.longest].map(|end| end.load(Ordering::Relaxed));
        let [first, last] = ends.map(bucket_of);
        let some = buckets.get(first..=last).unwrap_or_default();
        // ORDERING: Acquire pairs with the Release in `record`.
        some.iter().map(|count| count.load(Ordering::Acquire)).sum()
    }

    pub(crate) fn snapshot(&self) -> Latencies {
        let Some(buckets) = self.buckets.get() else { return Latencies::default() };
        // ORDERING: Acquire pairs with the Release in `record` (rule 2).
        let counts = buckets.iter().map(|count| count.load(Ordering::Acquire));
        let counts = (0..).zip(counts).filter(|(_, count)| *count > 0).collect();
        // ORDERING: Relaxed; they are at least as far apart as they were for what was counted.
        let ends = [&self.shortest, &self.longest].map(|end| end.load(Ordering::Relaxed));
        Latencies::new(counts, ends)
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

/// How long something took, many times over: a snapshot of a histogram.
///
/// Says what share was faster than what. A quantile is off by at most 5 % from 100 ns to 18 hours (by
/// 3.1 % from 128 ns on), by at most 4 ns below. What took longer is counted alike, as the longest.
/// The shortest, the longest and the count are exact.
///
/// With the feature `serde` it is written as `min_ns`, `max_ns` and `buckets`: pairs of the shortest
/// duration that a bucket takes, in nanoseconds, and how many are there.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let pool = punctual::Pool::new();
/// for _ in 0..100 {
///     pool.spawn_blocking(|| ()).wait().unwrap();
/// }
/// let waits = pool.metrics().queue_wait;
/// assert_eq!(waits.count(), 100);
/// let (half, most) = (waits.quantile(0.5), waits.quantile(0.99));
/// assert!(waits.min() <= half && half <= most && most <= waits.max());
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "serial::Flat", into = "serial::Flat"))]
pub struct Latencies {
    /// The buckets that are not empty, in their order.
    counts: Vec<(u16, u64)>,
    /// All of them.
    count: u64,
    shortest: u64,
    longest: u64,
}

impl Latencies {
    /// Of these buckets, which are in their order.
    fn new(counts: Vec<(u16, u64)>, [shortest, longest]: [u64; 2]) -> Self {
        let count = counts.iter().fold(0, |all: u64, (_, count)| all.saturating_add(*count));
        if count == 0 {
            return Self::default();
        }
        Self { counts, count, shortest: shortest.min(longest), longest }
    }

    /// How many there were.
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// pool.spawn_blocking(|| ()).wait().unwrap();
    /// assert_eq!(pool.metrics().run_time.count(), 1);
    /// ```
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether there was none.
    ///
    /// ```
    /// assert!(punctual::Pool::new().metrics().run_time.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The duration that so large a share of all did not exceed: of 0.5 the median, of 0 the
    /// shortest, of 1 the longest. Zero if there was none.
    ///
    /// A share below 0, or none at all (`NAN`), counts as 0; one above 1 as 1.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// pool.spawn_blocking(|| ()).wait().unwrap();
    /// let times = pool.metrics().run_time;
    /// assert_eq!((times.quantile(0.0), times.quantile(7.5)), (times.min(), times.max()));
    /// ```
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        let rank = (share * self.count as f64).ceil() as u64;
        let at_end = if rank <= 1 { Some(self.shortest) } else { None };
        let at_end = if rank >= self.count { Some(self.longest) } else { at_end };
        if let Some(end) = at_end {
            return Duration::from_nanos(end);
        }
        let mut seen = 0_u64;
        let found = self.counts.iter().find(|(_, count)| {
            seen = seen.saturating_add(*count);
            seen >= rank
        });
        Duration::from_nanos(found.map_or(self.longest, |(bucket, _)| self.typical(*bucket)))
    }

    /// The mean, as exact as a quantile. Zero if there was none.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// pool.spawn_blocking(|| ()).wait().unwrap();
    /// let times = pool.metrics().run_time;
    /// assert!(times.min() <= times.mean() && times.mean() <= times.max());
    /// ```
    #[must_use]
    pub fn mean(&self) -> Duration {
        let each = |(bucket, count): &(u16, u64)| self.typical(*bucket) as f64 * *count as f64;
        let sum: f64 = self.counts.iter().map(each).sum();
        let mean = sum / (self.count.max(1)) as f64;
        Duration::from_nanos((mean as u64).max(self.shortest).min(self.longest))
    }

    /// The shortest; zero if there was none.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// assert_eq!(pool.metrics().run_time.min(), std::time::Duration::ZERO);
    /// ```
    #[must_use]
    pub fn min(&self) -> Duration {
        Duration::from_nanos(self.shortest)
    }

    /// The longest; zero if there was none. What took longer than 584 years is cut there.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().run_timeout(Duration::from_millis(5)).spawn(|cx| cx.sleep(Duration::MAX));
    /// job.wait_stopped();
    /// assert!(pool.metrics().run_time.max() >= Duration::from_millis(5));
    /// ```
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }

    /// The buckets in which there are any, from the shortest to the longest: what may be in one, and
    /// how many are. For those who draw or export it.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// pool.spawn_blocking(|| ()).wait().unwrap();
    /// let times = pool.metrics().run_time;
    /// let (times_in, count) = times.buckets().next().unwrap();
    /// assert!(times_in.contains(&times.min()) && count == 1);
    /// ```
    pub fn buckets(&self) -> impl Iterator<Item = (Range<Duration>, u64)> + '_ {
        self.counts.iter().map(|(bucket, count)| (range_of(*bucket), *count))
    }

    /// Adds those of another.
    ///
    /// ```
    /// # use punctual::{Latencies, Pool};
    /// let pools = [Pool::new(), Pool::new()];
    /// let mut all = Latencies::default();
    /// for pool in &pools {
    ///     pool.spawn_blocking(|| ()).wait().unwrap();
    ///     all.merge(&pool.metrics().run_time);
    /// }
    /// assert_eq!(all.count(), 2);
    /// ```
    pub fn merge(&mut self, other: &Self) {
        if self.is_empty() || other.is_empty() {
            if self.is_empty() {
                self.clone_from(other);
            }
            return;
        }
        let mut counts = std::mem::take(&mut self.counts);
        counts.extend(&other.counts);
        counts.sort_unstable_by_key(|(bucket, _)| *bucket);
        counts.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
        let ends = [self.shortest.min(other.shortest), self.longest.max(other.longest)];
        *self = Self::new(counts, ends);
    }

    /// Those that came after an earlier snapshot of the same histogram. The shortest and the longest
    /// are then as exact as a quantile.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// pool.spawn_blocking(|| ()).wait().unwrap();
    /// let before = pool.metrics();
    /// pool.spawn_blocking(|| ()).wait().unwrap();
    /// pool.spawn_blocking(|| ()).wait().unwrap();
    /// assert_eq!(pool.metrics().run_time.since(&before.run_time).count(), 2);
    /// ```
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |bucket: u16| {
            let found = earlier.counts.binary_search_by_key(&bucket, |(bucket, _)| *bucket);
            found.map_or(0, |at| earlier.counts[at].1)
        };
        let counts = self.counts.iter().map(|(at, count)| (*at, count.saturating_sub(before(*at))));
        let counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
        let typical = |end: Option<&(u16, u64)>| end.map_or(0, |(bucket, _)| self.typical(*bucket));
        let ends = [typical(counts.first()), typical(counts.last())];
        Self::new(counts, ends)
    }

    /// As [`buckets`](Self::buckets), each with one duration that stands for all that are there.
    #[cfg(feature = "metrics")]
    pub(crate) fn typical_times(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let typical = |bucket| Duration::from_nanos(self.typical(bucket));
        self.counts.iter().map(move |(bucket, count)| (typical(*bucket), *count))
    }

    /// What stands for all in a bucket: its middle, as far as there is any.
    fn typical(&self, bucket: u16) -> u64 {
        let (start, end) = bounds_of(bucket);
        let middle = end.map_or(self.longest, |end| start + (end - start) / 2);
        middle.max(self.shortest).min(self.longest)
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Latencies");
        shown.field("count", &self.count);
        if !self.is_empty() {
            shown.field("min", &self.min()).field("p50", &self.quantile(0.5));
            shown.field("p99", &self.quantile(0.99)).field("max", &self.max());
        }
        shown.finish_non_exhaustive()
    }
}

fn to_nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Below [`PARTS`] units each has a bucket. Above, the power of two says how far to shift so that
/// the highest bit and the four behind it are left; those are the part.
fn bucket_of(nanos: u64) -> usize {
    let units = nanos >> UNIT_BITS;
    let shift = (u64::BITS - PART_BITS - 1).saturating_sub(units.leading_zeros());
    let bucket = ((shift as usize) << PART_BITS) + (units >> shift) as usize;
    bucket.min(BUCKETS - 1)
}

/// The first duration of a bucket, and the first that is beyond it; the last has no end.
fn bounds_of(bucket: u16) -> (u64, Option<u64>) {
    let start = |bucket: usize| {
        let shift = (bucket >> PART_BITS).saturating_sub(1);
        ((bucket - (shift << PART_BITS)) as u64) << (shift as u32 + UNIT_BITS)
    };
    let bucket = usize::from(bucket).min(BUCKETS - 1);
    (start(bucket), (bucket + 1 < BUCKETS).then(|| start(bucket + 1)))
}

fn range_of(bucket: u16) -> Range<Duration> {
    let (start, end) = bounds_of(bucket);
    Duration::from_nanos(start)..end.map_or(Duration::MAX, Duration::from_nanos)
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests;
