//! A recipe: waiting for a `Condvar` until a condition holds, or the job is stopped.
//!
//! ```text
//! cargo run --example condvar
//! ```
//!
//! A stop is one more thing that the wait looks for, and `notify_all` is how the wait is told to look. At a
//! stop it ends with [`Stopped`], and the job as timed out or cancelled. Others that wait for the same
//! condition variable look at their own condition, find nothing new, and wait on.
//!
//! # Why no stop is missed
//! The stop is said first, then comes the notification, and it is not made under the lock. So it can come
//! after the waiter has looked and before it waits, and is lost. `interruptible` notifies again after 1,
//! 2, 4 … 32 ms, until the wait is over: at worst it ends a millisecond later.
//!
//! To take the lock for the notification would mend that, too, and do harm: who stops the job would wait
//! for everybody who holds the lock, and for ever if it holds the lock itself. And leaving `interruptible`,
//! with the guard in hand, waits for the notification that waits for the lock.
//!
//! # Why nobody else's notification is missed
//! A `notify_one` that was meant for any of the waiters may wake the one that is stopped. That one takes
//! nothing, and passes it on: it notifies one, too, before it leaves.

use punctual::{Checked, JobContext, Phase, Pool, Stopped};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Waits as long as the condition holds, as [`Condvar::wait_while`], but no longer than until the job is
/// stopped. A poisoned lock is taken as it is.
///
/// # Errors
/// If the job is asked to stop before the condition is seen not to hold, or was before.
pub(crate) fn wait_while<'a, T>(
    cx: &JobContext,
    lock: &'a Mutex<T>,
    changed: &Condvar,
    mut condition: impl FnMut(&mut T) -> bool,
) -> Result<MutexGuard<'a, T>, Stopped> {
    let wait = || {
        let mut guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            cx.check().inspect_err(|_| changed.notify_one())?;
            if !condition(&mut guard) {
                return Ok(guard);
            }
            guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    };
    cx.interruptible(|| changed.notify_all(), wait)
}

/// A stock of goods that jobs take from, and wait for.
#[derive(Default)]
struct Stock {
    goods: Mutex<Vec<&'static str>>,
    changed: Condvar,
}

impl Stock {
    fn put(&self, one: &'static str) {
        self.goods.lock().unwrap_or_else(PoisonError::into_inner).push(one);
        self.changed.notify_one();
    }

    fn take(&self, cx: &JobContext) -> Checked<Option<&'static str>> {
        Ok(wait_while(cx, &self.goods, &self.changed, |goods| goods.is_empty())?.pop())
    }
}

pub(crate) fn main() -> anyhow::Result<()> {
    let (pool, stock) = (Pool::new(), Arc::new(Stock::default()));
    let take = |name, time| {
        let stock = Arc::clone(&stock);
        pool.job().name(name).run_timeout(time).spawn(move |cx| stock.take(cx))
    };
    let hasty = take("hasty", Duration::from_millis(20));
    println!("nothing comes: {}", hasty.wait().expect_err("the stock is empty"));
    let patient = take("patient", Duration::from_secs(60));
    stock.put("a loaf of bread");
    println!("something does: {:?}", patient.wait()?);
    let cancelled = take("cancelled", Duration::from_secs(60));
    while cancelled.info().phase() == Phase::Queued {
        std::thread::yield_now();
    }
    cancelled.cancel();
    println!("nobody waits for it: {}", cancelled.wait().expect_err("the stock is empty"));
    Ok(())
}
