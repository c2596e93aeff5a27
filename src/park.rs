//! Waiting on this thread for a future, with or without a deadline; needs no runtime.

use crate::deadline::Deadline;
use crate::sync::{AtomicBool, Ordering, thread};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A thread that waits, and whether somebody has called for it.
///
/// The thread's own park token is not enough: other code on the thread may take it.
struct Sleeper {
    called: AtomicBool,
    thread: thread::Thread,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // ORDERING: Release pairs with the Acquire swap in `block_on`, so that the poll after it
        // sees what the waking thread did before.
        if !self.called.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

/// Polls `future` on this thread until it is ready.
pub(crate) fn wait<F: Future + Unpin>(future: &mut F) -> F::Output {
    loop {
        if let Some(output) = block_on(future, Deadline::NEVER) {
            return output;
        }
    }
}

/// Polls `future` on this thread until it is ready or the deadline has passed.
///
/// It is polled once more after the deadline, so that what is ready by then is not missed.
pub(crate) fn block_on<F: Future + Unpin>(future: &mut F, until: Deadline) -> Option<F::Output> {
    let sleeper = Arc::new(Sleeper { called: AtomicBool::new(false), thread: thread::current() });
    let waker = Waker::from(Arc::clone(&sleeper));
    let mut cx = Context::from_waker(&waker);
    loop {
        let last = until.has_passed();
        if let Poll::Ready(output) = Pin::new(&mut *future).poll(&mut cx) {
            return Some(output);
        }
        if last {
            return None;
        }
        // ORDERING: Acquire pairs with the Release in `wake_by_ref`.
        while !sleeper.called.swap(false, Ordering::Acquire) && !until.has_passed() {
            park(until);
        }
    }
}

fn park(until: Deadline) {
    match until.remaining() {
        Some(left) => park_for(left),
        None => thread::park(),
    }
}

/// Parks this thread, at the longest for `time`.
#[cfg(not(punctual_loom))]
pub(crate) fn park_for(time: Duration) {
    thread::park_timeout(time);
}

/// Parks this thread: a model knows no time.
#[cfg(punctual_loom)]
pub(crate) fn park_for(_time: Duration) {
    thread::park();
}
