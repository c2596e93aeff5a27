//! Several jobs together: each outcome comes out once, in the order in which they were ready.
//!
//! Each job has a waker of the set's own. It notes the job's number, and wakes who waits for the
//! next outcome. So a join looks at one job, however many there are.
//!
//! # Rules
//! 1. `jobs` has the handles whose outcome nobody has taken. Only the set's owner touches it.
//! 2. A number is noted once, when its job's outcome is ready. One whose handle has left the set in
//!    another way is passed over.
//! 3. Wakers are cloned, woken and dropped under no lock.
//!
//! # Why this is correct
//! No outcome is missed: a job's waker is woken once, be its outcome ready before it is put in or
//! after. No wake-up is lost: who waits finds nothing noted and leaves its waker under one lock, and
//! under that lock a number is noted and the waker taken.

mod board;
mod join;

use crate::default_pool::default_pool;
use crate::error::JobError;
use crate::info::JobId;
use crate::job::{AbortHandle, JobContext, JobHandle};
use crate::pool::Pool;
use crate::set::board::Board;
use crate::share::Share;
use crate::submit::{Job, SpawnOn};
use futures_core::Stream;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Several jobs, whose outcomes are taken as they come: tokio's `JoinSet` for jobs of a pool.
///
/// Every job that is put in comes out exactly once, whatever becomes of it, in the order in which the
/// outcomes were ready; taking one costs the same however many there are. It is a
/// [`Stream`] of the outcomes, and [`wait_next`](Self::wait_next) needs no runtime.
///
/// # Drop
/// Dropping the set stops all jobs that are in it, the youngest first, with
/// [`Cause::Dropped`](crate::Cause::Dropped). It does not wait for bodies that run;
/// [`shutdown`](Self::shutdown) does. [`detach_all`](Self::detach_all) lets them go on.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use punctual::{JobSet, Pool};
///
/// let pool = Pool::new();
/// let mut set = JobSet::on(&pool);
/// for n in 1..=10_u32 {
///     set.spawn_blocking(move || n * n);
/// }
/// let mut sum = 0;
/// while let Some(square) = set.join_next().await {
///     sum += square.unwrap();
/// }
/// assert_eq!(sum, 385);
/// # }
/// ```
#[must_use = "dropping it stops all its jobs"]
pub struct JobSet<T, E = Infallible> {
    /// Where `spawn` spawns, and the pool that it keeps open for that; none is the default pool, made
    /// when it is needed.
    place: Option<(Pool, Arc<Share>)>,
    /// Rule 1.
    jobs: BTreeMap<JobId, JobHandle<T, E>>,
    board: Arc<Board>,
}

impl<T, E> JobSet<T, E> {
    /// An empty set that spawns on the [default pool](crate::default_pool()).
    ///
    /// ```
    /// let mut set = punctual::JobSet::new();
    /// set.spawn_blocking(|| 1);
    /// assert_eq!(set.wait_next().unwrap().unwrap(), 1);
    /// ```
    pub fn new() -> Self {
        Self::spawning_on(None)
    }

    /// An empty set that spawns on this pool, or in this lane. It keeps the pool open.
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// let mut set = punctual::JobSet::on(&pool);
    /// set.spawn_blocking(|| ());
    /// assert_eq!(pool.metrics().accepted, 1);
    ///
    /// let lane = pool.lane("thumbnails").limit(4);
    /// let mut set = punctual::JobSet::on(&lane);
    /// set.spawn_blocking(|| ());
    /// assert_eq!(lane.metrics().accepted, 1);
    /// ```
    pub fn on(place: &(impl SpawnOn + ?Sized)) -> Self {
        Self::spawning_on(Some((place.pool().clone(), place.job().share)))
    }

    /// Spawns a body that is given its [context](JobContext) and may fail; see
    /// [`Pool::spawn`](crate::Pool::spawn). A job that the pool does not take comes out as
    /// [`Rejected`](JobError::Rejected).
    ///
    /// ```
    /// let mut set = punctual::JobSet::new();
    /// for text in ["1", "2", "x"] {
    ///     set.spawn(move |_| text.parse::<u32>());
    /// }
    /// let failures = std::iter::from_fn(|| set.wait_next()).filter(Result::is_err).count();
    /// assert_eq!(failures, 1);
    /// ```
    #[track_caller]
    pub fn spawn<F>(&mut self, body: F) -> AbortHandle
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let job = self.job().spawn(body);
        self.insert(job)
    }

    /// Puts a job in that was spawned elsewhere: with settings of its own, on another pool.
    ///
    /// # Panics
    /// The set panics when it comes to a handle that has given its outcome before.
    ///
    /// # Examples
    ///
    /// ```
    /// use punctual::{JobSet, Pool};
    /// use std::time::Duration;
    ///
    /// let pool = Pool::new();
    /// let mut set = JobSet::new();
    /// set.insert(pool.job().timeout(Duration::from_millis(5)).spawn(|cx| cx.sleep(Duration::MAX)));
    /// set.insert(pool.job().name("quick").spawn(|cx| cx.check()));
    /// assert!(set.wait_next().unwrap().is_ok());
    /// assert!(set.wait_next().unwrap().unwrap_err().is_timed_out());
    /// ```
    pub fn insert(&mut self, job: JobHandle<T, E>) -> AbortHandle {
        let (id, stopper) = (job.id(), job.abort_handle());
        job.call_when_ready(&Board::waker(&self.board, id));
        self.jobs.insert(id, job);
        stopper
    }

    /// How many jobs are in the set: those whose outcome was not taken.
    ///
    /// ```
    /// let mut set = punctual::JobSet::new();
    /// set.spawn_blocking(|| ());
    /// assert_eq!(set.len(), 1);
    /// set.wait_next();
    /// assert_eq!(set.len(), 0);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether no job is in the set.
    ///
    /// ```
    /// assert!(punctual::JobSet::<()>::new().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    fn spawning_on(place: Option<(Pool, Arc<Share>)>) -> Self {
        Self { place, jobs: BTreeMap::new(), board: Arc::default() }
    }

    fn job(&self) -> Job {
        let own = self.place.as_ref().map(|(_, share)| Job::new(Arc::clone(share)));
        own.unwrap_or_else(|| default_pool().job())
    }
}

impl<T> JobSet<T> {
    /// Spawns a plain closure; see [`Pool::spawn_blocking`](crate::Pool::spawn_blocking).
    ///
    /// ```
    /// let mut set = punctual::JobSet::new();
    /// let stopper = set.spawn_blocking(|| 6 * 7);
    /// assert_eq!(set.wait_next().unwrap().unwrap(), 42);
    /// assert_eq!(stopper.cancel(), None); // too late
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, body: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let job = self.job().spawn_blocking(body);
        self.insert(job)
    }
}

/// Ending all.
impl<T, E> JobSet<T, E> {
    /// Asks every job in the set to stop, the youngest first. They stay in the set, and come out
    /// with what became of them.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let mut set = punctual::JobSet::new();
    /// set.spawn(|cx| cx.sleep(Duration::MAX));
    /// set.abort_all();
    /// assert!(set.wait_next().unwrap().unwrap_err().is_cancelled());
    /// ```
    pub fn abort_all(&self) {
        // Otherwise a worker that an older one leaves could start a younger one, for nothing.
        for job in self.jobs.values().rev() {
            job.cancel();
        }
    }

    /// Takes every job out of the set, and lets it go on. A panic nobody can see any more is told to
    /// the pool's [`on_unseen_panic`](crate::Builder::on_unseen_panic).
    ///
    /// ```
    /// let (send, receive) = std::sync::mpsc::channel();
    /// let mut set = punctual::JobSet::new();
    /// set.spawn_blocking(move || send.send(1).unwrap());
    /// set.detach_all();
    /// assert!(set.is_empty());
    /// assert_eq!(receive.recv(), Ok(1));
    /// ```
    pub fn detach_all(&mut self) {
        self.jobs.clear();
        self.board.clear();
    }

    /// Asks every job to stop, and waits until the last body has really ended: nothing of them runs
    /// any more, and what they used is free. Their outcomes are dropped; a panic is told to the pool's
    /// [`on_unseen_panic`](crate::Builder::on_unseen_panic).
    ///
    /// It waits for the end of bodies whose time is up, too, as
    /// [`JobHandle::stopped`] does; but not for those whose outcome was taken before.
    ///
    /// # Cancel safety
    /// If it is dropped, the jobs that have not ended are still in the set, and asked to stop. A body
    /// need not listen: bound the wait by a timeout.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # use std::time::Duration;
    /// let mut set = punctual::JobSet::new();
    /// set.spawn(|cx| cx.sleep(Duration::MAX));
    /// set.shutdown().await;
    /// assert!(set.is_empty());
    /// # }
    /// ```
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while let Some((_, oldest)) = self.jobs.first_key_value() {
            oldest.stopped().await;
            self.jobs.pop_first();
        }
        self.board.clear();
    }

    /// Blocks this thread until the last body has ended; see [`shutdown`](Self::shutdown).
    ///
    /// ```
    /// # use std::time::Duration;
    /// let mut set = punctual::JobSet::new();
    /// set.spawn(|cx| cx.sleep(Duration::MAX));
    /// set.wait_shutdown();
    /// assert!(set.is_empty());
    /// ```
    pub fn wait_shutdown(&mut self) {
        self.abort_all();
        while let Some((_, oldest)) = self.jobs.first_key_value() {
            oldest.wait_stopped();
            self.jobs.pop_first();
        }
        self.board.clear();
    }
}

impl<T, E> Drop for JobSet<T, E> {
    fn drop(&mut self) {
        while let Some((_, youngest)) = self.jobs.pop_last() {
            drop(youngest.cancel_on_drop());
        }
        self.board.forget_waker();
    }
}

/// The outcomes, as [`join_next`](JobSet::join_next) gives them.
impl<T, E> Stream for JobSet<T, E> {
    type Item = Result<T, JobError<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_join_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<T, E> Extend<JobHandle<T, E>> for JobSet<T, E> {
    fn extend<I: IntoIterator<Item = JobHandle<T, E>>>(&mut self, jobs: I) {
        for job in jobs {
            self.insert(job);
        }
    }
}

/// A set of the jobs, that spawns on the default pool.
impl<T, E> FromIterator<JobHandle<T, E>> for JobSet<T, E> {
    fn from_iter<I: IntoIterator<Item = JobHandle<T, E>>>(jobs: I) -> Self {
        let mut set = Self::new();
        set.extend(jobs);
        set
    }
}

impl<T, E> Default for JobSet<T, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, E> fmt::Debug for JobSet<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobSet").field("len", &self.len()).finish_non_exhaustive()
    }
}
