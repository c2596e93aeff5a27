//! What a body sees of its own job, and which job's body is running on this thread.

use crate::deadline::Deadline;
use crate::error::Stopped;
use crate::info::JobId;
use crate::job::cell::Task;
use crate::stop::Cause;
use crate::sync::{Condvar, Mutex, thread_local};
use std::cell::RefCell;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A job as its own body sees it: whether to stop, how much time is left, how to be woken.
///
/// The body is given one; [`current()`](crate::current) gives another to the code it calls. A
/// clone may outlive the job and be sent to other threads. It keeps the job's record in memory,
/// and nothing else.
///
/// # Examples
///
/// ```
/// use punctual::{Checked, JobError, Pool};
/// use std::time::Duration;
///
/// let pool = Pool::new();
/// let job = pool.job().timeout(Duration::from_millis(10)).spawn(|cx| -> Checked<()> {
///     loop {
///         cx.check()?; // costs one load
///     }
/// });
/// assert!(job.wait().unwrap_err().is_timed_out());
/// ```
#[derive(Clone)]
pub struct JobContext {
    task: Task,
}

/// What `checkpoint` unwinds with.
pub(crate) struct Checkpoint;

impl JobContext {
    pub(crate) fn new(task: Task) -> Self {
        Self { task }
    }

    pub(crate) fn task(&self) -> &Task {
        &self.task
    }

    /// Fails once the job was asked to stop, and for ever after.
    ///
    /// Costs one load; reads no clock. Call it as often as the body can afford to be late.
    ///
    /// # Errors
    /// The first cause of the stop, and the job's id.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.check());
    /// assert!(job.wait().is_ok());
    /// ```
    pub fn check(&self) -> Result<(), Stopped> {
        match self.cause() {
            None => Ok(()),
            Some(cause) => Err(Stopped { id: self.task.head.id, cause }),
        }
    }

    /// Unwinds out of the body once the job was asked to stop.
    ///
    /// For code that can not return an error. The panic hook is not called and nothing is printed.
    /// The job ends as stopped while running. Where panics abort the process, so does this: use
    /// [`check`](Self::check) there.
    ///
    /// # Panics
    /// If the job was asked to stop: that is what it is for.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| loop {
    ///     punctual::checkpoint();
    /// });
    /// job.cancel();
    /// assert!(job.wait().map(|()| ()).unwrap_err().is_cancelled());
    /// ```
    pub fn checkpoint(&self) {
        if self.is_stopped() {
            resume_unwind(Box::new(Checkpoint));
        }
    }

    /// Whether the job was asked to stop.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| punctual::current().is_some_and(|cx| cx.is_stopped()));
    /// assert_eq!(job.wait().unwrap(), false);
    /// ```
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.cause().is_some()
    }

    /// Who asked the job to stop, if anybody did.
    ///
    /// ```
    /// # use punctual::{Cause, Checked};
    /// # let pool = punctual::Pool::new();
    /// let (send, receive) = std::sync::mpsc::channel::<()>();
    /// let job = pool.spawn(move |cx| -> Checked<_> {
    ///     receive.recv().ok();
    ///     Ok(cx.cause())
    /// });
    /// job.cancel();
    /// drop(send);
    /// assert!(matches!(job.wait(), Ok(Some(Cause::Caller)) | Err(_)));
    /// ```
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.task.head.state.cause()
    }

    /// When the job will be asked to stop: the earlier of its deadline and its run's.
    ///
    /// ```
    /// # use punctual::{Checked, Deadline};
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| -> Checked<_> { Ok(cx.deadline()) });
    /// assert_eq!(job.wait().unwrap(), Deadline::NEVER);
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.task.head.run_limit()
    }

    /// The time left until the [deadline](Self::deadline), at the least zero; `None` is no end.
    ///
    /// ```
    /// # use punctual::Checked;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let minute = Duration::from_secs(60);
    /// let job = pool.job().timeout(minute).spawn(|cx| -> Checked<_> { Ok(cx.remaining()) });
    /// assert!(job.wait().unwrap().is_some_and(|left| left <= minute));
    /// ```
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let now = self.task.head.now().instant;
        self.deadline().instant().map(|at| at.saturating_duration_since(now))
    }

    /// The job's own token, for code that takes one: cancelled when the job is asked to stop.
    /// Cancelling it asks the job to stop, with [`Cause::Token`].
    ///
    /// It is made by the first call. It is not cancelled by the job's ordinary end.
    ///
    /// ```
    /// # use punctual::JobError;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| {
    ///     cx.token().cancel();
    ///     cx.check()
    /// });
    /// assert!(matches!(job.wait(), Err(JobError::Cancelled(_))));
    /// ```
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.task.own_token()
    }

    /// Calls `told` when the job is asked to stop, as long as the guard lives.
    ///
    /// It is called at most once, inside the call that stops the job: on the thread that cancels,
    /// on the timekeeper's, or, when the stop came before, on this one and at once. It should be
    /// quick: others wait for that thread. A panic in it harms nobody else and is told to the
    /// pool's `on_unseen_panic`.
    ///
    /// Dropping the guard takes it back. If it is being called just then, on another thread, the
    /// drop waits for it: after the drop it touches nothing any more. A forgotten guard leaves it
    /// in place until the body ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| {
    ///     let (send, receive) = mpsc::channel();
    ///     let _guard = cx.on_stop(move |cause| send.send(cause).unwrap());
    ///     receive.recv().unwrap(); // ends when the job is stopped
    ///     cx.check()
    /// });
    /// job.cancel();
    /// assert!(job.wait().unwrap_err().is_cancelled());
    /// ```
    pub fn on_stop(&self, told: impl FnOnce(Cause) + Send + 'static) -> StopGuard {
        let number = self.task.head.listen(Box::new(move |cause| {
            told(cause);
            None
        }));
        StopGuard { listed: number.map(|number| (self.clone(), number)) }
    }

    /// Sleeps for `time`, or until the job is asked to stop.
    ///
    /// # Errors
    /// If the job is asked to stop before the time is over, or was before.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.sleep(Duration::MAX));
    /// job.cancel();
    /// assert!(job.wait().unwrap_err().is_cancelled());
    /// ```
    pub fn sleep(&self, time: Duration) -> Result<(), Stopped> {
        let clock = self.task.head.owner.clock();
        let until = clock.after(time);
        let bed = Arc::new(Bed::default());
        let called = Arc::clone(&bed);
        let _guard = self.on_stop(move |_| called.wake());
        if clock.is_manual() {
            let called = Arc::clone(&bed);
            let _alarm = self.task.call_at(until, move || called.wake());
            // Looked at after the alarm is set: the clock is not moved past it unseen.
            if !clock.is_past(until) {
                bed.lie(Deadline::NEVER);
            }
        } else {
            bed.lie(until);
        }
        self.check()
    }

    /// The job's number.
    ///
    /// ```
    /// # use punctual::Checked;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| -> Checked<_> { Ok(cx.id()) });
    /// let id = job.id();
    /// assert_eq!(job.wait().unwrap(), id);
    /// ```
    #[must_use]
    pub fn id(&self) -> JobId {
        self.task.head.id
    }

    /// The name the job was given.
    ///
    /// ```
    /// # use punctual::Checked;
    /// # let pool = punctual::Pool::new();
    /// let job = pool.job().name("a").spawn(|cx| -> Checked<_> { Ok(cx.name().map(str::len)) });
    /// assert_eq!(job.wait().unwrap(), Some(1));
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.task.head.settings.as_ref()?.name.as_deref()
    }
}

impl fmt::Debug for JobContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobContext")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("cause", &self.cause())
            .finish_non_exhaustive()
    }
}

/// Where a job sleeps.
#[derive(Default)]
struct Bed {
    called: Mutex<bool>,
    condvar: Condvar,
}

impl Bed {
    fn wake(&self) {
        *self.called.lock() = true;
        self.condvar.notify_all();
    }

    /// Sleeps until called, or until the deadline.
    fn lie(&self, until: Deadline) {
        let mut called = self.called.lock();
        while !*called && !until.has_passed() {
            called = self.condvar.wait_until(called, until.instant());
        }
    }
}

/// Keeps a function in place that is called when the job is stopped; see
/// [`on_stop`](JobContext::on_stop).
///
/// # Examples
///
/// ```
/// # use punctual::Checked;
/// # let pool = punctual::Pool::new();
/// let job = pool.spawn(|cx| -> Checked<_> {
///     let (send, told) = std::sync::mpsc::channel();
///     let guard = cx.on_stop(move |cause| send.send(cause).unwrap());
///     drop(guard);
///     cx.token().cancel();
///     Ok(told.recv().is_err()) // nothing was told
/// });
/// assert!(job.wait().unwrap());
/// ```
#[derive(Debug)]
#[must_use = "dropping the guard takes the function back at once"]
pub struct StopGuard {
    listed: Option<(JobContext, u64)>,
}

impl Drop for StopGuard {
    fn drop(&mut self) {
        if let Some((cx, number)) = self.listed.take() {
            cx.task.head.unlisten(number);
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<JobContext>> = const { RefCell::new(None) };
}

/// The job whose body is running on this thread, if one is.
///
/// It is the job's own inside its body and all that the body calls, and `None` elsewhere: in
/// wakers, hooks and threads that the body started.
///
/// # Examples
///
/// ```
/// let pool = punctual::Pool::new();
/// assert!(punctual::current().is_none());
/// assert!(pool.spawn_blocking(|| punctual::current().is_some()).wait().unwrap());
/// ```
#[must_use]
pub fn current() -> Option<JobContext> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// [`JobContext::checkpoint`] of the [`current`] job; outside of a job it does nothing.
///
/// # Panics
/// If the job was asked to stop: it unwinds, without calling the panic hook.
///
/// # Examples
///
/// ```
/// punctual::checkpoint(); // no job: nothing happens
/// ```
pub fn checkpoint() {
    if let Some(cx) = current() {
        cx.checkpoint();
    }
}

/// Proof that a body is running here: makes its job the current one until dropped.
pub(crate) struct InBody {
    outer: Option<JobContext>,
}

impl InBody {
    pub(crate) fn enter(cx: &JobContext) -> Self {
        Self { outer: set_current(Some(cx.clone())) }
    }
}

impl Drop for InBody {
    fn drop(&mut self) {
        set_current(self.outer.take());
    }
}

fn set_current(cx: Option<JobContext>) -> Option<JobContext> {
    CURRENT.try_with(|current| current.replace(cx)).ok().flatten()
}
