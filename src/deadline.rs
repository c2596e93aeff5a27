//! A moment by which something must have happened; its arithmetic can not overflow (law 16).

use crate::sync::now;
use std::cmp::Ordering;
use std::time::{Duration, Instant};

/// A point in time by which a job must end, or [`NEVER`](Deadline::NEVER).
///
/// All arithmetic saturates: a timeout too long for the clock is no deadline at all. The clock is
/// [`Instant`], which is monotonic: changes of the wall clock move no deadline.
///
/// # Examples
///
/// ```
/// use punctual::Deadline;
/// use std::time::Duration;
///
/// let soon = Deadline::after(Duration::from_secs(1));
/// assert!(!soon.has_passed());
/// assert_eq!(soon.earliest(Deadline::NEVER), soon);
/// assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No deadline: later than every instant.
    ///
    /// ```
    /// assert_eq!(punctual::Deadline::NEVER.remaining(), None);
    /// ```
    pub const NEVER: Self = Self(None);

    /// The deadline at an instant.
    ///
    /// ```
    /// # use punctual::Deadline;
    /// let now = std::time::Instant::now();
    /// assert_eq!(Deadline::at(now).instant(), Some(now));
    /// ```
    #[must_use]
    pub const fn at(instant: Instant) -> Self {
        Self(Some(instant))
    }

    /// The deadline a while from now; [`NEVER`](Self::NEVER) where the clock can not count so far.
    ///
    /// ```
    /// # use punctual::Deadline;
    /// # use std::time::Duration;
    /// assert!(Deadline::after(Duration::ZERO).has_passed());
    /// ```
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self::at(now()).plus(time)
    }

    /// The deadline that comes first.
    ///
    /// ```
    /// # use punctual::Deadline;
    /// # use std::time::Duration;
    /// let (a, b) = (Deadline::after(Duration::ZERO), Deadline::after(Duration::from_secs(1)));
    /// assert_eq!(a.earliest(b), a);
    /// ```
    #[must_use]
    pub fn earliest(self, other: Self) -> Self {
        self.min(other)
    }

    /// The time left: zero once it has passed, `None` where there is no deadline.
    ///
    /// ```
    /// # use punctual::Deadline;
    /// # use std::time::Duration;
    /// let left = Deadline::after(Duration::from_secs(9)).remaining();
    /// assert!(left.is_some_and(|left| left <= Duration::from_secs(9)));
    /// ```
    #[must_use]
    pub fn remaining(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(now()))
    }

    /// Whether the moment has come.
    ///
    /// ```
    /// assert!(!punctual::Deadline::NEVER.has_passed());
    /// ```
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.0.is_some_and(|at| at <= now())
    }

    /// The instant, or `None` where there is no deadline.
    ///
    /// ```
    /// assert_eq!(punctual::Deadline::NEVER.instant(), None);
    /// ```
    #[must_use]
    pub const fn instant(self) -> Option<Instant> {
        self.0
    }

    /// This deadline moved back; one too far to count is none.
    pub(crate) fn plus(self, time: Duration) -> Self {
        Self(self.0.and_then(|at| at.checked_add(time)))
    }

    /// Whether it has come by `now`.
    pub(crate) fn has_passed_by(self, now: Instant) -> bool {
        self.0.is_some_and(|at| at <= now)
    }
}

/// [`NEVER`](Self::NEVER) is the greatest.
impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        }
    }
}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Instant> for Deadline {
    fn from(instant: Instant) -> Self {
        Self::at(instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_the_greatest() {
        let now = Deadline::at(Instant::now());
        let later = now.plus(Duration::from_secs(1));
        assert!(now < later && later < Deadline::NEVER);
        assert_eq!(Deadline::NEVER.max(now), Deadline::NEVER);
        assert_eq!(Deadline::NEVER.cmp(&Deadline::NEVER), Ordering::Equal);
    }

    #[test]
    fn what_the_clock_can_not_count_is_never() {
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
        assert_eq!(Deadline::NEVER.plus(Duration::ZERO), Deadline::NEVER);
        assert_eq!(Deadline::NEVER.plus(Duration::MAX), Deadline::NEVER);
    }

    #[test]
    fn it_has_passed_at_its_very_moment_and_not_before() {
        let now = Instant::now();
        let moment = Duration::from_nanos(1);
        let deadline = Deadline::from(now + moment);
        assert_eq!(deadline.instant(), Some(now + moment));
        assert!(!deadline.has_passed_by(now) && deadline.has_passed_by(now + moment));
        assert!(!Deadline::NEVER.has_passed_by(now));
        let far = Deadline::after(Duration::from_secs(3600));
        assert!(!far.has_passed() && far.remaining() > Some(Duration::from_secs(3000)));
        assert!(far.instant() > Some(now) && far.earliest(deadline) == deadline);
        assert_eq!(Deadline::NEVER.earliest(far).cmp(&far), Ordering::Equal);
        assert!(deadline.partial_cmp(&far).is_some_and(Ordering::is_lt));
    }

    #[test]
    fn a_past_deadline_has_nothing_left() {
        let past = Deadline::after(Duration::ZERO);
        assert_eq!(past.remaining(), Some(Duration::ZERO));
        assert!(past.has_passed());
    }
}
