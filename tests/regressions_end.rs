//! One test for each bug about a pool's end that was found and fixed.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use punctual::testing::ManualClock;
use punctual::{Pool, Shutdown};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use support::{Busy, Drops, Gate, OnDrop, PATIENCE, error, ms, news, outcome, pool_of, until};

type AtEnd = OnDrop<Box<dyn FnMut()>>;

thread_local! {
    static LOCAL: RefCell<Option<AtEnd>> = const { RefCell::new(None) };
}

/// Has a worker call a function when it drops its thread-locals.
fn at_thread_end(pool: &Pool, call: impl FnMut() + Send + 'static) {
    let job = pool.spawn_blocking(move || LOCAL.set(Some(OnDrop(Box::new(call)))));
    outcome(job).expect("it returns");
}

/// `wait` joined a thread whose thread-local's destructor went on, whatever time it was given.
#[test]
fn within_bounds_the_wait_for_threads_too() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let slow = gate.clone();
    at_thread_end(&pool, move || slow.pass());
    let report = pool.shutdown().within(ms(20)).wait(); // hangs if it joins
    assert_eq!(report.finished, 1);
    gate.open();
}

/// By a manual clock, `wait` had its report in time, and then joined the thread of a body that went on.
#[test]
fn within_bounds_the_wait_by_a_manual_clock_too() {
    let clock = ManualClock::new();
    let pool = Pool::builder().clock(&clock).threads(1..=1).build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let shutdown = pool.shutdown().within(ms(20));
    let (send, report) = news();
    let waiting = std::thread::spawn(move || send.send(shutdown.wait()));
    until("it waits for its time", || pool.metrics().timers == 1);
    clock.advance(ms(20));
    assert_eq!(report.next().still_running.len(), 1); // in vain, if it joins
    drop(busy);
    waiting.join().expect("no panic").expect("the test listens");
}

/// A first wait that timed out took the threads' handles with it.
#[test]
fn a_second_wait_waits_for_the_threads() {
    let pool = pool_of(1);
    let gone = Arc::new(AtomicBool::new(false));
    let (gate, over) = (Gate::default(), Arc::clone(&gone));
    let slow = gate.clone();
    at_thread_end(&pool, move || {
        slow.pass();
        over.store(true, Ordering::SeqCst);
    });
    let busy = Busy::all(&pool, 1);
    assert_eq!(pool.shutdown().within(ms(5)).wait().still_running.len(), 1);
    drop(busy);
    std::thread::scope(|s| {
        let waiting = s.spawn(|| pool.shutdown().wait());
        gate.open();
        waiting.join().expect("no panic");
    });
    assert!(gone.load(Ordering::SeqCst));
}

/// The handle of a thread that was dropping its thread-locals was forgotten when another started.
#[test]
fn a_thread_in_its_destructors_is_not_forgotten() {
    let builder = Pool::builder().threads(0..=1).keep_alive(Duration::ZERO);
    let pool = builder.build().expect("no thread is needed");
    let gone = Arc::new(AtomicBool::new(false));
    let (gate, over) = (Gate::default(), Arc::clone(&gone));
    let (slow, (dropping, is_dropping)) = (gate.clone(), news());
    at_thread_end(&pool, move || {
        dropping.send(()).expect("the test listens");
        slow.pass();
        over.store(true, Ordering::SeqCst);
    });
    is_dropping.next();
    outcome(pool.spawn_blocking(|| ())).expect("another thread runs it");
    std::thread::scope(|s| {
        let waiting = s.spawn(|| pool.shutdown().wait());
        gate.open();
        waiting.join().expect("no panic");
    });
    assert!(gone.load(Ordering::SeqCst));
}

/// Waiting for the pool's end in a destructor of one of its threads joined that very thread.
#[test]
fn a_threads_own_destructor_may_wait_for_the_pools_end() {
    let pool = pool_of(1);
    let own = pool.clone();
    let (waited, has_waited) = news();
    at_thread_end(&pool, move || {
        own.shutdown().wait();
        waited.send(()).expect("the test listens");
    });
    drop(pool.shutdown());
    has_waited.next();
}

/// A job that was cut waited for the slow destructor of another that was cut with it.
#[test]
fn a_cut_job_does_not_wait_for_another() {
    for in_time in [false, true] {
        let pool = pool_of(1);
        let busy = Busy::all(&pool, 1);
        let gate = Gate::default();
        let slow = gate.clone();
        let capture = OnDrop(move || slow.pass());
        let quick: Vec<_> = (0..20).map(|_| pool.spawn_blocking(|| ())).collect();
        let held = pool.spawn_blocking(move || drop(capture));
        let more: Vec<_> = (0..20).map(|_| pool.spawn_blocking(|| ())).collect();
        if in_time {
            drop(pool.shutdown());
        } else {
            assert_eq!(pool.drain().within(ms(5)).wait().never_started.len(), 41);
        }
        for job in quick.into_iter().chain(more) {
            assert!(error(job).is_cancelled());
        }
        gate.open();
        assert!(error(held).is_cancelled());
        drop(busy);
    }
}

/// A shutdown that was polled inside its own wake, on the worker, took the job that had just ended
/// for one that goes on, and waited for the next one to start: on the only worker.
#[test]
fn a_shutdown_may_be_polled_in_its_own_wake() {
    struct Inline {
        shutdown: Mutex<Option<Pin<Box<Shutdown>>>>,
        finished: AtomicU64,
    }
    impl Wake for Inline {
        fn wake(self: Arc<Self>) {
            let waker = Waker::from(Arc::clone(&self));
            let taken = self.shutdown.lock().expect("no panic").take();
            let Some(mut shutdown) = taken else { return };
            match shutdown.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(report) => self.finished.store(report.finished, Ordering::SeqCst),
                Poll::Pending => *self.shutdown.lock().expect("no panic") = Some(shutdown),
            }
        }
    }
    let pool = pool_of(1);
    let busy = Busy::all(&pool, 1);
    let queued = pool.spawn_blocking(|| 7);
    let shutdown = Mutex::new(Some(Box::pin(pool.drain())));
    let inline = Arc::new(Inline { shutdown, finished: AtomicU64::new(0) });
    Arc::clone(&inline).wake();
    drop(busy);
    assert_eq!(outcome(queued).expect("it returns"), 7);
    until("it is over", || inline.finished.load(Ordering::SeqCst) == 2);
}

/// A report counted, for a moment, a job that was being refused.
#[test]
fn a_report_is_exact_while_others_are_refused() {
    let pool = pool_of(1);
    outcome(pool.spawn_blocking(|| ())).expect("it returns");
    pool.drain().wait();
    let stop = AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                drop(pool.spawn_blocking(|| ()));
            }
        });
        let wrong = (0..20_000).filter(|_| pool.drain().wait().finished != 1).count();
        stop.store(true, Ordering::SeqCst);
        assert_eq!(wrong, 0);
    });
}

/// A slow hook of a new thread held up a job although another thread was parked.
#[test]
fn a_slow_start_hook_holds_up_no_job() {
    let (gate, calls) = (Gate::default(), AtomicUsize::new(0));
    let slow = gate.clone();
    let pool = Pool::builder()
        .threads(0..=8)
        .on_thread_start(move || {
            if calls.fetch_add(1, Ordering::SeqCst) == 1 {
                slow.pass();
            }
        })
        .build()
        .expect("no thread is needed");
    let busy = Busy::all(&pool, 1);
    let second = pool.spawn_blocking(|| ()); // has a second thread started, which stays in its hook
    until("it is started", || pool.metrics().threads == 2);
    drop(busy);
    outcome(second).expect("the first thread does it");
    until("the first thread parks", || pool.metrics().idle == 1);
    outcome(pool.spawn_blocking(|| ())).expect("and this");
    gate.open();
}

/// What an unused hook for late values had captured was dropped before its job's outcome was told.
#[test]
fn an_unused_late_hook_does_not_delay_its_handle() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let slow = gate.clone();
    let capture = OnDrop(move || slow.pass());
    let hook = move |()| assert!(size_of_val(&capture) > 0);
    let job = pool.job().timeout(PATIENCE).on_late(hook).spawn_blocking(|| ());
    outcome(job).expect("it returned");
    gate.open();
}

/// A function given to `on_stop` after the body's end, its guard forgotten, kept the job for ever.
#[test]
fn a_listener_after_the_end_is_dropped() {
    let pool = pool_of(1);
    let job = pool.spawn_blocking(|| punctual::current().expect("a body runs"));
    let cx = outcome(job).expect("it returns");
    let drops = Drops::default();
    let (value, held) = (drops.value(), cx.clone());
    std::mem::forget(cx.on_stop(move |_| drop((value, held))));
    assert_eq!(drops.count(), 1);
}
