//! How much there is to do: for servers that shed load early.

use crate::lane::Lane;
use crate::pool::Pool;
use crate::share::Share;
use std::time::Duration;

/// How much there is to do in a pool, or in one of its lanes. To ask costs about a microsecond; see
/// [`metrics`](Pool::metrics) for more.
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
    /// Jobs that were accepted and have not been started. A pool's are those of all its lanes, too.
    pub queued: usize,
    /// Jobs that run, overdue ones too. A pool's are those of all its lanes, too.
    pub running: usize,
    /// How many can run at a time: the threads that there may be just now, or the lane's own limit if
    /// that is lower, or if it is elastic.
    pub limit: usize,
    /// How long a job without a deadline that came now would wait, if the others take as long as they
    /// lately did: for a thread, or until its lane lets it through, whichever is longer. Zero while not
    /// all that can run do. (What a lane holds back does not count for others; nor are the limits of
    /// lanes around this one looked at.)
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
        let (board, crew) = (self.board(), &self.core.crew);
        let ([queued, running], threads) = (board.now(), crew.most_threads());
        let limit = self.bulkhead().map(|bulkhead| bulkhead.limit());
        let for_permit = limit.map(|limit| board.predicted_wait(queued, running, limit));
        let for_thread = match self.is_elastic {
            true => None, // it brings its own
            false => {
                let [_, busy] = self.core.counters.now();
                Some(self.core.counters.predicted_wait(crew.queued(), busy, threads))
            }
        };
        let predicted_wait = for_permit.max(for_thread).unwrap_or_default();
        let limit =
            limit.map_or(threads, |own| if self.is_elastic { own } else { own.min(threads) });
        Load { queued, running, limit, predicted_wait }
    }
}
