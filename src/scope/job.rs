//! The settings of a scoped job, for the body that comes last.

use crate::job::JobContext;
use crate::scope::{Scope, ScopedHandle};
use crate::submit::Job;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

/// The settings of a job in a scope; see [`Scope::with`].
///
/// # Examples
///
/// ```
/// use punctual::{Pool, Scope, ScopedJob};
///
/// fn named<'scope, 'env>(s: &'scope Scope<'scope, 'env>, pool: &Pool) -> ScopedJob<'scope, 'env> {
///     s.with(pool.job().name("sum"))
/// }
///
/// let pool = Pool::new();
/// let numbers = [1, 2, 3];
/// let sum = pool.scope(|s| named(s, &pool).spawn_blocking(|| numbers.iter().sum::<u32>()).wait());
/// assert_eq!(sum.unwrap(), 6);
/// ```
#[must_use = "settings do nothing until a body is spawned with them"]
pub struct ScopedJob<'scope, 'env: 'scope> {
    /// It also keeps `'scope` as it is: a shorter one would let the body borrow for less.
    pub(super) scope: &'scope Scope<'scope, 'env>,
    pub(super) job: Job,
}

impl<'scope> ScopedJob<'scope, '_> {
    /// Spawns a body that is given its context and may fail; see [`Scope::spawn`].
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let text = String::from("42");
    /// let answer = pool.scope(|s| s.with(pool.job().name("parse")).spawn(|_| text.parse::<u32>()).wait());
    /// assert_eq!(answer.unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn spawn<F, T, E>(self, body: F) -> ScopedHandle<'scope, T, E>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'scope,
        T: Send + 'scope,
        E: Send + 'scope,
    {
        let (ticket, packet) = self.scope.lend(body);
        let plain = self.job.spawn(move |cx: &JobContext| ticket.run(cx));
        ScopedHandle::new(plain, packet, Arc::clone(&self.scope.members))
    }

    /// Spawns a plain closure; see [`Scope::spawn_blocking`].
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let text = String::from("42");
    /// let length = pool.scope(|s| s.with(pool.job().name("measure")).spawn_blocking(|| text.len()).wait());
    /// assert_eq!(length.unwrap(), 2);
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, T>(self, body: F) -> ScopedHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.spawn(move |_: &JobContext| Ok::<T, Infallible>(body()))
    }
}

impl fmt::Debug for ScopedJob<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJob").field("job", &self.job).finish_non_exhaustive()
    }
}
