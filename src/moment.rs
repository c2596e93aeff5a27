//! A moment as one number, so that what lies between two is one subtraction.
//!
//! How far two [`Instant`]s are apart takes some sixty instructions to find out, and of each job that is
//! asked several times: how long it waited, how long it ran, what time is left. So what a clock shows
//! becomes a number once. Deadlines stay `Instant`s, which are exact however far away.

use crate::sync::{Ordering, Statistic, now};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Moments may be asked for that are a little earlier than the first: of other threads, or deadlines that
/// have passed. (A clock that others move asks for one when it is made: it may stand still for long.)
const MARGIN: Duration = Duration::from_secs(3600);

/// In nanoseconds from an hour before the first one of the process. What is before that is cut, and what
/// is five centuries after it: there a clock that was moved by hand seems to stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

/// A moment that is noted, in one word.
///
/// # Rules
/// 1. It brings nothing but itself: who must see it has seen something else that was written after it, as
///    that the job runs, or has an outcome.
/// 2. Who has not seen such a thing may find none where there is one. That decides nothing: see
///    `next_of_queue` in `job::time`. So models need not try it, and it is a [`Statistic`].
#[derive(Debug, Default)]
pub(crate) struct Stamp(Statistic);

impl Moment {
    pub(crate) fn of(instant: Instant) -> Self {
        let origin = origin_at(|| instant);
        Self(nanos(instant.saturating_duration_since(origin)).max(1)) // 0 is none
    }

    /// `None` if it was too far to tell.
    pub(crate) fn instant(self) -> Option<Instant> {
        let after = Some(Duration::from_nanos(self.0)).filter(|_| self.0 < u64::MAX)?;
        origin_at(now).checked_add(after)
    }

    /// Zero if that was later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(nanos(time)))
    }
}

impl Stamp {
    /// Of several, the first one counts.
    pub(crate) fn set(&self, at: Moment) {
        // ORDERING: Relaxed by rule 1, here and below: one word, of which alone it is asked.
        let _ = self.0.compare_exchange(0, at.0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Of several, the last one counts.
    pub(crate) fn renew(&self, at: Moment) {
        // ORDERING: Relaxed, as in `set`.
        self.0.store(at.0, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Option<Moment> {
        // ORDERING: Relaxed, as in `set`.
        Some(Moment(self.0.load(Ordering::Relaxed))).filter(|at| at.0 > 0)
    }
}

fn origin_at(first: impl FnOnce() -> Instant) -> Instant {
    // Not the facade's: a static of loom's can not be made in a constant.
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(|| {
        let first = first();
        first.checked_sub(MARGIN).unwrap_or(first)
    })
}

/// For some centuries; then it stands still.
fn nanos(time: Duration) -> u64 {
    let whole = time.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(u64::from(time.subsec_nanos()))
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_as_exact_as_the_instant_that_it_is_of() {
        let start = now();
        let first = Moment::of(start);
        assert_eq!(first.instant(), Some(start));
        for nanos in [0, 1, 999_999_999, 1_000_000_000, 86_400_000_000_001] {
            let time = Duration::from_nanos(nanos);
            let later = Moment::of(start + time);
            assert_eq!((later.since(first), first.since(later)), (time, Duration::ZERO));
            assert_eq!(later.instant(), Some(start + time));
            assert!(later >= first);
        }
    }

    #[test]
    fn what_is_too_far_is_cut() {
        let start = now();
        let century = Duration::from_secs(100 * 366 * 86_400);
        let Some(far) = start.checked_add(century * 10) else { return };
        assert_eq!(Moment::of(far).instant(), None);
        assert!(Moment::of(far).since(Moment::of(start)) > century * 5);
        let before = start.checked_sub(MARGIN * 48).map(Moment::of);
        assert!(before.is_none_or(|before| before <= Moment::of(start)));
    }

    #[test]
    fn a_stamp_keeps_the_first_or_is_renewed() {
        let (stamp, start) = (Stamp::default(), now());
        let [first, second] = [0, 1].map(|n| Moment::of(start + Duration::from_secs(n)));
        assert_eq!(stamp.get(), None);
        stamp.set(first);
        stamp.set(second);
        assert_eq!(stamp.get(), Some(first));
        stamp.renew(second);
        assert_eq!(stamp.get(), Some(second));
    }
}
