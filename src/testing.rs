//! Virtual time, and threads that are not to be had, for tests of code that uses this crate.

use crate::builder::Builder;
use crate::clock::{Clock, Manual};
use crate::spawner::Spawner;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A clock that stands still until it is moved; clones are one clock.
///
/// A pool that is built with it counts all its jobs' times by it: timeouts, deadlines, grace,
/// `sleep`, the times in errors, `within`. Threads' keep-alive, and how long a handle's
/// `wait_timeout` blocks, are real time.
///
/// # Examples
///
/// ```
/// use punctual::{Pool, testing::ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let pool = Pool::builder().clock(&clock).threads(..=1).build().unwrap();
/// let hour = Duration::from_secs(3600);
/// let job = pool.job().timeout(hour).spawn(|cx| cx.sleep(Duration::MAX));
/// assert!(!job.is_finished());
/// clock.advance(hour); // an hour passes at once
/// assert!(job.wait().unwrap_err().is_timed_out());
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Manual>);

impl ManualClock {
    /// A clock that shows the present, and stands still.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let clock = punctual::testing::ManualClock::new();
    /// let same = clock.clone();
    /// same.advance(Duration::from_secs(60));
    /// assert_eq!(clock.now(), same.now());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self(Manual::new())
    }

    /// What the clock shows.
    ///
    /// ```
    /// let clock = punctual::testing::ManualClock::new();
    /// assert_eq!(clock.now(), clock.now());
    /// ```
    #[must_use]
    pub fn now(&self) -> Instant {
        self.0.now()
    }

    /// Moves the clock on. What becomes due on the way is done on this thread, in its order and
    /// each at its moment, before this returns. A time too far to count moves it to the last of
    /// those moments. One thread at a time moves a clock: what is done on the way must not.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let clock = punctual::testing::ManualClock::new();
    /// let before = clock.now();
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(clock.now() - before, Duration::from_secs(60));
    /// ```
    pub fn advance(&self, time: Duration) {
        self.0.advance(time);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}

impl From<&ManualClock> for Clock {
    fn from(clock: &ManualClock) -> Self {
        Self::Manual(Arc::clone(&clock.0))
    }
}

impl Builder {
    /// Has the pool count its jobs' times by this clock.
    ///
    /// ```
    /// # use punctual::{Pool, testing::ManualClock};
    /// # use std::time::Duration;
    /// let clock = ManualClock::new();
    /// let pool = Pool::builder().clock(&clock).build().unwrap();
    /// let hour = Duration::from_secs(3600);
    /// let job = pool.job().timeout(hour).spawn(|cx| cx.sleep(Duration::MAX));
    /// clock.advance(hour);
    /// assert!(job.wait().unwrap_err().is_timed_out());
    /// ```
    pub fn clock(mut self, clock: &ManualClock) -> Self {
        self.clock = clock.into();
        self
    }

    /// Has `gate` asked before a thread of the pool is started, worker or timekeeper, with the name
    /// that it is to have. An error stands for the system's: the thread is not to be had.
    ///
    /// The gate may be asked under a lock of the pool's. It must not use the pool, nor panic.
    ///
    /// ```
    /// # use punctual::{JobError, Pool, Rejection};
    /// # use std::io;
    /// let pool = Pool::builder().spawn_gate(|_name| Err(io::ErrorKind::WouldBlock.into()));
    /// let pool = pool.build().unwrap(); // it needs no thread yet
    /// let job = pool.spawn_blocking(|| 1);
    /// assert!(matches!(job.wait(), Err(JobError::Rejected(Rejection::NoThread))));
    /// ```
    pub fn spawn_gate(
        mut self,
        gate: impl Fn(&str) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.spawner = Spawner::gated(Arc::new(gate));
        self
    }
}
