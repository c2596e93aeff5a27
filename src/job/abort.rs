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
#[must_use = "dropping it stops the job"]
pub struct CancelOnDrop<T, E = Infallible> {
    handle: JobHandle<T, E>,
}

impl<T, E> CancelOnDrop<T, E> {
    pub(super) fn new(handle: JobHandle<T, E>) -> Self {
        Self { handle }
    }

    /// A handle that can stop the job, and nothing else.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        self.handle.abort_handle()
    }

    /// The job's number.
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

    /// Asks the job to stop, as [`JobHandle::cancel`] does.
    pub fn cancel(&self) -> Option<Phase> {
        self.task.stop(Cause::Caller)
    }

    /// [`cancel`](Self::cancel), under the name of tokio's.
    pub fn abort(&self) {
        self.cancel();
    }

    /// Whether the outcome is there.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.head.state.is_ready()
    }

    /// The job's number.
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
