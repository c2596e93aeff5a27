//! What is known of a job from outside: its id, its name, where it was spawned, how far it got.

#[cfg(feature = "serde")]
mod serial;

use crate::priority::Priority;
use crate::stop::Phase;
use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU64;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A job's number, unlike that of any other job of this process.
///
/// # Examples
///
/// ```
/// let pool = punctual::Pool::new();
/// let (a, b) = (pool.spawn_blocking(|| ()), pool.spawn_blocking(|| ()));
/// assert_ne!(a.id(), b.id());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(NonZeroU64);

impl JobId {
    pub(crate) fn next() -> Self {
        // Not the facade's: a static of loom's can not be made in a constant.
        static LAST: AtomicU64 = AtomicU64::new(0);
        // ORDERING: Relaxed, nothing but the number itself hangs on it.
        let number = LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }

    /// The number itself.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let id = pool.spawn_blocking(|| ()).id();
    /// assert_eq!(id.to_string(), format!("#{}", id.get()));
    /// ```
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Which job: what errors and reports name it by.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: JobId,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) location: &'static Location<'static>,
}

/// ``job `report` (#7, spawned at src/main.rs:3:5)``
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "job `{name}` ({}, spawned at {})", self.id, self.location),
            None => write!(f, "job {} (spawned at {})", self.id, self.location),
        }
    }
}

/// What is known of a job at a moment.
///
/// Reports of a shutdown and [`Pool::overdue`](crate::Pool::overdue) name jobs by it.
///
/// # Examples
///
/// ```
/// let pool = punctual::Pool::new();
/// let job = pool.job().name("report").spawn_blocking(|| ());
/// assert_eq!(job.info().name(), Some("report"));
/// assert!(job.info().location().file().ends_with(".rs"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JobInfo {
    pub(crate) identity: Identity,
    pub(crate) lane: Option<Cow<'static, str>>,
    pub(crate) priority: Priority,
    pub(crate) phase: Phase,
    pub(crate) queued_for: Duration,
    pub(crate) ran_for: Duration,
    pub(crate) overdue_by: Option<Duration>,
    pub(crate) thread: Option<String>,
}

impl JobInfo {
    /// The job's number.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| ());
    /// assert_eq!(job.info().id(), job.id());
    /// ```
    #[must_use]
    pub fn id(&self) -> JobId {
        self.identity.id
    }

    /// The name it was given.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().name("report").spawn_blocking(|| ());
    /// assert_eq!(job.info().name(), Some("report"));
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.identity.name.as_deref()
    }

    /// The name of the [lane](crate::Lane) that it is in, the innermost one; `None` if it is in none.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("thumbnails").limit(4);
    /// assert_eq!(lane.spawn_blocking(|| ()).info().lane(), Some("thumbnails"));
    /// assert_eq!(pool.spawn_blocking(|| ()).info().lane(), None);
    /// ```
    #[must_use]
    pub fn lane(&self) -> Option<&str> {
        self.lane.as_deref()
    }

    /// Where it was spawned.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let (line, job) = (line!(), pool.spawn_blocking(|| ()));
    /// assert_eq!(job.info().location().line(), line);
    /// ```
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.identity.location
    }

    /// Its class in the queue.
    ///
    /// ```
    /// # use punctual::Priority;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().priority(Priority::Low).spawn_blocking(|| ());
    /// assert_eq!(job.info().priority(), Priority::Low);
    /// ```
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Whether it had started. A job that never did, or never will, is [`Phase::Queued`].
    ///
    /// ```
    /// # use punctual::Phase;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| ());
    /// job.wait_stopped();
    /// assert_eq!(job.info().phase(), Phase::Running); // it had started
    /// ```
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// How long it was in the queue, from `spawn` until it started or, before that, until now.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let pool = punctual::Pool::builder().threads(..=1).build().unwrap();
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn_blocking(move || gate.recv()); // takes the only thread
    /// # while pool.metrics().queued > 0 { std::thread::yield_now(); }
    /// let job = pool.job().timeout(Duration::from_millis(5)).spawn_blocking(|| ());
    /// job.wait_stopped();
    /// assert!(job.info().queued_for() >= Duration::from_millis(5));
    /// drop(go);
    /// ```
    #[must_use]
    pub fn queued_for(&self) -> Duration {
        self.queued_for
    }

    /// How long ago it started; zero if it has not.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let (send, receive) = std::sync::mpsc::channel::<()>();
    /// let deaf = pool.job().run_timeout(Duration::from_millis(5)).spawn_blocking(move || receive.recv());
    /// assert!(deaf.wait().is_err());
    /// assert!(pool.overdue()[0].ran_for() >= Duration::from_millis(5));
    /// drop(send);
    /// ```
    #[must_use]
    pub fn ran_for(&self) -> Duration {
        self.ran_for
    }

    /// How long its body has gone on after its handle resolved without it; `None` if it has not.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let (send, receive) = std::sync::mpsc::channel::<()>();
    /// let deaf = pool.job().run_timeout(Duration::from_millis(5)).spawn_blocking(move || receive.recv());
    /// assert!(deaf.wait().is_err());
    /// assert!(pool.overdue()[0].overdue_by().is_some());
    /// drop(send);
    /// ```
    #[must_use]
    pub fn overdue_by(&self) -> Option<Duration> {
        self.overdue_by
    }

    /// The name of the thread it runs on, where the pool was asked, or told its observer that the job is
    /// [overdue](crate::Observer::overdue).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let (send, receive) = std::sync::mpsc::channel::<()>();
    /// let deaf = pool.job().run_timeout(Duration::from_millis(5)).spawn_blocking(move || receive.recv());
    /// assert!(deaf.wait().is_err());
    /// assert_eq!(pool.overdue()[0].thread(), Some("punctual-1"));
    /// drop(send);
    /// ```
    #[must_use]
    pub fn thread(&self) -> Option<&str> {
        self.thread.as_deref()
    }
}

/// ``job `report` (#7, spawned at src/main.rs:3:5): ran 20.0ms on punctual-3, overdue by 5.0ms``
impl fmt::Display for JobInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.identity)?;
        match self.phase {
            Phase::Queued => write!(f, "queued for {:.1?}", self.queued_for)?,
            Phase::Running => write!(f, "ran {:.1?}", self.ran_for)?,
        }
        if let Some(thread) = &self.thread {
            write!(f, " on {thread}")?;
        }
        self.overdue_by.map_or(Ok(()), |late| write!(f, ", overdue by {late:.1?}"))
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;

    fn info(phase: Phase) -> JobInfo {
        let identity =
            Identity { id: JobId::next(), name: None, location: std::panic::Location::caller() };
        JobInfo {
            identity,
            lane: Some("reports".into()),
            priority: Priority::High,
            phase,
            queued_for: Duration::from_millis(1),
            ran_for: Duration::from_millis(20),
            overdue_by: None,
            thread: None,
        }
    }

    #[test]
    fn every_job_has_a_number_of_its_own_and_shows_it() {
        let [first, second] = [JobId::next(), JobId::next()];
        assert!(second.get() > first.get());
        assert_eq!(first.to_string(), format!("#{}", first.get()));
    }

    #[test]
    fn what_is_known_of_a_job_can_be_asked_and_shown() {
        let queued = info(Phase::Queued);
        assert_eq!((queued.priority(), queued.phase()), (Priority::High, Phase::Queued));
        assert!(queued.name().is_none() && queued.thread().is_none());
        assert_eq!(queued.lane(), Some("reports"));
        assert!(queued.overdue_by().is_none() && queued.location().file().ends_with("info.rs"));
        assert!(queued.to_string().ends_with("): queued for 1.0ms"), "{queued}");
        assert!(queued.to_string().starts_with(&format!("job {} (spawned at ", queued.id())));
        let mut late = info(Phase::Running);
        late.identity.name = Some("report".into());
        late.thread = Some("punctual-3".to_owned());
        late.overdue_by = Some(Duration::from_millis(5));
        assert_eq!((late.name(), late.thread()), (Some("report"), Some("punctual-3")));
        let times = (late.queued_for(), late.ran_for(), late.overdue_by());
        let ms = Duration::from_millis;
        assert_eq!(times, (ms(1), ms(20), Some(ms(5))));
        let said = late.to_string();
        assert!(said.starts_with(&format!("job `report` ({}, spawned at ", late.id())), "{said}");
        assert!(said.ends_with("): ran 20.0ms on punctual-3, overdue by 5.0ms"), "{said}");
    }
}
