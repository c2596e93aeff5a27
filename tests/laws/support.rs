//! Gates, probes and quiet panics.

use punctual::{JobError, JobHandle, Pool};
use std::fmt::Debug;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// After so long a test counts as hung. (Shorter where many tests are meant to hang: `.ci/defects`.)
pub(crate) const PATIENCE: Duration =
    Duration::from_secs(if option_env!("PUNCTUAL_IMPATIENT").is_some() { 5 } else { 30 });

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A pool of exactly so many threads.
pub(crate) fn pool_of(threads: usize) -> Pool {
    Pool::builder().threads(threads..=threads).build().expect("threads are to be had")
}

/// The outcome of a job that must not hang.
pub(crate) fn outcome<T, E>(mut job: JobHandle<T, E>) -> Result<T, JobError<E>> {
    job.wait_timeout(PATIENCE).expect("the handle resolves")
}

/// The error of a job that must have one.
pub(crate) fn error<T: Debug, E: Debug>(job: JobHandle<T, E>) -> JobError<E> {
    outcome(job).expect_err("it gives no value")
}

/// Panics without a word on stderr.
pub(crate) fn quiet_panic(message: &'static str) -> ! {
    resume_unwind(Box::new(message))
}

/// Waits until it holds; others must make it so.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::yield_now();
    }
}

/// A gate that bodies wait at until it is opened, once for all.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().expect("no panic under it") = true;
        self.0.1.notify_all();
    }

    pub(crate) fn pass(&self) {
        let mut open = self.0.0.lock().expect("no panic under it");
        while !*open {
            open = self.0.1.wait(open).expect("no panic under it");
        }
    }

    /// A capture whose drop waits here; but not on the thread that makes it, where it is dropped when
    /// its job is past its time before it is spawned, on a slow machine.
    pub(crate) fn slow_capture(&self) -> OnDrop<impl FnMut() + Send + use<>> {
        let (gate, maker) = (self.clone(), thread::current().id());
        OnDrop(move || {
            if thread::current().id() != maker {
                gate.pass();
            }
        })
    }
}

/// Workers that are busy until this is dropped.
pub(crate) struct Busy {
    gate: Gate,
    jobs: Vec<JobHandle<()>>,
}

impl Busy {
    /// Keeps so many workers busy, and returns when they are.
    pub(crate) fn all(pool: &Pool, workers: usize) -> Self {
        let gate = Gate::default();
        let (started, starts) = mpsc::channel();
        let block = |_| {
            let (gate, started) = (gate.clone(), started.clone());
            pool.spawn_blocking(move || {
                started.send(()).expect("the test listens");
                gate.pass();
            })
        };
        let jobs = (0..workers).map(block).collect();
        for _ in 0..workers {
            starts.recv_timeout(PATIENCE).expect("a worker starts it");
        }
        Self { gate, jobs }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.gate.open();
        for job in self.jobs.drain(..) {
            let _ = outcome(job);
        }
    }
}

/// Counts how often something of its clones was dropped.
#[derive(Clone, Default)]
pub(crate) struct Drops(Arc<AtomicUsize>);

/// A value whose drop is counted.
#[derive(Debug)]
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn value(&self) -> Counted {
        Counted(Arc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A value whose drop calls a function.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A value whose drop panics, quietly.
#[derive(Debug)]
pub(crate) struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        quiet_panic("a destructor panics");
    }
}

/// A channel whose receiver does not wait for ever.
pub(crate) fn news<T>() -> (Sender<T>, News<T>) {
    let (send, receive) = mpsc::channel();
    (send, News(receive))
}

pub(crate) struct News<T>(Receiver<T>);

impl<T> News<T> {
    /// The next message.
    #[track_caller]
    pub(crate) fn next(&self) -> T {
        self.0.recv_timeout(PATIENCE).expect("a message comes")
    }

    /// There is no message, and will be none: all senders are gone.
    #[track_caller]
    pub(crate) fn assert_over(&self) {
        assert!(matches!(self.0.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected)));
    }

    /// The messages that are there.
    pub(crate) fn so_far(&self) -> Vec<T> {
        self.0.try_iter().collect()
    }
}
