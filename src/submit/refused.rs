//! A job that was refused at once, and its body back.

use crate::error::Rejection;
use std::fmt;

/// A job that was not taken, with its body: nothing was lost.
///
/// # Examples
///
/// ```
/// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
/// let permit = pool.try_reserve().unwrap(); // the only place
/// let refused = pool.job().try_spawn(|_| Ok::<_, std::io::Error>(42)).unwrap_err();
/// assert_eq!(refused.why(), punctual::Rejection::QueueFull);
/// let job = permit.spawn(refused.into_body());
/// assert_eq!(job.wait().unwrap(), 42);
/// ```
#[must_use = "it holds the body, which was not run"]
pub struct TrySpawnError<F> {
    why: Rejection,
    body: F,
}

impl<F> TrySpawnError<F> {
    pub(super) fn new(why: Rejection, body: F) -> Self {
        Self { why, body }
    }

    /// Why the job was not taken.
    ///
    /// ```
    /// # let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// pool.shutdown().wait();
    /// let refused = pool.job().try_spawn(|_| Ok::<_, std::io::Error>(())).unwrap_err();
    /// assert_eq!(refused.why(), punctual::Rejection::ShutDown);
    /// ```
    pub fn why(&self) -> Rejection {
        self.why
    }

    /// The body, which was not called.
    ///
    /// ```
    /// # let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// # let permit = pool.try_reserve().unwrap();
    /// let refused = pool.job().try_spawn(|_| "42".parse::<u32>()).unwrap_err();
    /// let body = refused.into_body();
    /// assert_eq!(permit.spawn(body).wait().unwrap(), 42);
    /// ```
    #[must_use]
    pub fn into_body(self) -> F {
        self.body
    }
}

impl<F> fmt::Debug for TrySpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrySpawnError").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<F> fmt::Display for TrySpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job rejected: {}", self.why)
    }
}

impl<F> std::error::Error for TrySpawnError<F> {}
