//! The settings of one job, and the ways to spawn it.

use crate::deadline::Deadline;
use crate::job::ambient::Ambient;
use crate::job::{Body, Head, JobContext, JobHandle, Owner, Settings, Task, new_job};
use crate::pool::{Core, Permit, Pool};
use crate::priority::Priority;
use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

impl Pool {
    /// Spawns a body that is given its [context](JobContext) and may fail.
    ///
    /// If the pool does not take the job, the handle says so: [`JobError::Rejected`](crate::JobError::Rejected). Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| {
    ///     cx.check()?;
    ///     std::fs::read_to_string("/proc/self/comm")
    /// });
    /// # drop(job);
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
        Job::new(Arc::clone(self.core()))
    }
}

impl Permit {
    /// Spawns a body in the reserved place; see [`Pool::spawn`].
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
    #[track_caller]
    pub fn spawn_blocking<F, T>(self, body: F) -> JobHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.job().spawn_blocking(body)
    }

    /// Settings for a job in the reserved place.
    pub fn job(self) -> Job {
        let Self { core, place } = self;
        Job { place, ..Job::new(core) }
    }
}

impl JobContext {
    /// Settings for a child of this job, on the same pool.
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
        let owner: Arc<dyn Owner> = Arc::clone(&self.task().head.owner);
        match owner.as_any().downcast::<Core>() {
            Ok(core) => Job { parent: Some(Arc::clone(self.task())), ..Job::new(core) },
            Err(_) => unreachable!("every job's owner is the core of a pool"),
        }
    }
}

/// The settings of one job. Nothing happens until it is spawned.
///
/// # Examples
///
/// ```
/// use punctual::{Checked, Pool, Priority};
/// use std::time::Duration;
///
/// let pool = Pool::new();
/// let job = pool
///     .job()
///     .name("report")
///     .priority(Priority::High)
///     .timeout(Duration::from_millis(250))
///     .queue_timeout(Duration::from_millis(50))
///     .spawn(|cx| -> Checked<_> { Ok(cx.name().map(str::to_owned)) });
/// assert_eq!(job.wait().unwrap().as_deref(), Some("report"));
/// ```
#[must_use = "settings do nothing until a body is spawned with them"]
pub struct Job {
    core: Arc<Core>,
    place: Option<OwnedSemaphorePermit>,
    parent: Option<Task>,
    priority: Priority,
    name: Option<Cow<'static, str>>,
    timeout: Option<Duration>,
    deadline: Option<Deadline>,
    queue_timeout: Option<Duration>,
    run_timeout: Option<Duration>,
    grace: Option<Duration>,
    token: Option<CancellationToken>,
}

impl Job {
    fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            place: None,
            parent: None,
            priority: Priority::default(),
            name: None,
            timeout: None,
            deadline: None,
            queue_timeout: None,
            run_timeout: None,
            grace: None,
            token: None,
        }
    }

    /// A name for errors, reports and metrics.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Its class in the queue.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Its whole life, from the call of `spawn`. Zero lets it never start.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = Some(time);
        self
    }

    /// By when it must have ended. With a timeout too, the earlier one counts.
    pub fn deadline(mut self, deadline: impl Into<Deadline>) -> Self {
        self.deadline = Some(deadline.into());
        self
    }

    /// How long it may wait, from the call of `spawn`. Once it has started, this is past.
    pub fn queue_timeout(mut self, time: Duration) -> Self {
        self.queue_timeout = Some(time);
        self
    }

    /// How long it may run, from its start.
    pub fn run_timeout(mut self, time: Duration) -> Self {
        self.run_timeout = Some(time);
        self
    }

    /// How long its handle waits for the body's last word after a stop.
    ///
    /// After a deadline, the handle resolves at the latest this much later; without a grace time,
    /// at the deadline. After another stop, it resolves at the latest this much later; without a
    /// grace time, when the body returns or at its deadline.
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = Some(time);
        self
    }

    /// A token that stops the job when it is cancelled. Many jobs may share one; a job that has
    /// ended leaves nothing in it.
    pub fn token(mut self, token: &CancellationToken) -> Self {
        self.token = Some(token.clone());
        self
    }

    /// A function for the value of a body that returns `Ok` after its handle has resolved. It is
    /// called on the worker. Without it, such a value is dropped there. Comes last, as it settles
    /// the type of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    ///
    /// let pool = punctual::Pool::new();
    /// let (late, values) = mpsc::channel();
    /// let (go, gate) = mpsc::channel::<()>();
    /// let job = pool
    ///     .job()
    ///     .timeout(Duration::from_millis(5))
    ///     .on_late(move |value: u32| late.send(value).unwrap())
    ///     .spawn_blocking(move || gate.recv().map_or(7, |()| 7));
    /// assert!(job.wait().is_err());
    /// go.send(()).ok();
    /// # drop(go);
    /// # let _ = values.recv_timeout(Duration::from_secs(10));
    /// ```
    pub fn on_late<T>(self, hook: impl FnOnce(T) + Send + 'static) -> LateJob<T> {
        LateJob { job: self, on_late: Some(Box::new(hook)) }
    }

    /// Spawns a body that is given its [context](JobContext) and may fail; see [`Pool::spawn`].
    #[track_caller]
    pub fn spawn<F, T, E>(self, body: F) -> JobHandle<T, E>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        LateJob { job: self, on_late: None }.spawn(body)
    }

    /// Spawns a plain closure; see [`Pool::spawn_blocking`].
    #[track_caller]
    pub fn spawn_blocking<F, T>(self, body: F) -> JobHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        LateJob { job: self, on_late: None }.spawn_blocking(body)
    }

    /// What the job itself must know of its settings, if there is anything.
    fn settle(&mut self, submitted: Instant) -> Option<Box<Settings>> {
        let after = |time: Duration| Deadline::at(submitted).plus(time);
        let own = [self.deadline, self.timeout.map(after)].into_iter().flatten().min();
        let own = own.or_else(|| self.core.default_timeout.map(after));
        let inherited = self.parent.as_ref().map(|parent| parent.head.run_limit());
        let deadline = own.into_iter().chain(inherited).min().filter(|at| *at != Deadline::NEVER);
        let grace = self.grace.or(self.core.default_grace);
        let is_plain = deadline.is_none()
            && grace.is_none()
            && self.name.is_none()
            && self.queue_timeout.is_none()
            && self.run_timeout.is_none()
            && self.token.is_none()
            && self.parent.is_none();
        if is_plain {
            return None;
        }
        Some(Box::new(Settings {
            name: self.name.take(),
            deadline,
            queue_deadline: self.queue_timeout.map(after),
            run_timeout: self.run_timeout,
            grace,
            token: self.token.take(),
            ..Settings::default()
        }))
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("name", &self.name)
            .field("priority", &self.priority)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .field("queue_timeout", &self.queue_timeout)
            .field("run_timeout", &self.run_timeout)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

/// The settings of a job with a function for a late value; see [`Job::on_late`].
#[must_use = "settings do nothing until a body is spawned with them"]
pub struct LateJob<T> {
    job: Job,
    on_late: Option<Box<dyn FnOnce(T) + Send>>,
}

impl<T: Send + 'static> LateJob<T> {
    /// Spawns a body that is given its [context](JobContext) and may fail; see [`Pool::spawn`].
    #[track_caller]
    pub fn spawn<F, E>(self, body: F) -> JobHandle<T, E>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        E: Send + 'static,
    {
        let Self { mut job, on_late } = self;
        let submitted = job.core.keeper.clock().now();
        let settings = job.settle(submitted);
        let Job { core, place, parent, priority, .. } = job;
        let owner: Arc<dyn Owner> = Arc::clone(&core) as _;
        let head = Head::new(owner, settings, priority, submitted, Location::caller());
        let body = Body { call: body, on_late, ambient: Ambient::capture(submitted) };
        let (task, handle) = new_job(head, body);
        core.submit(&task, parent.as_ref(), place);
        handle
    }

    /// Spawns a plain closure; see [`Pool::spawn_blocking`].
    #[track_caller]
    pub fn spawn_blocking<F>(self, body: F) -> JobHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.spawn(move |_: &JobContext| Ok::<T, Infallible>(body()))
    }
}

impl<T> fmt::Debug for LateJob<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateJob").field("job", &self.job).finish_non_exhaustive()
    }
}
