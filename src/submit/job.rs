//! The settings of one job.

#[cfg(feature = "tower")]
mod served;
mod spawn;

use crate::deadline::Deadline;
use crate::job::{JobContext, JobHandle, Owner, Passage, Settings, Task};
use crate::places::Place;
use crate::priority::Priority;
use crate::share::Share;
use crate::submit::{LateJob, TrySpawnError};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

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
    pub(crate) share: Arc<Share>,
    /// Who stands before the share for this job, if anybody does.
    pub(super) owner: Option<Arc<dyn Owner>>,
    pub(super) place: Option<Place>,
    pub(crate) parent: Option<Task>,
    pub(super) priority: Priority,
    /// What the job itself is to know, made by the first setter: a plain one is small to pass on.
    settings: Option<Box<Settings>>,
}

impl Job {
    /// A plain one; it does not keep the share's pool open.
    pub(crate) fn new(share: Arc<Share>) -> Self {
        Self {
            priority: share.terms.priority,
            share,
            owner: None,
            place: None,
            parent: None,
            settings: None,
        }
    }

    fn asked(&mut self) -> &mut Settings {
        self.settings.get_or_insert_default()
    }

    /// The place in the queue that was reserved for it, if one was.
    pub(crate) fn in_place(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    /// The job whose body spawns it.
    pub(super) fn child_of(mut self, parent: &Task) -> Self {
        self.parent = Some(Arc::clone(parent));
        self
    }

    /// A name for errors, reports and metrics.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().name("report").timeout(Duration::ZERO).spawn_blocking(|| ());
    /// assert!(job.wait().unwrap_err().to_string().starts_with("job `report` "));
    /// ```
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.asked().name = Some(name.into());
        self
    }

    /// Its class in the queue.
    ///
    /// ```
    /// # use punctual::Priority;
    /// let pool = punctual::Pool::builder().threads(..=1).build().unwrap();
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn_blocking(move || gate.recv()); // takes the only thread
    /// # while pool.metrics().queued > 0 { std::thread::yield_now(); }
    /// let (done, order) = std::sync::mpsc::channel();
    /// for class in [Priority::Low, Priority::Normal, Priority::High] {
    ///     let done = done.clone();
    ///     pool.job().priority(class).spawn_blocking(move || done.send(class));
    /// }
    /// drop((go, done));
    /// assert!(order.iter().eq([Priority::High, Priority::Normal, Priority::Low]));
    /// ```
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Its whole life, from the call of `spawn`. Zero lets it never start.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().timeout(Duration::from_millis(5)).spawn(|cx| cx.sleep(Duration::MAX));
    /// assert!(job.wait().unwrap_err().is_timed_out());
    /// ```
    pub fn timeout(mut self, time: Duration) -> Self {
        self.asked().timeout = Some(time);
        self
    }

    /// By when it must have ended. With a timeout too, the earlier one counts.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # let pool = punctual::Pool::new();
    /// let by = Instant::now() + Duration::from_millis(5);
    /// let job = pool.job().deadline(by).spawn(|cx| cx.sleep(Duration::MAX));
    /// assert!(job.wait().unwrap_err().is_timed_out());
    /// assert!(Instant::now() >= by);
    /// ```
    pub fn deadline(mut self, deadline: impl Into<Deadline>) -> Self {
        self.asked().deadline = Some(deadline.into());
        self
    }

    /// How long it may wait, from the call of `spawn`. Once it has started, this is past.
    ///
    /// ```
    /// # use punctual::Phase;
    /// # use std::time::Duration;
    /// let pool = punctual::Pool::builder().threads(..=1).build().unwrap();
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn_blocking(move || gate.recv()); // takes the only thread
    /// # while pool.metrics().queued > 0 { std::thread::yield_now(); }
    /// let job = pool.job().queue_timeout(Duration::from_millis(5)).spawn_blocking(|| ());
    /// assert_eq!(job.wait().unwrap_err().phase(), Some(Phase::Queued));
    /// drop(go);
    /// ```
    pub fn queue_timeout(mut self, time: Duration) -> Self {
        self.asked().queue_timeout = Some(time);
        self
    }

    /// How long it may run, from its start.
    ///
    /// ```
    /// # use punctual::Phase;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().run_timeout(Duration::from_millis(5)).spawn(|cx| cx.sleep(Duration::MAX));
    /// assert_eq!(job.wait().unwrap_err().phase(), Some(Phase::Running));
    /// ```
    pub fn run_timeout(mut self, time: Duration) -> Self {
        self.asked().run_timeout = Some(time);
        self
    }

    /// How long its handle waits for the body's last word after a stop.
    ///
    /// After a deadline, the handle resolves at the latest this much later; without a grace time,
    /// at the deadline. After another stop, it resolves at the latest this much later; without a
    /// grace time, when the body returns or at its deadline.
    ///
    /// ```
    /// # use punctual::Checked;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let patient = pool.job().run_timeout(Duration::from_millis(5)).grace(Duration::from_secs(10));
    /// let job = patient.spawn(|cx| -> Checked<_> {
    ///     cx.sleep(Duration::MAX).ok(); // until its time is up
    ///     Ok("what there is so far")
    /// });
    /// assert_eq!(job.wait().unwrap(), "what there is so far");
    /// ```
    pub fn grace(mut self, time: Duration) -> Self {
        self.asked().grace = Some(time);
        self
    }

    /// A token that stops the job when it is cancelled. Many jobs may share one; a job that has
    /// ended leaves nothing in it.
    ///
    /// ```
    /// # use tokio_util::sync::CancellationToken;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let token = CancellationToken::new();
    /// let spawn = |_| pool.job().token(&token).spawn(|cx| cx.sleep(Duration::MAX));
    /// let jobs: Vec<_> = (0..3).map(spawn).collect();
    /// token.cancel();
    /// assert!(jobs.into_iter().all(|job| job.wait().unwrap_err().is_cancelled()));
    /// ```
    pub fn token(mut self, token: &CancellationToken) -> Self {
        self.asked().token = Some(token.clone());
        self
    }

    /// What its body uses that may hang, such as a mount or a host. While a body with this key is
    /// [overdue](crate::Pool::overdue), further jobs with it are refused, as
    /// [`Rejection::Overdue`](crate::Rejection::Overdue), instead of getting stuck, too. So are those
    /// in the queue, when their turn comes. Of the whole pool, across lanes.
    ///
    /// It has no effect on bodies that are never overdue: set a time limit, or a grace for cancels. It does
    /// not limit how many run at once; that is a lane's [`limit(1)`](crate::Lane::limit).
    ///
    /// ```
    /// # use punctual::{JobError, Rejection};
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let job = || pool.job().key("mount:/nfs").run_timeout(Duration::from_millis(5));
    /// assert!(job().spawn_blocking(move || gate.recv()).wait().unwrap_err().is_timed_out());
    /// let refused = job().spawn_blocking(|| ()).wait();
    /// assert!(matches!(refused, Err(JobError::Rejected(Rejection::Overdue))));
    /// # drop(go);
    /// ```
    pub fn key(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.asked().key = Some(key.into());
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
    ///     .run_timeout(Duration::from_millis(5))
    ///     .on_late(move |value: u32| late.send(value).unwrap())
    ///     .spawn_blocking(move || gate.recv().map_or(7, |()| 7));
    /// assert!(job.wait().unwrap_err().is_timed_out());
    /// drop(go);
    /// assert_eq!(values.recv().unwrap(), 7);
    /// ```
    pub fn on_late<T>(self, hook: impl FnOnce(T) + Send + 'static) -> LateJob<T> {
        LateJob::new(self, Some(Box::new(hook)))
    }

    /// Spawns a body that is given its [context](JobContext) and may fail; see
    /// [`Pool::spawn`](crate::Pool::spawn).
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().name("parse").spawn(|_| "42".parse::<u32>());
    /// assert_eq!(job.wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn spawn<F, T, E>(self, body: F) -> JobHandle<T, E>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        LateJob::new(self, None).spawn(body)
    }

    /// Spawns a plain closure; see [`Pool::spawn_blocking`](crate::Pool::spawn_blocking).
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().name("answer").spawn_blocking(|| 6 * 7);
    /// assert_eq!(job.wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, T>(self, body: F) -> JobHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        LateJob::new(self, None).spawn_blocking(body)
    }

    /// As [`spawn`](Self::spawn), but gives the body back if the job is refused at once.
    ///
    /// # Errors
    /// Why the job was refused, and its body.
    ///
    /// ```
    /// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// let permit = pool.try_reserve().unwrap(); // the only place
    /// let refused = pool.job().try_spawn(|_| "42".parse::<u32>()).unwrap_err();
    /// assert_eq!(permit.spawn(refused.into_body()).wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn try_spawn<F, T, E>(self, body: F) -> Result<JobHandle<T, E>, TrySpawnError<F>>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        LateJob::new(self, None).try_spawn(body)
    }

    /// As [`spawn_blocking`](Self::spawn_blocking), but gives the closure back if the job is refused at
    /// once; see [`try_spawn`](Self::try_spawn).
    ///
    /// # Errors
    /// Why the job was refused, and the closure.
    ///
    /// ```
    /// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// let permit = pool.try_reserve().unwrap(); // the only place
    /// let refused = pool.job().name("answer").try_spawn_blocking(|| 6 * 7).unwrap_err();
    /// assert_eq!(refused.into_body()(), 42); // then here
    /// # drop(permit);
    /// ```
    #[track_caller]
    pub fn try_spawn_blocking<F, T>(self, body: F) -> Result<JobHandle<T>, TrySpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        LateJob::new(self, None).try_spawn_blocking(body)
    }

    /// What the job itself must know of its settings, if there is anything.
    pub(super) fn settle(&mut self, submitted: Instant) -> Option<Box<Settings>> {
        let (share, terms) = (&self.share, &self.share.terms);
        let is_plain = self.settings.is_none()
            && terms.default_timeout.is_none()
            && terms.default_grace.is_none()
            && share.bulkheads() == 0
            && self.parent.is_none();
        if is_plain {
            return None;
        }
        let after = |time: Duration| Deadline::at(submitted).plus(time);
        let mut settings = self.settings.take().unwrap_or_default();
        let own = [settings.deadline, settings.timeout.map(after)].into_iter().flatten().min();
        let own = own.or_else(|| terms.default_timeout.map(after));
        let inherited = self.parent.as_ref().map(|parent| parent.head.run_limit());
        let deadline = own.into_iter().chain(inherited).min();
        settings.deadline = deadline.filter(|at| *at != Deadline::NEVER);
        settings.queue_deadline = settings.queue_timeout.map(after);
        settings.grace = settings.grace.or(terms.default_grace);
        settings.settle_limit();
        settings.passage = Passage::new(share.bulkheads());
        Some(settings)
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = Settings::default();
        let settings = self.settings.as_deref().unwrap_or(&none);
        f.debug_struct("Job")
            .field("name", &settings.name)
            .field("priority", &self.priority)
            .field("timeout", &settings.timeout)
            .field("deadline", &settings.deadline)
            .field("queue_timeout", &settings.queue_timeout)
            .field("run_timeout", &settings.run_timeout)
            .field("grace", &settings.grace)
            .field("key", &settings.key)
            .finish_non_exhaustive()
    }
}
