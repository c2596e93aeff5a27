//! One test for each bug that the fault tests and the storms found: what went wrong.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use punctual::{Checked, JobContext, JobError, JobHandle, Permit, Phase, Pool, Rejection};
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use support::{Busy, OnDrop, PanicsOnDrop, error, news, outcome, pool_of, quiet_panic, until};

type Reserving = Pin<Box<dyn Future<Output = Result<Permit, Rejection>> + Send>>;

struct OnWake<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for OnWake<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn waker(call: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(OnWake(call)))
}

/// A pool with one thread and one place in the queue, both taken.
fn full_pool() -> (Pool, Busy) {
    let builder = Pool::builder().threads(1..=1).queue_limit(1).on_unseen_panic(|_| ());
    let pool = builder.build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    drop(pool.spawn_blocking(|| ()));
    (pool, busy)
}

fn reserving(pool: &Pool) -> Reserving {
    let pool = pool.clone();
    Box::pin(async move { pool.reserve().await })
}

fn is_pending(future: &mut Reserving, waker: &Waker) -> bool {
    future.as_mut().poll(&mut Context::from_waker(waker)).is_pending()
}

/// When a pool closed, one waker that panicked left all behind it in the line for a place waiting
/// for ever.
#[test]
fn a_waker_that_panics_leaves_nobody_behind_it_in_the_line() {
    let (pool, _busy) = full_pool();
    let woken = Arc::new(AtomicUsize::new(0));
    let line: Vec<_> = (0..40)
        .map(|n| {
            let (mut future, woken) = (reserving(&pool), Arc::clone(&woken));
            let wake = move || {
                woken.fetch_add(1, Ordering::SeqCst);
                assert!(n % 2 == 0 || quiet_panic("a waker"));
            };
            assert!(is_pending(&mut future, &waker(wake)));
            future
        })
        .collect();
    drop(pool.drain());
    assert_eq!(woken.load(Ordering::SeqCst), 40);
    for mut future in line {
        let poll = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(poll, Poll::Ready(Err(Rejection::ShutDown))));
    }
}

/// A pool that closed woke those who waited for a place under a lock: a waker that dropped what it
/// was for, as an executor that runs inline does, waited for itself.
#[test]
fn a_waker_may_drop_what_waits_for_a_place() {
    let (pool, _busy) = full_pool();
    let slot: Arc<Mutex<Option<Reserving>>> = Arc::default();
    let (done, is_done) = news();
    let own = Arc::clone(&slot);
    let drop_it = waker(move || {
        let future = own.lock().expect("no panic").take();
        drop(future);
        done.send(()).expect("the test listens");
    });
    let mut future = reserving(&pool);
    assert!(is_pending(&mut future, &drop_it));
    *slot.lock().expect("no panic") = Some(future);
    let closer = pool.clone();
    std::thread::spawn(move || drop(closer.drain()));
    is_done.next();
}

/// Giving a reserved place back unwound with the panic of the waker of who waited for it.
#[test]
fn a_place_given_back_is_not_hit_by_the_next_ones_waker() {
    let builder = Pool::builder().threads(1..=1).queue_limit(1).on_unseen_panic(|_| ());
    let pool = builder.build().expect("a thread");
    let permit = pool.try_reserve().expect("a place");
    let mut future = reserving(&pool);
    assert!(is_pending(&mut future, &waker(|| quiet_panic("a waker"))));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(permit))).is_ok());
    let poll = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(poll, Poll::Ready(Ok(_))));
}

/// Without a thread to be had, the captures of refused jobs were dropped by a thread that still
/// counted as a worker: one that submitted a job there, and waited for it, waited for itself.
#[test]
fn the_captures_of_a_refused_job_may_wait_for_another() {
    let gate = |_: &str| Err(io::ErrorKind::WouldBlock.into());
    let pool = Pool::builder().spawn_gate(gate).build().expect("it needs no thread yet");
    let (own, (send, outcomes)) = (pool.clone(), news());
    let capture = OnDrop(move || {
        let outcome = own.spawn_blocking(|| ()).wait();
        send.send(outcome).expect("the test listens");
    });
    std::thread::spawn(move || drop(pool.spawn_blocking(move || drop(capture))));
    assert!(matches!(outcomes.next(), Err(JobError::Rejected(Rejection::NoThread))));
}

/// Dropping a future that waited for a body's end unwound with the panic of its waker's destructor:
/// in a destructor, where a second panic ends the process.
#[test]
fn a_waker_that_panics_when_dropped_does_not_unwind_out_of_a_destructor() {
    let pool = pool_of(1);
    let busy = Busy::all(&pool, 1);
    let job = pool.spawn_blocking(|| ());
    let grenade = PanicsOnDrop;
    let waker = waker(move || assert!(size_of_val(&grenade) == 0));
    let mut stopped = Box::pin(job.stopped());
    let mut end = Box::pin(pool.drain());
    let mut cx = Context::from_waker(&waker);
    assert!(stopped.as_mut().poll(&mut cx).is_pending() && end.as_mut().poll(&mut cx).is_pending());
    drop(waker);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(end))).is_ok());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(stopped))).is_ok());
    drop(busy);
    outcome(job).expect("it returns");
}

/// Stopping a line of running jobs, each the parent of the next, recursed as deep as the line is
/// long, and overflowed the stack of who stopped the first.
#[test]
fn stopping_a_long_line_of_running_children_needs_no_deep_stack() {
    fn next(cx: &JobContext, left: u32, up: Sender<()>) -> Checked<()> {
        if left == 0 {
            up.send(()).expect("the test listens");
        } else {
            drop(cx.job().spawn(move |cx| next(cx, left - 1, up)));
        }
        cx.sleep(Duration::MAX)
    }
    let pool = Pool::builder().threads(0..=700).thread_stack_size(128 << 10);
    let pool = pool.build().expect("no thread is needed");
    let (up, is_up) = news();
    let first = pool.spawn(move |cx| next(cx, 600, up));
    is_up.next();
    let small = std::thread::Builder::new().stack_size(256 << 10);
    let stopping = small.spawn(move || first.cancel()).expect("a thread");
    assert_eq!(stopping.join().expect("no panic"), Some(Phase::Running));
    pool.drain().wait();
    assert_eq!(pool.metrics().cancelled_running, 601);
}

/// When both the body and its hook for late values panicked as they were dropped, the second panic
/// was told to nobody; and if its payload panicked, too, the job had no outcome, ever.
#[test]
fn two_destructors_that_panic_are_both_told() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new(PanicsOnDrop)); // a payload that panics, too
        }
    }
    let (send, told) = news();
    let builder = Pool::builder().threads(1..=1);
    let builder = builder.on_unseen_panic(move |panic| assert!(send.send(panic.id()).is_ok()));
    let pool = builder.build().expect("a thread");
    let _busy = Busy::all(&pool, 1);
    let (capture, hook) = (Grenade, Grenade);
    let job = pool.job().on_late(move |()| assert!(size_of_val(&hook) == 0));
    let job = job.spawn_blocking(move || assert!(size_of_val(&capture) == 0));
    let id = job.id();
    assert_eq!(job.cancel(), Some(Phase::Queued));
    assert!(error(job).is_cancelled());
    assert_eq!([told.next(), told.next()], [Some(id); 2]);
}

/// What a queued job had captured, and waited for the pool's end when it was dropped, waited for
/// that very job.
#[test]
fn the_captures_of_a_stopped_job_may_wait_for_the_pools_end() {
    let pool = pool_of(1);
    let busy = Busy::all(&pool, 1);
    let (own, (send, reports)) = (pool.clone(), news());
    let capture = OnDrop(move || {
        let report = own.shutdown().wait();
        send.send(report).expect("the test listens");
    });
    let job = pool.spawn_blocking(move || drop(capture));
    std::thread::spawn(move || job.cancel());
    until("it waits", || pool.try_reserve().is_err());
    drop(busy);
    assert_eq!(reports.next().finished, 2);
    assert_eq!(pool.shutdown().wait().finished, 2);
}

/// A pool that is given so many threads, and refused all others.
fn given(threads: usize) -> Pool {
    let given = AtomicUsize::new(0);
    let gate = move |_: &str| match given.fetch_add(1, Ordering::SeqCst) < threads {
        true => Ok(()),
        false => Err(io::ErrorKind::WouldBlock.into()),
    };
    Pool::builder().threads(0..=threads).spawn_gate(gate).build().expect("none is needed yet")
}

/// A job that waits for one that it can not run itself, since that is behind another of its lane.
fn waits_for_another(pool: &Pool) -> JobHandle<bool> {
    let lane = pool.lane("one").limit(1);
    pool.spawn_blocking(move || {
        let first = lane.spawn_blocking(|| 1);
        let second = lane.spawn_blocking(|| 2).wait();
        let refused = |end| matches!(end, Err(JobError::Rejected(Rejection::NoThread)));
        refused(second) && refused(first.wait())
    })
}

/// It was left to the workers there are, the only one of which waited for it.
#[test]
fn what_the_only_worker_waits_for_is_refused_if_no_other_is_to_be_had() {
    let pool = given(1);
    assert_eq!(outcome(waits_for_another(&pool)).ok(), Some(true));
    assert_eq!(outcome(pool.spawn_blocking(|| 3)).ok(), Some(3), "it goes on");
}

/// The same, where the last worker that could have come for it begins to wait after the refusal.
#[test]
fn what_all_workers_wait_for_is_refused_if_no_other_is_to_be_had() {
    let pool = given(2);
    let (hand_over, (send, handles)) = (news(), news());
    let last = pool.spawn_blocking(move || {
        hand_over.0.send(()).expect("the test listens");
        let handle: JobHandle<bool> = handles.next();
        handle.wait().ok()
    });
    hand_over.1.next();
    let waits = waits_for_another(&pool);
    until("it waits", || pool.metrics().spare == 1);
    send.send(waits).expect("it listens");
    assert_eq!(outcome(last).ok(), Some(Some(true)));
    assert_eq!(outcome(pool.spawn_blocking(|| 3)).ok(), Some(3), "they go on");
}
