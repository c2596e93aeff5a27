//! Handles that are there to stop a job: from anywhere, or by being dropped.

use crate::error::JobError;
use crate::info::JobId;
use crate::job::cell::Task;
use crate::job::handle::JobHandle;
use crate::stop::{Cause, Phase};
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A handle that stops its job when dropped; see [`JobHandle::cancel_on_drop`].
///
/// # Panics
/// If it is polled again after it gave the outcome.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # use std::time::Duration;
/// # let pool = punctual::Pool::new();
/// let job = pool.spawn(|cx| cx.sleep(Duration::MAX)).cancel_on_drop();
/// let stopper = job.abort_handle();
/// let short = tokio::time::timeout(Duration::from_millis(5), job);
/// assert!(short.await.is_err()); // and the job was dropped
/// # while !stopper.is_finished() { std::thread::yield_now(); }
/// assert!(stopper.is_finished());
/// # }
/// ```
#[must_use = "dropping it stops the job"]
pub struct CancelOnDrop<T, E = Infallible> {
    handle: JobHandle<T, E>,
}

impl<T, E> CancelOnDrop<T, E> {
    pub(super) fn new(handle: JobHandle<T, E>) -> Self {
        Self { handle }
    }

    /// A handle that can stop the job, and nothing else.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.sleep(Duration::MAX)).cancel_on_drop();
    /// job.abort_handle().cancel();
    /// assert!(job.await.unwrap_err().is_cancelled());
    /// # }
    /// ```
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        self.handle.abort_handle()
    }

    /// The job's number.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| ());
    /// let id = job.id();
    /// assert_eq!(job.cancel_on_drop().id(), id);
    /// ```
    #[must_use]
    pub fn id(&self) -> JobId {
        self.handle.id()
    }
}

impl<T, E> Future for CancelOnDrop<T, E> {
    type Output = Result<T, JobError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(cx)
    }
}

impl<T, E> Drop for CancelOnDrop<T, E> {
    fn drop(&mut self) {
        self.handle.task().stop(Cause::Dropped);
    }
}

impl<T, E> fmt::Debug for CancelOnDrop<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelOnDrop").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// Stops a job from anywhere. Cheap to clone; keeps the job's record in memory, and nothing else.
///
/// # Examples
///
/// ```
/// let pool = punctual::Pool::new();
/// let job = pool.spawn_blocking(|| ());
/// let stopper = job.abort_handle();
/// job.wait().unwrap();
/// assert_eq!(stopper.cancel(), None); // too late
/// ```
#[derive(Clone)]
pub struct AbortHandle {
    task: Task,
}

impl AbortHandle {
    pub(super) fn new(task: Task) -> Self {
        Self { task }
    }

    pub(crate) fn task(&self) -> &Task {
        &self.task
    }

    /// Asks the job to stop, as [`JobHandle::cancel`] does.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.sleep(Duration::MAX));
    /// let stopper = job.abort_handle();
    /// assert!(stopper.cancel().is_some());
    /// assert!(job.wait().unwrap_err().is_cancelled());
    /// assert_eq!(stopper.cancel(), None); // too late
    /// ```
    pub fn cancel(&self) -> Option<Phase> {
        self.task.stop(Cause::Caller)
    }

    /// [`cancel`](Self::cancel), under the name of tokio's.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.sleep(Duration::MAX));
    /// job.abort_handle().abort();
    /// assert!(job.wait().unwrap_err().is_cancelled());
    /// ```
    pub fn abort(&self) {
        self.cancel();
    }

    /// Whether the outcome is there.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| ());
    /// let stopper = job.abort_handle();
    /// job.wait().unwrap();
    /// assert!(stopper.is_finished());
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.head.state.is_ready()
    }

    /// The job's number.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| ());
    /// assert_eq!(job.abort_handle().id(), job.id());
    /// ```
    #[must_use]
    pub fn id(&self) -> JobId {
        self.task.head.id
    }
}

impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id())
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
