//! The primitives when the assembled pool is a model: shuttle's, and a time that only waits move.
//!
//! Shuttle knows no time: its timed waits never time out. Here time stands still but for who waits
//! for it. A timed wait is listed with the moment it waits for, and a thread of the model, the
//! *clock*, moves time to one of those moments whenever the scheduler lets it run. So each timed
//! wait ends, sooner or later than what it is in a race with; and if nobody waits for a moment, and
//! nobody can go on, shuttle still sees a deadlock.
//!
//! Condition variables are made of `park`, and so wake for no reason, as shuttle's park does and
//! its condition variables do not.
//!
//! # Rules
//! 1. All threads of one execution share an OS thread, so what belongs to an execution is in a
//!    thread-local of that. It is never borrowed while shuttle may switch.
//! 2. [`explore`](crate::scenarios) begins each execution with [`begin`], which starts the clock.
//!    The clock leaves when nobody else is there.

pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
pub(crate) use shuttle::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub(crate) use shuttle::thread_local;

use shuttle::rand::{Rng, thread_rng};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// What belongs to one execution.
struct World {
    now: Instant,
    /// One in so many looks at the time finds it later by [`TICK`]; never, if zero.
    drift: u32,
    /// The clock moves time in one of so many of its turns.
    pace: u32,
    /// Who waits for which moment; the number tells equal moments apart.
    waits: BTreeMap<(Instant, u64), thread::Thread>,
    next: u64,
    clock: Option<thread::Thread>,
    /// Threads that have not come to their end, but the clock.
    threads: usize,
    /// Of the threads that are asked for next, the system gives none to those marked.
    refused: Vec<bool>,
}

/// How far a look at the time moves it, if it does.
const TICK: Duration = Duration::from_micros(30);

/// Time does not move so far: who waits for so long must be woken.
pub(crate) const NEVER_COMES: Duration = Duration::from_secs(1 << 32);

std::thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World {
        now: Instant::now(),
        drift: 0,
        pace: 1,
        waits: BTreeMap::new(),
        next: 0,
        clock: None,
        threads: 0,
        refused: Vec::new(),
    });
}

fn world<R>(look: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with(|world| look(&mut world.borrow_mut()))
}

/// Begins an execution, in its first thread.
pub(crate) fn begin() {
    let (pace, drift) = (1 << (2 * chance(3)), [0, 0, 16, 4][chance(4) as usize]);
    world(|world| {
        world.waits.clear();
        world.refused.clear();
        (world.threads, world.pace, world.drift) = (1, pace, drift);
    });
    let clock = shuttle::thread::spawn(tick);
    world(|world| world.clock = Some(clock.thread().clone()));
}

/// The first thread has come to its end.
pub(crate) fn end() {
    leave();
}

/// Whether the system has no thread to give, for each of those that are asked for next.
pub(crate) fn refuse_threads(which: &[bool]) {
    world(|world| world.refused = which.iter().rev().copied().collect());
}

/// A number below `n`, chosen by the model's seed.
pub(crate) fn chance(n: u32) -> u32 {
    thread_rng().gen_range(0..n)
}

/// Lets others run here.
pub(crate) fn switch() {
    shuttle::thread::sleep(Duration::ZERO); // it only switches
}

pub(crate) fn now() -> Instant {
    let drift = world(|world| world.drift);
    let ticks = drift > 0 && chance(drift) == 0;
    world(|world| {
        if ticks {
            world.now += TICK;
        }
        world.now
    })
}

/// The clock: moves time, while somebody waits for it.
fn tick() {
    loop {
        let (waits, alone, pace) =
            world(|world| (world.waits.len() as u32, world.threads == 0, world.pace));
        if waits == 0 && alone {
            return world(|world| world.clock = None);
        }
        if waits == 0 {
            shuttle::thread::park();
        } else if chance(pace) == 0 {
            move_time(chance(waits) as usize);
        } else {
            shuttle::thread::yield_now();
        }
    }
}

/// Moves time to the `n`th moment that somebody waits for, and wakes all whose moment has come.
fn move_time(n: usize) {
    let come = world(|world| {
        let at = world.waits.keys().nth(n).map_or(world.now, |(at, _)| *at);
        world.now = world.now.max(at);
        let later = world.waits.split_off(&(world.now, u64::MAX));
        std::mem::replace(&mut world.waits, later)
    });
    for (_, thread) in come {
        thread.unpark();
    }
}

/// Calls the clock, which may have something to do.
fn call_clock() {
    if let Some(clock) = world(|world| world.clock.clone()) {
        clock.unpark();
    }
}

/// A thread has come to its end.
fn leave() {
    let alone = world(|world| {
        world.threads -= 1;
        world.threads == 0
    });
    if alone {
        call_clock();
    }
}

/// Parks for so long; or less, for no reason.
fn park_for(time: Duration) {
    if time > NEVER_COMES / 2 {
        return shuttle::thread::park();
    }
    let at = now() + time;
    let me = thread::current();
    let key = world(|world| {
        world.next += 1;
        let key = (at, world.next);
        world.waits.insert(key, me);
        key
    });
    call_clock();
    shuttle::thread::park();
    world(|world| world.waits.remove(&key));
}

pub(crate) mod thread {
    use super::{leave, world};
    pub(crate) use shuttle::thread::{JoinHandle, Thread, ThreadId, current, park, yield_now};
    use std::io;
    use std::time::Duration;

    pub(crate) fn park_timeout(time: Duration) {
        super::park_for(time);
    }

    /// A thread factory; at times the system has none to give.
    #[derive(Debug)]
    pub(crate) struct Builder(shuttle::thread::Builder);

    impl Builder {
        pub(crate) fn new() -> Self {
            Self(shuttle::thread::Builder::new())
        }

        pub(crate) fn name(self, name: String) -> Self {
            Self(self.0.name(name))
        }

        pub(crate) fn stack_size(self, _bytes: usize) -> Self {
            self
        }

        pub(crate) fn spawn<F>(self, run: F) -> io::Result<JoinHandle<()>>
        where
            F: FnOnce() + Send + 'static,
        {
            super::switch();
            if world(|world| world.refused.pop()).unwrap_or(false) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            world(|world| world.threads += 1);
            self.0.spawn(move || {
                run();
                leave();
            })
        }
    }

    /// Spawns a thread of a scenario.
    pub(crate) fn spawn(run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        world(|world| world.threads += 1);
        shuttle::thread::spawn(move || {
            run();
            leave();
        })
    }
}

/// Shuttle's mutex, with a guard that knows it.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

pub(crate) struct MutexGuard<'a, T> {
    guard: shuttle::sync::MutexGuard<'a, T>,
    mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(MutexGuard { guard, mutex: self })
    }

    pub(crate) fn try_lock(&self) -> Result<MutexGuard<'_, T>, ()> {
        let guard = match self.0.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(()),
        };
        Ok(MutexGuard { guard, mutex: self })
    }

    pub(crate) fn into_inner(self) -> LockResult<T> {
        self.0.into_inner()
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A condition variable made of `park`: who waits, under numbers.
#[derive(Debug, Default)]
pub(crate) struct Condvar(std::sync::Mutex<(u64, BTreeMap<u64, thread::Thread>)>);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_by(guard, thread::park)
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        self.wait_by(guard, || park_for(time)).map(|guard| (guard, ())).map_err(|_| unreachable!())
    }

    pub(crate) fn notify_one(&self) {
        switch();
        let waiting = self.waiting().1.len() as u32;
        let nth = if waiting > 1 { chance(waiting) as usize } else { 0 };
        let mut list = self.waiting();
        let number = list.1.keys().nth(nth).copied();
        let thread = number.and_then(|number| list.1.remove(&number));
        drop(list);
        if let Some(thread) = thread {
            thread.unpark();
        }
    }

    pub(crate) fn notify_all(&self) {
        switch();
        let all = std::mem::take(&mut self.waiting().1);
        for (_, thread) in all {
            thread.unpark();
        }
    }

    fn wait_by<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        park: impl FnOnce(),
    ) -> LockResult<MutexGuard<'a, T>> {
        let mutex = guard.mutex;
        let me = thread::current();
        let mut list = self.waiting();
        list.0 += 1;
        let number = list.0;
        list.1.insert(number, me);
        drop(list);
        drop(guard); // who is notified from here on finds the token, and does not park
        park();
        self.waiting().1.remove(&number);
        mutex.lock()
    }

    /// Never held while shuttle may switch.
    fn waiting(&self) -> std::sync::MutexGuard<'_, (u64, BTreeMap<u64, thread::Thread>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
