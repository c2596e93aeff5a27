//! Gates, wakers and threads of scenarios.

use crate::sync::for_shuttle::thread::JoinHandle;
use crate::sync::for_shuttle::{NEVER_COMES, chance};
use crate::sync::{Condvar, Mutex};
use crate::{Builder, Checked, JobContext, Pool};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Settings of a pool. In half of them an idle thread's time is never up: a thread that is not
/// woken must not be saved by that.
pub(super) fn builder() -> Builder {
    let keep_alive = if chance(2) == 0 { NEVER_COMES } else { ms(10_000) };
    Pool::builder().keep_alive(keep_alive)
}

pub(super) fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("no panic");
    }
}

/// A gate that threads wait at until it is opened, once for all.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(super) fn open(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }

    pub(super) fn pass(&self) {
        let mut open = self.0.0.lock();
        while !*open {
            open = self.0.1.wait(open);
        }
    }
}

/// Waits until the job is stopped.
pub(super) fn wait_for_stop(cx: &JobContext) -> Checked<()> {
    let gate = Gate::default();
    let told = gate.clone();
    let _guard = cx.on_stop(move |_| told.open());
    gate.pass();
    cx.check()
}

/// A number that is no step of the model.
#[derive(Clone, Default)]
pub(super) struct Tally(Arc<AtomicUsize>);

impl Tally {
    pub(super) fn add(&self) {
        // ORDERING: Relaxed; all threads of an execution are one.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> usize {
        // ORDERING: as in `add`.
        self.0.load(Ordering::Relaxed)
    }
}

/// Counted when it is dropped.
#[derive(Debug)]
pub(super) struct OnDrop<F: FnMut()>(pub(super) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Wake for Tally {
    fn wake(self: Arc<Self>) {
        self.add();
    }
}

/// Polls once, with a waker that counts.
pub(super) fn poll<F: Future + Unpin>(future: &mut F, woken: &Tally) -> Poll<F::Output> {
    let waker = Waker::from(Arc::new(woken.clone()));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}
