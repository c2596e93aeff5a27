//! How long a request may take, and whether its client is still there.

use crate::deadline::Deadline;
use crate::submit::{Job, SpawnOn};
use http::Extensions;
use tokio_util::sync::CancellationToken;

/// The limits of a request: the deadline by which its work must have ended, and a token that is cancelled
/// when nobody waits for its response any more. [`DeadlineLayer`](super::DeadlineLayer) puts it into the
/// request's extensions.
///
/// Cheap to clone; the clones have one token.
///
/// # Examples
///
/// ```
/// use http::Extensions;
/// use punctual::tower::Limits;
///
/// let pool = punctual::Pool::new();
/// let extensions = Extensions::new(); // of a request
/// let limits = Limits::of(&extensions);
/// let job = limits.job(&pool).name("lookup").spawn(|cx| cx.check());
/// assert!(job.wait().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    deadline: Deadline,
    token: CancellationToken,
}

impl Limits {
    /// Within those that there are already, if there are any.
    pub(super) fn within(outer: Option<&Self>, deadline: Deadline) -> Self {
        match outer {
            None => Self { deadline, token: CancellationToken::new() },
            Some(outer) => Self {
                deadline: outer.deadline.earliest(deadline),
                token: outer.token.child_token(),
            },
        }
    }

    /// Those of the request with these extensions. Where no layer has put any there: no deadline, and a
    /// token that nobody cancels.
    ///
    /// ```
    /// # use punctual::{Deadline, tower::Limits};
    /// let limits = Limits::of(&http::Extensions::new());
    /// assert_eq!(limits.deadline(), Deadline::NEVER);
    /// assert!(!limits.token().is_cancelled());
    /// ```
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        let limits = extensions.get::<Self>().cloned();
        limits.unwrap_or_else(|| Self::within(None, Deadline::NEVER))
    }

    /// By when the request's work must have ended, for its response to be in time;
    /// [`NEVER`](Deadline::NEVER) where there is no such time.
    ///
    /// ```
    /// # use punctual::{Deadline, tower::Limits};
    /// let limits = Limits::of(&http::Extensions::new());
    /// assert_eq!(limits.deadline().remaining(), None);
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Cancelled when nobody waits for the response any more; see
    /// [`DeadlineLayer`](super::DeadlineLayer#the-token).
    ///
    /// ```
    /// # use punctual::tower::Limits;
    /// let limits = Limits::of(&http::Extensions::new());
    /// let child = limits.token().child_token(); // for what the request starts, and may end itself
    /// assert!(!child.is_cancelled());
    /// ```
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Settings for a job there, with this deadline and this token.
    ///
    /// ```
    /// # use punctual::tower::Limits;
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("lookups").limit(4);
    /// let limits = Limits::of(&http::Extensions::new());
    /// assert_eq!(limits.job(&lane).spawn_blocking(|| 42).wait().unwrap(), 42);
    /// ```
    pub fn job(&self, on: &impl SpawnOn) -> Job {
        self.apply(on.job())
    }

    /// The job, with this deadline and this token. Where it has a deadline or a timeout of its own, the
    /// earlier one counts; a token of its own is replaced. Without a deadline here, the
    /// [default timeout](crate::Lane::default_timeout) of its lane or pool counts.
    ///
    /// ```
    /// # use punctual::{Stopped, tower::Limits};
    /// let pool = punctual::Pool::new();
    /// let limits = Limits::of(&http::Extensions::new());
    /// let job = pool.spawn(move |cx| -> Result<_, Stopped> {
    ///     let child = limits.apply(cx.job()).name("part of it").spawn_blocking(|| 42);
    ///     Ok(child.wait().unwrap())
    /// });
    /// assert_eq!(job.wait().unwrap(), 42);
    /// ```
    pub fn apply(&self, job: Job) -> Job {
        job.by(self.deadline).token(&self.token)
    }
}
