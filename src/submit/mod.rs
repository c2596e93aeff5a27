//! The ways to spawn a job: on a pool, in a reserved place, as the child of another job.

mod job;
mod late;
mod on;
mod refused;

pub use job::Job;
pub use late::LateJob;
pub use on::SpawnOn;
pub use refused::TrySpawnError;

use crate::job::{JobContext, JobHandle, Owner, Task};
use crate::lane::Lane;
use crate::permit::Permit;
use crate::pool::Pool;
use crate::share::Share;
use std::sync::Arc;

impl Pool {
    /// Spawns a body that is given its [context](JobContext) and may fail.
    ///
    /// If the pool does not take the job, the handle says so:
    /// [`JobError::Rejected`](crate::JobError::Rejected).
    ///
    /// # Blocking
    /// It waits for nothing: for no place in the queue, no thread, no other job. But code of yours may
    /// run within the call, and takes its time:
    /// - what the body captured is dropped here if the job is refused at once, or has no time left
    ///   ([`try_spawn`](Self::try_spawn) gives a refused body back instead);
    /// - with [`WhenFull::CallerRuns`](crate::WhenFull::CallerRuns), a body that finds the queue full is
    ///   run here, however long that takes: not for async tasks;
    /// - with [`WhenFull::DropOldest`](crate::WhenFull::DropOldest), what the dropped job had captured is
    ///   dropped on a thread of the pool; here only if the system gives none for it;
    /// - an [observer](crate::Builder::observer) is told here that the job was accepted or rejected.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| {
    ///     cx.check()?;
    ///     std::fs::read_to_string("Cargo.toml")
    /// });
    /// assert!(job.wait().unwrap().contains("[package]"));
    /// ```
    #[track_caller]
    pub fn spawn<F, T, E>(&self, body: F) -> JobHandle<T, E>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.job().spawn(body)
    }

    /// Spawns a plain closure: `tokio::task::spawn_blocking`, on this pool.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// assert_eq!(pool.spawn_blocking(|| 6 * 7).wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, body: F) -> JobHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.job().spawn_blocking(body)
    }

    /// As [`spawn`](Self::spawn), but gives the body back if the job is refused at once.
    ///
    /// What becomes of it later, the handle says. That a job was dropped to make room for a younger one
    /// ([`WhenFull::DropOldest`](crate::WhenFull::DropOldest)) is such a later end.
    ///
    /// # Errors
    /// Why the job was refused, and its body, which was neither called nor dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// let permit = pool.try_reserve().unwrap(); // the only place
    /// let refused = pool.try_spawn(|_| "42".parse::<u32>()).unwrap_err();
    /// assert_eq!(refused.why(), punctual::Rejection::QueueFull);
    /// drop(permit);
    /// let job = pool.try_spawn(refused.into_body()).unwrap(); // once more
    /// assert_eq!(job.wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn try_spawn<F, T, E>(&self, body: F) -> Result<JobHandle<T, E>, TrySpawnError<F>>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.job().try_spawn(body)
    }

    /// As [`spawn_blocking`](Self::spawn_blocking), but gives the closure back if the job is refused at
    /// once; see [`try_spawn`](Self::try_spawn).
    ///
    /// # Errors
    /// Why the job was refused, and the closure.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::builder().queue_limit(100).build().unwrap();
    /// let answer = match pool.try_spawn_blocking(|| 6 * 7) {
    ///     Ok(job) => job.wait().unwrap(),
    ///     Err(refused) => refused.into_body()(), // then here
    /// };
    /// assert_eq!(answer, 42);
    /// ```
    #[track_caller]
    pub fn try_spawn_blocking<F, T>(&self, body: F) -> Result<JobHandle<T>, TrySpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.job().try_spawn_blocking(body)
    }

    /// Settings for a job on this pool.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = punctual::Pool::new();
    /// let job = pool.job().name("answer").timeout(Duration::from_secs(1)).spawn_blocking(|| 42);
    /// assert_eq!(job.wait().unwrap(), 42);
    /// ```
    pub fn job(&self) -> Job {
        Job::new(Arc::clone(self.share()))
    }
}

impl Lane {
    /// Spawns a body that is given its [context](JobContext) and may fail; see [`Pool::spawn`].
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("parse").limit(4);
    /// assert_eq!(lane.spawn(|_| "42".parse::<u32>()).wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn spawn<F, T, E>(&self, body: F) -> JobHandle<T, E>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.job().spawn(body)
    }

    /// Spawns a plain closure; see [`Pool::spawn_blocking`].
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("answers").limit(4);
    /// assert_eq!(lane.spawn_blocking(|| 6 * 7).wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, body: F) -> JobHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.job().spawn_blocking(body)
    }

    /// As [`spawn`](Self::spawn), but gives the body back if the job is refused at once; see
    /// [`Pool::try_spawn`].
    ///
    /// # Errors
    /// Why the job was refused, and its body.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("parse").queue_limit(1);
    /// let permit = lane.try_reserve().unwrap(); // the only place
    /// let refused = lane.try_spawn(|_| "42".parse::<u32>()).unwrap_err();
    /// assert_eq!(permit.spawn(refused.into_body()).wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn try_spawn<F, T, E>(&self, body: F) -> Result<JobHandle<T, E>, TrySpawnError<F>>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.job().try_spawn(body)
    }

    /// As [`spawn_blocking`](Self::spawn_blocking), but gives the closure back if the job is refused at
    /// once; see [`Pool::try_spawn`].
    ///
    /// # Errors
    /// Why the job was refused, and the closure.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("answers").queue_limit(1);
    /// let permit = lane.try_reserve().unwrap(); // the only place
    /// let refused = lane.try_spawn_blocking(|| 6 * 7).unwrap_err();
    /// assert_eq!(refused.into_body()(), 42); // then here
    /// # drop(permit);
    /// ```
    #[track_caller]
    pub fn try_spawn_blocking<F, T>(&self, body: F) -> Result<JobHandle<T>, TrySpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.job().try_spawn_blocking(body)
    }

    /// Settings for a job in this lane; see [`Pool::job`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("answers").limit(4);
    /// let job = lane.job().timeout(Duration::from_secs(1)).spawn_blocking(|| 42);
    /// assert_eq!(job.wait().unwrap(), 42);
    /// ```
    pub fn job(&self) -> Job {
        Job::new(Arc::clone(self.share()))
    }
}

impl Job {
    /// For an owner that stands before the pool's core, and as a child of `parent` unless it is
    /// somebody's child already.
    pub(crate) fn owned_by(mut self, owner: Arc<dyn Owner>, parent: Option<&Task>) -> Self {
        self.owner = Some(owner);
        self.parent = self.parent.or_else(|| parent.cloned());
        self
    }
}

impl Permit {
    /// Spawns a body in the reserved place; see [`Pool::spawn`].
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let permit = pool.try_reserve().unwrap();
    /// let job = permit.spawn(|_| "42".parse::<u32>());
    /// assert_eq!(job.wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn spawn<F, T, E>(self, body: F) -> JobHandle<T, E>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.job().spawn(body)
    }

    /// Spawns a plain closure in the reserved place; see [`Pool::spawn_blocking`].
    ///
    /// ```
    /// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// let permit = pool.try_reserve().unwrap();
    /// assert!(pool.spawn_blocking(|| 1).wait().is_err()); // no place is left
    /// assert_eq!(permit.spawn_blocking(|| 2).wait().unwrap(), 2);
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, T>(self, body: F) -> JobHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.job().spawn_blocking(body)
    }

    /// As [`spawn`](Self::spawn), but gives the body back if the job is refused all the same: the pool is
    /// shut down by now, or its [default timeout](crate::Builder::default_timeout) is too short for it.
    ///
    /// # Errors
    /// Why the job was refused, and its body. The place is given back.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let permit = pool.try_reserve().unwrap();
    /// pool.shutdown().wait();
    /// let refused = permit.try_spawn(|_| "42".parse::<u32>()).unwrap_err();
    /// assert_eq!(refused.why(), punctual::Rejection::ShutDown);
    /// ```
    #[track_caller]
    pub fn try_spawn<F, T, E>(self, body: F) -> Result<JobHandle<T, E>, TrySpawnError<F>>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.job().try_spawn(body)
    }

    /// As [`spawn_blocking`](Self::spawn_blocking), but gives the closure back if the job is refused all
    /// the same; see [`try_spawn`](Self::try_spawn).
    ///
    /// # Errors
    /// Why the job was refused, and the closure. The place is given back.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let permit = pool.try_reserve().unwrap();
    /// let job = permit.try_spawn_blocking(|| 6 * 7).unwrap();
    /// assert_eq!(job.wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn try_spawn_blocking<F, T>(self, body: F) -> Result<JobHandle<T>, TrySpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.job().try_spawn_blocking(body)
    }

    /// Settings for a job in the reserved place.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let permit = pool.try_reserve().unwrap();
    /// let job = permit.job().name("kept").spawn_blocking(|| 1);
    /// assert_eq!(job.info().name(), Some("kept"));
    /// assert_eq!(job.wait().unwrap(), 1);
    /// ```
    pub fn job(self) -> Job {
        let Self { share, place } = self;
        Job::new(share).in_place(place)
    }
}

impl JobContext {
    /// Settings for a child of this job, on the same pool, and in the same lane.
    ///
    /// A child's deadline is at most its parent's, and it is stopped when its parent is. Its own
    /// stop does not stop the parent. It may outlive the parent's ordinary end.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// let parent = pool.spawn(|cx| cx.job().spawn_blocking(|| 1).wait());
    /// assert_eq!(parent.wait().unwrap(), 1);
    /// ```
    pub fn job(&self) -> Job {
        match Share::of(self.task()) {
            Some(share) => Job::new(share).child_of(self.task()),
            None => unreachable!("every job's owner is a share of a pool"),
        }
    }
}
