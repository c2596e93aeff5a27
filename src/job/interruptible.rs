//! Work that somebody else can cut short: a stop that is fired again until the work is left.
//!
//! A single interrupt gets lost when it comes just before the call that it is meant for: SQLite
//! forgets one that is fired around the start of a statement. So the stop is fired when the job is
//! asked to stop and then again after 1, 2, 4 … 32 ms, on the timekeeper's thread.
//!
//! # Why this is correct
//! `stop` may borrow from the caller's stack, and other threads call it. Its lifetime is erased to
//! say so; that is sound because
//! 1. other threads reach it only through `Interrupter::stop`, and only in `fire`, which counts
//!    itself in `calls` under the same lock in which it finds the reference there;
//! 2. `leave` takes the reference out under that lock, and then waits until `calls` is zero;
//! 3. `leave` runs before `interruptible` returns or unwinds, by `Scope`'s destructor, which is
//!    on the stack and can not be forgotten.
//!
//! A thread per call (`std::thread::scope`) would do without `unsafe`, for hundreds of times
//! the price: `cargo bench --bench interruptible`.

use crate::deadline::Deadline;
use crate::job::JobContext;
use crate::job::cell::Task;
use crate::job::time::Bell;
use crate::sync::{Condvar, Mutex};
use crate::timekeeper::Armed;
use std::sync::Arc;
use std::time::Duration;

/// How long after the first firing the second comes; each pause is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(32);

impl JobContext {
    /// Does `work`, and calls `stop` when the job is asked to stop, again and again until `work`
    /// is left.
    ///
    /// `stop` should make `work` return, as by interrupting a statement or shutting down a socket.
    /// It is called at once when the job is asked to stop, then after 1, 2, 4 … 32 ms and every
    /// 32 ms, on other threads than this one. If the job was asked before, `stop` is called before
    /// `work`, and goes on from there. It may borrow. Before this returns, the last call of `stop`
    /// has ended, and no other will come: it can not hit whatever runs next. `stop` must not wait
    /// for this job.
    ///
    /// # Panics
    /// With the panic of `work`. One of `stop` is told to the pool's `on_unseen_panic`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Read;
    /// use std::net::Shutdown;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let pool = punctual::Pool::new();
    /// let (mut here, _there) = UnixStream::pair().unwrap();
    /// let job = pool.spawn(move |cx| {
    ///     let mut line = [0; 80];
    ///     let other = here.try_clone()?;
    ///     let stop = || drop(other.shutdown(Shutdown::Both));
    ///     let read = cx.interruptible(stop, || here.read(&mut line))?;
    ///     cx.check()?;
    ///     Ok::<_, std::io::Error>(read)
    /// });
    /// job.cancel();
    /// assert!(job.wait().unwrap_err().is_cancelled());
    /// ```
    pub fn interruptible<R>(&self, stop: impl Fn() + Sync, work: impl FnOnce() -> R) -> R {
        let stop: &(dyn Fn() + Sync) = &stop;
        // SAFETY: only the lifetime changes. The reference is not used after this function: see
        // "Why this is correct" above.
        let stop: &'static (dyn Fn() + Sync) = unsafe { std::mem::transmute(stop) };
        let _scope = Scope::enter(self.task(), stop);
        work()
    }
}

/// Shared by the scope and those who fire.
struct Interrupter {
    inner: Mutex<Inner>,
    /// Notified when the last call has ended.
    calm: Condvar,
    task: Task,
}

struct Inner {
    /// Some until the scope is left.
    stop: Option<&'static (dyn Fn() + Sync)>,
    /// How many threads are in `stop`.
    calls: usize,
    pause: Duration,
    next: Option<Armed<Bell>>,
}

/// On the caller's stack while `work` runs.
struct Scope {
    interrupter: Arc<Interrupter>,
    listener: Option<u64>,
}

impl Scope {
    fn enter(task: &Task, stop: &'static (dyn Fn() + Sync)) -> Self {
        let inner = Inner { stop: Some(stop), calls: 0, pause: FIRST_PAUSE, next: None };
        let interrupter = Arc::new(Interrupter {
            inner: Mutex::new(inner),
            calm: Condvar::new(),
            task: Arc::clone(task),
        });
        let firing = Arc::clone(&interrupter);
        let mut scope = Self { interrupter, listener: None }; // from here on it is left, come what may
        scope.listener = task.head.listen(Box::new(move |_| {
            firing.fire();
            None
        }));
        scope
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.interrupter.leave();
        if let Some(number) = self.listener {
            self.interrupter.task.head.unlisten_lazily(number);
        }
    }
}

impl Interrupter {
    /// Calls `stop`, unless the scope was left, and sees to the next call.
    fn fire(self: &Arc<Self>) {
        let Some((stop, pause)) = self.begin_call() else { return };
        self.task.head.catch(stop);
        self.end_call();
        self.arm(self.task.head.owner.clock().after(pause));
    }

    fn begin_call(&self) -> Option<(&'static (dyn Fn() + Sync), Duration)> {
        let mut inner = self.inner.lock();
        let stop = inner.stop?;
        inner.calls += 1;
        let pause = inner.pause;
        inner.pause = LONGEST_PAUSE.min(pause * 2);
        Some((stop, pause))
    }

    fn end_call(&self) {
        let mut inner = self.inner.lock();
        inner.calls -= 1;
        if inner.calls == 0 {
            self.calm.notify_all();
        }
    }

    fn arm(self: &Arc<Self>, at: Deadline) {
        let firing = Arc::clone(self);
        let Some(armed) = self.task.call_at(at, move || firing.fire()) else { return };
        let mut inner = self.inner.lock();
        let unwanted = match inner.stop {
            Some(_) => inner.next.replace(armed),
            None => Some(armed),
        };
        drop(inner);
        drop(unwanted);
    }

    fn leave(&self) {
        let mut inner = self.inner.lock();
        inner.stop = None;
        let next = inner.next.take();
        while inner.calls > 0 {
            inner = self.calm.wait(inner);
        }
        drop(inner);
        drop(next);
    }
}
