//! What an empty `cx.interruptible` costs, beside the safe way to the same service: a thread for
//! each call, which `std::thread::scope` lets borrow.
//!
//! It pays for the one `unsafe` block of the crate, in `src/job/interruptible.rs`.

use punctual::{JobContext, Pool};
use std::convert::Infallible;
use std::hint::black_box;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How many rounds there are. Odd, so that there is a middle one.
const ROUNDS: usize = 25;
/// How many scopes are entered in a round: each way for some milliseconds.
const SCOPES: u32 = 10_000;
const THREADS: u32 = 200;
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(32);

fn main() {
    // Without `--bench` this is a test of whether it runs at all.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { ROUNDS } else { 1 };
    let times = Pool::new().spawn(move |cx| Ok::<_, Infallible>(measure(cx, rounds)));
    let times = times.wait().expect("nothing stops it");
    let scope = median(times.iter().map(|(scope, _)| *scope));
    let thread = median(times.iter().map(|(_, thread)| *thread));
    let ratio = median(times.iter().map(|(scope, thread)| thread / scope));
    println!("An empty scope, medians of {rounds} interleaved rounds:");
    println!("cx.interruptible                {scope:>10.0} ns");
    println!("std::thread::scope and a thread {thread:>10.0} ns");
    println!("ratio                           {ratio:>10.0} ×");
}

/// How long a scope takes in either way, in each round, in nanoseconds.
fn measure(cx: &JobContext, rounds: usize) -> Vec<(f64, f64)> {
    let by_scope = || cx.interruptible(|| black_box(()), || black_box(()));
    let by_thread = || interruptible_by_thread(cx, || black_box(()), || black_box(()));
    let round = || (time_of(SCOPES, by_scope), time_of(THREADS, by_thread));
    round();
    (0..rounds).map(|_| round()).collect()
}

/// The same promises as `cx.interruptible`: `stop` may borrow, is called again and again from the
/// stop on until `work` is left, and has ended for good when this returns or unwinds.
fn interruptible_by_thread<R>(
    cx: &JobContext,
    stop: impl Fn() + Sync,
    work: impl FnOnce() -> R,
) -> R {
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel::<()>();
        let stop = &stop;
        scope.spawn(move || fire(stop, &told));
        let stopped = tell.clone();
        // Both senders are gone when this is left: then `fire` returns.
        let _tell = tell;
        let _guard = cx.on_stop(move |_| _ = stopped.send(()));
        work()
    })
}

fn fire(stop: &(impl Fn() + Sync), told: &Receiver<()>) {
    let mut pause = FIRST_PAUSE;
    if told.recv().is_err() {
        return;
    }
    loop {
        stop();
        if told.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

fn time_of(times: u32, call: impl Fn()) -> f64 {
    let begin = Instant::now();
    (0..times).for_each(|_| call());
    begin.elapsed().as_nanos() as f64 / f64::from(times)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
