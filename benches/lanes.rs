//! What a lane full of jobs that block costs the others: no-ops beside it, and with the pool to themselves.
//!
//! One lane is limited to four and has ten thousand jobs of 50 ms. The jobs of the other do nothing, and
//! each tells when it was started: how long after it was spawned is its wait. Phases beside and phases
//! alone alternate, each with a pool of its own; a shutdown ends what is left of the ten thousand. The
//! two of a round are compared, since machines have something else to do at times: so a few rounds that
//! are disturbed do not count.

use punctual::{Lane, Pool};
use std::thread;
use std::time::{Duration, Instant};

/// How many rounds there are, of a phase each way. Odd, so that there is a middle one.
const ROUNDS: usize = 15;
/// How many no-ops are timed in a phase.
const NO_OPS: usize = 500;
/// They come when all threads have started.
const WARM_UP: usize = 50;
const BLOCKING: usize = 10_000;
const TIME: Duration = Duration::from_millis(50);
const LIMIT: usize = 4;
/// A thread parks long before that.
const PAUSE: Duration = Duration::from_micros(500);
/// The second lane's wait may be so many times that of an idle machine.
const BOUND: f64 = 2.0;

fn main() {
    // Without `--bench` this is a test of whether it runs at all.
    let in_earnest = std::env::args().any(|arg| arg == "--bench");
    let rounds = if in_earnest { ROUNDS } else { 1 };
    println!(
        "How long a no-op waits for its start, beside a lane limited to {LIMIT} with {BLOCKING} jobs"
    );
    println!("of {TIME:?}, and alone; {rounds} interleaved rounds of {NO_OPS}:");
    println!("                              alone        beside   ratio, medians and quartiles");
    let ratios = [
        print("one after the other", &measure(rounds, Duration::ZERO)),
        print("one every half ms", &measure(rounds, PAUSE)),
    ];
    let holds = ratios.iter().all(|ratio| *ratio <= BOUND);
    if in_earnest {
        println!(
            "p99 beside at most {BOUND} times that alone: {}",
            if holds { "yes" } else { "NO" }
        );
    }
}

/// The waits of each round, alone and beside; sorted.
fn measure(rounds: usize, pause: Duration) -> Vec<[Vec<f64>; 2]> {
    let sorted = |beside| {
        let mut waits = phase(beside, pause);
        waits.sort_by(f64::total_cmp);
        waits
    };
    let round = |n| {
        if n % 2 == 0 {
            let alone = sorted(false);
            [alone, sorted(true)]
        } else {
            let beside = sorted(true);
            [sorted(false), beside]
        }
    };
    (0..rounds).map(round).collect()
}

/// All waits, in microseconds.
fn phase(beside: bool, pause: Duration) -> Vec<f64> {
    let pool = Pool::builder().threads(0..=2 * LIMIT).build().expect("no thread is started yet");
    let (blocking, no_ops) = (pool.lane("blocking").limit(LIMIT), pool.lane("no-ops").limit(LIMIT));
    if beside {
        (0..BLOCKING).for_each(|_| drop(blocking.spawn_blocking(|| thread::sleep(TIME))));
        while blocking.load().running < LIMIT {
            thread::yield_now();
        }
    }
    let wait = |_| wait_of_one(&no_ops, pause);
    (0..WARM_UP).map(wait).for_each(drop);
    let waits = (0..NO_OPS).map(wait).collect();
    let left = blocking.load().queued;
    assert!(!beside || left > BLOCKING / 2, "they are to be there all the time: {left}");
    pool.shutdown().wait();
    waits
}

/// How long after its spawn a no-op is started.
fn wait_of_one(lane: &Lane, pause: Duration) -> f64 {
    if !pause.is_zero() {
        thread::sleep(pause);
    }
    let spawned = Instant::now();
    let started = lane.spawn_blocking(Instant::now).wait().expect("nothing ends a no-op early");
    (started - spawned).as_secs_f64() * 1e6
}

/// Prints a line for each of two quantiles; gives the last ratio.
fn print(name: &str, rounds: &[[Vec<f64>; 2]]) -> f64 {
    let line = |name: &str, share: f64| {
        let at = |waits: &[f64]| waits[(waits.len() as f64 * share) as usize];
        let [alone, beside] = [0, 1].map(|way| quartiles(rounds.iter().map(|r| at(&r[way])))[1]);
        let [low, ratio, high] = quartiles(rounds.iter().map(|[a, b]| at(b) / at(a)));
        println!("{name} {alone:>10.1} µs {beside:>10.1} µs   {ratio:.2} ({low:.2}–{high:.2})");
        ratio
    };
    line(&format!("{name:19} p50"), 0.5);
    line("                    p99", 0.99)
}

fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}
