//! How much there is to do: for servers that shed load early.

use crate::bulkhead::Bulkhead;
use crate::forecast::Pace;
use crate::lane::Lane;
use crate::pool::Pool;
use crate::share::{Core, Share};
use std::sync::Arc;
use std::time::Duration;

/// How much there is to do in a pool, or in one of its lanes. To ask costs about a microsecond; see
/// [`metrics`](Pool::metrics) for more.
///
/// # Examples
/// A server that answers at once when it could not answer in time:
///
/// ```
/// use punctual::Lane;
/// use std::time::Duration;
///
/// fn thumbnail(lane: &Lane, budget: Duration) -> Result<String, &'static str> {
///     if lane.load().predicted_wait > budget {
///         return Err("busy");
///     }
///     let job = lane.job().timeout(budget).spawn_blocking(|| "a picture".to_owned());
///     job.wait().map_err(|_| "too late")
/// }
///
/// let pool = punctual::Pool::new();
/// let lane = pool.lane("thumbnails").limit(1);
/// assert_eq!(thumbnail(&lane, Duration::from_secs(60)), Ok("a picture".to_owned()));
///
/// let (go, gate) = std::sync::mpsc::channel::<()>();
/// let hangs = lane.spawn_blocking(move || gate.recv());
/// let budget = Duration::from_millis(5);
/// while lane.load().predicted_wait <= budget {
///     std::thread::yield_now(); // until that has run for so long
/// }
/// assert_eq!(thumbnail(&lane, budget), Err("busy"));
/// # drop((go, hangs));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// Jobs that were accepted and have not been started. A pool's are those of all its lanes, too.
    pub queued: usize,
    /// Jobs that run, overdue ones too. A pool's are those of all its lanes, too.
    pub running: usize,
    /// How many can run at a time, if no others do. Of a pool: its threads, and the spare ones that are
    /// lent just now. Of a lane: the least of that, its own limit and those of the lanes that it is
    /// within; of an elastic one, which brings its own threads, the least of those limits alone.
    pub limit: usize,
    /// How long a job without a deadline that came now would wait, if the others take as long as they
    /// lately did: for a thread, or until its lane and those that it is within let it through, whichever
    /// is longest. Zero while not all that can run do. What a lane holds back does not count for others.
    ///
    /// While nothing has been started for longer than jobs lately took, those that run are taken to need
    /// as long again: so it grows where all of them hang, and there is an estimate before a first job has
    /// returned. Single bodies that hang beside others that do not are not foreseen: look at
    /// [`overdue`](Pool::overdue), too.
    pub predicted_wait: Duration,
}

impl Pool {
    /// How much there is to do.
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
        let [queued, running] = self.board().now();
        // Each by the pace of all that pass it: this lane's own may all be quick, or there were none.
        let for_permit = |bulkhead: &Arc<Bulkhead>| {
            let rounds = (bulkhead.waiting()? + 1).div_ceil(bulkhead.limit());
            // While not all run, one waits for a thread: then the last start says nothing.
            Some(self.core.time_for(bulkhead.pace(), rounds, bulkhead.all_run()))
        };
        let for_permits = self.way().iter().filter_map(for_permit).max();
        let for_thread = if self.is_elastic { None } else { self.core.wait_for_thread() };
        let predicted_wait = for_permits.max(for_thread).unwrap_or_default();
        Load { queued, running, limit: self.most_at_a_time(), predicted_wait }
    }

    /// How many of its jobs can run at a time, if no other jobs do.
    pub(crate) fn most_at_a_time(&self) -> usize {
        let threads = (!self.is_elastic).then(|| self.core.crew.own_threads());
        let limits = self.way().iter().map(|bulkhead| bulkhead.limit());
        limits.chain(threads).min().unwrap_or(usize::MAX)
    }
}

impl Core {
    /// How long a job would wait for a thread; none if there is one, or may be one.
    fn wait_for_thread(&self) -> Option<Duration> {
        let [_, running] = self.counters.now();
        let (most, counts) = (self.crew.most_threads(), self.crew.counts());
        let away = counts.idle() + counts.searching();
        // Jobs may run on one thread inside of others, or on a caller's: so both.
        let all_busy = running >= most && counts.total().saturating_sub(away) >= most;
        let rounds = (self.crew.queued() + 1).div_ceil(self.crew.own_threads().max(1));
        all_busy.then(|| self.time_for(self.counters.pace(), rounds, true))
    }

    /// How long so many rounds of jobs take, if each takes as long as jobs lately did. While all run that
    /// can, one round is under way, and since the last start nothing has ended: so that round is taken to
    /// need as long again. (By the last start, not the first: one body that hangs beside others that do
    /// not is no reason to send everybody away.) Where no job has returned yet, all rounds are as that one.
    fn time_for(&self, pace: &Pace, rounds: usize, all_run: bool) -> Duration {
        let lately = pace.time_for(1);
        let so_far = if all_run {
            pace.since_last_start(self.clock().look().moment)
        } else {
            Duration::ZERO
        };
        let first = lately.max(so_far);
        let next = if lately.is_zero() { first } else { lately };
        let others = u32::try_from(rounds.saturating_sub(1)).unwrap_or(u32::MAX);
        first.saturating_add(next.saturating_mul(others))
    }
}
