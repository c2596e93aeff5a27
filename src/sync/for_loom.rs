//! The primitives while a model is checked: loom's, and what loom leaves out.
//!
//! A model knows no time. loom's timed waits end by a notification alone. Here a short one, whose
//! thread wants to look again soon, is over at once; one that only keeps a thread from waiting for
//! ever ends by a notification alone, as loom's do.

use loom::cell::UnsafeCell;
pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};
pub(crate) use loom::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub(crate) use loom::thread;
use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, PoisonError, TryLockResult};
pub(crate) use std::thread_local;
use std::time::Duration;

pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Timed waits up to this long are short.
const SHORT: Duration = Duration::from_millis(1);

/// loom's atomic numbers, with an update that hides nothing.
///
/// Of all accesses to a number loom remembers the last. The load that loom's own update begins with
/// would hide another thread's load before it, and loom would not try the two in the other order.
macro_rules! number {
    ($name:ident, $type:ty) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name(loom::sync::atomic::$name);

        impl $name {
            pub(crate) fn new(value: $type) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            pub(crate) fn fetch_update(
                &self,
                set: Ordering,
                read: Ordering,
                mut update: impl FnMut($type) -> Option<$type>,
            ) -> Result<$type, $type> {
                let mut now = self.0.fetch_or(0, read); // not a load
                loop {
                    let Some(next) = update(now) else { return Err(now) };
                    match self.0.compare_exchange(now, next, set, read) {
                        Ok(_) => return Ok(now),
                        Err(other) => now = other,
                    }
                }
            }
        }

        impl Deref for $name {
            type Target = loom::sync::atomic::$name;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    };
}

number!(AtomicU32, u32);
number!(AtomicU64, u64);
number!(AtomicUsize, usize);

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

/// loom's, with the lock that it is of.
pub(crate) struct MutexGuard<'a, T> {
    lock: &'a Mutex<T>,
    guard: loom::sync::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(MutexGuard { lock: self, guard })
    }

    pub(crate) fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Ok(MutexGuard { lock: self, guard }),
            Err(_) => Err(std::sync::TryLockError::WouldBlock),
        }
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

#[derive(Debug, Default)]
pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let MutexGuard { lock, guard } = guard;
        let guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
        Ok(MutexGuard { lock, guard })
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        if time > SHORT {
            return self.wait(guard).map(|guard| (guard, ())).map_err(|_| unreachable!());
        }
        let lock = guard.lock;
        drop(guard);
        thread::yield_now();
        lock.lock().map(|guard| (guard, ())).map_err(|_| unreachable!())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A place that only who has won the right to it touches. There is no lock: loom fails the model
/// that shows two who touch it at once, or one that may not see what the last one did.
#[derive(Debug)]
pub(crate) struct Reserved<T>(UnsafeCell<T>);

// SAFETY: loom checks in every execution that it is touched by one thread at a time.
unsafe impl<T: Send> Sync for Reserved<T> {}

impl<T> Reserved<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(crate) fn replace(&self, value: T) -> T {
        // SAFETY: the pointer is valid, and loom checks that nobody else is here.
        self.0.with_mut(|place| unsafe { std::ptr::replace(place, value) })
    }
}
