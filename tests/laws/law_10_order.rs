//! Part of law 10: whatever else there is, each class and each place in the queue has its turn.

use crate::support::{Busy, Gate, News, ms, news, outcome, pool_of, until};
use punctual::testing::ManualClock;
use punctual::{Order, Pool, Priority};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Barrier};

/// Keeps a pool's queue full of jobs of one class, each of which spawns the next.
struct Flood(Arc<AtomicBool>);

impl Flood {
    fn start(pool: &Pool, priority: Priority) -> Self {
        let on = Arc::new(AtomicBool::new(true));
        spawn_next(pool, priority, &on);
        spawn_next(pool, priority, &on);
        Self(on)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

fn spawn_next(pool: &Pool, priority: Priority, on: &Arc<AtomicBool>) {
    let (own, next) = (pool.clone(), Arc::clone(on));
    drop(pool.job().priority(priority).spawn_blocking(move || {
        if next.load(Ordering::SeqCst) {
            spawn_next(&own, priority, &next);
        }
    }));
}

#[test]
fn a_class_is_served_before_those_below_it() {
    let pool = pool_of(1);
    let busy = Busy::all(&pool, 1);
    let (send, order): (Sender<Priority>, News<Priority>) = news();
    for priority in [Priority::Low, Priority::Normal, Priority::High] {
        for _ in 0..2 {
            let send = send.clone();
            let job = pool.job().priority(priority);
            drop(job.spawn_blocking(move || send.send(priority).expect("the test listens")));
        }
    }
    drop((busy, send));
    let served: Vec<_> = (0..6).map(|_| order.next()).collect();
    let mut sorted = served.clone();
    sorted.sort();
    sorted.reverse();
    assert_eq!(served, sorted);
}

#[test]
fn one_worker_serves_a_class_in_the_order_of_submission() {
    let pool = pool_of(1);
    let busy = Busy::all(&pool, 1);
    let (send, order) = news();
    for n in 0..500 {
        let send = send.clone();
        drop(pool.spawn_blocking(move || send.send(n).expect("the test listens")));
    }
    drop((busy, send));
    let served: Vec<_> = (0..500).map(|_| order.next()).collect();
    assert_eq!(served, (0..500).collect::<Vec<_>>());
}

#[test]
fn lower_classes_are_not_starved() {
    let pool = pool_of(1);
    let _flood = Flood::start(&pool, Priority::High);
    for priority in [Priority::Normal, Priority::Low] {
        outcome(pool.job().priority(priority).spawn_blocking(|| ())).expect("its turn comes");
    }
}

#[test]
fn a_workers_own_job_is_not_starved_by_a_higher_class() {
    let pool = pool_of(1);
    let own = pool.clone();
    let parent = pool.spawn_blocking(move || {
        let flood = Flood::start(&own, Priority::High);
        (flood, own.spawn_blocking(|| ())) // goes to this worker's own deque
    });
    let (_flood, child) = outcome(parent).expect("it returns");
    outcome(child).expect("its turn comes");
}

#[test]
fn a_job_behind_a_blocked_worker_is_stolen_by_one_that_never_runs_dry() {
    let pool = pool_of(2);
    let _flood = Flood::start(&pool, Priority::Normal);
    let own = pool.clone();
    let gate = Gate::default();
    let wait = gate.clone();
    let done = Arc::new(AtomicBool::new(false));
    let child_done = Arc::clone(&done);
    let blocked = pool.spawn_blocking(move || {
        drop(own.spawn_blocking(move || child_done.store(true, Ordering::SeqCst)));
        wait.pass();
    });
    until("the child is run", || done.load(Ordering::SeqCst));
    gate.open();
    outcome(blocked).expect("it returns");
}

/// A worker took eight at once, and the last of them waited for the others to be run.
#[test]
fn several_workers_start_long_jobs_in_their_order() {
    const WORKERS: usize = 4;
    for order in [Order::Fifo, Order::EarliestDeadline] {
        let clock = ManualClock::new();
        let builder = Pool::builder().threads(WORKERS..=WORKERS).order(order).clock(&clock);
        let pool = builder.build().expect("threads");
        let busy = Busy::all(&pool, WORKERS);
        let (send, starts): (Sender<usize>, News<usize>) = news();
        let meet = Arc::new(Barrier::new(WORKERS));
        for n in 0..20 * WORKERS {
            let (send, meet, own) = (send.clone(), Arc::clone(&meet), clock.clone());
            drop(pool.spawn_blocking(move || {
                send.send(n).expect("the test listens");
                own.advance(ms(1)); // so long it takes
                meet.wait();
            }));
        }
        drop(busy);
        for at in 0..20 * WORKERS {
            let n = starts.next();
            assert!(n.abs_diff(at) < WORKERS, "{order:?}: job {n} is the {at}th");
        }
    }
}
