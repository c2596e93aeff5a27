//! How much a pool takes on, and in which order.

use crate::builder::Builder;
use crate::queue::Order;
use crate::share::WhenFull;

impl Builder {
    /// How many jobs may wait at most; further ones are rejected as `QueueFull`. Jobs that run do
    /// not count, nor do those that were ended while they waited. Jobs of [lanes](crate::Lane) count,
    /// but for those with a [`queue_limit`](crate::Lane::queue_limit) of their own.
    ///
    /// ```
    /// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// let place = pool.try_reserve().unwrap(); // the only one
    /// assert!(pool.spawn_blocking(|| ()).wait().unwrap_err().is_rejected());
    /// assert!(place.spawn_blocking(|| ()).wait().is_ok());
    /// ```
    pub fn queue_limit(mut self, limit: usize) -> Self {
        self.queue_limit = Some(limit);
        self
    }

    /// So many more threads there may be while others are stuck: each takes the place of one whose job
    /// is [overdue](crate::Pool::overdue), until that returns, or of one that waits, in a job, for
    /// another that runs. A wait that can not run its job (with a time limit, or for a place in the queue)
    /// gets a thread in its place beyond these, if need be.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let pool = punctual::Pool::builder().threads(..=1).spare_threads(1).build().unwrap();
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let deaf = pool.job().run_timeout(Duration::from_millis(5));
    /// assert!(deaf.spawn_blocking(move || gate.recv()).wait().is_err()); // its thread is stuck
    /// assert_eq!(pool.spawn_blocking(|| 1).wait().unwrap(), 1);
    /// # drop(go);
    /// ```
    pub fn spare_threads(mut self, count: usize) -> Self {
        self.spares = count;
        self
    }

    /// In which order jobs of one priority are started.
    ///
    /// ```
    /// use punctual::{Order, Pool};
    /// use std::time::Duration;
    ///
    /// for (order, expected) in [(Order::EarliestDeadline, [1, 2, 3]), (Order::Fifo, [3, 2, 1])] {
    ///     let pool = Pool::builder().threads(..=1).order(order).build().unwrap();
    ///     let (go, gate) = std::sync::mpsc::channel::<()>();
    ///     let busy = pool.spawn_blocking(move || gate.recv()); // takes the only thread
    ///     # while pool.metrics().queued > 0 { std::thread::yield_now(); }
    ///     let (done, started) = std::sync::mpsc::channel();
    ///     for minutes in [3, 2, 1] {
    ///         let done = done.clone();
    ///         let job = pool.job().timeout(Duration::from_secs(60 * minutes));
    ///         job.spawn_blocking(move || done.send(minutes));
    ///     }
    ///     drop((go, done));
    ///     assert!(started.iter().eq(expected));
    ///     # drop(busy);
    /// }
    /// ```
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// What happens to a job that finds the queue full; see [`queue_limit`](Self::queue_limit).
    ///
    /// ```
    /// use punctual::{Pool, WhenFull};
    ///
    /// let pool = Pool::builder().threads(..=1).queue_limit(1).when_full(WhenFull::DropOldest);
    /// let pool = pool.build().unwrap();
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn_blocking(move || gate.recv()); // takes the only thread
    /// # while pool.metrics().queued > 0 { std::thread::yield_now(); }
    /// let [old, new] = [1, 2].map(|n| pool.spawn_blocking(move || n));
    /// assert!(old.wait().unwrap_err().is_rejected());
    /// drop(go);
    /// assert_eq!(new.wait().unwrap(), 2);
    /// ```
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.when_full = policy;
        self
    }
}
