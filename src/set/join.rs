//! Taking the outcomes of a set, in every way: awaited, polled, blocked for.

use crate::deadline::Deadline;
use crate::error::JobError;
use crate::info::JobId;
use crate::job::{How, JobHandle, Waiting};
use crate::park;
use crate::set::JobSet;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

impl<T, E> JobSet<T, E> {
    /// Waits for the next outcome; `None` if the set is empty.
    ///
    /// # Cancel safety
    /// A dropped future has taken nothing: the outcome is there for the next call.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut set = punctual::JobSet::new();
    /// set.spawn_blocking(|| 1);
    /// assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
    /// assert!(set.join_next().await.is_none());
    /// # }
    /// ```
    pub async fn join_next(&mut self) -> Option<Result<T, JobError<E>>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](Self::join_next), and says which job it was: `(id, outcome)`, where tokio's has the
    /// id inside the `Ok`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut set = punctual::JobSet::new();
    /// let id = set.spawn_blocking(|| 1).id();
    /// let (joined, outcome) = set.join_next_with_id().await.unwrap();
    /// assert_eq!((joined, outcome.unwrap()), (id, 1));
    /// # }
    /// ```
    pub async fn join_next_with_id(&mut self) -> Option<(JobId, Result<T, JobError<E>>)> {
        poll_fn(|cx| self.poll_next_job(cx)).await.map(|job| (job.id(), job.take()))
    }

    /// The next outcome, if one is ready.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let mut set = punctual::JobSet::new();
    /// set.spawn(|cx| cx.sleep(Duration::MAX));
    /// assert!(set.try_join_next().is_none());
    /// ```
    pub fn try_join_next(&mut self) -> Option<Result<T, JobError<E>>> {
        self.next_ready().map(|job| job.take())
    }

    /// As [`try_join_next`](Self::try_join_next), and says which job it was.
    ///
    /// ```
    /// let mut set = punctual::JobSet::new();
    /// let id = set.spawn_blocking(|| 1).id();
    /// let (joined, outcome) = loop {
    ///     match set.try_join_next_with_id() {
    ///         Some(next) => break next,
    ///         None => std::thread::yield_now(),
    ///     }
    /// };
    /// assert_eq!((joined, outcome.unwrap()), (id, 1));
    /// ```
    pub fn try_join_next_with_id(&mut self) -> Option<(JobId, Result<T, JobError<E>>)> {
        self.next_ready().map(|job| (job.id(), job.take()))
    }

    /// As [`join_next`](Self::join_next), for a future that is polled by hand.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut set = punctual::JobSet::new();
    /// set.spawn_blocking(|| 1);
    /// let next = std::future::poll_fn(|cx| set.poll_join_next(cx));
    /// assert_eq!(next.await.unwrap().unwrap(), 1);
    /// # }
    /// ```
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JobError<E>>>> {
        self.poll_next_job(cx).map(|job| job.map(|job| job.take()))
    }

    /// Blocks this thread until the next outcome is ready; `None` if the set is empty. Needs no
    /// runtime.
    ///
    /// ```
    /// let mut set = punctual::JobSet::new();
    /// set.spawn_blocking(|| 1);
    /// assert_eq!(set.wait_next().unwrap().unwrap(), 1);
    /// assert!(set.wait_next().is_none());
    /// ```
    pub fn wait_next(&mut self) -> Option<Result<T, JobError<E>>> {
        let _waiting = self.begin_to_wait(How::OrRun);
        park::wait(&mut poll_fn(|cx| self.poll_join_next(cx)))
    }

    /// Blocks this thread until the next outcome is ready, or for so long; `None` then, and if the
    /// set is empty.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let mut set = punctual::JobSet::new();
    /// set.spawn(|cx| cx.sleep(Duration::MAX));
    /// assert!(set.wait_next_timeout(Duration::from_millis(1)).is_none());
    /// assert_eq!(set.len(), 1); // it goes on
    /// ```
    pub fn wait_next_timeout(&mut self, time: Duration) -> Option<Result<T, JobError<E>>> {
        self.wait_next_deadline(Deadline::after(time))
    }

    /// Blocks this thread until the next outcome is ready, or until the deadline (an
    /// [`Instant`](std::time::Instant) or a [`Deadline`]); `None` then, and if the set is empty.
    ///
    /// ```
    /// # use punctual::Deadline;
    /// let mut set = punctual::JobSet::new();
    /// set.spawn_blocking(|| 1);
    /// assert!(matches!(set.wait_next_deadline(Deadline::NEVER), Some(Ok(1))));
    /// ```
    pub fn wait_next_deadline(
        &mut self,
        deadline: impl Into<Deadline>,
    ) -> Option<Result<T, JobError<E>>> {
        let deadline = deadline.into();
        let _waiting = self.begin_to_wait(How::until(deadline));
        park::block_on(&mut poll_fn(|cx| self.poll_join_next(cx)), deadline).flatten()
    }

    /// This thread waits for any of the jobs, and may run one, in a job of the same pool (law 12).
    pub(crate) fn begin_to_wait(&self, how: How) -> Waiting {
        Waiting::for_any(self.jobs.values().map(JobHandle::task), how)
    }

    /// Waits for all jobs: their outcomes, in the order in which they were ready. (tokio's panics if
    /// a task failed; this gives the error in its place.)
    ///
    /// # Cancel safety
    /// The set is the future's: dropping it stops the jobs that have not ended, and drops the
    /// outcomes.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut set = punctual::JobSet::new();
    /// for n in [1, 2, 3] {
    ///     set.spawn_blocking(move || n);
    /// }
    /// let numbers: Result<Vec<_>, _> = set.join_all().await.into_iter().collect();
    /// assert_eq!(numbers.unwrap().into_iter().sum::<i32>(), 6);
    /// # }
    /// ```
    pub async fn join_all(mut self) -> Vec<Result<T, JobError<E>>> {
        let mut all = Vec::with_capacity(self.len());
        while let Some(outcome) = self.join_next().await {
            all.push(outcome);
        }
        all
    }

    /// Blocks this thread until all jobs have ended; see [`join_all`](Self::join_all).
    ///
    /// ```
    /// let mut set = punctual::JobSet::new();
    /// set.spawn_blocking(|| 1);
    /// set.spawn_blocking(|| 2);
    /// assert_eq!(set.wait_all().len(), 2);
    /// ```
    pub fn wait_all(mut self) -> Vec<Result<T, JobError<E>>> {
        let mut all = Vec::with_capacity(self.len());
        while let Some(outcome) = self.wait_next() {
            all.push(outcome);
        }
        all
    }

    fn poll_next_job(&mut self, cx: &mut Context<'_>) -> Poll<Option<JobHandle<T, E>>> {
        loop {
            match self.next_ready() {
                Some(job) => return Poll::Ready(Some(job)),
                None if self.jobs.is_empty() => return Poll::Ready(None),
                None if self.board.watch(cx.waker()) => return Poll::Pending,
                None => {}
            }
        }
    }

    /// Takes a job out whose outcome is ready, if there is one.
    fn next_ready(&mut self) -> Option<JobHandle<T, E>> {
        loop {
            let id = self.board.take()?;
            if let Some(job) = self.jobs.remove(&id) {
                return Some(job);
            }
        }
    }
}
