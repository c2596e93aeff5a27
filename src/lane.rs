//! Lanes: named shares of a pool that keep out of each other's way.

use crate::info::JobInfo;
use crate::job::Task;
use crate::metrics::LaneMetrics;
use crate::pool::Pool;
use crate::priority::Priority;
use crate::share::{Share, Terms, WhenFull};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A named share of a pool: a bulkhead. It has a limit to how many of its jobs run at a time; at its limit
/// it delays its own jobs only. In a pool with a queue limit give it a [`queue_limit`](Self::queue_limit),
/// too: else its waiting jobs take the pool's places, and the others' jobs are refused. It has no threads
/// of its own, unless it is [`elastic`](Self::elastic).
///
/// Cheap to clone; the clones are one lane.
///
/// # Settings
/// Each setting (`limit`, `queue_limit`, `when_full`, `default_timeout`, `default_grace`, `priority`,
/// `elastic`) takes a lane and makes a new one of it. So all of them come first, before a clone, a
/// permit or a job: what there is by then stays with the lane that was, its limit and its numbers.
///
/// # The limit
/// A job counts against the limit from the moment on when it may run until its body has really
/// returned, overdue or not. Lanes nest: a job of an inner one counts in the outer one, too. It passes
/// the inner limit first, and counts there while it waits for the outer one.
///
/// A job of a lane at its limit that waits, by way of a job of another lane or none, for one more of its
/// own lane waits for ever: it keeps its permit. So may jobs that wait for one of a lane within their own:
/// if they keep all permits of their lane, then what came before that one waits for those. So may a job
/// that waits for a place in its own lane's queue (with [`blocking_reserve`](Self::blocking_reserve), or
/// a [`map`](Self::map)): what has the place may wait for the permit that the job keeps.
///
/// # Priorities and deadlines
/// A job of a lane with a limit waits twice: for a permit of the lane, then for a thread, among all jobs
/// of the pool. Both lines are in the pool's [order](crate::Order), by [priority](crate::Priority) and
/// deadline. But a job that finds a permit free takes it at once, and keeps it until it has run, though
/// no thread may be free for it yet. So where the threads are busy, too,
/// - a job of high priority may wait behind as many others of its lane as the limit allows, whatever
///   their priority: until one of these, which have the permits, has found a thread and run;
/// - a lane whose permits are held by jobs of low priority waits with these for a thread, behind the
///   pool's other jobs.
///
/// Give urgent jobs a lane of their own. In an [`elastic`](Self::elastic) lane priorities and deadlines
/// say who is next for a permit, and nothing after that: who has one comes before the pool's other jobs,
/// and brings room for its thread. Without a limit there are no permits: the lane's jobs are in the
/// pool's order at once.
///
/// # Drop
/// Dropping the last clone loses nothing: jobs that were accepted are run. A lane keeps its pool open.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let pool = punctual::Pool::new();
/// let thumbnails = pool.lane("thumbnails").limit(4).queue_limit(100);
/// let job = thumbnails.job().timeout(Duration::from_secs(1)).spawn_blocking(|| 42);
/// assert_eq!(job.wait().unwrap(), 42);
/// ```
#[derive(Clone)]
#[must_use = "a lane is nothing without its jobs"]
pub struct Lane {
    /// Keeps it open.
    pool: Pool,
    parent: Arc<Share>,
    share: Arc<Share>,
}

impl Pool {
    /// A new lane of this pool. Clone it to share it: another call makes another lane, whatever the
    /// name.
    ///
    /// As it is made, it has no limit, and its jobs wait in the pool's queue, where they count against
    /// [that one's limit](crate::Builder::queue_limit), and find it full, as the pool's own do. So one
    /// lane can fill the queue of all that have no [`queue_limit`](Lane::queue_limit) of their own.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// let lane = pool.lane("thumbnails").limit(4);
    /// assert_eq!(lane.spawn_blocking(|| 42).wait().unwrap(), 42);
    /// ```
    pub fn lane(&self, name: impl Into<Cow<'static, str>>) -> Lane {
        Lane::new(self.clone(), Arc::clone(self.share()), name.into())
    }
}

impl Lane {
    fn new(pool: Pool, parent: Arc<Share>, name: Cow<'static, str>) -> Self {
        let inherited = Terms {
            name: Some(name),
            limit: None,
            queue_limit: None,
            when_full: WhenFull::default(),
            is_elastic: false,
            ..parent.terms.clone()
        };
        let share = Share::new(Arc::clone(&parent.core), Some(&parent), inherited);
        Self { pool, parent, share }
    }

    /// At most so many of its jobs run at a time. 0 counts as 1. Without it there is no limit but the
    /// pool's threads.
    ///
    /// Lanes whose limits together reach the pool's most threads can take them all: leave some, or make the
    /// lane [`elastic`](Self::elastic).
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("one at a time").limit(1);
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let first = lane.spawn_blocking(move || gate.recv());
    /// let second = lane.spawn_blocking(|| 2);
    /// assert_eq!(pool.spawn_blocking(|| 3).wait().unwrap(), 3); // others are not delayed
    /// assert!(!second.is_finished());
    /// drop(go);
    /// assert_eq!(second.wait().unwrap(), 2);
    /// # drop(first);
    /// ```
    pub fn limit(self, limit: usize) -> Self {
        self.with(|terms| terms.limit = Some(limit))
    }

    /// At most so many of its jobs wait; further ones are rejected as `QueueFull`. 0 counts as 1.
    ///
    /// With it, they take no places of the pool, or of the lane that this one is within, however full
    /// that is. Without it they share those: they count there, and where that is full, what
    /// [it does then](crate::WhenFull) is done.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("short").queue_limit(1);
    /// let permit = lane.try_reserve().unwrap(); // the only place
    /// assert!(lane.spawn_blocking(|| ()).wait().unwrap_err().is_rejected());
    /// # drop(permit);
    /// ```
    pub fn queue_limit(self, limit: usize) -> Self {
        self.with(|terms| terms.queue_limit = Some(limit))
    }

    /// What happens to a job that finds the lane's own queue full; nothing without a
    /// [`queue_limit`](Self::queue_limit).
    ///
    /// ```
    /// # use punctual::WhenFull;
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("latest").limit(1).queue_limit(1).when_full(WhenFull::DropOldest);
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let busy = lane.spawn_blocking(move || gate.recv());
    /// # while lane.load().running == 0 { std::thread::yield_now(); }
    /// let [old, new] = [1, 2].map(|n| lane.spawn_blocking(move || n));
    /// assert!(old.wait().unwrap_err().is_rejected());
    /// drop(go);
    /// assert_eq!(new.wait().unwrap(), 2);
    /// # drop(busy);
    /// ```
    pub fn when_full(self, policy: WhenFull) -> Self {
        self.with(|terms| terms.when_full = policy)
    }

    /// The timeout of its jobs that set neither a timeout nor a deadline; without it, that of the pool,
    /// or of the lane that it is within.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("quick").default_timeout(Duration::from_millis(5));
    /// let job = lane.spawn(|cx| cx.sleep(Duration::MAX));
    /// assert!(job.wait().unwrap_err().is_timed_out());
    /// ```
    pub fn default_timeout(self, time: Duration) -> Self {
        self.with(|terms| terms.default_timeout = Some(time))
    }

    /// The grace time of its jobs that set none (see [`Job::grace`](crate::Job::grace)); without it, that
    /// of the pool, or of the lane that it is within.
    ///
    /// ```
    /// # use punctual::Checked;
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("patient").default_grace(Duration::from_secs(10));
    /// let job = lane.job().run_timeout(Duration::from_millis(5)).spawn(|cx| -> Checked<_> {
    ///     cx.sleep(Duration::MAX).ok(); // until its time is up
    ///     Ok("what there is so far")
    /// });
    /// assert_eq!(job.wait().unwrap(), "what there is so far");
    /// ```
    pub fn default_grace(self, time: Duration) -> Self {
        self.with(|terms| terms.default_grace = Some(time))
    }

    /// The priority of its jobs that set none; without it, that of the lane that it is within, or normal.
    /// What a priority does in a lane: [above](Self#priorities-and-deadlines).
    ///
    /// ```
    /// # use punctual::Priority;
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("background").priority(Priority::Low);
    /// assert_eq!(lane.spawn_blocking(|| ()).info().priority(), Priority::Low);
    /// ```
    pub fn priority(self, priority: Priority) -> Self {
        self.with(|terms| terms.priority = priority)
    }

    /// Its limit adds to the pool's threads: each of its jobs that may run brings room for a thread of
    /// its own, which the pool has as long as that job. So jobs that block leave the others theirs, and
    /// start at once however busy those are. Nothing without a [`limit`](Self::limit).
    ///
    /// ```
    /// let pool = punctual::Pool::builder().threads(..=1).build().unwrap();
    /// let lane = pool.lane("blocking").limit(2).elastic();
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn_blocking(move || gate.recv()); // takes the pool's only thread
    /// assert_eq!(lane.spawn_blocking(|| 1).wait().unwrap(), 1);
    /// # drop((go, busy));
    /// ```
    pub fn elastic(self) -> Self {
        self.with(|terms| terms.is_elastic = true)
    }

    /// A new lane within this one.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let tenants = pool.lane("tenants").limit(8);
    /// let tenant = tenants.lane("tenant 7").limit(2); // 2 of the 8
    /// assert_eq!(tenant.spawn_blocking(|| 1).wait().unwrap(), 1);
    /// ```
    pub fn lane(&self, name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(self.pool.clone(), Arc::clone(&self.share), name.into())
    }

    /// Its name.
    ///
    /// ```
    /// assert_eq!(punctual::Pool::new().lane("thumbnails").name(), "thumbnails");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        self.share.terms.name.as_deref().unwrap_or_default()
    }

    /// A snapshot of its numbers; those of its jobs are in the [pool's](Pool::metrics), too. For those of
    /// all lanes of a pool, see [`Pool::lanes`].
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("thumbnails").limit(4);
    /// assert_eq!(lane.spawn_blocking(|| 1).wait().unwrap(), 1);
    /// let metrics = lane.metrics();
    /// assert_eq!((metrics.returned, metrics.run_time.count()), (1, 1));
    /// assert_eq!((metrics.limit, metrics.most_running), (Some(4), Some(1)));
    /// ```
    #[must_use]
    pub fn metrics(&self) -> LaneMetrics {
        self.share.lane_metrics()
    }

    /// Its jobs whose body goes on although their handle has resolved without it; see
    /// [`Pool::overdue`]. Those of a lane within it are that one's.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let pool = punctual::Pool::new();
    /// let [deaf, others] = ["deaf", "others"].map(|name| pool.lane(name).limit(2));
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let job = deaf.job().run_timeout(Duration::from_millis(5));
    /// assert!(job.spawn_blocking(move || gate.recv()).wait().is_err());
    /// assert_eq!(deaf.overdue()[0].lane(), Some("deaf"));
    /// assert!(others.overdue().is_empty());
    /// # drop(go);
    /// ```
    #[must_use]
    pub fn overdue(&self) -> Vec<JobInfo> {
        let is_own = |job: &Task| Share::of(job).is_some_and(|own| Arc::ptr_eq(&own, &self.share));
        self.pool.core().crew.infos(|job| job.head.is_overdue() && is_own(job))
    }

    pub(crate) fn share(&self) -> &Arc<Share> {
        &self.share
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    fn with(self, change: impl FnOnce(&mut Terms)) -> Self {
        let Self { pool, parent, share } = self;
        let mut terms = share.terms.clone();
        change(&mut terms);
        let share = Share::new(Arc::clone(&parent.core), Some(&parent), terms);
        Self { pool, parent, share }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("terms", &self.share.terms)
            .field("load", &self.load())
            .field("taken_and_most", &self.share.bulkhead().map(|bulkhead| bulkhead.taken()))
            .finish_non_exhaustive()
    }
}
