//! The handle of a job: its future, and how to stop it.

use crate::deadline::Deadline;
use crate::error::JobError;
use crate::info::{JobId, JobInfo};
use crate::job::abort::{AbortHandle, CancelOnDrop};
use crate::job::cell::{Fetch, Head, Task};
use crate::job::ended::Ended;
use crate::job::waiting::{How, Waiting};
use crate::park;
use crate::stop::{Cause, Phase};
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// [`JobHandle`], under the name of tokio's, for a body that can not fail.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use punctual::JoinHandle;
///
/// let job: JoinHandle<u32> = punctual::spawn_blocking(|| 6 * 7);
/// assert_eq!(job.await.unwrap(), 42);
/// # }
/// ```
pub type JoinHandle<T> = JobHandle<T>;

/// A job that was spawned: the future of its outcome, and the means to stop it.
///
/// Any executor can poll it; [`wait`](Self::wait) needs none. Dropping the handle detaches the job:
/// it goes on, and its value is dropped where it ends. A panic that is lost this way is told to the
/// pool's `on_unseen_panic`. [`cancel_on_drop`](Self::cancel_on_drop) makes it stop instead.
///
/// # Cancel safety
/// Polling may cease at any time, as in a `select!` that another branch wins: the outcome stays,
/// for the next poll or wait.
///
/// # Panics
/// If it is polled or waited for again after it gave the outcome.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let pool = punctual::Pool::new();
/// let job = pool.spawn_blocking(|| 6 * 7);
/// assert_eq!(job.await.unwrap(), 42);
/// # }
/// ```
pub struct JobHandle<T, E = Infallible> {
    cell: Arc<dyn Fetch<T, E>>,
}

impl<T, E> JobHandle<T, E> {
    pub(crate) fn new(cell: Arc<dyn Fetch<T, E>>) -> Self {
        Self { cell }
    }

    /// Asks the job to stop, and says what that hit.
    ///
    /// - `Some(Phase::Queued)`: it had not started, and never will. Its outcome is decided, its
    ///   captures are dropped, its place in the queue is free, by the time this returns.
    /// - `Some(Phase::Running)`: the body runs and was told. What it returns decides the outcome:
    ///   `Ok` stays `Ok`. The handle waits for that, at most the job's grace time if it has one,
    ///   and at most until its deadline.
    /// - `None`: the outcome was decided before.
    ///
    /// Calling it again changes nothing; the first cause counts. The functions that the body gave
    /// to `on_stop` are called before this returns.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.sleep(std::time::Duration::MAX));
    /// assert!(job.cancel().is_some());
    /// assert!(job.wait().unwrap_err().is_cancelled());
    /// ```
    pub fn cancel(&self) -> Option<Phase> {
        self.task().stop(Cause::Caller)
    }

    /// [`cancel`](Self::cancel), under the name of tokio's.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.sleep(std::time::Duration::MAX));
    /// job.abort();
    /// assert!(job.wait().unwrap_err().is_cancelled());
    /// ```
    pub fn abort(&self) {
        self.cancel();
    }

    /// A handle that can stop the job, and nothing else.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.sleep(std::time::Duration::MAX));
    /// let stopper = job.abort_handle();
    /// std::thread::spawn(move || stopper.cancel());
    /// assert!(job.wait().unwrap_err().is_cancelled());
    /// ```
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle::new(self.task())
    }

    /// Whether the outcome is there: a poll or wait would give it at once.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let mut job = pool.spawn_blocking(|| ());
    /// while !job.is_finished() {
    ///     std::thread::yield_now();
    /// }
    /// assert!(job.wait_timeout(std::time::Duration::ZERO).is_some());
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.cell.head().state.is_ready()
    }

    /// The job's number.
    ///
    /// ```
    /// # use punctual::Checked;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| -> Checked<_> { Ok(cx.id()) });
    /// let id = job.id();
    /// assert_eq!(job.wait().unwrap(), id);
    /// ```
    #[must_use]
    pub fn id(&self) -> JobId {
        self.cell.head().id
    }

    /// What is known of the job now.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().name("report").spawn_blocking(|| ());
    /// assert!(job.info().to_string().starts_with("job `report` "));
    /// ```
    #[must_use]
    pub fn info(&self) -> JobInfo {
        self.cell.head().info()
    }

    /// Blocks this thread until the outcome is there. Needs no runtime. In a job of the same pool it runs
    /// that job right here, if it still waits (law 12).
    ///
    /// # Errors
    /// Why there is no value.
    ///
    /// # Panics
    /// If the handle has given its outcome.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// assert_eq!(pool.spawn_blocking(|| 1).wait().unwrap(), 1);
    /// ```
    pub fn wait(mut self) -> Result<T, JobError<E>> {
        if self.is_finished() {
            return self.take(); // there is nothing to wait for
        }
        let task = self.task();
        let _waiting = Waiting::begin(&task, How::OrRun);
        park::wait(&mut self)
    }

    /// Blocks this thread until the outcome is there, or for so long; `None` then. The job goes on.
    ///
    /// It does not run the job here, even in a job of the same pool: a thread takes this one's place
    /// meanwhile, if need be beyond the most.
    ///
    /// # Errors
    /// Why there is no value.
    ///
    /// # Panics
    /// If the handle has given its outcome.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let mut job = pool.spawn(|cx| cx.sleep(Duration::MAX));
    /// assert!(job.wait_timeout(Duration::from_millis(1)).is_none());
    /// job.cancel();
    /// assert!(job.wait().is_err());
    /// ```
    pub fn wait_timeout(&mut self, time: Duration) -> Option<Result<T, JobError<E>>> {
        self.wait_deadline(Deadline::after(time))
    }

    /// As [`wait_timeout`](Self::wait_timeout), until a deadline: an [`Instant`](std::time::Instant) or a
    /// [`Deadline`].
    ///
    /// # Errors
    /// Why there is no value.
    ///
    /// # Panics
    /// If the handle has given its outcome.
    ///
    /// # Examples
    ///
    /// ```
    /// # use punctual::Deadline;
    /// # let pool = punctual::Pool::new();
    /// let mut job = pool.spawn_blocking(|| 1);
    /// assert!(matches!(job.wait_deadline(Deadline::NEVER), Some(Ok(1))));
    /// ```
    pub fn wait_deadline(
        &mut self,
        deadline: impl Into<Deadline>,
    ) -> Option<Result<T, JobError<E>>> {
        if self.is_finished() {
            return Some(self.take());
        }
        let task = self.task();
        let deadline = deadline.into();
        let _waiting = Waiting::begin(&task, How::until(deadline));
        park::block_on(self, deadline)
    }

    /// Waits for the body's real end, which may come after the handle has resolved without it.
    ///
    /// Resolves at once for a body that never ran. Says nothing of the outcome.
    ///
    /// # Cancel safety
    /// It can be dropped and called anew at any time.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let (send, receive) = std::sync::mpsc::channel::<()>();
    /// let job = pool.job().timeout(Duration::from_millis(5)).spawn_blocking(move || {
    ///     receive.recv().ok(); // does not look whether to stop
    /// });
    /// let mut job = job;
    /// assert!((&mut job).await.is_err()); // punctual
    /// drop(send);
    /// job.stopped().await; // now its resources are free
    /// # }
    /// ```
    pub fn stopped(&self) -> Ended<'_> {
        Ended::of(self.cell.head())
    }

    /// Blocks this thread until the body's real end; see [`stopped`](Self::stopped).
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| ());
    /// job.wait_stopped();
    /// assert!(job.is_finished());
    /// ```
    pub fn wait_stopped(&self) {
        self.task().wait_stopped();
    }

    /// Makes a future that stops the job, with [`Cause::Dropped`], when it is dropped before the
    /// job has ended.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.sleep(std::time::Duration::MAX)).cancel_on_drop();
    /// let stopper = job.abort_handle();
    /// drop(job);
    /// # while !stopper.is_finished() { std::thread::yield_now(); }
    /// assert!(stopper.is_finished());
    /// ```
    pub fn cancel_on_drop(self) -> CancelOnDrop<T, E> {
        CancelOnDrop::new(self)
    }

    /// Takes the outcome, which is ready.
    ///
    /// # Panics
    /// If it was taken before.
    pub(crate) fn take(&self) -> Result<T, JobError<E>> {
        let head = self.cell.head();
        let outcome = if head.state.take() { self.cell.fetch() } else { None };
        match outcome {
            Some(outcome) => outcome,
            None => panic!("the handle of {} was used after it gave the outcome", head.identity()),
        }
    }

    pub(super) fn head(&self) -> &Head {
        self.cell.head()
    }

    pub(crate) fn task(&self) -> Task {
        Arc::clone(&self.cell).into_task()
    }
}

impl<T, E> Future for JobHandle<T, E> {
    type Output = Result<T, JobError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let head = self.cell.head();
        if !head.state.is_ready() {
            head.set_waker(cx.waker());
            if !head.state.watch() {
                return Poll::Pending;
            }
            head.forget_waker();
        }
        Poll::Ready(self.take())
    }
}

impl<T, E> Drop for JobHandle<T, E> {
    fn drop(&mut self) {
        let head = self.cell.head();
        if head.state.detach() {
            self.cell.discard();
        }
        if head.state.is_watched() {
            head.forget_waker();
        }
    }
}

// As tokio's: what was caught while a handle is in use can not be seen through it half-changed.
impl<T, E> UnwindSafe for JobHandle<T, E> {}
impl<T, E> RefUnwindSafe for JobHandle<T, E> {}

impl<T, E> fmt::Debug for JobHandle<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobHandle")
            .field("id", &self.id())
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
