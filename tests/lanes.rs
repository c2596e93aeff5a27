//! The high-water mark of every lane is its limit, reached and never passed, in a thousand random
//! schedules: with cancels, timeouts, panics, overdue bodies, waits for jobs of the same lane, lanes in
//! lanes and elastic ones. (Law 11; what it means in single cases is in `laws/law_11_lanes.rs`.)
//!
//! A seed makes a schedule: one thread submits, cancels, lets bodies go on and moves the clock, in an
//! order that follows from the seed; what the workers do when does not. A schedule that fails names its
//! seed, and `PUNCTUAL_LANES_SEED` runs that one alone.

#[path = "stress/gauge.rs"]
mod gauge;
#[path = "stress/rng.rs"]
mod rng;
#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use gauge::{Gauge, Inside};
use punctual::testing::ManualClock;
use punctual::{
    AbortHandle, Checked, Job, JobContext, JobHandle, Lane, Order, Pool, Priority, WhenFull,
};
use rng::Rng;
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Instant;
use support::{Gate, PATIENCE, ms, outcome, quiet_panic};

const SCHEDULES: u64 = 1_000;

/// What a body does once it is in; all but the last stay in until they are let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Returns,
    Fails,
    Panics,
    /// It is let go by its stop, too.
    Listens,
    /// It waits for another job of its lane, which stays in.
    Waits,
    /// A job of no lane waits for it.
    IsAsked,
    Runs,
}

const KINDS: [Kind; 7] = [
    Kind::Returns,
    Kind::Fails,
    Kind::Panics,
    Kind::Listens,
    Kind::Waits,
    Kind::IsAsked,
    Kind::Runs,
];

/// A lane of a schedule.
struct Spot {
    lane: Lane,
    /// Its own, and those of the lanes around it.
    way: Vec<Arc<Gauge>>,
}

/// A job that was submitted.
struct Live {
    at: usize,
    kind: Kind,
    gate: Gate,
    stopper: AbortHandle,
    handle: Option<JobHandle<(), &'static str>>,
}

struct Schedule {
    rng: Rng,
    clock: ManualClock,
    pool: Pool,
    lanes: Vec<Spot>,
    live: Vec<Live>,
    /// Those that were let go.
    gone: Vec<JobHandle<(), &'static str>>,
}

#[test]
fn the_high_water_mark_of_every_lane_is_its_limit_reached_and_never_passed() {
    DRIVER.get_or_init(thread::current);
    if let Ok(seed) = std::env::var("PUNCTUAL_LANES_SEED") {
        Schedule::new(seed.parse().expect("a number")).run();
        return;
    }
    let mut ends = [0; 8];
    for seed in 0..SCHEDULES {
        let named = Named(seed);
        let more = Schedule::new(seed).run();
        ends.iter_mut().zip(more).for_each(|(all, more)| *all += more);
        drop(named);
    }
    println!("ends of all kinds: {ends:?}");
    assert!(ends.iter().all(|count| *count > 20), "some ends are rare: {ends:?}");
}

/// The thread whose schedules they are: woken by bodies that come and go. (To yield until they have may
/// take many seconds, on a machine that has more to do.)
static DRIVER: OnceLock<Thread> = OnceLock::new();

struct WakesDriver;

impl Drop for WakesDriver {
    fn drop(&mut self) {
        DRIVER.get().inspect(|driver| driver.unpark());
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        thread::park_timeout(ms(1)); // what is not told by a body is seen a moment later
    }
}

/// Tells which schedule it was, if it fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in the schedule of PUNCTUAL_LANES_SEED={}", self.0);
        }
    }
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let clock = ManualClock::new();
        let order = rng.pick(&[Order::EarliestDeadline, Order::Fifo]);
        let threads = 4 + rng.below(5) as usize; // as many as the widest lane needs
        let spares = rng.below(3) as usize;
        let pool = Pool::builder().threads(0..=threads).spare_threads(spares);
        let pool = pool.clock(&clock).order(order).on_unseen_panic(drop);
        let pool = pool.build().expect("it needs no thread yet");
        let (lanes, live, gone) = (Vec::new(), Vec::new(), Vec::new());
        let mut schedule = Self { rng, clock, pool, lanes, live, gone };
        for number in 0..=schedule.rng.below(4) {
            schedule.add_lane(number);
        }
        schedule
    }

    fn add_lane(&mut self, number: u64) {
        let rng = &mut self.rng;
        let outer = (number > 0 && rng.one_in(2)).then(|| &self.lanes[rng.below(number) as usize]);
        let most = outer.map_or(4, |outer| outer.way[0].read()[0]); // or it could never be reached
        let limit = 1 + rng.below(most as u64) as usize;
        let lane = outer.map_or_else(|| self.pool.lane("root"), |outer| outer.lane.lane("inner"));
        let mut lane = lane.limit(limit);
        if rng.one_in(3) {
            lane = lane.queue_limit(1 + rng.below(6) as usize);
            lane = lane.when_full(rng.pick(&[WhenFull::Reject, WhenFull::DropOldest]));
        }
        if rng.one_in(4) {
            lane = lane.elastic();
        }
        let above = outer.into_iter().flat_map(|outer| outer.way.iter().cloned());
        let way = std::iter::once(Gauge::new(limit)).chain(above).collect();
        self.lanes.push(Spot { lane, way });
    }

    /// How often jobs of lanes ended in each way.
    fn run(mut self) -> [u64; 8] {
        let mut rounds: Vec<usize> = (0..self.lanes.len()).collect();
        rounds.sort_by_cached_key(|_| self.rng.next());
        for at in rounds {
            self.steps(10);
            self.fill(at);
            self.steps(6);
        }
        self.let_go(|_| true);
        self.end()
    }

    /// A few things happen, to any of the lanes.
    fn steps(&mut self, most: u64) {
        for _ in 0..self.rng.below(most) {
            match self.rng.below(8) {
                0..=3 => {
                    let at = self.rng.below(self.lanes.len() as u64) as usize;
                    let kind = self.rng.pick(&KINDS);
                    self.submit(at, kind, true);
                }
                4 => self.clock.advance(ms(self.rng.below(12))),
                5 => self.with_any(|live| live.stopper.abort()),
                6 => self.with_any(|live| live.gate.open()),
                _ => self.with_any(|live| drop(live.handle.take())),
            }
        }
    }

    fn with_any(&mut self, does: impl FnOnce(&mut Live)) {
        if !self.live.is_empty() {
            let all = self.live.len() as u64;
            does(&mut self.live[self.rng.below(all) as usize]);
        }
    }

    fn submit(&mut self, at: usize, kind: Kind, may_be_late: bool) {
        let (rng, Spot { lane, way, .. }) = (&mut self.rng, &self.lanes[at]);
        let mut job = if kind == Kind::IsAsked { self.pool.job() } else { lane.job() };
        job = job.priority(rng.pick(&[Priority::High, Priority::Low]));
        if may_be_late && rng.one_in(3) {
            let time = ms(rng.below(8));
            job = match rng.below(3) {
                0 => job.timeout(time), // it ends in the queue, or is overdue
                1 => job.queue_timeout(time),
                _ => job.run_timeout(time).grace(ms(rng.below(2))),
            };
        }
        let (gate, way) = (Gate::default(), way.clone());
        let (own, lane) = (gate.clone(), lane.clone());
        let handle = job.spawn(move |cx| match kind {
            Kind::IsAsked => wait_for(lane.job(), &own, &way),
            Kind::Waits => {
                let _inside = Inside::enter(&way);
                wait_for(cx.job(), &own, &way)
            }
            _ => body(cx, kind, &own, &way),
        });
        self.live.push(Live {
            at,
            kind,
            gate,
            stopper: handle.abort_handle(),
            handle: Some(handle),
        });
    }

    /// Offers a lane work until its limit is reached, whatever else there is to do.
    fn fill(&mut self, at: usize) {
        let waits = [Kind::Waits, Kind::IsAsked];
        self.let_go(|live| live.at != at || waits.contains(&live.kind)); // they could be in its way
        let Spot { lane, way } = &self.lanes[at];
        let (lane, gauge) = (lane.clone(), Arc::clone(&way[0]));
        let limit = gauge.read()[0];
        for _ in 0..limit + 2 {
            self.submit(at, Kind::Returns, true);
        }
        let (full, missing) = (|| gauge.read()[1] == limit, || lane.load().queued == 0);
        while !full() {
            until("it is full, or has nothing to do", || full() || missing());
            self.submit(at, Kind::Returns, false); // refused while others have the queue's places
            thread::yield_now();
        }
        until("who came last has noted it", || gauge.read()[2] >= limit);
        assert_eq!(lane.metrics().most_running, Some(limit), "of {lane:?}");
    }

    fn let_go(&mut self, which: impl FnMut(&Live) -> bool) {
        let (gone, left) = std::mem::take(&mut self.live).into_iter().partition(which);
        self.live = left;
        let gone: Vec<Live> = gone;
        gone.iter().for_each(|live| live.gate.open());
        self.gone.extend(gone.into_iter().filter_map(|live| live.handle));
    }

    /// All has been let go: nothing is left.
    fn end(self) -> [u64; 8] {
        for handle in self.gone {
            let _ = outcome(handle);
        }
        until("all is over", || self.pool.metrics().unresolved() == 0);
        self.pool.drain().wait();
        let mut ends = [0; 8];
        for Spot { lane, way } in &self.lanes {
            let ([limit, now, most], all) = (way[0].read(), lane.metrics());
            assert_eq!((now, most), (0, limit), "of {lane:?}");
            assert_eq!((all.limit, all.most_running), (Some(limit), Some(limit)));
            assert_eq!((all.queued, all.running, all.overdue), (0, 0, 0), "{all:?}");
            assert_eq!(all.accepted, all.resolved(), "{all:?}");
            let counts = [all.returned, all.failed, all.panicked, all.rejected];
            let stopped = [all.cancelled_queued, all.cancelled_running];
            let late = [all.timed_out_queued, all.timed_out_running];
            let counts = counts.into_iter().chain(stopped).chain(late);
            ends.iter_mut().zip(counts).for_each(|(end, count)| *end += count);
        }
        ends
    }
}

fn body(cx: &JobContext, kind: Kind, gate: &Gate, way: &[Arc<Gauge>]) -> Result<(), &'static str> {
    let _goes = WakesDriver;
    let _inside = Inside::enter(way);
    drop(WakesDriver); // it has come
    if kind == Kind::Runs {
        return Ok(());
    }
    let own = gate.clone();
    let _listens = (kind == Kind::Listens).then(|| cx.on_stop(move |_| own.open()));
    gate.pass();
    match kind {
        Kind::Fails => Err("on purpose"),
        Kind::Panics => quiet_panic("on purpose"),
        _ => Ok(()),
    }
}

/// Has a job stay in the lane, and waits for it (law 12).
fn wait_for(job: Job, gate: &Gate, way: &[Arc<Gauge>]) -> Result<(), &'static str> {
    let (gate, way) = (gate.clone(), way.to_vec());
    let job = job.spawn(move |_| -> Checked<_> {
        let _inside = Inside::enter(&way);
        gate.pass();
        Ok(())
    });
    job.wait().map_err(|_| "it was stopped, or refused")
}
