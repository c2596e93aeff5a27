//! The system gives no thread, or none any more, or only some of the time.

use crate::support::{
    Busy, Drops, Gate, OnDrop, PATIENCE, error, ms, news, outcome, pool_of, until,
};
use punctual::{BuildError, Builder, JobError, JobHandle, Pool, Rejection};
use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Lets threads be started whose names have this in them, and of those only so many.
#[derive(Clone, Default)]
struct Supply(Arc<AtomicUsize>);

impl Supply {
    fn of(threads: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(threads)))
    }

    fn deliver(&self, threads: usize) {
        self.0.fetch_add(threads, Ordering::SeqCst);
    }

    /// The workers, or the timekeeper's threads, are limited to the supply.
    fn limit(&self, timers: bool) -> Builder {
        let left = Arc::clone(&self.0);
        Pool::builder().name("scarce").spawn_gate(move |name| {
            if name.ends_with("-timer") != timers {
                return Ok(());
            }
            let take = |left: usize| left.checked_sub(1);
            match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
                Ok(_) => Ok(()),
                Err(_) => Err(io::Error::from_raw_os_error(11)), // EAGAIN
            }
        })
    }
}

fn assert_no_thread<T: Debug, E: Debug>(job: JobHandle<T, E>) {
    let error = error(job);
    assert!(matches!(error, JobError::Rejected(Rejection::NoThread)), "{error:?}");
}

fn add_one(count: &AtomicUsize) {
    count.fetch_add(1, Ordering::SeqCst);
}

/// Fault 9, at build: an error, and the threads that were started are gone.
#[test]
fn a_pool_without_its_fewest_threads_is_not_built_and_leaves_none() {
    let (started, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (starts, stops) = (Arc::clone(&started), Arc::clone(&stopped));
    for supply in 0..3 {
        let (starts, stops) = (Arc::clone(&starts), Arc::clone(&stops));
        let builder = Supply::of(supply).limit(false).threads(3..=8);
        let error = builder
            .on_thread_start(move || add_one(&starts))
            .on_thread_stop(move || add_one(&stops))
            .build()
            .expect_err("one of its threads is not to be had");
        let BuildError::Thread(error) = error else { panic!("{error}") };
        assert_eq!(error.raw_os_error(), Some(11));
    }
    assert_eq!(started.load(Ordering::SeqCst), 3, "none, one and two");
    assert_eq!(stopped.load(Ordering::SeqCst), 3, "and each was waited for");
}

/// Fault 9, at growth: what is queued is left to the threads there are.
#[test]
fn a_pool_that_can_not_grow_leaves_its_jobs_to_the_threads_it_has() {
    let pool = Supply::of(1).limit(false).threads(0..=8).build().expect("no thread is needed");
    let busy = Busy::all(&pool, 1);
    let jobs: Vec<_> = (0..100).map(|n| pool.spawn_blocking(move || n)).collect();
    let metrics = pool.metrics();
    assert_eq!((metrics.threads, metrics.queued, metrics.rejected), (1, 100, 0));
    drop(busy);
    for (n, job) in jobs.into_iter().enumerate() {
        assert_eq!(outcome(job).expect("it returns"), n);
    }
    assert_eq!(pool.drain().wait().finished, 101);
}

/// Fault 9, with no thread at all: refused at once, captures dropped, all accounted for;
/// and when there are threads again, so is the pool.
#[test]
fn a_pool_recovers_when_threads_can_be_had_again() {
    let supply = Supply::of(0);
    let pool = supply.limit(false).threads(0..=4).queue_limit(2).build().expect("no thread");
    let drops = Drops::default();
    for round in 0..50 {
        let capture = drops.value();
        assert_no_thread(pool.spawn_blocking(move || drop(capture)));
        assert_eq!(drops.count(), round + 1);
    }
    let metrics = pool.metrics();
    assert_eq!((metrics.rejected, metrics.unresolved(), metrics.threads), (50, 0, 0));
    supply.deliver(1);
    let busy = Busy::all(&pool, 1);
    let waits = pool.spawn_blocking(|| 1); // and no second thread comes for it
    supply.deliver(3);
    let next = pool.spawn_blocking(|| 2); // this one has it started, for both
    assert_eq!((outcome(waits).expect("it runs"), outcome(next).expect("it runs")), (1, 2));
    drop(busy);
    assert_eq!(pool.drain().wait().finished, 3);
}

/// Fault 9, at the first deadline: nobody would watch it, so the job is not taken; one without a
/// deadline is.
#[test]
fn a_deadline_without_a_thread_to_watch_it_is_refused() {
    let supply = Supply::of(0);
    let pool = supply.limit(true).threads(1..=1).queue_limit(1).build().expect("a thread");
    for _ in 0..20 {
        assert_no_thread(pool.job().timeout(PATIENCE).spawn_blocking(|| 1));
        assert_no_thread(pool.job().run_timeout(PATIENCE).spawn_blocking(|| 1));
        assert_eq!(outcome(pool.spawn_blocking(|| 2)).expect("it needs no timer"), 2);
    }
    until("no place is lost", || pool.try_reserve().is_ok());
    supply.deliver(1);
    assert_eq!(outcome(pool.job().timeout(PATIENCE).spawn_blocking(|| 3)).expect("in time"), 3);
    let metrics = pool.drain().wait();
    assert_eq!(metrics.finished, 21);
    assert_eq!((pool.metrics().rejected, pool.metrics().timers), (40, 0));
}

/// Fault 9, with time to be kept at the end: a drain whose limit nobody can watch is over at once.
#[test]
fn a_drain_without_a_thread_to_watch_its_limit_is_cut() {
    let pool = Supply::of(0).limit(true).threads(1..=1).build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let queued = pool.spawn_blocking(|| ());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("built");
    let report = runtime.block_on(async { pool.drain().within(PATIENCE * 100).await });
    assert_eq!((report.never_started.len(), report.still_running.len()), (1, 1));
    assert!(error(queued).is_cancelled());
    drop(busy);
}

/// Fault 9, for the timekeeper's second thread: who is due behind a slow destructor waits for that,
/// and no longer.
#[test]
fn without_a_deputy_a_slow_destructor_costs_time_and_no_job() {
    let pool = Supply::of(1).limit(true).threads(1..=1).build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let (gate, (dropping, is_dropping)) = (Gate::default(), news());
    let mut slow = Some(gate.slow_capture());
    let capture = OnDrop(move || {
        dropping.send(()).expect("the test listens");
        drop(slow.take());
    });
    let first = pool.job().timeout(ms(1)).spawn_blocking(move || drop(capture));
    let second = pool.job().timeout(ms(2)).spawn_blocking(|| ());
    is_dropping.next();
    gate.open();
    assert!(error(first).is_timed_out() && error(second).is_timed_out());
    drop(busy);
    until("no alarm is left", || pool.metrics().timers == 0);
}

/// Fault 9, for the timekeeper's second thread, when it can be had again: the next slow destructor
/// delays nobody.
#[test]
fn a_deputy_that_was_not_to_be_had_is_asked_for_again() {
    let supply = Supply::of(1);
    let pool = supply.limit(true).threads(1..=1).build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    assert!(error(pool.job().timeout(ms(1)).spawn_blocking(|| ())).is_timed_out());
    supply.deliver(1);
    let (gate, (dropping, is_dropping)) = (Gate::default(), news());
    let mut slow = Some(gate.slow_capture());
    let capture = OnDrop(move || {
        dropping.send(()).expect("the test listens");
        drop(slow.take());
    });
    let stuck = pool.job().timeout(ms(1)).spawn_blocking(move || drop(capture));
    is_dropping.next();
    let next = pool.job().timeout(ms(2)).spawn_blocking(|| ());
    assert!(error(next).is_timed_out(), "the deputy has the watch");
    gate.open();
    assert!(error(stuck).is_timed_out());
    drop(busy);
}

/// Fault 9, by the system itself: no memory for a stack of that size.
#[test]
#[cfg(target_pointer_width = "64")]
fn a_stack_that_is_not_to_be_had_is_a_thread_that_is_not() {
    let endless = || Pool::builder().thread_stack_size(1 << 46);
    let error = endless().threads(1..=1).build().expect_err("no such stack");
    assert!(matches!(error, BuildError::Thread(_)), "{error}");
    let pool = endless().threads(0..=1).build().expect("no thread is needed");
    assert_no_thread(pool.spawn_blocking(|| 1));
    assert_no_thread(pool.job().timeout(PATIENCE).spawn_blocking(|| 1));
    assert_eq!(pool.shutdown().wait().finished, 0);
}

/// Fault 9, while everything goes on: one thread in three is to be had. Each job that is accepted
/// has its outcome; each that is not was refused for that reason.
#[test]
fn threads_that_come_and_go_lose_no_job() {
    let asked = AtomicUsize::new(0);
    let gate = move |_: &str| match asked.fetch_add(1, Ordering::SeqCst) % 3 {
        0 => Ok(()),
        _ => Err(io::ErrorKind::WouldBlock.into()),
    };
    let builder = Pool::builder().threads(0..=3).keep_alive(ms(0)).spawn_gate(gate);
    let pool = builder.build().expect("no thread is needed");
    let (start, mut ran, mut refused) = (Instant::now(), 0, 0);
    while (ran < 100 || refused < 10) && start.elapsed() < PATIENCE {
        until("the threads leave", || pool.metrics().threads == 0); // so another is asked for
        let jobs = [pool.spawn_blocking(|| ()), pool.job().timeout(PATIENCE).spawn_blocking(|| ())];
        for job in jobs {
            match outcome(job) {
                Ok(()) => ran += 1,
                Err(JobError::Rejected(Rejection::NoThread)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    let metrics = pool.metrics();
    assert_eq!((metrics.returned, metrics.rejected, metrics.unresolved()), (ran, refused, 0));
    assert!(ran >= 100 && refused >= 10, "{metrics:?}");
}

/// The gate is for one pool only.
#[test]
fn other_pools_have_their_threads() {
    let none = Supply::of(0).limit(false).build().expect("no thread is needed");
    assert_no_thread(none.spawn_blocking(|| 1));
    assert_eq!(outcome(pool_of(1).spawn_blocking(|| 1)).expect("it returns"), 1);
}
