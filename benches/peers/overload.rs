//! More work than can be done: jobs come at 120 % of the capacity, each wanted within 20 ms.

use crate::contenders::Contender;
use crate::held::timers;
use crate::measure::{Figures, Goal, Line, Shown, Workload, pools};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

const LOAD: f64 = 1.2;
const WITHIN: Duration = Duration::from_millis(20);
const WORK: Duration = Duration::from_micros(200);

pub(crate) fn workloads(quick: bool) -> Vec<Workload> {
    let (rounds, time) = if quick { (1, 300) } else { (3, 1_000) };
    let line = |name, goal| Line { name, shown: Shown::In("%", 1), goal };
    let of = |title: &str, threads, work: fn(), least| Workload {
        title: format!("overload 120 %, {title}"),
        rounds,
        lines: vec![
            line("in time, of the capacity", Goal::AtLeast(least)),
            line("wasted", Goal::AtMost(1.0)),
            line("oldest first, of what is run", Goal::AtLeast(95.0)),
        ],
        runs: pools!(overload(threads, work, Duration::from_millis(time))),
    };
    vec![of("200 µs jobs, 1 thread", 1, spin, 95.0), of("sleeping jobs, 8 threads", 8, sleep, 99.0)]
}

/// What became of the jobs until it is closed.
#[derive(Default)]
struct Tally {
    in_time: AtomicU64,
    late: AtomicU64,
    /// Which jobs were started, in that order.
    started: Mutex<Vec<u64>>,
    closed: AtomicBool,
}

// Relaxed, here and below: what is counted at the very end of the time matters to nobody.
impl Tally {
    fn run(&self, n: u64, submitted: Instant, work: fn()) -> u64 {
        if self.closed.load(Relaxed) {
            return 0;
        }
        self.started.lock().expect("no panic under it").push(n);
        work();
        if !self.closed.load(Relaxed) {
            let count = if submitted.elapsed() <= WITHIN { &self.in_time } else { &self.late };
            count.fetch_add(1, Relaxed);
        }
        1
    }
}

/// What was done in time and what too late, in percent of the capacity, and how many of those that were
/// run came after an older one, in percent.
fn overload<C: Contender>(threads: usize, work: fn(), time: Duration) -> Figures {
    let capacity = capacity(threads, work, time / 4);
    let runtime = timers();
    let _inside = runtime.enter();
    let (pool, tally) = (C::new(threads), Arc::<Tally>::default());
    let (begin, pause) = (Instant::now(), Duration::from_secs_f64(1.0 / (capacity * LOAD)));
    for n in 0.. {
        let due = pause * n;
        if due >= time {
            break;
        }
        wait_until(begin + due);
        let (tally, submitted) = (Arc::clone(&tally), Instant::now());
        let job = pool.spawn_within(WITHIN, move || tally.run(n.into(), submitted, work));
        drop(runtime.spawn(job));
    }
    tally.closed.store(true, Relaxed);
    let share =
        |count: &AtomicU64| count.load(Relaxed) as f64 / (capacity * time.as_secs_f64()) * 100.0;
    let started = tally.started.lock().expect("no panic under it");
    let ordered = started.windows(2).filter(|pair| pair[0] < pair[1]).count() as f64;
    assert!(started.len() > 1, "{} has run nothing", C::NAME);
    vec![share(&tally.in_time), share(&tally.late), ordered / (started.len() - 1) as f64 * 100.0]
}

/// How many such jobs so many threads do in a second, with nothing between.
fn capacity(threads: usize, work: fn(), time: Duration) -> f64 {
    let begin = Instant::now();
    let one = || {
        let mut jobs = 0.0;
        while begin.elapsed() < time {
            work();
            jobs += 1.0;
        }
        jobs / begin.elapsed().as_secs_f64()
    };
    thread::scope(|s| {
        let all: Vec<_> = (0..threads).map(|_| s.spawn(one)).collect();
        all.into_iter().map(|one| one.join().expect("no panic")).sum()
    })
}

/// Steps of a generator, as many as the typical machine does in that time.
fn spin() {
    static STEPS: OnceLock<u64> = OnceLock::new();
    let run = |steps| (0..steps).fold(7_u64, |x, n| black_box(x.rotate_left(5) ^ n));
    let steps = STEPS.get_or_init(|| {
        let begin = Instant::now();
        black_box(run(1_000_000));
        (1e6 * WORK.as_secs_f64() / begin.elapsed().as_secs_f64()) as u64
    });
    black_box(run(*steps));
}

fn sleep() {
    thread::sleep(WORK);
}

fn wait_until(at: Instant) {
    loop {
        let left = at.saturating_duration_since(Instant::now());
        match left.as_micros() {
            0 => return,
            1..100 => std::hint::spin_loop(),
            _ => thread::sleep(left - Duration::from_micros(60)),
        }
    }
}
