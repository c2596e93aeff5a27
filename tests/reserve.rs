//! Reservations that are dropped at every point of their lives, by several threads, a million times:
//! never polled, while they wait, with a place that they were given and never saw, with one in hand, and
//! with a job in it that ends anyhow. Then as many places are free as there ever were, to the last one.
//!
//! `PUNCTUAL_RESERVATIONS` says how many there are to be, `PUNCTUAL_RESERVE_SEED` what they follow from.

#[path = "stress/rng.rs"]
#[allow(dead_code)]
mod rng;
#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use punctual::testing::ManualClock;
use punctual::{Job, Lane, Permit, Pool, Rejection, Reserve, WhenFull};
use rng::Rng;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;
use support::until;

const RESERVATIONS: u64 = 1_000_000;
const THREADS: u64 = 3;
/// After each all must be free.
const ROUNDS: u64 = 20;
/// For reservations that have a limit to their wait, which never comes.
const HOUR: Duration = Duration::from_secs(3600);

/// Where reservations end.
#[derive(Clone, Copy, Debug)]
enum Point {
    NeverPolled,
    Waits,
    WokenAndNotPolled,
    NotInTime,
    DroppedPermit,
    HeldPermit,
    UsedPermit,
}

/// How many have ended where.
static ENDS: [AtomicU64; 7] = [const { AtomicU64::new(0) }; 7];

fn count(point: Point) {
    ENDS[point as usize].fetch_add(1, Ordering::Relaxed);
}

/// A queue, and how many places it has.
enum Queue {
    OfPool(Pool, usize),
    OfLane(Lane, usize),
}

impl Queue {
    fn job(&self) -> Job {
        match self {
            Self::OfPool(pool, _) => pool.job(),
            Self::OfLane(lane, _) => lane.job(),
        }
    }

    fn reserve(&self) -> Reserve {
        match self {
            Self::OfPool(pool, _) => pool.reserve(),
            Self::OfLane(lane, _) => lane.reserve(),
        }
    }

    /// All its places are free, and no more than those.
    fn assert_free(&self) {
        let (try_reserve, limit): (&dyn Fn() -> _, _) = match self {
            Self::OfPool(pool, limit) => (&|| pool.try_reserve(), *limit),
            Self::OfLane(lane, limit) => (&|| lane.try_reserve(), *limit),
        };
        let all: Vec<_> = std::iter::from_fn(|| try_reserve().ok()).collect();
        assert_eq!(all.len(), limit, "free places");
    }
}

/// One who waits for a place of a queue.
struct Waits {
    queue: usize,
    reserve: Reserve,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Waits {
    fn new(queue: usize, reserve: Reserve) -> Self {
        Self { queue, reserve, woken: Arc::new(Woken(AtomicBool::new(false))) }
    }

    fn poll(&mut self) -> Poll<Result<Permit, Rejection>> {
        self.woken.0.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&self.woken));
        Pin::new(&mut self.reserve).poll(&mut Context::from_waker(&waker))
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Acquire)
    }
}

/// One of those who reserve, drop and use places, and what it has in hand.
struct Hand<'a> {
    queues: &'a [Queue],
    rng: Rng,
    waiting: Vec<Waits>,
    held: Vec<Permit>,
}

impl Hand<'_> {
    fn step(&mut self) {
        let queue = self.rng.below(self.queues.len() as u64) as usize;
        let reserve = self.queues[queue].reserve();
        match self.rng.below(8) {
            0 => {
                drop(reserve);
                count(Point::NeverPolled);
            }
            1 => self.poll(Waits::new(queue, reserve.within(Duration::ZERO))),
            2 | 3 => self.poll(Waits::new(queue, reserve.within(HOUR))),
            _ => self.poll(Waits::new(queue, reserve)),
        }
        if self.rng.one_in(32) {
            drop(self.queues[queue].job().spawn_blocking(|| ())); // takes a place, if one is free
        }
        while self.held.len() > 1 || self.rng.one_in(2) && !self.held.is_empty() {
            self.held.pop();
            count(Point::HeldPermit);
        }
        while self.waiting.len() > 6 || self.rng.one_in(2) && !self.waiting.is_empty() {
            let woken = self.waiting.iter().position(Waits::is_woken);
            let any = self.rng.below(self.waiting.len() as u64) as usize;
            let one = self.waiting.swap_remove(woken.unwrap_or(any));
            self.go_on(one);
        }
    }

    fn go_on(&mut self, one: Waits) {
        if self.rng.one_in(3) {
            return self.poll(one);
        }
        count(if one.is_woken() { Point::WokenAndNotPolled } else { Point::Waits });
    }

    fn poll(&mut self, mut one: Waits) {
        match one.poll() {
            Poll::Pending if self.rng.one_in(8) => count(Point::Waits),
            Poll::Pending => {
                self.waiting.push(one);
                if self.rng.one_in(16) {
                    thread::yield_now(); // who has the places may need this core to give them back
                }
            }
            Poll::Ready(Ok(permit)) => self.use_up(permit),
            Poll::Ready(Err(why)) => {
                assert_eq!(why, Rejection::QueueFull);
                count(Point::NotInTime);
            }
        }
    }

    fn use_up(&mut self, permit: Permit) {
        match self.rng.below(8) {
            0 | 1 => {
                drop(permit);
                return count(Point::DroppedPermit);
            }
            2 | 3 => return self.held.push(permit),
            4 => drop(permit.job().timeout(Duration::ZERO).spawn_blocking(|| ())),
            5 => permit.spawn_blocking(|| ()).abort(),
            6 => drop(permit.job()), // settings that are not spawned
            _ => drop(permit.spawn_blocking(|| ())),
        }
        count(Point::UsedPermit);
    }
}

/// Nobody else is there: each place goes to one who waits, who is told, until none waits.
fn serve(mut waiting: Vec<Waits>, queues: usize) {
    for queue in 0..queues {
        let is_next = |one: &Waits| one.queue == queue && one.is_woken();
        while waiting.iter().any(|one| one.queue == queue) {
            let next = waiting.iter().position(is_next).expect("one who waits is told");
            let permit = waiting.swap_remove(next).poll();
            assert!(matches!(permit, Poll::Ready(Ok(_))), "{permit:?}");
        }
    }
}

#[test]
fn reservations_dropped_at_every_point_of_their_lives_leave_no_place_behind() {
    let number = |name: &str| std::env::var(name).ok().map(|n| n.parse().expect("a number"));
    let total = number("PUNCTUAL_RESERVATIONS").unwrap_or(RESERVATIONS);
    let seed = number("PUNCTUAL_RESERVE_SEED").unwrap_or(7);
    println!("{total} reservations from PUNCTUAL_RESERVE_SEED={seed}");
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(2..=2).queue_limit(3).clock(&clock).build();
    let pool = pool.expect("threads");
    let lane = pool.lane("narrow").limit(1).queue_limit(1);
    let latest = pool.lane("latest").queue_limit(2).when_full(WhenFull::DropOldest);
    let queues = [Queue::OfPool(pool.clone(), 3), Queue::OfLane(lane, 1), Queue::OfLane(latest, 2)];
    for round in 0..ROUNDS {
        let run = |thread: u64| {
            let rng = Rng::new(seed ^ (round * THREADS + thread).rotate_left(32));
            let mut hand = Hand { queues: &queues, rng, waiting: Vec::new(), held: Vec::new() };
            (0..total / THREADS / ROUNDS).for_each(|_| hand.step());
            hand.waiting
        };
        let waiting: Vec<_> = thread::scope(|s| {
            let hands: Vec<_> = (0..THREADS).map(|n| s.spawn(move || run(n))).collect();
            hands.into_iter().flat_map(|hand| hand.join().expect("no panic")).collect()
        });
        until("its jobs are over", || pool.metrics().unresolved() == 0);
        serve(waiting, queues.len());
        queues.iter().for_each(Queue::assert_free);
        assert_eq!(pool.metrics().timers, 0);
    }
    let ends = ENDS.each_ref().map(|count| count.load(Ordering::Relaxed));
    println!("by the point at which they ended: {ends:?}");
    assert!(ends.iter().all(|count| *count > total / 1000), "some points are rare: {ends:?}");
}
