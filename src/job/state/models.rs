//! Models of a job's word and of those who listen to it: every interleaving that matters, by loom.

use super::*;
use crate::stop::{Added, Listeners};
use crate::sync::{AtomicU32, Mutex};
use crate::unwind;
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;

/// A job reduced to its word: the slot is a cell that loom watches for races.
struct Job {
    state: State,
    slot: UnsafeCell<u32>,
    waker: Mutex<bool>,
    woken: AtomicU32,
    dropped: AtomicU32,
    decided: AtomicU32,
    told: Arc<AtomicU32>,
    listeners: Listeners,
}

const BODY: u32 = 1;
const OUTCOME: u32 = 2;

impl Job {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: State::new(),
            slot: UnsafeCell::new(BODY),
            waker: Mutex::new(false),
            woken: AtomicU32::new(0),
            dropped: AtomicU32::new(0),
            decided: AtomicU32::new(0),
            told: Arc::new(AtomicU32::new(0)),
            listeners: Listeners::default(),
        })
    }

    fn touch(&self, expected: u32, then: u32) {
        // SAFETY: the rules of job say that nobody else is here; loom checks it.
        self.slot
            .with_mut(|slot| unsafe { assert_eq!(std::mem::replace(&mut *slot, then), expected) });
    }

    fn run(&self) {
        if !self.state.start() {
            return;
        }
        self.touch(BODY, 0);
        match self.state.finish() {
            Finished::Decides(_) => {
                self.touch(0, OUTCOME);
                self.decide(true);
            }
            Finished::Late => assert!(!self.state.end()),
        }
    }

    fn decide(&self, ended: bool) {
        self.decided.fetch_add(1, Ordering::Relaxed);
        let todo = self.state.publish(ended);
        if todo.detached {
            self.drop_outcome();
        }
        if todo.waker && std::mem::take(&mut *self.waker.lock()) {
            self.woken.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn drop_outcome(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        if self.state.early_end().is_none() {
            self.touch(OUTCOME, 0);
        }
    }

    fn cancel(&self) {
        match self.state.request_stop(Cause::Caller) {
            Requested::Claimed => {
                self.touch(BODY, 0);
                self.decide(true);
            }
            Requested::First { listening: true } => {
                self.listeners.tell(Cause::Caller, unwind::discard);
            }
            _ => {}
        }
    }

    /// As the timekeeper does for a running job whose time is up.
    fn expire(&self) {
        if self.state.is_running() {
            let _ = self.state.request_stop(Cause::Deadline);
            if self.state.give_up() {
                self.decide(false);
            }
        } else if self.state.claim(Early::Stopped(Cause::Deadline)) {
            self.touch(BODY, 0);
            self.decide(true);
        }
    }

    /// `true` when it took the outcome.
    fn poll(&self) -> bool {
        *self.waker.lock() = true;
        if !self.state.watch() {
            return false;
        }
        assert!(self.state.take());
        if self.state.early_end().is_none() {
            self.touch(OUTCOME, 0);
        }
        true
    }
}

fn spawn(job: &Arc<Job>, act: fn(&Job)) -> thread::JoinHandle<()> {
    let job = Arc::clone(job);
    thread::spawn(move || act(&job))
}

fn count(of: &AtomicU32) -> u32 {
    of.load(Ordering::Relaxed)
}

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(model);
}

#[test]
fn finish_against_poll() {
    check(|| {
        let job = Job::new();
        let worker = spawn(&job, Job::run);
        let taken = job.poll();
        worker.join().expect("no panic");
        assert!(taken || count(&job.woken) == 1, "no lost wake-up");
        assert!(taken || job.poll());
    });
}

/// oneshot #87: the handle goes after it was polled once.
#[test]
fn finish_against_a_handle_that_is_dropped_after_a_poll() {
    check(|| {
        let job = Job::new();
        let worker = spawn(&job, Job::run);
        if !job.poll() && job.state.detach() {
            job.drop_outcome();
        }
        worker.join().expect("no panic");
        assert!(count(&job.dropped) <= 1 && count(&job.decided) == 1);
        assert!(job.state.has_ended());
    });
}

#[test]
fn start_against_cancel() {
    check(|| {
        let job = Job::new();
        let worker = spawn(&job, Job::run);
        job.cancel();
        worker.join().expect("no panic");
        assert_eq!(count(&job.decided), 1);
        assert!(job.poll());
    });
}

#[test]
fn start_and_finish_against_a_deadline() {
    check(|| {
        let job = Job::new();
        let worker = spawn(&job, Job::run);
        job.expire();
        worker.join().expect("no panic");
        assert_eq!(count(&job.decided), 1);
        assert!(job.poll() && job.state.has_ended());
    });
}

#[test]
fn finish_against_cancel_against_a_deadline() {
    check(|| {
        let job = Job::new();
        let (worker, keeper) = (spawn(&job, Job::run), spawn(&job, Job::expire));
        job.cancel();
        worker.join().expect("no panic");
        keeper.join().expect("no panic");
        assert_eq!(count(&job.decided), 1);
        assert!(job.poll() && job.state.has_ended());
    });
}

#[test]
fn a_deadline_against_a_dropped_handle() {
    check(|| {
        let job = Job::new();
        let (worker, keeper) = (spawn(&job, Job::run), spawn(&job, Job::expire));
        if job.state.detach() {
            job.drop_outcome();
        }
        worker.join().expect("no panic");
        keeper.join().expect("no panic");
        assert_eq!((count(&job.decided), count(&job.dropped)), (1, 1));
    });
}

/// Law 7: told once, on the list or on the spot.
#[test]
fn listening_against_a_stop() {
    check(|| {
        let job = Job::new();
        assert!(job.state.start());
        let canceller = spawn(&job, Job::cancel);
        let told = Arc::clone(&job.told);
        let listener = Box::new(move |_| assert_eq!(told.fetch_add(1, Ordering::Relaxed), 0));
        let added = match job.state.listen() {
            None => job.listeners.add(listener),
            Some(_) => Added::TooLate(listener),
        };
        if let Added::TooLate(listener) = added {
            listener(Cause::Caller);
        }
        canceller.join().expect("no panic");
        assert_eq!(count(&job.told), 1);
    });
}

/// Law 9: when the removal returns, the listener was told before or never will be.
#[test]
fn unlistening_against_a_stop() {
    check(|| {
        let job = Job::new();
        assert!(job.state.start() && job.state.listen().is_none());
        let (removed, strays) = (Arc::clone(&job.told), Arc::new(AtomicU32::new(0)));
        let stray = Arc::clone(&strays);
        let listener = Box::new(move |_| {
            thread::yield_now();
            stray.fetch_add(removed.load(Ordering::Relaxed), Ordering::Relaxed);
        });
        let Added::Listed(number) = job.listeners.add(listener) else { panic!("not told yet") };
        let canceller = spawn(&job, Job::cancel);
        let _ = job.listeners.remove(number);
        job.told.fetch_add(1, Ordering::Relaxed);
        canceller.join().expect("no panic");
        assert_eq!(count(&strays), 0, "none is called after its removal");
    });
}
