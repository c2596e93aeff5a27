//! `Metrics`: where the jobs are, and how long they waited and ran.

use crate::support::{Busy, Gate, error, ms, news, outcome, pool_of, quiet_panic, until};
use punctual::testing::ManualClock;
use punctual::{Metrics, Pool, Priority};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn jobs_are_counted_where_they_are() {
    let pool = pool_of(2);
    until("both are parked", || pool.metrics().idle == 2);
    let metrics = pool.metrics();
    assert_eq!((metrics.threads, metrics.busy, metrics.running), (2, 0, 0));
    let busy = Busy::all(&pool, 2);
    let metrics = pool.metrics();
    assert_eq!((metrics.busy, metrics.idle, metrics.running, metrics.queued), (2, 0, 2, 0));
    let queue = |priority, times| {
        let spawn = |_| pool.job().priority(priority).spawn_blocking(|| ());
        (0..times).map(spawn).collect::<Vec<_>>()
    };
    let low = queue(Priority::Low, 1);
    let normal = queue(Priority::Normal, 2);
    let high = queue(Priority::High, 3);
    let classes = |metrics: Metrics| {
        (metrics.queued, [metrics.queued_low, metrics.queued_normal, metrics.queued_high])
    };
    assert_eq!(classes(pool.metrics()), (6, [1, 2, 3]));
    high[0].cancel();
    normal[1].cancel();
    assert_eq!(classes(pool.metrics()), (4, [1, 1, 2]));
    drop(busy);
    for job in low.into_iter().chain(normal).chain(high) {
        let _ = outcome(job);
    }
    let metrics = pool.metrics();
    assert_eq!((metrics.queue_wait.count(), metrics.run_time.count()), (6, 6));
    assert_eq!((classes(metrics), pool.metrics().running), ((0, [0; 3]), 0));
}

#[test]
fn an_overdue_body_runs_until_it_returns() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let deaf = gate.clone();
    let job = pool.job().run_timeout(ms(2)).spawn_blocking(move || deaf.pass());
    until("it is given up", || job.is_finished());
    let metrics = pool.metrics();
    assert_eq!((metrics.running, metrics.overdue, metrics.unresolved()), (1, 1, 0));
    assert!(metrics.run_time.is_empty(), "it has not returned");
    gate.open();
    job.wait_stopped();
    let metrics = pool.metrics();
    assert_eq!((metrics.running, metrics.overdue, metrics.run_time.count()), (0, 0, 1));
    assert!(metrics.run_time.min() >= ms(2));
}

#[test]
fn times_are_those_of_the_pools_clock() {
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(1..=1).clock(&clock).build().expect("a thread");
    let (started, starts) = news();
    let gate = Gate::default();
    let held = gate.clone();
    let first = pool.spawn_blocking(move || {
        started.send(()).expect("the test listens");
        held.pass();
    });
    starts.next();
    let second = pool.spawn_blocking(|| ());
    let never = pool.spawn_blocking(|| ());
    clock.advance(SECOND * 3);
    never.cancel();
    gate.open();
    let _ = (outcome(first), outcome(second));
    let metrics = pool.metrics();
    let (waits, runs) = (metrics.queue_wait, metrics.run_time);
    assert_eq!((waits.count(), waits.min(), waits.max()), (2, Duration::ZERO, SECOND * 3));
    assert_eq!((runs.count(), runs.min(), runs.max()), (2, Duration::ZERO, SECOND * 3));
}

#[test]
fn a_body_is_timed_however_it_ends() {
    let pool = pool_of(1);
    error(pool.spawn_blocking(|| quiet_panic("seen")));
    error(pool.spawn(|_| -> Result<(), _> { Err(1) }));
    error(pool.job().run_timeout(ms(2)).spawn(|cx| cx.sleep(Duration::MAX)));
    drop(pool.spawn_blocking(|| ()));
    pool.drain().wait();
    let metrics = pool.metrics();
    assert_eq!((metrics.run_time.count(), metrics.queue_wait.count()), (4, 4));
    assert!(metrics.run_time.max() >= ms(2), "{metrics:?}");
}

/// Looks how many are queued when it is woken.
struct Looks(Pool, Mutex<Vec<usize>>);

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        let queued = self.0.metrics().queued;
        self.1.lock().expect("no panic under it").push(queued);
    }
}

/// Law 11: who is given a place finds the job gone that had it.
#[test]
fn a_job_is_counted_out_before_its_place_is_free() {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let looks = Arc::new(Looks(pool.clone(), Mutex::default()));
    let waker = Waker::from(Arc::clone(&looks));
    let wait = |job: &dyn Fn()| {
        let mut place = pin!(pool.reserve());
        assert!(place.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        job();
        until("it is woken", || !looks.1.lock().expect("no panic under it").is_empty());
        assert_eq!(std::mem::take(&mut *looks.1.lock().expect("no panic under it")), [0]);
    };
    let job = pool.spawn_blocking(|| ());
    wait(&|| assert!(job.cancel().is_some()));
    let job = pool.spawn_blocking(|| ());
    let busy = Mutex::new(Some(busy));
    wait(&|| drop(busy.lock().expect("no panic under it").take()));
    outcome(job).expect("it returns");
}

/// Laws 10 and 11, at every instant.
#[test]
fn every_snapshot_adds_up_and_keeps_the_bounds() {
    const LIMIT: usize = 16;
    const THREADS: usize = 3;
    let pool = Pool::builder().threads(THREADS..=THREADS).queue_limit(LIMIT).build();
    let (pool, over) = (pool.expect("threads"), AtomicBool::new(false));
    thread::scope(|s| {
        let submit = |n: u64| {
            let pool = &pool;
            move || {
                for i in 0..20_000 {
                    let class = [Priority::Low, Priority::Normal, Priority::High][(i % 3) as usize];
                    let job = pool.job().priority(class).spawn_blocking(|| ());
                    if i % 5 == n {
                        job.cancel();
                    }
                }
            }
        };
        let look = || {
            let mut last = Metrics::default();
            while !over.load(Ordering::Relaxed) {
                let now = pool.metrics();
                assert!(now.resolved() <= now.accepted, "{now:?}");
                assert!(now.queued <= LIMIT && now.running <= THREADS, "{now:?}");
                assert!(now.busy + now.idle <= now.threads, "{now:?}");
                assert!(now.run_time.count() >= last.run_time.count(), "{now:?}");
                last = now;
            }
        };
        let submitting: Vec<_> = (0..2).map(|n| s.spawn(submit(n))).collect();
        let looking = s.spawn(look);
        submitting.into_iter().for_each(|thread| thread.join().expect("no panic"));
        over.store(true, Ordering::Relaxed);
        looking.join().expect("every snapshot is right");
    });
    pool.drain().wait();
    let end = pool.metrics();
    assert_eq!((end.accepted, end.queued, end.running), (end.resolved(), 0, 0));
    assert_eq!(end.accepted + end.rejected, 40_000);
    assert_eq!(end.run_time.count(), end.accepted - end.cancelled_queued, "{end:?}");
}
