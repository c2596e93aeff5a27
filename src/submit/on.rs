//! Pool or lane: what has jobs spawned on it.

use crate::lane::Lane;
use crate::pool::Pool;
use crate::submit::Job;
use std::ops::Deref;

/// What jobs are spawned on: a [`Pool`] or a [`Lane`] of one, or a pointer to either.
///
/// For code that is to serve both, as [`JobSet::on`](crate::JobSet::on) does; each of them has all of
/// this, and more, by itself. It can not be implemented for other types.
///
/// # Examples
///
/// ```
/// use punctual::{JobHandle, Pool, SpawnOn};
/// use std::time::Duration;
///
/// fn answer(on: &impl SpawnOn) -> JobHandle<u32> {
///     on.job().name("answer").timeout(Duration::from_secs(5)).spawn_blocking(|| 6 * 7)
/// }
///
/// let pool = Pool::new();
/// assert_eq!(answer(&pool).wait().unwrap(), 42);
/// assert_eq!(answer(&pool.lane("answers").limit(4)).wait().unwrap(), 42);
/// ```
pub trait SpawnOn: Open {
    /// Settings for a job there.
    ///
    /// ```
    /// use punctual::{Pool, SpawnOn};
    ///
    /// let shared = std::sync::Arc::new(Pool::new());
    /// assert_eq!(SpawnOn::job(&shared).spawn_blocking(|| 1).wait().unwrap(), 1);
    /// ```
    fn job(&self) -> Job;
}

/// Who has it keeps its pool open. No other crate can name it.
pub trait Open {
    /// The pool, or that of the lane.
    #[doc(hidden)]
    fn pool(&self) -> &Pool;
}

impl SpawnOn for Pool {
    fn job(&self) -> Job {
        self.job()
    }
}

impl SpawnOn for Lane {
    fn job(&self) -> Job {
        self.job()
    }
}

impl<P: Deref<Target: SpawnOn>> SpawnOn for P {
    fn job(&self) -> Job {
        (**self).job()
    }
}

impl Open for Pool {
    fn pool(&self) -> &Pool {
        self
    }
}

impl Open for Lane {
    fn pool(&self) -> &Pool {
        self.pool()
    }
}

impl<P: Deref<Target: SpawnOn>> Open for P {
    fn pool(&self) -> &Pool {
        (**self).pool()
    }
}
