//! More work than can be done, by a clock that is moved by hand: what a pool makes of it is exact, and
//! the same on every machine.
//!
//! The jobs come at random, whether the pool keeps up or not (an open loop). Its one worker tells the
//! test when it has started a body, and the test moves the clock to that body's end, by way of all that
//! comes meanwhile. So the pool itself takes no time here, and what is lost is lost by its choices.
//!
//! ```text
//! cargo test --test overload -- --nocapture
//! ```
//!
//! prints the figures that the header of `src/forecast.rs` gives.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use punctual::testing::ManualClock;
use punctual::{Job, JobHandle, Lane, Order, Pool};
use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};
use support::{Busy, News, ms, news, outcome};

/// How long most jobs take.
const TYPICAL: Duration = Duration::from_micros(200);
/// They come for as long as it takes to do so many.
const MANY: u32 = 10_000;
/// Fewer where the worker rests between them: to wait for that takes real time.
const FEW: u32 = 1500;

/// What comes.
struct Workload {
    name: &'static str,
    /// How long a job takes on average, and by which factor the next takes more.
    each: Duration,
    takes: fn(&mut Random) -> f64,
    /// One of these, at random, in milliseconds.
    timeouts: &'static [u64],
}

const EQUAL: Workload =
    Workload { name: "200 µs by 20 ms", each: TYPICAL, takes: |_| 1.0, timeouts: &[20] };
const MIXED: Workload = Workload { name: "200 µs by 10 or 500 ms", timeouts: &[10, 500], ..EQUAL };
/// As on a machine that now and then has something else to do.
const STALLED: Workload = Workload {
    name: "200 µs or 4 ms by 20 ms",
    takes: |random| if random.unit() < 0.005 { 20.0 } else { 0.9 },
    ..EQUAL
};
/// As between the arrivals of a Poisson process.
const EXPONENTIAL: Workload =
    Workload { name: "exponential by 20 ms", takes: |random| -random.unit().ln(), ..EQUAL };
/// Pareto's with α = 1.5, cut at a hundredfold.
const HEAVY_TAIL: Workload = Workload {
    name: "heavy tail by 50 ms",
    takes: |random| (random.unit().powf(-1.0 / 1.5) / 3.0).min(100.0),
    timeouts: &[50],
    ..EQUAL
};
const SLOW: Workload =
    Workload { name: "2 s by 20 s", each: Duration::from_secs(2), timeouts: &[20_000], ..EQUAL };

/// Who does it, one job at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contestant {
    /// A pool that knows no deadlines: it runs all that came, though nobody waits any longer.
    Plain,
    /// `Order::Fifo`: what has passed its deadline is not run.
    Fifo,
    Default,
    /// By default, in a lane with a limit of one in a pool with more threads.
    Lane,
}

/// What became of it, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    /// Of the time there was, what went into jobs that were done in time.
    goodput: f64,
    /// Of the time there was, what went into others.
    wasted: f64,
    /// Of the jobs that came, how many were done in time.
    served: f64,
}

/// A pool, and the jobs that come to it while its clock is moved.
struct World {
    clock: ManualClock,
    pool: Pool,
    lane: Option<Lane>,
    threads: usize,
    has_deadlines: bool,
    workload: Workload,
    load: f64,
    time: Duration,
    random: Random,
    /// When the next comes.
    next: Instant,
    jobs: HashMap<usize, Asked>,
    came: usize,
    start: Sender<Started>,
    starts: News<Started>,
}

/// A job that was submitted.
struct Asked {
    handle: JobHandle<()>,
    due: Instant,
    takes: Duration,
}

/// The number of a job, and what lets its body return when it is dropped.
type Started = (usize, Sender<()>);

/// Always the same (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// More than zero, and at most one.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

/// What becomes of so much work, in percent of what can be done.
fn run(contestant: Contestant, workload: Workload, load: u32) -> Seen {
    let name = workload.name;
    let seen = World::new(contestant, workload, load).run();
    println!("{name:24} {load} %  {:8} {seen}", format!("{contestant:?}"));
    seen
}

impl World {
    fn new(contestant: Contestant, workload: Workload, load: u32) -> Self {
        let clock = ManualClock::new();
        let (order, threads) = match contestant {
            Contestant::Plain | Contestant::Fifo => (Order::Fifo, 1),
            Contestant::Default => (Order::default(), 1),
            Contestant::Lane => (Order::default(), 2),
        };
        let pool = Pool::builder().threads(threads..=threads).clock(&clock).order(order).build();
        let pool = pool.expect("threads");
        let (start, starts) = news();
        Self {
            next: clock.now(),
            clock,
            lane: (contestant == Contestant::Lane).then(|| pool.lane("one at a time").limit(1)),
            pool,
            threads,
            has_deadlines: contestant != Contestant::Plain,
            time: workload.each * if load < 100 { FEW } else { MANY },
            workload,
            load: f64::from(load) / 100.0,
            random: Random(7),
            jobs: HashMap::new(),
            came: 0,
            start,
            starts,
        }
    }

    fn run(mut self) -> Seen {
        let (begin, mut good, mut wasted, mut in_time) =
            (self.clock.now(), Duration::ZERO, Duration::ZERO, 0);
        while self.clock.now() < begin + self.time {
            let Some((number, gate)) = self.started() else {
                self.move_to(self.next);
                continue;
            };
            let Asked { handle, due, takes } = self.jobs.remove(&number).expect("it was submitted");
            self.move_to(self.clock.now() + takes);
            drop(gate);
            handle.wait_stopped(); // its end is counted at this moment
            if outcome(handle).is_ok() && self.clock.now() <= due {
                good += takes;
                in_time += 1;
            } else {
                wasted += takes;
            }
        }
        drop(self.starts); // what waits is let through
        self.pool.shutdown().wait();
        let percent = |part, all| 100.0 * part / all;
        let share = |time: Duration| percent(time.as_secs_f64(), self.time.as_secs_f64());
        let served = percent(f64::from(in_time), self.came as f64);
        Seen { goodput: share(good), wasted: share(wasted), served }
    }

    /// The job that has been started; none if all workers rest.
    fn started(&self) -> Option<Started> {
        loop {
            let all_rest = self.pool.metrics().idle == self.threads;
            if let Some(started) = self.starts.so_far().pop() {
                return Some(started);
            }
            if all_rest {
                return None;
            }
            thread::yield_now();
        }
    }

    /// Moves the clock, and on the way has come what comes.
    fn move_to(&mut self, until: Instant) {
        while self.next <= until {
            self.clock.advance(self.next - self.clock.now());
            self.submit();
            let gap = -self.random.unit().ln() * self.workload.each.as_secs_f64() / self.load;
            self.next += Duration::from_secs_f64(gap);
        }
        self.clock.advance(until - self.clock.now());
    }

    fn submit(&mut self) {
        let timeouts = self.workload.timeouts;
        let timeout = ms(timeouts[self.random.next() as usize % timeouts.len()]);
        let (start, number) = (self.start.clone(), self.came);
        let body = move || {
            let (gate, opened) = mpsc::channel::<()>();
            let _ = start.send((number, gate)); // nobody listens at the end
            let _ = opened.recv();
        };
        let handle = match self.has_deadlines {
            true => self.job().timeout(timeout).spawn_blocking(body),
            false => self.job().spawn_blocking(body),
        };
        let takes = self.workload.each.mul_f64((self.workload.takes)(&mut self.random));
        self.jobs.insert(number, Asked { handle, due: self.clock.now() + timeout, takes });
        self.came += 1;
    }

    fn job(&self) -> Job {
        self.lane.as_ref().map_or_else(|| self.pool.job(), Lane::job).name("work")
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { goodput, wasted, served } = self;
        write!(
            f,
            "{goodput:5.1} % in time, {wasted:5.1} % wasted; {served:5.1} % of the jobs served"
        )
    }
}

#[test]
fn under_overload_what_is_done_is_done_in_time() {
    for workload in [EQUAL, MIXED, SLOW] {
        let seen = run(Contestant::Default, workload, 150);
        assert!(seen.goodput > 99.0 && seen.wasted < 1.0);
    }
}

#[test]
fn so_it_is_where_times_vary() {
    for workload in [STALLED, EXPONENTIAL] {
        let seen = run(Contestant::Default, workload, 150);
        assert!(seen.goodput > 97.0 && seen.wasted < 2.0);
    }
    for load in [150, 200] {
        let seen = run(Contestant::Default, HEAVY_TAIL, load);
        assert!(seen.goodput > 90.0 && seen.wasted < 7.0);
    }
}

/// What waits before a lane is as good as what waits in the queue.
#[test]
fn so_it_is_in_a_lane() {
    for workload in [EQUAL, EXPONENTIAL] {
        let seen = run(Contestant::Lane, workload, 150);
        assert!(seen.goodput > 97.0 && seen.wasted < 2.0);
    }
}

#[test]
fn in_the_order_in_which_it_comes_much_is_done_for_nobody() {
    let plain = [EQUAL, MIXED, HEAVY_TAIL].map(|workload| run(Contestant::Plain, workload, 150));
    assert!(plain[0].goodput < 5.0 && plain[0].wasted > 90.0);
    assert!(plain[1].goodput < 40.0 && plain[1].wasted > 60.0);
    assert!(plain[2].goodput < 10.0 && plain[2].wasted > 90.0);
    let fifo = [EQUAL, MIXED, HEAVY_TAIL].map(|workload| run(Contestant::Fifo, workload, 150));
    assert!(fifo[0].goodput < 60.0 && fifo[0].wasted > 40.0);
    assert!(fifo[1].goodput < 95.0 && fifo[1].wasted > 5.0);
    assert!(fifo[2].goodput < 70.0 && fifo[2].wasted > 30.0);
}

/// Caution costs nothing while all can be done, however much times vary.
#[test]
fn what_can_be_done_is_not_refused() {
    for workload in [EXPONENTIAL, HEAVY_TAIL] {
        let seen = run(Contestant::Default, workload, 80);
        assert!(seen.served > 99.0 && seen.wasted < 0.5);
    }
}

/// Though one took long lately, and each of the last has less than that left while others wait.
#[test]
fn a_burst_that_can_be_done_is_done() {
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(1..=1).clock(&clock).build().expect("a thread");
    let ask = |takes, timeout| {
        let own = clock.clone();
        pool.job().name("work").timeout(timeout).spawn_blocking(move || own.advance(takes))
    };
    for n in 0..200 {
        let takes = if n == 50 { ms(80) } else { TYPICAL };
        outcome(ask(takes, ms(200))).expect("it is in time");
    }
    let busy = Busy::all(&pool, 1);
    let burst: Vec<_> = (0..600).map(|_| ask(TYPICAL, ms(150))).collect(); // for 120 ms
    drop(busy);
    assert_eq!(burst.into_iter().map(outcome).filter(Result::is_ok).count(), 600);
}
