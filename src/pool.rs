//! The one door: a pool takes jobs, and answers for each it took.
//!
//! The walk of a job, step by step: [`submit`](Core::submit) admits it (lifecycle, then a place in
//! the queue), ties it (timer, token, parent) and queues it; a worker runs it, or somebody ends it;
//! and both tell the pool so through [`Owner`].

use crate::clock::Clock;
use crate::error::{Panic, Rejection};
use crate::info::JobInfo;
use crate::job::{Bell, Early, Owner, Tally, Task};
use crate::lifecycle::Stage;
use crate::metrics::{Counters, Metrics};
use crate::park;
use crate::places::{Place, Places};
use crate::stop::Cause;
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::timekeeper::Timekeeper;
use crate::unwind;
use crate::worker::Crew;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A pool of threads for blocking jobs. Cheap to clone; the clones are one pool.
///
/// Threads are started when there is work for them, up to the most allowed, and leave when they
/// have been idle for the keep-alive time.
///
/// # Drop
/// Dropping the last clone does not block and loses nothing: jobs that were accepted are run, also
/// those they submit through their [`JobContext`](crate::JobContext), and then the threads leave.
/// Nobody waits for that at the end of `main`: use [`drain`](Self::drain) or
/// [`shutdown`](Self::shutdown) there.
///
/// # Examples
///
/// ```
/// use punctual::{Checked, Pool};
/// use std::time::Duration;
///
/// let pool = Pool::builder().name("db").threads(0..=8).queue_limit(100).build().unwrap();
/// let job = pool.job().timeout(Duration::from_secs(5)).spawn(|cx| -> Checked<u32> {
///     cx.check()?;
///     Ok(42)
/// });
/// assert_eq!(job.wait().unwrap(), 42);
/// ```
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Open>,
}

/// Exists as long as anybody holds the pool.
struct Open {
    core: Arc<Core>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.core.retire();
    }
}

/// What a pool's jobs, threads and handles share.
pub(crate) struct Core {
    pub(crate) crew: Arc<Crew>,
    pub(crate) counters: Counters,
    pub(crate) default_timeout: Option<Duration>,
    pub(crate) default_grace: Option<Duration>,
    pub(crate) on_unseen_panic: UnseenPanicHook,
    /// Jobs that a shutdown ended in the queue.
    pub(crate) never_started: Mutex<Vec<JobInfo>>,
    /// How many accepted jobs were ever claimed in the queue.
    pub(crate) claimed: AtomicU64,
    /// The places in the queue; none where there is no limit.
    pub(crate) places: Option<Arc<Places>>,
    pub(crate) keeper: Arc<Timekeeper<Bell>>,
    /// Those who wait for this pool's end in one of its own jobs.
    pub(crate) inside: Mutex<Inside>,
}

/// How many jobs, on how many threads, wait for the end of the pool that they are on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inside {
    pub(crate) jobs: usize,
    pub(crate) threads: usize,
}

/// Told of panics that nobody sees.
pub(crate) type UnseenPanicHook = Arc<dyn Fn(Panic) + Send + Sync>;

impl Pool {
    /// A snapshot of the pool's counts.
    ///
    /// ```
    /// assert_eq!(punctual::Pool::new().metrics().accepted, 0);
    /// ```
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.core().metrics()
    }

    /// The jobs whose body goes on although their handle has resolved without it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = punctual::Pool::new();
    /// let (send, receive) = std::sync::mpsc::channel::<()>();
    /// let deaf = pool.job().name("deaf").run_timeout(Duration::from_millis(5));
    /// assert!(deaf.spawn_blocking(move || receive.recv()).wait().is_err());
    /// assert_eq!(pool.overdue()[0].name(), Some("deaf"));
    /// drop(send);
    /// ```
    #[must_use]
    pub fn overdue(&self) -> Vec<JobInfo> {
        self.core().crew.infos(|job| job.head.is_overdue())
    }

    /// Waits for a place in the queue, and keeps it for one job. Places are given in the order in
    /// which they were asked for. A pool without a limit has one at once.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the line, or the place itself.
    ///
    /// # Errors
    /// [`Rejection::ShutDown`] if the pool takes no more jobs, or ceases to while this waits.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = punctual::Pool::builder().queue_limit(10).build().unwrap();
    /// let permit = pool.reserve().await.unwrap();
    /// assert_eq!(permit.spawn_blocking(|| 1).await.unwrap(), 1);
    /// # }
    /// ```
    pub async fn reserve(&self) -> Result<Permit, Rejection> {
        let core = Arc::clone(self.core());
        let place = match &core.places {
            None => None,
            Some(places) => Some(places.wait_for().await.ok_or(Rejection::ShutDown)?),
        };
        Permit::new(core, place)
    }

    /// A place in the queue for one job, if there is one.
    ///
    /// # Errors
    /// [`Rejection::QueueFull`] if there is none, [`Rejection::ShutDown`] if the pool takes no more
    /// jobs.
    ///
    /// # Examples
    ///
    /// ```
    /// use punctual::Rejection;
    ///
    /// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// let permit = pool.try_reserve().unwrap();
    /// assert!(matches!(pool.try_reserve(), Err(Rejection::QueueFull)));
    /// drop(permit);
    /// assert!(pool.try_reserve().is_ok());
    /// ```
    pub fn try_reserve(&self) -> Result<Permit, Rejection> {
        let place = self.core().try_place()?;
        Permit::new(Arc::clone(self.core()), place)
    }

    /// Blocks this thread until there is a place in the queue; see [`reserve`](Self::reserve).
    ///
    /// # Errors
    /// [`Rejection::ShutDown`] if the pool takes no more jobs, or ceases to while this waits.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// let permit = pool.blocking_reserve().unwrap();
    /// assert_eq!(permit.spawn_blocking(|| 1).wait().unwrap(), 1);
    /// ```
    pub fn blocking_reserve(&self) -> Result<Permit, Rejection> {
        park::wait(&mut Box::pin(self.reserve()))
    }

    pub(crate) fn of(core: Arc<Core>) -> Self {
        Self { inner: Arc::new(Open { core }) }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.inner.core
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = self.core();
        let counts = core.crew.counts();
        f.debug_struct("Pool")
            .field("stage", &core.crew.lifecycle.stage())
            .field("metrics", &self.metrics())
            .field("unfinished", &core.crew.lifecycle.unfinished())
            .field("entries", &counts.queued())
            .field("searching", &counts.searching())
            .field("workers", &core.crew.workers())
            .field("at_desks", &core.crew.infos(|_| true))
            .field("places", &core.places)
            .field("keeper", &core.keeper)
            .finish_non_exhaustive()
    }
}

impl Core {
    /// Takes a job, or ends it at once. `place` is one that was reserved for it.
    pub(crate) fn submit(&self, task: &Task, parent: Option<&Task>, place: Option<Place>) {
        if let Err(why) = self.admit(place) {
            return task.turn_away(why);
        }
        if task.tie(parent).is_err() {
            task.refuse(Rejection::NoThread);
        }
        if task.head.state.is_decided() {
            return self.crew.forget_entry();
        }
        if !self.crew.submit(Arc::clone(task)) {
            task.refuse(Rejection::QueueFull);
            return self.crew.forget_entry();
        }
        // A shutdown that began after `admit` looks through the queue once. Either it found the
        // job there, or its announcement in the idle word came first, and this sees the stage.
        if self.crew.lifecycle.stage() == Stage::Stopping {
            task.stop(Cause::Shutdown);
        }
    }

    /// No job is lost and no thread waits for more: what there is is done, and then all leave.
    pub(crate) fn retire(&self) {
        self.crew.retire();
        self.keeper.close();
    }

    fn admit(&self, place: Option<Place>) -> Result<(), Rejection> {
        let place = match place {
            Some(place) => Some(place),
            None => self.try_place()?,
        };
        self.counters.accept(); // before it enters: a shutdown waits for all that it counts
        if !self.crew.lifecycle.enter() {
            self.counters.unaccept();
            return Err(Rejection::ShutDown);
        }
        if let Some(place) = place {
            place.keep(); // given back when the job leaves the queue
        }
        Ok(())
    }

    fn try_place(&self) -> Result<Option<Place>, Rejection> {
        let Some(places) = &self.places else { return Ok(None) };
        places.try_take().map(Some).ok_or_else(|| match self.crew.lifecycle.stage() {
            Stage::Open => Rejection::QueueFull,
            _ => Rejection::ShutDown,
        })
    }

    /// Gives a place back, and wakes who waits for one.
    fn free_place(&self) {
        if let Some(places) = &self.places {
            places.give_back();
        }
    }

    /// Refuses all who wait for a place.
    pub(crate) fn close_places(&self) {
        if let Some(places) = &self.places {
            places.close();
        }
    }

    fn metrics(&self) -> Metrics {
        let counts = self.crew.counts();
        Metrics {
            threads: counts.total(),
            idle: counts.idle(),
            queued: self.crew.queued(),
            overdue: self.crew.at_desks().iter().filter(|(job, _)| job.head.is_overdue()).count(),
            timers: self.keeper.alarms(),
            ..self.counters.snapshot()
        }
    }
}

impl Owner for Core {
    fn clock(&self) -> &Clock {
        self.keeper.clock()
    }

    fn keeper(&self) -> &Arc<Timekeeper<Bell>> {
        &self.keeper
    }

    fn started(&self) {
        self.free_place();
    }

    fn claimed(&self, end: Early, info: &dyn Fn() -> JobInfo) {
        if end == Early::Stopped(Cause::Shutdown) {
            self.never_started.lock().push(info());
        }
        match end {
            Early::Refused(_) => self.counters.unaccept(),
            // ORDERING: Release pairs with the Acquire in `shutdown`: who has counted the job there
            // sees it in the list of those that never started. (The list's lock alone would do: who
            // reads this number can not have held it before who wrote the number did.)
            Early::Stopped(_) => {
                self.claimed.fetch_add(1, Ordering::Release);
            }
        }
        self.crew.while_ending(|| self.free_place()); // it wakes, while the job is counted
        self.crew.entry_died();
    }

    fn ending(&self, end: &mut dyn FnMut()) {
        self.crew.while_ending(end);
    }

    fn decided(&self, tally: Tally) {
        self.counters.count(tally);
    }

    fn ended(&self) {
        if self.crew.lifecycle.leave() {
            self.crew.notify();
        }
    }

    fn unseen_panic(&self, panic: Panic) {
        unwind::drop_quietly(unwind::catch(|| (self.on_unseen_panic)(panic)));
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// A place in a pool's queue, kept for one job: [`spawn`](Self::spawn) can not find it full.
///
/// Dropping it gives the place back. The pool may still shut down before it is used.
///
/// # Examples
///
/// ```
/// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
/// let permit = pool.try_reserve().unwrap();
/// assert_eq!(permit.spawn_blocking(|| 1).wait().unwrap(), 1);
/// ```
#[must_use = "dropping it gives the place back"]
pub struct Permit {
    pub(crate) core: Arc<Core>,
    pub(crate) place: Option<Place>,
}

impl Permit {
    fn new(core: Arc<Core>, place: Option<Place>) -> Result<Self, Rejection> {
        match core.crew.lifecycle.stage() {
            Stage::Open => Ok(Self { core, place }),
            _ => Err(Rejection::ShutDown),
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
