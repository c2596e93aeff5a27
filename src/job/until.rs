//! Trying again what can only be tried: in growing steps, each cut short by a stop.
//!
//! For what can not be interrupted and knows no timeout: `Mutex::try_lock`, `flock`, a state that
//! others change.

use crate::error::Stopped;
use crate::job::JobContext;
use std::time::Duration;

/// How long after the first attempt the second comes; each step is twice the one before.
const FIRST_STEP: Duration = Duration::from_micros(50);
const LONGEST_STEP: Duration = Duration::from_millis(5);

impl JobContext {
    /// Calls `attempt` until it gives something, or the job is asked to stop.
    ///
    /// `None` is "not yet", as `try_lock().ok()` says it. What is an end, though it is no success, is
    /// given, too: an `attempt` that may fail gives `Some(Err(_))`, and this `Ok(Err(_))`.
    ///
    /// The first attempt is made at once, the next after 50, 100, 200 µs … 5 ms and every 5 ms, by the
    /// pool's clock. A stop ends the wait between two of them at once, but not an attempt: that must
    /// not block. Where something can say when to look again, as a channel can, prefer that:
    /// [`recv`](Self::recv).
    ///
    /// # Errors
    /// If the job is asked to stop before an attempt succeeds, or was before the first: no attempt is
    /// made after a stop.
    ///
    /// # Panics
    /// With the panic of `attempt`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::{Arc, Mutex, TryLockError};
    /// use std::time::Duration;
    ///
    /// let pool = punctual::Pool::new();
    /// let total = Arc::new(Mutex::new(0));
    /// let held = total.lock().unwrap(); // somebody keeps it for too long
    /// let own = Arc::clone(&total);
    /// let job = pool.job().timeout(Duration::from_millis(5)).spawn(move |cx| {
    ///     let mut total = cx.until(|| match own.try_lock() {
    ///         Ok(guard) => Some(guard),
    ///         Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
    ///         Err(TryLockError::WouldBlock) => None,
    ///     })?;
    ///     *total += 1;
    ///     Ok::<_, punctual::Stopped>(())
    /// });
    /// assert!(job.wait().unwrap_err().is_timed_out());
    /// assert_eq!(*held, 0);
    /// ```
    pub fn until<T>(&self, mut attempt: impl FnMut() -> Option<T>) -> Result<T, Stopped> {
        let mut step = FIRST_STEP;
        loop {
            self.check()?;
            if let Some(got) = attempt() {
                return Ok(got);
            }
            self.sleep(step)?;
            step = LONGEST_STEP.min(step * 2);
        }
    }
}
