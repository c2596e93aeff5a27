//! Two pools of a page each, to show what is spent on all that others do.

use crate::contenders::{Contender, sent};
use std::collections::VecDeque;
use std::future::{Future, ready};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

type Body = Box<dyn FnOnce() + Send>;

/// A `Mutex<VecDeque>` and a `Condvar`, and a oneshot channel for each result.
#[derive(Clone)]
pub(crate) struct Simple(Arc<Open<SimpleShare>>);

#[derive(Default)]
struct SimpleShare {
    state: Mutex<SimpleState>,
    changed: Condvar,
}

#[derive(Default)]
struct SimpleState {
    queue: VecDeque<Body>,
    idle: usize,
    closed: bool,
}

impl Contender for Simple {
    const NAME: &'static str = "simple";

    fn new(threads: usize) -> Self {
        Self(Open::new(threads, SimpleShare::work))
    }

    fn spawn(
        &self,
        body: impl FnOnce() -> u64 + Send + 'static,
    ) -> impl Future<Output = u64> + Send + 'static {
        let (job, result) = sent(body);
        self.0.share.push(Box::new(job));
        result
    }

    fn detach(&self, body: impl FnOnce() + Send + 'static) {
        self.0.share.push(Box::new(body));
    }
}

impl SimpleShare {
    fn push(&self, body: Body) {
        let mut state = self.state.lock().expect("no panic under it");
        state.queue.push_back(body);
        let idle = state.idle > 0;
        drop(state);
        if idle {
            self.changed.notify_one();
        }
    }

    fn work(&self) {
        let mut state = self.state.lock().expect("no panic under it");
        loop {
            if let Some(body) = state.queue.pop_front() {
                drop(state);
                body();
                state = self.state.lock().expect("no panic under it");
            } else if state.closed {
                return;
            } else {
                state.idle += 1;
                state = self.changed.wait(state).expect("no panic under it");
                state.idle -= 1;
            }
        }
    }
}

impl Share for SimpleShare {
    fn close(&self) {
        self.state.lock().expect("no panic under it").closed = true;
        self.changed.notify_all();
    }
}

/// Boxed closures handed over, as many at a time as there are; no result for each, only their sum.
#[derive(Clone)]
pub(crate) struct Handoff(Arc<Open<HandoffShare>>);

#[derive(Default)]
struct HandoffShare {
    state: Mutex<HandoffState>,
    changed: Condvar,
    settled: Condvar,
}

#[derive(Default)]
struct HandoffState {
    queue: Vec<Box<dyn FnOnce() -> u64 + Send>>,
    idle: usize,
    /// How many were handed over and have not been run.
    left: usize,
    sum: u64,
    closed: bool,
}

impl Contender for Handoff {
    const NAME: &'static str = "hand-off";

    fn new(threads: usize) -> Self {
        Self(Open::new(threads, HandoffShare::work))
    }

    /// The future gives nothing, and at once.
    fn spawn(
        &self,
        body: impl FnOnce() -> u64 + Send + 'static,
    ) -> impl Future<Output = u64> + Send + 'static {
        self.0.share.push(Box::new(body));
        ready(0)
    }

    fn settle(&self) -> u64 {
        let share = &self.0.share;
        let state = share.state.lock().expect("no panic under it");
        let state = share.settled.wait_while(state, |state| state.left > 0);
        std::mem::take(&mut state.expect("no panic under it").sum)
    }
}

impl HandoffShare {
    fn push(&self, body: Box<dyn FnOnce() -> u64 + Send>) {
        let mut state = self.state.lock().expect("no panic under it");
        state.queue.push(body);
        state.left += 1;
        let idle = state.idle > 0;
        drop(state);
        if idle {
            self.changed.notify_one();
        }
    }

    fn work(&self) {
        let mut batch = Vec::new();
        let mut state = self.state.lock().expect("no panic under it");
        loop {
            if !state.queue.is_empty() {
                std::mem::swap(&mut batch, &mut state.queue);
                drop(state);
                let done = batch.len();
                let sum: u64 = batch.drain(..).map(|body| body()).sum();
                state = self.state.lock().expect("no panic under it");
                state.sum += sum;
                state.left -= done;
                if state.left == 0 {
                    self.settled.notify_all();
                }
            } else if state.closed {
                return;
            } else {
                state.idle += 1;
                state = self.changed.wait(state).expect("no panic under it");
                state.idle -= 1;
            }
        }
    }
}

impl Share for HandoffShare {
    fn close(&self) {
        self.state.lock().expect("no panic under it").closed = true;
        self.changed.notify_all();
    }
}

/// What the threads of a pool share.
trait Share: Default + Send + Sync + 'static {
    fn close(&self);
}

/// A pool; its threads leave when it is dropped and the queue is empty.
struct Open<S: Share> {
    share: Arc<S>,
}

impl<S: Share> Open<S> {
    fn new(threads: usize, work: fn(&S)) -> Arc<Self> {
        let share = Arc::new(S::default());
        for _ in 0..threads {
            let share = Arc::clone(&share);
            thread::spawn(move || work(&share));
        }
        Arc::new(Self { share })
    }
}

impl<S: Share> Drop for Open<S> {
    fn drop(&mut self) {
        self.share.close();
    }
}
