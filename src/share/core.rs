//! What all shares of a pool have in common.

use crate::clock::Clock;
use crate::error::Panic;
use crate::forecast::Forecasts;
use crate::info::JobInfo;
use crate::job::Bell;
use crate::lifecycle::Stage;
use crate::metrics::Scoreboard;
use crate::observer::Watch;
use crate::places::Places;
use crate::queue::Order;
use crate::share::{Share, Stuck};
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};
use crate::timekeeper::Timekeeper;
use crate::unwind::{self, Payload};
use crate::worker::Crew;
use std::sync::{Arc, Weak};

/// What a pool's jobs, threads, lanes and handles share.
pub(crate) struct Core {
    pub(crate) crew: Arc<Crew>,
    pub(crate) counters: Scoreboard,
    pub(crate) watch: Watch,
    pub(crate) order: Order,
    /// None where jobs are started whether they can be done or not.
    pub(crate) forecasts: Option<Forecasts>,
    pub(crate) stuck: Stuck,
    pub(crate) on_unseen_panic: UnseenPanicHook,
    /// Jobs that a shutdown ended in the queue.
    pub(crate) never_started: Mutex<Vec<JobInfo>>,
    /// How many accepted jobs were ever claimed in the queue.
    pub(crate) claimed: AtomicU64,
    pub(crate) keeper: Arc<Timekeeper<Bell>>,
    /// Those who wait for this pool's end in one of its own jobs.
    pub(crate) inside: Mutex<Inside>,
    /// The pool's own share, and those lanes that ever took a job and are still there.
    shares: Mutex<Vec<Weak<Share>>>,
}

/// How many jobs, on how many threads, wait for the end of the pool that they are on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inside {
    pub(crate) jobs: usize,
    pub(crate) threads: usize,
}

/// Told of panics that nobody sees.
pub(crate) type UnseenPanicHook = Arc<dyn Fn(Panic) + Send + Sync>;

impl Core {
    pub(crate) fn new(
        crew: Arc<Crew>,
        keeper: Arc<Timekeeper<Bell>>,
        order: Order,
        watch: Watch,
        on_unseen_panic: UnseenPanicHook,
    ) -> Arc<Self> {
        let forecasts = || Forecasts::new(keeper.clock().look().moment);
        Arc::new(Self {
            crew,
            counters: Scoreboard::default(),
            watch,
            order,
            forecasts: (order == Order::EarliestDeadline).then(forecasts),
            stuck: Stuck::default(),
            on_unseen_panic,
            never_started: Mutex::new(Vec::new()),
            claimed: AtomicU64::new(0),
            keeper,
            inside: Mutex::new(Inside::default()),
            shares: Mutex::default(),
        })
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.keeper.clock()
    }

    pub(crate) fn stage(&self) -> Stage {
        self.crew.lifecycle.stage()
    }

    /// No job is lost and no thread waits for more: what there is is done, and then all leave.
    pub(crate) fn retire(&self) {
        self.crew.retire();
        self.keeper.close();
    }

    /// The places of a bounded queue.
    pub(crate) fn new_places(&self, limit: usize) -> Arc<Places> {
        Places::new(limit, payload_hook(&self.on_unseen_panic))
    }

    /// Tells of a panic that nobody sees.
    pub(crate) fn unseen_panic(&self, panic: Panic) {
        tell(&self.on_unseen_panic, panic);
    }

    /// Refuses all who wait for a place.
    pub(crate) fn close_places(&self) {
        for share in self.shares() {
            share.close_places();
        }
    }

    /// From now on this share is among those that a shutdown looks at.
    /// `true` if it was not before.
    pub(crate) fn list(&self, share: &Arc<Share>, is_listed: &AtomicBool) -> bool {
        let mut shares = self.shares.lock();
        // ORDERING: AcqRel. The Release pairs with the Acquire in the share's `list`; of those who come
        // together, the lock lets one list it.
        if is_listed.swap(true, Ordering::AcqRel) {
            return false;
        }
        if shares.len() == shares.capacity() {
            shares.retain(|share| share.strong_count() > 0);
        }
        shares.push(Arc::downgrade(share));
        true
    }

    /// The pool's own share and the lanes.
    pub(crate) fn shares(&self) -> Vec<Arc<Share>> {
        self.shares.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

fn tell(hook: &UnseenPanicHook, panic: Panic) {
    unwind::drop_quietly(unwind::catch(|| hook(panic)));
}

/// For what knows no job.
pub(crate) fn payload_hook(hook: &UnseenPanicHook) -> Arc<dyn Fn(Payload) + Send + Sync> {
    let hook = Arc::clone(hook);
    Arc::new(move |payload| tell(&hook, Panic::new(payload, None)))
}
