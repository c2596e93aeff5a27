//! One thread that notices deadlines, started when the first one needs it. It knows no job.
//!
//! An alarm that is no longer wanted is taken out at once, by dropping its [`Armed`]: a job that
//! ends in time leaves nothing behind. The thread leaves when it had nothing to watch for a while.
//!
//! Ringing an alarm runs user code (destructors, hooks, wakers), which may be slow. That must delay
//! nobody else's deadline (law 2), so while the watcher rings, a deputy looks after it: if one ring
//! lasts longer than [`PATIENCE`], the deputy takes the watch, and the late one becomes the deputy
//! when it returns, or leaves if there is one.
//!
//! # Rules
//! 1. Alarms are rung and dropped with no lock held.
//! 2. There is one watcher at a time: the thread whose number is `watch`. Only it takes alarms out
//!    because they are due.
//! 3. `threads` counts the watcher, the deputy and those stuck in a ring.
//! 4. A watcher is started, when there is none, under the lock. Deputies are started outside it.

use crate::clock::{Clock, Keeper};
use crate::deadline::Deadline;
use crate::spawner::Spawner;
use crate::sync::{self, Condvar, Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How long a ring may last before the deputy takes the watch; half as long after each time that it
/// had to, until rings are quick again. So a slow ring costs those that are due behind it about this
/// much, and many slow ones not much more.
const PATIENCE: Duration = Duration::from_micros(500);
const LEAST_PATIENCE: Duration = Duration::from_micros(10);

const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Something to be done at a moment.
pub(crate) trait Alarm: Send + 'static {
    /// Does it. Runs on the timekeeper's thread, under no lock. Must not unwind.
    fn ring(self);
}

/// What an alarm is filed under: when, and a number that tells equal moments apart.
type Key = (Instant, u64);

/// Watches the clock for alarms of type `A`.
pub(crate) struct Timekeeper<A> {
    state: Mutex<State<A>>,
    /// The watcher waits here for an earlier alarm.
    watch: Condvar,
    /// The deputy waits here for a ring to begin.
    deputy: Condvar,
    name: String,
    clock: Clock,
    spawner: Spawner,
    /// How long a thread stays with nothing to watch.
    keep_alive: Duration,
}

struct State<A> {
    alarms: BTreeMap<Key, A>,
    /// The number the next alarm is filed under.
    next: u64,
    /// The number of the watcher (rule 2); zero while there is none.
    watch: u64,
    /// How many watches there have been; each has its own number.
    watches: u64,
    /// When the watcher, which waits, will look again by itself; none while it does not wait.
    looks_at: Option<Deadline>,
    /// An alarm was set since the watcher last looked.
    used: bool,
    /// How many rings have begun. With `ringing` it tells the deputy that one lasts.
    rings: u64,
    ringing: bool,
    deputy: Deputy,
    /// How long the next ring may last.
    patience: Duration,
    threads: usize,
    /// Threads leave as soon as there is nothing to watch.
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deputy {
    Absent,
    /// Waits to be notified that a ring has begun.
    Asleep,
    /// Looks every so often whether a ring lasts.
    Looking,
}

/// An alarm that is set. Dropping it takes the alarm back, if it was not rung yet.
pub(crate) struct Armed<A: Alarm> {
    keeper: Arc<Timekeeper<A>>,
    key: Key,
}

impl<A: Alarm> Armed<A> {
    pub(crate) fn at(&self) -> Instant {
        self.key.0
    }
}

impl<A: Alarm> Drop for Armed<A> {
    fn drop(&mut self) {
        let mut state = self.keeper.state.lock();
        let alarm = state.alarms.remove(&self.key);
        let over = state.is_over();
        drop(state);
        drop(alarm); // after the lock (rule 1)
        if over {
            self.keeper.watch.notify_all();
            self.keeper.deputy.notify_all();
        }
    }
}

impl<A: Alarm> Timekeeper<A> {
    /// A timekeeper whose threads will have this name; it has none yet.
    pub(crate) fn new(name: String, clock: Clock, spawner: Spawner) -> Arc<Self> {
        Self::staying(name, clock, spawner, KEEP_ALIVE)
    }

    /// One whose threads stay so long with nothing to watch.
    fn staying(name: String, clock: Clock, spawner: Spawner, keep_alive: Duration) -> Arc<Self> {
        let state = State {
            alarms: BTreeMap::new(),
            next: 0,
            watch: 0,
            watches: 0,
            looks_at: None,
            used: false,
            rings: 0,
            ringing: false,
            deputy: Deputy::Absent,
            patience: PATIENCE,
            threads: 0,
            closed: false,
        };
        let (watch, deputy) = (Condvar::new(), Condvar::new());
        let state = Mutex::new(state);
        let keeper = Arc::new(Self { state, watch, deputy, name, clock, spawner, keep_alive });
        if let Clock::Manual(clock) = &keeper.clock {
            let weak: Weak<Self> = Arc::downgrade(&keeper);
            clock.enlist(weak);
        }
        keeper
    }

    /// What time it is here.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sets an alarm.
    ///
    /// # Errors
    /// The first alarm needs a thread. If the system gives none, the alarm is not set.
    pub(crate) fn arm(self: &Arc<Self>, at: Instant, alarm: A) -> io::Result<Armed<A>> {
        let key = self.file(at, alarm)?;
        Ok(Armed { keeper: Arc::clone(self), key })
    }

    /// Has an alarm rung at once, one that can not be taken back.
    ///
    /// # Errors
    /// As [`arm`](Self::arm); the alarm is dropped.
    pub(crate) fn ring_soon(self: &Arc<Self>, alarm: A) -> io::Result<()> {
        self.file(self.clock.now(), alarm).map(drop)
    }

    fn file(self: &Arc<Self>, at: Instant, alarm: A) -> io::Result<Key> {
        let mut state = self.state.lock();
        if state.watch == 0 && !self.clock.is_manual() {
            // Under the lock, so that nobody counts on a watcher that then fails to start.
            self.start_watcher(&mut state)?;
        }
        let key = (at, state.next);
        state.next += 1;
        state.alarms.insert(key, alarm);
        state.used = true;
        let too_late = state.looks_at.is_some_and(|looks_at| Deadline::at(at) < looks_at);
        if too_late {
            state.looks_at = None; // it is called, once
        }
        drop(state);
        if too_late {
            self.watch.notify_one();
        }
        Ok(key)
    }

    /// How many alarms are set.
    pub(crate) fn alarms(&self) -> usize {
        self.state.lock().alarms.len()
    }

    /// From now on threads leave as soon as there is nothing to watch.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.watch.notify_all();
        self.deputy.notify_all();
    }

    fn start_watcher(self: &Arc<Self>, state: &mut State<A>) -> io::Result<()> {
        let number = state.next_watch();
        let keeper = Arc::clone(self);
        self.start(move || keeper.stand_watch(number))?;
        state.threads += 1;
        state.watch = number;
        Ok(())
    }

    fn start_deputy(self: &Arc<Self>) {
        let keeper = Arc::clone(self);
        if self.start(move || keeper.stand_by()).is_err() {
            self.go_without_deputy();
        }
    }

    fn go_without_deputy(&self) {
        let mut state = self.state.lock();
        state.deputy = Deputy::Absent; // the next ring tries again
        state.threads -= 1;
    }

    fn start(&self, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.spawner.start(self.name.clone(), None, run).map(drop)
    }

    /// The watcher: waits for the next alarm, rings it, and so on while the watch is its own.
    fn stand_watch(self: Arc<Self>, number: u64) {
        let mut state = self.state.lock();
        let mut busy = sync::now();
        while state.watch == number {
            let now = sync::now();
            if std::mem::take(&mut state.used) {
                busy = now;
            }
            match state.first() {
                Some(at) if at <= now => {
                    state = self.ring_first(state, number);
                    busy = sync::now();
                }
                None if state.closed || now.duration_since(busy) >= self.keep_alive => {
                    state.watch = 0;
                    state.threads -= 1;
                    return self.deputy.notify_all(); // it may leave, too
                }
                first => state = self.look_later(state, first),
            }
        }
        self.come_back(state);
    }

    /// The watcher waits for the first alarm, or for one that comes before it. It is called only if
    /// it would look too late: a job that ends in time costs no wake-up.
    fn look_later<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<A>>,
        first: Option<Instant>,
    ) -> MutexGuard<'a, State<A>> {
        let until = first.map_or_else(|| Deadline::after(self.keep_alive), Deadline::at);
        state.looks_at = Some(until);
        let mut state = self.watch.wait_until(state, until.instant());
        state.looks_at = None;
        state
    }

    /// Rings the first alarm, with a deputy looking after it.
    fn ring_first<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State<A>>,
        number: u64,
    ) -> MutexGuard<'a, State<A>> {
        let Some((_, alarm)) = state.alarms.pop_first() else { return state };
        state.rings += 1;
        state.ringing = true;
        let deputy = std::mem::replace(&mut state.deputy, Deputy::Looking);
        state.threads += usize::from(deputy == Deputy::Absent);
        drop(state);
        match deputy {
            Deputy::Absent => self.start_deputy(),
            Deputy::Asleep => self.deputy.notify_one(),
            Deputy::Looking => {}
        }
        alarm.ring();
        let mut state = self.state.lock();
        if state.watch == number {
            state.ringing = false;
        }
        state
    }

    /// A watcher that lost the watch during a long ring.
    fn come_back(self: &Arc<Self>, mut state: MutexGuard<'_, State<A>>) {
        if state.deputy != Deputy::Absent {
            state.threads -= 1;
            return;
        }
        state.deputy = Deputy::Looking;
        drop(state);
        Arc::clone(self).stand_by();
    }

    /// The deputy: takes the watch when one ring lasts too long.
    fn stand_by(self: Arc<Self>) {
        let mut state = self.state.lock();
        loop {
            let seen = state.rings;
            let patience = state.patience;
            state = self.deputy.wait_for(state, patience);
            if state.rings != seen {
                state.patience = PATIENCE;
                continue;
            }
            if state.ringing {
                state.patience = LEAST_PATIENCE.max(patience / 2);
                state.deputy = Deputy::Absent;
                state.ringing = false;
                let number = state.next_watch();
                state.watch = number;
                drop(state);
                return self.stand_watch(number);
            }
            state = self.sleep(state);
            if state.deputy == Deputy::Absent {
                return;
            }
        }
    }

    /// The deputy waits for a ring, or leaves when none comes.
    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, State<A>>) -> MutexGuard<'a, State<A>> {
        state.deputy = Deputy::Asleep;
        state.patience = PATIENCE;
        let until = sync::now().checked_add(self.keep_alive);
        while state.deputy == Deputy::Asleep {
            if state.is_over() || until.is_some_and(|at| at <= sync::now()) {
                state.deputy = Deputy::Absent;
                state.threads -= 1;
                break;
            }
            state = self.deputy.wait_until(state, until);
        }
        state
    }
}

impl<A> State<A> {
    fn first(&self) -> Option<Instant> {
        self.alarms.first_key_value().map(|(key, _)| key.0)
    }

    /// There is nothing to watch, and nothing will come.
    fn is_over(&self) -> bool {
        self.closed && self.alarms.is_empty()
    }

    fn next_watch(&mut self) -> u64 {
        self.watches += 1;
        self.watches
    }
}

/// By a manual clock, who moves it rings what is due; there are no threads.
impl<A: Alarm> Keeper for Timekeeper<A> {
    fn next(&self) -> Option<Instant> {
        self.state.lock().first()
    }

    fn ring_first(&self, now: Instant) {
        let mut state = self.state.lock();
        let due = state.first().is_some_and(|at| at <= now);
        let first = if due { state.alarms.pop_first() } else { None };
        drop(state);
        if let Some((_, alarm)) = first {
            alarm.ring();
        }
    }
}

impl<A> fmt::Debug for Timekeeper<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        let alarms = (state.alarms.len(), state.first());
        let (watch, deputy, threads) = (state.watch, state.deputy, state.threads);
        let ringing = state.ringing;
        drop(state);
        f.debug_struct("Timekeeper")
            .field("name", &self.name)
            .field("alarms_and_first", &alarms)
            .field("watch", &watch)
            .field("deputy", &deputy)
            .field("ringing", &ringing)
            .field("threads", &threads)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests;

#[cfg(all(test, punctual_loom))]
mod models;
