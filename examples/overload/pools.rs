//! The three pools, and the pace at which work comes.

use crate::work::{Files, Job, Random, Tally, Workload};
use punctual::{Order, Pool};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

pub(crate) struct Kind {
    pub(crate) name: &'static str,
    make: fn(usize, &Arc<Tally>) -> Submit,
}

/// Submits a job; dropping it ends the pool.
type Submit = Box<dyn FnMut(Job)>;

pub(crate) const ALL: [&Kind; 3] = [
    &Kind { name: "tokio", make: tokio },
    &Kind { name: "fifo", make: |threads, tally| punctual(threads, tally, Order::Fifo) },
    &Kind { name: "default", make: |threads, tally| punctual(threads, tally, Order::default()) },
];

/// One core is left to those who submit.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1)
}

fn tokio(threads: usize, _: &Arc<Tally>) -> Submit {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).max_blocking_threads(threads).enable_time();
    let runtime = Background(Some(runtime.build().expect("a runtime")));
    Box::new(move |job| {
        let time = job.time;
        let work = async move {
            let hashed = tokio::task::spawn_blocking(|| job.run());
            tokio::time::timeout(time, hashed).await.is_ok()
        };
        if let Some(runtime) = &runtime.0 {
            drop(runtime.spawn(work));
        }
    })
}

/// A runtime that leaves behind what it has not done.
struct Background(Option<tokio::runtime::Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn punctual(threads: usize, tally: &Arc<Tally>, order: Order) -> Submit {
    let pool = Pool::builder().threads(threads..=threads).order(order).build();
    let pool = Closing(pool.expect("threads"), Arc::clone(tally));
    Box::new(move |job| {
        let settings = pool.0.job().name("hash").timeout(job.time);
        drop(settings.spawn_blocking(|| job.run())); // it is tallied where it runs
    })
}

/// Counts what its pool has refused, and ends it.
struct Closing(Pool, Arc<Tally>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.1.refused.store(self.0.metrics().rejected, Relaxed);
        self.0.shutdown().wait();
    }
}

/// Submits so many jobs a second for so long, at random intervals (Poisson's).
pub(crate) fn run(
    kind: &Kind,
    files: &Arc<Files>,
    workload: &Workload,
    threads: usize,
    rate: f64,
    time: Duration,
) -> Arc<Tally> {
    let (tally, mut random) = (Arc::new(Tally::default()), Random(7));
    let mut submit = (kind.make)(threads, &tally);
    let start = Instant::now();
    let mut next = Duration::ZERO;
    while next < time {
        wait_until(start + next);
        submit(workload.next(files, &mut random, &tally));
        next += Duration::from_secs_f64(-random.unit().ln() / rate);
    }
    tally.close();
    drop(submit);
    tally
}

fn wait_until(at: Instant) {
    loop {
        let left = at.saturating_duration_since(Instant::now());
        match left.as_micros() {
            0 => return,
            1..100 => std::hint::spin_loop(),
            _ => std::thread::sleep(left - Duration::from_micros(60)),
        }
    }
}
