//! A pool whose threads are all held, so that what is submitted stays in the queue.

use crate::contenders::{Contender, await_all};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Sender};
use std::task::{Context, Poll, Wake, Waker};
use tokio::runtime::{Builder, Runtime};

/// The one thread of a pool is held until this is dropped or [opened](Self::open).
pub(crate) struct Held {
    gate: Pin<Box<dyn Future<Output = u64>>>,
    open: Sender<()>,
}

impl Held {
    pub(crate) fn new(pool: &impl Contender) -> Self {
        let ((open, opened), (tell, told)) = (mpsc::channel::<()>(), mpsc::channel());
        let gate = pool.spawn(move || {
            tell.send(()).expect("it is waited for");
            _ = opened.recv();
            0
        });
        told.recv().expect("it is reached");
        Self { gate: Box::pin(gate), open }
    }

    /// Lets the thread go, and waits until it has done all that was in the queue.
    pub(crate) fn open(self, pool: &impl Contender) {
        let last = pool.spawn(|| 0);
        drop(self.open);
        await_all([self.gate]);
        await_all([last]);
    }
}

/// What a job captured: counts that it was run, and that it was dropped.
pub(crate) struct Capture(Arc<Fates>);

/// What became of the captures of many jobs.
#[derive(Default)]
pub(crate) struct Fates {
    run: AtomicU64,
    dropped: AtomicU64,
}

impl Fates {
    pub(crate) fn capture(self: &Arc<Self>) -> Capture {
        Capture(Arc::clone(self))
    }

    // Relaxed, here and below: they are read when all is over, or as a sample.
    pub(crate) fn run(&self) -> f64 {
        self.run.load(Relaxed) as f64
    }

    pub(crate) fn dropped(&self) -> f64 {
        self.dropped.load(Relaxed) as f64
    }
}

impl Capture {
    pub(crate) fn run(self) -> u64 {
        self.0.run.fetch_add(1, Relaxed);
        1
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Relaxed);
    }
}

/// Polls a future with a waker that only notes; `None` if it is not ready.
pub(crate) fn poll_with<F: Future>(
    future: &mut Pin<Box<F>>,
    waker: &Arc<impl Wake + Send + Sync + 'static>,
) -> Option<F::Output> {
    let waker = Waker::from(Arc::clone(waker));
    match future.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// A runtime with a thread of its own that drives its timers.
pub(crate) fn timers() -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build();
    runtime.expect("the system has a thread")
}
