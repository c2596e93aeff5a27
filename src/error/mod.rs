//! All public errors: what happened, to which job, in which phase, after how long.

mod convert;
mod panic;
mod stop;

pub use panic::Panic;
pub use stop::{Stop, Stopped};

use crate::info::JobId;
use crate::stop::{Cause, Phase};
use std::convert::Infallible;
use std::fmt;
use std::io;

/// A body that fails only by being stopped: `|cx| -> Checked<_> { … }`.
///
/// # Examples
///
/// ```
/// use punctual::Checked;
///
/// let pool = punctual::Pool::new();
/// let sum = pool.spawn(|cx| -> Checked<_> {
///     let mut sum = 0;
///     for n in 0..100 {
///         cx.check()?;
///         sum += n;
///     }
///     Ok(sum)
/// });
/// assert_eq!(sum.wait().unwrap(), 4950);
/// ```
pub type Checked<T> = Result<T, Stopped>;

/// [`JobError`], under the name of tokio's, for a body that can not fail.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use punctual::JoinError;
///
/// async fn answer() -> Result<u32, JoinError> {
///     punctual::spawn_blocking(|| 6 * 7).await
/// }
/// assert_eq!(answer().await.unwrap(), 42);
/// # }
/// ```
pub type JoinError = JobError;

/// Why a job gave no value.
///
/// `E` is the error of the body itself.
///
/// # Examples
///
/// ```
/// use punctual::{JobError, Pool};
///
/// let pool = Pool::new();
/// let job = pool.spawn(|_| "12x".parse::<u32>());
/// match job.wait() {
///     Err(JobError::Failed(e)) => assert_eq!(e.to_string(), "invalid digit found in string"),
///     other => panic!("not failed: {other:?}"),
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum JobError<E = Infallible> {
    /// The body ran to its end and returned this error.
    Failed(E),
    /// The job was stopped by something other than a deadline.
    Cancelled(Stop<E>),
    /// The job was stopped by a deadline.
    TimedOut(Stop<E>),
    /// The body panicked.
    Panicked(Panic),
    /// The pool did not take the job; its body was dropped without being called.
    Rejected(Rejection),
}

/// Why a pool did not take a job.
///
/// # Examples
///
/// ```
/// use punctual::{JobError, Pool, Rejection};
///
/// let pool = Pool::new();
/// pool.shutdown().wait();
/// let refused = pool.spawn_blocking(|| ()).wait();
/// assert!(matches!(refused, Err(JobError::Rejected(Rejection::ShutDown))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// There was no place in the queue of the pool, or of its lane: it held as many jobs and reserved
    /// places as its limit allows. Or this job had a place and waited, and was dropped to make room for
    /// a younger one ([`WhenFull::DropOldest`](crate::WhenFull::DropOldest)).
    #[error("the queue is full")]
    QueueFull,
    /// The pool drains or is shut down.
    #[error("the pool is shut down")]
    ShutDown,
    /// It could not have finished in time, or might not have while there was enough else to do: it had
    /// less time left than jobs of its kind have lately taken. See
    /// [`Order::EarliestDeadline`](crate::Order::EarliestDeadline).
    #[error("it could not have finished in time")]
    TooLate,
    /// There is no thread to run it, and the system gives no more. Also where there are threads, but all
    /// of them wait, inside their jobs and without a limit: they might wait for this one.
    #[error("there is no thread to run it, and the system gives none")]
    NoThread,
    /// A body of the same key is overdue, and has not returned yet. See [`Job::key`](crate::Job::key).
    #[error("a job of the same key is overdue")]
    Overdue,
}

/// Why a pool could not be built.
///
/// # Examples
///
/// ```
/// use punctual::{BuildError, Pool};
///
/// let none = Pool::builder().threads(0..=0).build();
/// assert!(matches!(none, Err(BuildError::NoThreads)));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// `threads` allows none.
    #[error("a pool of at most 0 threads could run nothing")]
    NoThreads,
    /// `threads` ends before it begins.
    #[error("the range of threads is empty: {min} is more than {max}")]
    EmptyRange {
        /// Where the range begins.
        min: usize,
        /// Where it ends.
        max: usize,
    },
    /// `threads` asks for more than a pool can count.
    #[error("{asked} threads are more than a pool can have ({most})")]
    TooManyThreads {
        /// How many were asked for.
        asked: usize,
        /// How many there can be.
        most: usize,
    },
    /// `queue_limit` is zero; every job passes through the queue.
    #[error("a queue limit of 0 would refuse every job")]
    NoQueue,
    /// The name can not be given to a thread: it holds a NUL character.
    #[error("the name {0:?} holds a NUL character")]
    Name(String),
    /// The first threads could not be started.
    #[error("a thread could not be started")]
    Thread(#[source] io::Error),
}

impl<E> JobError<E> {
    /// Whether the job was stopped by something other than a deadline.
    ///
    /// Also true for a job refused by a pool that is shut down, as with tokio's.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.sleep(Duration::MAX));
    /// pool.shutdown().wait();
    /// assert!(job.wait().unwrap_err().is_cancelled());
    /// assert!(pool.spawn_blocking(|| ()).wait().unwrap_err().is_cancelled()); // refused
    /// ```
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled(_) | Self::Rejected(Rejection::ShutDown))
    }

    /// Whether the job was stopped by a deadline.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().timeout(Duration::from_millis(5)).spawn(|cx| cx.sleep(Duration::MAX));
    /// assert!(job.wait().unwrap_err().is_timed_out());
    /// ```
    pub fn is_timed_out(&self) -> bool {
        matches!(self, Self::TimedOut(_))
    }

    /// Whether the body panicked.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| -> u32 { panic!("no sum") });
    /// assert!(job.wait().unwrap_err().is_panic());
    /// ```
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// Whether the pool did not take the job.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// pool.drain().wait();
    /// assert!(pool.spawn_blocking(|| ()).wait().unwrap_err().is_rejected());
    /// ```
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected(_))
    }

    /// Where the job was when it ended. [`Phase::Queued`] means that its body was never called.
    ///
    /// ```
    /// # use punctual::Phase;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let late = pool.job().timeout(Duration::ZERO).spawn(|_| "12x".parse::<u32>());
    /// assert_eq!(late.wait().unwrap_err().phase(), Some(Phase::Queued)); // safe to try again
    /// let failed = pool.spawn(|_| "12x".parse::<u32>());
    /// assert_eq!(failed.wait().unwrap_err().phase(), Some(Phase::Running));
    /// ```
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Self::Failed(_) | Self::Panicked(_) => Some(Phase::Running),
            Self::Cancelled(stop) | Self::TimedOut(stop) => Some(stop.phase()),
            Self::Rejected(_) => Some(Phase::Queued),
        }
    }

    /// Which job it was; `None` where the error does not carry it (failed, rejected).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().timeout(Duration::ZERO).spawn_blocking(|| ());
    /// let id = job.id();
    /// assert_eq!(job.wait().unwrap_err().id(), Some(id));
    /// ```
    pub fn id(&self) -> Option<JobId> {
        match self {
            Self::Cancelled(stop) | Self::TimedOut(stop) => Some(stop.id()),
            Self::Panicked(panic) => panic.id(),
            Self::Failed(_) | Self::Rejected(_) => None,
        }
    }

    /// The payload of the body's panic.
    ///
    /// # Panics
    /// If the body did not panic. [`try_into_panic`](Self::try_into_panic) does not.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let error = pool.spawn_blocking(|| -> u32 { panic!("no sum") }).wait().unwrap_err();
    /// assert_eq!(error.into_panic().downcast_ref(), Some(&"no sum"));
    /// ```
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn std::any::Any + Send + 'static> {
        match self {
            Self::Panicked(panic) => panic.into_payload(),
            _ => panic!("`into_panic` was called on a job error that is not a panic"),
        }
    }

    /// The payload of the body's panic, or the error itself if it is another.
    ///
    /// # Errors
    /// If the body did not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().timeout(Duration::ZERO).spawn_blocking(|| ());
    /// match job.wait().unwrap_err().try_into_panic() {
    ///     Ok(payload) => std::panic::resume_unwind(payload),
    ///     Err(other) => assert!(other.is_timed_out()),
    /// }
    /// ```
    pub fn try_into_panic(self) -> Result<Box<dyn std::any::Any + Send + 'static>, Self> {
        match self {
            Self::Panicked(panic) => Ok(panic.into_payload()),
            other => Err(other),
        }
    }

    /// The same, with the body's error turned into another.
    pub(crate) fn map<F>(self, turn: impl FnOnce(E) -> F) -> JobError<F> {
        match self {
            Self::Failed(error) => JobError::Failed(turn(error)),
            Self::Cancelled(stop) => JobError::Cancelled(stop.map(turn)),
            Self::TimedOut(stop) => JobError::TimedOut(stop.map(turn)),
            Self::Panicked(panic) => JobError::Panicked(panic),
            Self::Rejected(why) => JobError::Rejected(why),
        }
    }

    /// The error of a job that was stopped.
    pub(crate) fn stopped(stop: Stop<E>) -> Self {
        match stop.cause() {
            Cause::Deadline => Self::TimedOut(stop),
            _ => Self::Cancelled(stop),
        }
    }
}

impl<E: fmt::Display> fmt::Display for JobError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "job failed: {error}"),
            Self::Cancelled(stop) | Self::TimedOut(stop) => stop.fmt(f),
            Self::Panicked(panic) => panic.fmt(f),
            Self::Rejected(why) => write!(f, "job rejected: {why}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for JobError<E> {}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests;
