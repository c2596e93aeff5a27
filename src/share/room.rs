//! The room in a bounded queue: its places, and what is done for a job that finds none.

use crate::aside;
use crate::error::Rejection;
use crate::job::{Cell, Task};
use crate::places::{Place, Places};
use crate::sync::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// What happens to a job that finds the queue full.
///
/// # Examples
/// Who is run of two, where only one can wait:
///
/// ```
/// use punctual::{Pool, WhenFull};
///
/// for (policy, are_run) in [
///     (WhenFull::Reject, [true, false]),
///     (WhenFull::DropOldest, [false, true]),
///     (WhenFull::CallerRuns, [true, true]),
/// ] {
///     let pool = Pool::builder().threads(..=1).queue_limit(1).when_full(policy).build().unwrap();
///     let (go, gate) = std::sync::mpsc::channel::<()>();
///     let busy = pool.spawn_blocking(move || gate.recv()); // takes the only thread
///     # while pool.metrics().queued > 0 { std::thread::yield_now(); }
///     let [old, new] = [1, 2].map(|n| pool.spawn_blocking(move || n));
///     drop(go);
///     assert_eq!([old.wait().is_ok(), new.wait().is_ok()], are_run);
///     # drop(busy);
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// It is refused as [`QueueFull`](Rejection::QueueFull).
    #[default]
    Reject,
    /// The one that has waited longest is refused as [`QueueFull`](Rejection::QueueFull), whatever its
    /// priority, and this one takes its place. What it captured is dropped on a thread of the pool, not by who spawns. Where
    /// all places are reserved there is none to drop: this one is refused.
    DropOldest,
    /// It is run at once by the thread that spawns it, which is held up so long: until the body has
    /// returned, even if its handle has resolved before, at its deadline. (Where it may not run yet,
    /// because its lane is at its limit, that thread waits until it has run.)
    ///
    /// So who spawns faster than the pool works is slowed down. It is not for async tasks: they would
    /// hold up their executor. Such a job counts in no limit of the pool's threads, but in its lane's.
    ///
    /// What such a body spawns while the queue is full is run within it, on the same stack; nothing
    /// limits how deep that goes. Bodies that spawn others like themselves, as a walk through a tree
    /// does, may overflow the stack so: let those wait for a place, by [`reserve`](crate::Pool::reserve),
    /// or use [`Reject`](Self::Reject) and [`try_spawn`](crate::Pool::try_spawn).
    ///
    /// ```
    /// use punctual::{Pool, WhenFull};
    /// use std::thread;
    ///
    /// let pool = Pool::builder().threads(..=1).queue_limit(1).when_full(WhenFull::CallerRuns);
    /// let pool = pool.build().unwrap();
    /// let (go, gate) = std::sync::mpsc::channel::<()>();
    /// let busy = pool.spawn_blocking(move || gate.recv()); // takes the only thread
    /// # while pool.metrics().queued > 0 { thread::yield_now(); }
    /// let queued = pool.spawn_blocking(|| thread::current().id());
    /// let one_more = pool.spawn_blocking(|| thread::current().id()); // returns when it has been run
    /// assert!(one_more.is_finished() && !queued.is_finished());
    /// assert_eq!(one_more.wait().unwrap(), thread::current().id());
    /// drop(go);
    /// assert_ne!(queued.wait().unwrap(), thread::current().id());
    /// # drop(busy);
    /// ```
    CallerRuns,
}

/// The room in one queue.
pub(crate) struct Room {
    pub(crate) places: Arc<Places>,
    when_full: WhenFull,
    /// The jobs in the order in which they came, and some that wait no more; only to drop the oldest.
    arrivals: Mutex<Arrivals>,
}

#[derive(Default)]
struct Arrivals {
    list: VecDeque<Weak<Cell>>,
    sweep_at: usize,
}

/// How a job came in.
pub(crate) enum Entry {
    Placed(Place),
    /// There is no place: its own thread is to run it.
    ByCaller,
}

impl Room {
    pub(crate) fn new(places: Arc<Places>, when_full: WhenFull) -> Self {
        Self { places, when_full, arrivals: Mutex::default() }
    }

    /// Finds a place for a job, or what else is to be done; none is to be had once it is closed.
    pub(crate) fn enter(&self, is_open: impl Fn() -> bool) -> Result<Entry, Rejection> {
        if let Some(place) = self.places.try_take() {
            return Ok(Entry::Placed(place));
        }
        if !is_open() {
            return Err(Rejection::ShutDown);
        }
        match self.when_full {
            WhenFull::Reject => Err(Rejection::QueueFull),
            WhenFull::CallerRuns => Ok(Entry::ByCaller),
            WhenFull::DropOldest => self.drop_oldest(is_open),
        }
    }

    /// The place of the oldest, before all who wait for one; what it captured is dropped aside.
    fn drop_oldest(&self, is_open: impl Fn() -> bool) -> Result<Entry, Rejection> {
        let mut first = self.places.wait_first();
        loop {
            if let Some(place) = first.take() {
                return Ok(Entry::Placed(place));
            }
            if !is_open() {
                return Err(Rejection::ShutDown);
            }
            let oldest = self.oldest().ok_or(Rejection::QueueFull)?; // all places are reserved
            if let Some(left) = oldest.begin_refuse(Rejection::QueueFull) {
                let keeper = Arc::clone(left.keeper());
                aside::run(&keeper, vec![left], Duration::ZERO);
            }
        }
    }

    /// Notes a job that has come in.
    pub(crate) fn note(&self, task: &Task) {
        if self.when_full != WhenFull::DropOldest {
            return;
        }
        let mut arrivals = self.arrivals.lock();
        arrivals.list.push_back(Arc::downgrade(task));
        if arrivals.list.len() < arrivals.sweep_at.max(64) {
            return;
        }
        let mut gone = Vec::new(); // dropped under no lock, though it is no user's code
        arrivals.list.retain(|job| {
            let job = job.upgrade();
            let waits = job.as_ref().is_some_and(|job| job.head.state.is_waiting());
            gone.extend(job);
            waits
        });
        arrivals.sweep_at = 2 * arrivals.list.len();
        drop(arrivals);
    }

    fn oldest(&self) -> Option<Task> {
        let mut arrivals = self.arrivals.lock();
        let waiting = |job: Weak<Cell>| job.upgrade().filter(|job| job.head.state.is_waiting());
        std::iter::from_fn(|| arrivals.list.pop_front()).find_map(waiting)
    }
}
