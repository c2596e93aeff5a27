//! A panic of user code, kept so that it can go on elsewhere or be told.

use crate::info::{Identity, JobId};
use crate::sync::Mutex;
use crate::unwind::{self, Payload};
use std::fmt;
use std::panic::Location;

/// A panic of a job's body, or of a destructor or hook of that job.
///
/// Dropping it drops the panic's payload.
///
/// # Examples
///
/// ```
/// use punctual::{JobError, Pool};
///
/// let pool = Pool::new();
/// let job = pool.job().name("sum").spawn_blocking(|| -> u32 { std::panic::panic_any("no sum") });
/// let Err(JobError::Panicked(panic)) = job.wait() else { panic!("it panicked") };
/// assert_eq!((panic.name(), panic.message()), (Some("sum"), "no sum"));
/// ```
pub struct Panic(Box<Inner>);

struct Inner {
    /// Behind a lock only so that `Panic` is `Sync`, which a payload need not be.
    payload: Mutex<Payload>,
    message: String,
    identity: Option<Identity>,
}

impl Panic {
    pub(crate) fn new(payload: Payload, identity: Option<Identity>) -> Self {
        let message = unwind::message(&payload);
        Self(Box::new(Inner { payload: Mutex::new(payload), message, identity }))
    }

    /// Goes on with the panic on this thread, without calling the panic hook again.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| -> u32 { panic!("no sum") });
    /// let Err(JobError::Panicked(panic)) = job.wait() else { unreachable!() };
    /// let caught = std::panic::catch_unwind(|| panic.resume());
    /// assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"no sum"));
    /// ```
    pub fn resume(self) -> ! {
        std::panic::resume_unwind(self.into_payload())
    }

    /// What the panic carried.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| -> u32 { std::panic::panic_any(404) });
    /// let Err(JobError::Panicked(panic)) = job.wait() else { unreachable!() };
    /// assert_eq!(panic.into_payload().downcast_ref(), Some(&404));
    /// ```
    #[must_use]
    pub fn into_payload(self) -> Box<dyn std::any::Any + Send + 'static> {
        self.0.payload.into_inner()
    }

    /// The panic's text, where its payload is text.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| -> u32 { panic!("row {} has no sum", 7) });
    /// let Err(JobError::Panicked(panic)) = job.wait() else { unreachable!() };
    /// assert_eq!(panic.message(), "row 7 has no sum");
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Which job; `None` for a thread's hook.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| -> u32 { panic!("no sum") });
    /// let id = job.id();
    /// let Err(JobError::Panicked(panic)) = job.wait() else { unreachable!() };
    /// assert_eq!(panic.id(), Some(id));
    /// ```
    #[must_use]
    pub fn id(&self) -> Option<JobId> {
        self.0.identity.as_ref().map(|identity| identity.id)
    }

    /// The job's name.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().name("sum").spawn_blocking(|| -> u32 { panic!("no sum") });
    /// let Err(JobError::Panicked(panic)) = job.wait() else { unreachable!() };
    /// assert_eq!(panic.name(), Some("sum"));
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.identity.as_ref().and_then(|identity| identity.name.as_deref())
    }

    /// Where the job was spawned.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # let pool = punctual::Pool::new();
    /// let (line, job) = (line!(), pool.spawn_blocking(|| -> u32 { panic!("no sum") }));
    /// let Err(JobError::Panicked(panic)) = job.wait() else { unreachable!() };
    /// assert_eq!(panic.location().map(|at| at.line()), Some(line));
    /// ```
    #[must_use]
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.0.identity.as_ref().map(|identity| identity.location)
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panic")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("message", &self.0.message)
            .finish_non_exhaustive()
    }
}

/// ``job `report` (#7, spawned at src/main.rs:3:5) panicked: index out of bounds``
impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.identity {
            Some(identity) => write!(f, "{identity} panicked: {}", self.0.message),
            None => write!(f, "a hook of the pool panicked: {}", self.0.message),
        }
    }
}
