//! The one door: a pool, as its users hold it.

use crate::info::JobInfo;
use crate::metrics::{LaneMetrics, Metrics};
use crate::share::{Core, Share};
use std::fmt;
use std::sync::Arc;

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
    share: Arc<Share>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.share.core.retire();
    }
}

impl Pool {
    /// A snapshot of the pool's counts.
    ///
    /// ```
    /// assert_eq!(punctual::Pool::new().metrics().accepted, 0);
    /// ```
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.share().metrics()
    }

    /// A snapshot of each of its lanes' numbers: of those that were ever given a job and are still there,
    /// also those within others, in the order in which that was. A lane is gone when its last clone, permit
    /// and job are; its jobs stay counted in the pool's [`metrics`](Self::metrics).
    ///
    /// Lanes of one name are told apart only by their place in this list.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// let [reports, mails, _unused] = ["reports", "mails", "unused"].map(|name| pool.lane(name).limit(4));
    /// assert!(mails.spawn_blocking(|| ()).wait().is_ok());
    /// assert!(reports.spawn_blocking(|| ()).wait().is_ok());
    /// let lanes = pool.lanes();
    /// assert!(lanes.iter().map(|lane| &*lane.name).eq(["mails", "reports"]));
    /// assert_eq!(lanes.iter().map(|lane| lane.returned).sum::<u64>(), pool.metrics().returned);
    /// ```
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneMetrics> {
        let all = self.core().shares();
        let lanes = all.iter().filter(|share| !Arc::ptr_eq(share, self.share()));
        lanes.map(|lane| lane.lane_metrics()).collect()
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

    pub(crate) fn of(share: Arc<Share>) -> Self {
        Self { inner: Arc::new(Open { share }) }
    }

    pub(crate) fn share(&self) -> &Arc<Share> {
        &self.inner.share
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.share().core
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
            .field("live_entries", &core.crew.queued())
            .field("searching", &counts.searching())
            .field("workers", &core.crew.workers())
            .field("at_desks", &core.crew.infos(|_| true))
            .field("places", &self.share().places())
            .field("keeper", &core.keeper)
            .finish_non_exhaustive()
    }
}
