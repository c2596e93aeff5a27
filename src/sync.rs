//! The only names of the primitives: std's, or loom's or shuttle's when a model is checked.
//!
//! Locks here do not poison. No user code runs under a lock of ours (law 14), so a panic can not
//! leave one half-changed, and a poisoned lock would only turn one failure into many.

#[cfg(punctual_loom)]
mod for_loom;
#[cfg(punctual_shuttle)]
#[allow(dead_code, reason = "only scenarios begin an execution")]
pub(crate) mod for_shuttle;
#[cfg(all(test, punctual_loom))]
pub(crate) mod models;

#[cfg(punctual_loom)]
use for_loom as imp;
#[cfg(punctual_shuttle)]
use for_shuttle as imp;
#[cfg(punctual_loom)]
pub(crate) use imp::Reserved;
pub(crate) use imp::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, thread};
pub(crate) use imp::{now, thread_local};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// Whether the assembled pool is a model: numbers that decide only how often something is done are
/// small there, so that it is done at all.
pub(crate) const MODEL: bool = cfg!(punctual_shuttle);

/// A number that is only shown, or of which an old value does no harm: nothing is decided by it. So it is
/// std's in models, too, and no step of theirs.
pub(crate) type Statistic = std::sync::atomic::AtomicU64;

pub(crate) type MutexGuard<'a, T> = imp::MutexGuard<'a, T>;

#[cfg(not(any(punctual_loom, punctual_shuttle)))]
mod imp {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use std::sync::{
        Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    };
    pub(crate) use std::{thread, thread_local};

    pub(crate) fn now() -> std::time::Instant {
        std::time::Instant::now()
    }
}

/// A lock that guards data, never a passage of code.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock, unless somebody holds it.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lock that many may read under at once.
#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(imp::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn read(&self) -> imp::RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> imp::RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A condition variable; its waits may return for no reason.
#[derive(Debug, Default)]
pub(crate) struct Condvar(imp::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(imp::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until notified or until `at`; `None` waits for a notification alone.
    pub(crate) fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        at: Option<Instant>,
    ) -> MutexGuard<'a, T> {
        match at {
            None => self.wait(guard),
            Some(at) => self.wait_for(guard, at.saturating_duration_since(now())),
        }
    }

    pub(crate) fn wait_for<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> MutexGuard<'a, T> {
        self.0.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A place that only who has won the right to it touches; something else decides who has. The lock is
/// never contended: a model has none in its place, and shows that the right alone suffices.
#[cfg(not(punctual_loom))]
#[derive(Debug)]
pub(crate) struct Reserved<T>(Mutex<T>);

#[cfg(not(punctual_loom))]
impl<T> Reserved<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn replace(&self, value: T) -> T {
        std::mem::replace(&mut *self.0.lock(), value)
    }
}
