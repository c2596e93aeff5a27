//! How much there is to do: for servers that shed load early.

use crate::lane::Lane;
use crate::pool::Pool;
use crate::share::Share;
use crate::sync::Ordering;
use std::time::Duration;

/// How much there is to do in a pool, or in one of its lanes.
///
/// # Examples
///
/// ```
/// let pool = punctual::Pool::new();
/// assert!(pool.load().predicted_wait.is_zero()); // a job would start at once
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// Jobs that were accepted and have not been started. Those of lanes count there only.
    pub queued: usize,
    /// Jobs that run, overdue ones too. Those of lanes count there only.
    pub running: usize,
    /// How many can run at a time.
    pub limit: usize,
    /// How long a job without a deadline that came now would wait, if the others take as long as they
    /// lately did. Zero while not all that can run do.
    pub predicted_wait: Duration,
}

impl Pool {
    /// How much there is to do, lanes excepted.
    ///
    /// ```
    /// let pool = punctual::Pool::builder().threads(..=1).build().unwrap();
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let jobs = [pool.spawn_blocking(move || drop(gate.recv())), pool.spawn_blocking(|| ())];
    /// # while pool.load().running == 0 { std::thread::yield_now(); }
    /// let load = pool.load();
    /// assert_eq!((load.queued, load.running, load.limit), (1, 1, 1));
    /// # drop((go, jobs));
    /// ```
    #[must_use]
    pub fn load(&self) -> Load {
        self.share().load()
    }
}

impl Lane {
    /// How much there is to do in this lane.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("thumbnails").limit(4);
    /// let load = lane.load();
    /// assert_eq!((load.queued, load.running, load.limit), (0, 0, 4));
    /// ```
    #[must_use]
    pub fn load(&self) -> Load {
        self.share().load()
    }
}

impl Share {
    fn load(&self) -> Load {
        // ORDERING: Relaxed; only the numbers count.
        let queued = self.waiting.load(Ordering::Relaxed);
        let running = self.running.load(Ordering::Relaxed);
        let threads = self.core.crew.most_threads();
        let limit = self.bulkhead().map_or(threads, |bulkhead| bulkhead.limit().min(threads));
        let rounds = if running < limit { 0 } else { (queued + 1).div_ceil(limit.max(1)) };
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let predicted_wait = self.pace.mean().saturating_mul(rounds);
        Load { queued, running, limit, predicted_wait }
    }
}
