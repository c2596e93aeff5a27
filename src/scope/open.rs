//! Opening a scope: on a pool, in a lane; and what its jobs are to each other.

use crate::lane::Lane;
use crate::pool::Pool;
use crate::scope::Scope;

impl Pool {
    /// Runs `f`, which can spawn jobs that borrow from the caller's stack, and waits for them all.
    ///
    /// As [`std::thread::scope`], on this pool: when it returns, every job that was spawned in it has
    /// really ended, its captures are dropped, and what they borrowed is free again. That holds for
    /// one whose handle was dropped or forgotten, for one that was stopped, and for one whose handle
    /// has resolved at its deadline while its body ran on. Gives back what `f` returns.
    ///
    /// Called in the body of a job, the scope's jobs are that job's children: they have no later
    /// deadline, and are stopped with it.
    ///
    /// A scoped job costs one allocation more than a plain one, and some short locks.
    ///
    /// # Refused jobs
    /// A job that is refused (a full queue, a pool that is shut down, no thread) is not done, and only its
    /// handle says so. Wait for every handle whose work must have been done. So it is with one that failed,
    /// was stopped, or was too late.
    ///
    /// # Blocking
    /// This thread, until the last job has ended; one that never looks whether to stop is waited for,
    /// however long. It is not for async code. In a job of the same pool, this thread runs those
    /// that still wait, one after the other (law 12).
    ///
    /// # Panics
    /// If `f` panics: its jobs are stopped and waited for, and the panic goes on. If a job panicked
    /// and its handle was dropped without being waited for: that panic goes on here, as if `f` had
    /// called the body. There is one to go on: any other is told to the pool's `on_unseen_panic`.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// let mut rows = vec![3, 1, 2, 6, 5, 4];
    /// let sorted = pool.scope(|s| {
    ///     let halves = rows.chunks_mut(3).map(|half| s.spawn_blocking(|| half.sort()));
    ///     let halves: Vec<_> = halves.collect(); // all are spawned before one is waited for
    ///     halves.into_iter().try_for_each(|half| half.wait()) // none was refused
    /// });
    /// assert!(sorted.is_ok());
    /// assert_eq!(rows, [1, 2, 3, 4, 5, 6]);
    ///
    /// // A pool that is shut down sorts nothing, and says so.
    /// pool.shutdown().wait();
    /// let mut rows = [3, 2, 1];
    /// let sorted = pool.scope(|s| s.spawn_blocking(|| rows.sort()).wait());
    /// assert!(sorted.unwrap_err().is_rejected());
    /// assert_eq!(rows, [3, 2, 1]);
    /// ```
    pub fn scope<'env, F, R>(&self, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        self.scope_with(ScopePolicy::default(), f)
    }

    /// As [`scope`](Self::scope), but the end of one job may stop the others; see [`ScopePolicy`].
    ///
    /// It gives what `f` gives: the error itself comes from the handle.
    ///
    /// # Panics
    /// As `scope` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use punctual::{Pool, ScopePolicy};
    /// use std::time::Duration;
    ///
    /// let pool = Pool::new();
    /// let servers = [Duration::MAX, Duration::ZERO, Duration::MAX]; // how long each takes
    /// let answer = pool.scope_with(ScopePolicy::FirstSuccess, |s| {
    ///     let ask = |time: &Duration| s.spawn({
    ///         let time = *time;
    ///         move |cx| cx.sleep(time).map(|()| time)
    ///     });
    ///     let asked: Vec<_> = servers.iter().map(ask).collect();
    ///     asked.into_iter().find_map(|job| job.wait().ok())
    /// });
    /// assert_eq!(answer, Some(Duration::ZERO));
    /// ```
    pub fn scope_with<'env, F, R>(&self, policy: ScopePolicy, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        super::run(self.job(), policy, f)
    }
}

impl Lane {
    /// Runs `f`, which can spawn jobs in this lane that borrow from the caller's stack, and waits for
    /// them all; see [`Pool::scope`]. A job that is refused is not done, and only its handle says so.
    ///
    /// # Blocking
    /// This thread, until the last job has ended, as [`Pool::scope`] does.
    ///
    /// # Panics
    /// As [`Pool::scope`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// let sorts = pool.lane("sorts").limit(2);
    /// let mut rows = vec![3, 1, 2, 6, 5, 4];
    /// let sorted = sorts.scope(|s| {
    ///     let (left, right) = rows.split_at_mut(3);
    ///     let halves = [left, right].map(|half| s.spawn_blocking(|| half.sort()));
    ///     halves.into_iter().try_for_each(|half| half.wait()) // none was refused
    /// });
    /// assert!(sorted.is_ok());
    /// assert_eq!((rows, sorts.metrics().returned), (vec![1, 2, 3, 4, 5, 6], 2));
    /// ```
    pub fn scope<'env, F, R>(&self, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        self.scope_with(ScopePolicy::default(), f)
    }

    /// As [`scope`](Self::scope), but the end of one job may stop the others; see [`ScopePolicy`].
    ///
    /// It gives what `f` gives: the error itself comes from the handle.
    ///
    /// # Panics
    /// As [`Pool::scope`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use punctual::ScopePolicy;
    ///
    /// let pool = punctual::Pool::new();
    /// let lane = pool.lane("numbers").limit(1);
    /// let sum = lane.scope_with(ScopePolicy::FailFast, |s| {
    ///     let parsed = ["1", "x", "3"].map(|text| s.spawn(move |_| text.parse::<u32>()));
    ///     parsed.into_iter().map(|job| job.wait().ok()).sum::<Option<u32>>()
    /// });
    /// assert_eq!(sum, None);
    /// ```
    pub fn scope_with<'env, F, R>(&self, policy: ScopePolicy, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        super::run(self.job(), policy, f)
    }
}

/// What the end of one job is to the others of its [scope](Pool::scope_with).
///
/// # Examples
///
/// ```
/// use punctual::{Cause, JobError, Pool, ScopePolicy};
/// use std::time::Duration;
///
/// let pool = Pool::new();
/// pool.scope_with(ScopePolicy::FailFast, |s| {
///     let long = s.spawn(|cx| cx.sleep(Duration::MAX));
///     let wrong = s.spawn(|_| "12x".parse::<u32>());
///     assert!(wrong.wait().is_err());
///     let Err(JobError::Cancelled(stop)) = long.wait() else { panic!("it sleeps for ever") };
///     assert_eq!(stop.cause(), Cause::Scope);
/// });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScopePolicy {
    /// Nothing: each goes its way, and all are waited for.
    #[default]
    WaitForAll,
    /// The first job that does not end in `Ok` stops the others: those that wait never start, and so
    /// do those that are spawned later. It failed, panicked, was refused or stopped, or its time was
    /// up.
    FailFast,
    /// The first job that ends in `Ok` stops the others, and those that are spawned later.
    FirstSuccess,
}
