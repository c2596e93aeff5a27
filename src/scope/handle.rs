//! The handle of a scoped job: it waits for the plain one, and takes the result out of the packet.

use crate::error::JobError;
use crate::info::JobId;
use crate::job::AbortHandle;
use crate::scope::members::{Members, Plain};
use crate::scope::packet::Left;
use crate::stop::Phase;
use std::convert::Infallible;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// A job that was spawned in a [scope](crate::Pool::scope): the means to wait for it and to stop it.
///
/// Dropping it detaches the job: it goes on, and the scope waits for it. A value that it leaves is
/// dropped, and so is one that comes after its deadline. If it panics, so does the scope at its end.
///
/// # Examples
///
/// ```
/// use punctual::{Pool, ScopedHandle};
///
/// let text = String::from("to be or not to be");
/// let count = Pool::new().scope(|s| {
///     let words: ScopedHandle<'_, usize> = s.spawn_blocking(|| text.split(' ').count());
///     words.wait()
/// });
/// assert_eq!(count.unwrap(), 6);
/// ```
pub struct ScopedHandle<'scope, T, E = Infallible> {
    /// There until it was waited for.
    plain: Option<Plain>,
    stopper: AbortHandle,
    packet: Arc<dyn Left<T, E> + 'scope>,
    members: Arc<Members>,
}

impl<'scope, T, E> ScopedHandle<'scope, T, E> {
    pub(super) fn new(
        plain: Plain,
        packet: Arc<dyn Left<T, E> + 'scope>,
        members: Arc<Members>,
    ) -> Self {
        Self { stopper: plain.abort_handle(), plain: Some(plain), packet, members }
    }

    /// Blocks this thread until the outcome is there; in a job of the same pool, it runs the job right
    /// there if that still waits.
    ///
    /// The outcome of a job with a deadline is there by then, as that of any other. Its body may go
    /// on; the end of the scope waits for it.
    ///
    /// # Errors
    /// Why there is no value.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let number = 41;
    /// pool.scope(|s| assert_eq!(s.spawn_blocking(|| number + 1).wait().unwrap(), 42));
    /// ```
    pub fn wait(mut self) -> Result<T, JobError<E>> {
        let Some(plain) = self.plain.take() else {
            unreachable!("this is the only one to take it")
        };
        match (plain.wait(), &self.packet) {
            (Ok(()), packet) => match packet.take() {
                Some(Ok(value)) => Ok(value),
                _ => unreachable!("a body that returned `Ok` left its value"),
            },
            (Err(error), packet) => Err(error.map(|_| match packet.take() {
                Some(Err(error)) => error,
                _ => unreachable!("a body that returned `Err` left its error"),
            })),
        }
    }

    /// Asks the job to stop, and says what that hit; see [`JobHandle::cancel`](crate::JobHandle::cancel).
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// pool.scope(|s| {
    ///     let job = s.spawn(|cx| cx.sleep(std::time::Duration::MAX));
    ///     assert!(job.cancel().is_some());
    ///     assert!(job.wait().unwrap_err().is_cancelled());
    /// });
    /// ```
    pub fn cancel(&self) -> Option<Phase> {
        self.stopper.cancel()
    }

    /// A handle that can stop the job, and nothing else. It may leave the scope.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let stopper = pool.scope(|s| s.spawn_blocking(|| ()).abort_handle());
    /// assert_eq!(stopper.cancel(), None); // too late
    /// ```
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        self.stopper.clone()
    }

    /// Whether the outcome is there: a wait would give it at once.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// pool.scope(|s| {
    ///     let job = s.spawn_blocking(|| ());
    ///     while !job.is_finished() {
    ///         std::thread::yield_now();
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.stopper.is_finished()
    }

    /// The job's number.
    ///
    /// ```
    /// # use punctual::Checked;
    /// # let pool = punctual::Pool::new();
    /// pool.scope(|s| {
    ///     let job = s.spawn(|cx| -> Checked<_> { Ok(cx.id()) });
    ///     let id = job.id();
    ///     assert_eq!(job.wait().unwrap(), id);
    /// });
    /// ```
    #[must_use]
    pub fn id(&self) -> JobId {
        self.stopper.id()
    }
}

impl<T, E> Drop for ScopedHandle<'_, T, E> {
    fn drop(&mut self) {
        self.stopper.task().head.catch(|| self.packet.refuse());
        if let Some(plain) = self.plain.take() {
            self.members.adopt(plain);
        }
    }
}

// As a plain job's.
impl<T, E> UnwindSafe for ScopedHandle<'_, T, E> {}
impl<T, E> RefUnwindSafe for ScopedHandle<'_, T, E> {}

impl<T, E> fmt::Debug for ScopedHandle<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedHandle")
            .field("id", &self.id())
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
