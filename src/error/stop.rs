//! What is known of a stop: to the body that is stopped, and to the handle that hears of it.

use crate::info::{Identity, JobId};
use crate::stop::{Cause, Phase};
use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// How a job was stopped: in which phase, by whom, and after how long.
///
/// If the body ended after the stop with an error of its own, that is kept here.
///
/// # Examples
///
/// ```
/// use punctual::{Cause, JobError, Phase, Pool};
/// use std::time::Duration;
///
/// let pool = Pool::new();
/// let job = pool.job().run_timeout(Duration::from_millis(5)).spawn(|cx| cx.sleep(Duration::MAX));
/// let Err(JobError::TimedOut(stop)) = job.wait() else { panic!("it sleeps for ever") };
/// assert_eq!((stop.phase(), stop.cause()), (Phase::Running, Cause::Deadline));
/// assert!(stop.ran_for() >= Duration::from_millis(5));
/// ```
pub struct Stop<E = Infallible>(Box<Inner<E>>);

struct Inner<E> {
    identity: Identity,
    phase: Phase,
    cause: Cause,
    queued_for: Duration,
    ran_for: Duration,
    error: Option<E>,
}

impl<E> Stop<E> {
    pub(crate) fn new(
        identity: Identity,
        phase: Phase,
        cause: Cause,
        (queued_for, ran_for): (Duration, Duration),
        error: Option<E>,
    ) -> Self {
        Self(Box::new(Inner { identity, phase, cause, queued_for, ran_for, error }))
    }

    /// Where the stop caught the job. [`Phase::Queued`] means that its body was never called.
    ///
    /// ```
    /// # use punctual::Phase;
    /// # use punctual::JobError;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().timeout(Duration::ZERO).spawn_blocking(|| ());
    /// let Err(JobError::TimedOut(stop)) = job.wait() else { unreachable!() };
    /// assert_eq!(stop.phase(), Phase::Queued); // safe to try again
    /// ```
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// Who asked for it.
    ///
    /// ```
    /// # use punctual::Cause;
    /// # use punctual::JobError;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.sleep(Duration::MAX));
    /// pool.shutdown().wait();
    /// let Err(JobError::Cancelled(stop)) = job.wait() else { unreachable!() };
    /// assert_eq!(stop.cause(), Cause::Shutdown);
    /// ```
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.0.cause
    }

    /// How long the job was in the queue.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # use std::time::Duration;
    /// let pool = punctual::Pool::builder().threads(..=1).build().unwrap();
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn_blocking(move || gate.recv()); // takes the only thread
    /// # while pool.metrics().queued > 0 { std::thread::yield_now(); }
    /// let job = pool.job().timeout(Duration::from_millis(5)).spawn_blocking(|| ());
    /// let Err(JobError::TimedOut(stop)) = job.wait() else { unreachable!() };
    /// assert!(stop.queued_for() >= Duration::from_millis(5));
    /// drop(go);
    /// ```
    #[must_use]
    pub fn queued_for(&self) -> Duration {
        self.0.queued_for
    }

    /// How long the body had run when the job's outcome was decided; zero if it never did.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().run_timeout(Duration::from_millis(5)).spawn(|cx| cx.sleep(Duration::MAX));
    /// let Err(JobError::TimedOut(stop)) = job.wait() else { unreachable!() };
    /// assert!(stop.ran_for() >= Duration::from_millis(5));
    /// ```
    #[must_use]
    pub fn ran_for(&self) -> Duration {
        self.0.ran_for
    }

    /// Which job.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().timeout(Duration::ZERO).spawn_blocking(|| ());
    /// let id = job.id();
    /// let Err(JobError::TimedOut(stop)) = job.wait() else { unreachable!() };
    /// assert_eq!(stop.id(), id);
    /// ```
    #[must_use]
    pub fn id(&self) -> JobId {
        self.0.identity.id
    }

    /// The job's name.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().name("report").timeout(Duration::ZERO).spawn_blocking(|| ());
    /// let Err(JobError::TimedOut(stop)) = job.wait() else { unreachable!() };
    /// assert_eq!(stop.name(), Some("report"));
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.identity.name.as_deref()
    }

    /// Where the job was spawned.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let short = pool.job().timeout(Duration::ZERO);
    /// let (line, job) = (line!(), short.spawn_blocking(|| ()));
    /// let Err(JobError::TimedOut(stop)) = job.wait() else { unreachable!() };
    /// assert_eq!(stop.location().line(), line);
    /// ```
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.0.identity.location
    }

    /// The error that the body returned after it was asked to stop, if it came to that.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| {
    ///     cx.sleep(Duration::MAX).map_err(|_| "rolled back")
    /// });
    /// # while job.info().phase() == punctual::Phase::Queued { std::thread::yield_now(); }
    /// job.cancel(); // it runs by now
    /// let Err(JobError::Cancelled(stop)) = job.wait() else { unreachable!() };
    /// assert_eq!(stop.error(), Some(&"rolled back"));
    /// ```
    #[must_use]
    pub fn error(&self) -> Option<&E> {
        self.0.error.as_ref()
    }

    /// The error that the body returned after it was asked to stop, if it came to that.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| {
    ///     cx.sleep(Duration::MAX).map_err(|_| "rolled back")
    /// });
    /// # while job.info().phase() == punctual::Phase::Queued { std::thread::yield_now(); }
    /// job.cancel(); // it runs by now
    /// let Err(JobError::Cancelled(stop)) = job.wait() else { unreachable!() };
    /// assert_eq!(stop.into_error(), Some("rolled back"));
    /// ```
    #[must_use]
    pub fn into_error(self) -> Option<E> {
        self.0.error
    }

    /// The same stop, with the body's error turned into another.
    pub(crate) fn map<F>(self, turn: impl FnOnce(E) -> F) -> Stop<F> {
        let Inner { identity, phase, cause, queued_for, ran_for, error } = *self.0;
        Stop::new(identity, phase, cause, (queued_for, ran_for), error.map(turn))
    }

    /// The same stop, and the body's error apart from it.
    pub(crate) fn split(self) -> (Stop, Option<E>) {
        let Inner { identity, phase, cause, queued_for, ran_for, error } = *self.0;
        (Stop::new(identity, phase, cause, (queued_for, ran_for), None), error)
    }
}

impl<E: fmt::Debug> fmt::Debug for Stop<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("phase", &self.phase())
            .field("cause", &self.cause())
            .field("queued_for", &self.queued_for())
            .field("ran_for", &self.ran_for())
            .field("error", &self.error())
            .finish_non_exhaustive()
    }
}

/// ``job `report` (#7, spawned at src/main.rs:3:5) timed out after 50.0ms in the queue; it never
/// started``
impl<E> fmt::Display for Stop<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { identity, phase, cause, queued_for, ran_for, .. } = &*self.0;
        match cause {
            Cause::Deadline => write!(f, "{identity} timed out")?,
            other => write!(f, "{identity} was cancelled because {other},")?,
        }
        match phase {
            Phase::Queued => write!(f, " after {queued_for:.1?} in the queue; it never started"),
            Phase::Running => write!(f, " {ran_for:.1?} after its start ({queued_for:.1?} queued)"),
        }
    }
}

/// The error of [`check`](crate::JobContext::check): the job was asked to stop.
///
/// It converts into an [`io::Error`](std::io::Error) of kind `TimedOut` (a deadline) or `Other`,
/// never `Interrupted`, which the standard library answers by trying again.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// let pool = punctual::Pool::new();
/// let job = pool.spawn(|cx| -> io::Result<()> {
///     cx.check()?;
///     Ok(())
/// });
/// assert!(job.wait().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("job {id} was asked to stop: {cause}")]
pub struct Stopped {
    pub(crate) id: JobId,
    pub(crate) cause: Cause,
}

impl Stopped {
    /// Who asked for it.
    ///
    /// ```
    /// # use punctual::{Cause, Checked};
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| -> Checked<_> {
    ///     cx.token().cancel();
    ///     Ok(cx.check().unwrap_err().cause())
    /// });
    /// assert_eq!(job.wait().unwrap(), Cause::Token);
    /// ```
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Which job was asked.
    ///
    /// ```
    /// # use punctual::Checked;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| -> Checked<_> {
    ///     cx.token().cancel();
    ///     Ok(cx.check().unwrap_err().id() == cx.id())
    /// });
    /// assert!(job.wait().unwrap());
    /// ```
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }
}
