//! What went wrong once where jobs are stopped together: each test fails without its fix.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use punctual::{Checked, JobContext, JobError, JobHandle, Pool};
use std::fmt::Debug;
use std::io;
use std::mem::forget;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;
use support::{Gate, OnDrop, PATIENCE, ms, outcome, pool_of, until};

/// What a job's child came to, as a listener of the job sees it.
fn seen_by_a_listener<E: Debug + Send + 'static>(
    threads: usize,
    child_of: fn(&JobContext) -> JobHandle<(), E>,
) {
    let pool = pool_of(threads);
    let (on, is_on) = mpsc::channel();
    let (send, seen) = mpsc::channel();
    let job = pool.spawn(move |cx| {
        let child = child_of(cx);
        // Forgotten: or the body, which is stopped, too, could take it back before it is told.
        forget(cx.on_stop(move |_| send.send(child.wait()).expect("the test listens")));
        on.send(()).expect("the test listens");
        cx.sleep(Duration::MAX)
    });
    is_on.recv_timeout(PATIENCE).expect("it runs");
    let canceller = thread::spawn(move || job.cancel());
    let error = seen.recv_timeout(PATIENCE).expect("the child ends").expect_err("it is stopped");
    assert!(error.is_cancelled(), "{error:?}");
    canceller.join().expect("no panic");
}

#[test]
fn a_listener_may_wait_for_a_queued_child_that_is_stopped_with_it() {
    seen_by_a_listener(1, |cx| cx.job().spawn_blocking(|| ()));
}

#[test]
fn a_listener_may_wait_for_a_running_child_that_is_stopped_with_it() {
    seen_by_a_listener(2, |cx| {
        let (on, is_on) = mpsc::channel();
        let child = cx.job().spawn(move |cx| {
            on.send(()).expect("the parent listens");
            cx.sleep(Duration::MAX)
        });
        is_on.recv_timeout(PATIENCE).expect("it runs");
        child
    });
}

#[test]
fn a_listener_may_spawn_a_child_and_wait_for_it() {
    let pool = pool_of(2);
    let (on, is_on) = mpsc::channel();
    let (send, seen) = mpsc::channel();
    let job = pool.spawn(move |cx| {
        let own = cx.clone();
        forget(cx.on_stop(move |_| {
            let child = own.job().spawn_blocking(|| 1);
            send.send(child.wait().is_err_and(|error| error.is_cancelled())).expect("a test");
        }));
        on.send(()).expect("the test listens");
        cx.sleep(Duration::MAX)
    });
    is_on.recv_timeout(PATIENCE).expect("it runs");
    let canceller = thread::spawn(move || job.cancel());
    assert!(seen.recv_timeout(PATIENCE).expect("the child ends"));
    canceller.join().expect("no panic");
}

/// A child with a deadline, behind a sibling whose destructor is slow.
fn behind_a_slow_sibling(cancel: bool) {
    let pool = pool_of(1);
    let (send, children) = mpsc::channel();
    let gate = Gate::default();
    let closed = gate.clone();
    let parent = if cancel { pool.job() } else { pool.job().run_timeout(ms(20)) };
    let job = parent.spawn(move |cx| -> Checked<()> {
        let slow = closed.slow_capture();
        let first = cx.job().spawn_blocking(move || drop(slow));
        let second = cx.job().timeout(ms(20)).spawn_blocking(|| ());
        send.send((first, second)).expect("the test listens");
        closed.pass(); // or its worker would be free for the second
        cx.check()
    });
    let (_first, second) = children.recv_timeout(PATIENCE).expect("it runs");
    let canceller = thread::spawn(move || cancel.then(|| job.cancel()));
    assert!(outcome(second).is_err());
    gate.open();
    canceller.join().expect("no panic");
}

#[test]
fn a_siblings_slow_destructor_delays_no_deadline_when_their_parent_times_out() {
    behind_a_slow_sibling(false);
}

#[test]
fn a_siblings_slow_destructor_delays_no_deadline_when_their_parent_is_cancelled() {
    behind_a_slow_sibling(true);
}

#[test]
fn a_parents_slow_listener_delays_no_deadline_of_a_child() {
    let pool = pool_of(1);
    let (send, children) = mpsc::channel();
    let gate = Gate::default();
    let closed = gate.clone();
    let job = pool.job().run_timeout(ms(20)).spawn(move |cx| {
        let child = cx.job().spawn_blocking(|| ());
        send.send(child).expect("the test listens");
        let _guard = cx.on_stop(move |_| closed.pass());
        cx.sleep(Duration::MAX)
    });
    let child = children.recv_timeout(PATIENCE).expect("it runs");
    assert!(outcome(child).is_err_and(|error| error.is_timed_out()));
    gate.open();
    drop(job);
}

/// A pool whose workers are asked for, and refused when the sender goes.
fn pool_without_threads() -> (Pool, Receiver<()>, mpsc::Sender<()>) {
    let (asked, is_asked) = mpsc::channel();
    let (refuse, may_refuse) = mpsc::channel::<()>();
    let (asked, may_refuse) = (Mutex::new(asked), Mutex::new(may_refuse));
    let gate = move |name: &str| {
        if name.ends_with("-timer") {
            return Ok(());
        }
        let _ = asked.lock().expect("no panic under it").send(());
        let _ = may_refuse.lock().expect("no panic under it").recv();
        Err(io::ErrorKind::WouldBlock.into())
    };
    let pool = Pool::builder().spawn_gate(gate).build().expect("no thread is needed");
    (pool, is_asked, refuse)
}

#[test]
fn of_jobs_that_are_refused_together_a_slow_one_delays_no_other() {
    let (pool, is_asked, refuse) = pool_without_threads();
    let gate = Gate::default();
    let (closed, own) = (gate.clone(), pool.clone());
    let submitter = thread::spawn(move || {
        let slow = OnDrop(move || closed.pass());
        own.spawn_blocking(move || drop(slow))
    });
    is_asked.recv_timeout(PATIENCE).expect("a thread is asked for");
    let other = pool.job().timeout(ms(20)).spawn_blocking(|| ());
    drop(refuse);
    assert!(outcome(other).is_err());
    gate.open();
    assert!(submitter.join().expect("no panic").wait().is_err());
}

#[test]
fn a_destructor_on_its_own_worker_may_bound_its_wait_for_the_pools_end() {
    let gate = |name: &str| match name.ends_with("-timer") {
        true => Err(io::ErrorKind::WouldBlock.into()),
        false => Ok(()),
    };
    let pool = Pool::builder().threads(0..=1).spawn_gate(gate).build().expect("no thread yet");
    let (go, may_go) = mpsc::channel::<()>();
    let first = pool.spawn_blocking(move || may_go.recv().is_err());
    let (send, reports) = mpsc::channel();
    let own = pool.clone();
    let capture = OnDrop(move || {
        send.send(own.drain().within(ms(5)).wait()).expect("the test listens");
    });
    // It can not be watched, and so is refused by the worker that was to start it.
    let refused = pool.job().run_timeout(PATIENCE).spawn_blocking(move || drop(capture));
    let behind = pool.spawn_blocking(|| ());
    drop(go);
    assert!(first.wait().is_ok());
    reports.recv_timeout(PATIENCE).expect("it is over in time");
    assert!(matches!(outcome(refused), Err(JobError::Rejected(_))));
    let _ = outcome(behind);
}

#[test]
fn two_that_wait_inside_need_not_both_be_workers() {
    let pool = Pool::builder().threads(0..=1).build().expect("no thread yet");
    let gate = Gate::default();
    let (closed, own) = (gate.clone(), pool.clone());
    let (send, reports) = mpsc::channel();
    let done = send.clone();
    let inside = pool.spawn_blocking(move || {
        closed.pass();
        done.send(own.drain().wait()).expect("the test listens");
    });
    let own = pool.clone();
    let capture = OnDrop(move || send.send(own.drain().wait()).expect("the test listens"));
    let queued = pool.spawn_blocking(move || drop(capture));
    gate.open();
    until("the pool drains", || pool.try_reserve().is_err());
    let canceller = thread::spawn(move || queued.cancel());
    for _ in 0..2 {
        reports.recv_timeout(PATIENCE).expect("neither waits for the other");
    }
    assert!(outcome(inside).is_ok());
    canceller.join().expect("no panic");
}

#[test]
fn who_is_woken_for_a_stopped_jobs_place_may_wait_for_the_pools_end() {
    struct Waits(Pool, Mutex<mpsc::Sender<()>>);
    impl Wake for Waits {
        fn wake(self: Arc<Self>) {
            let say = || self.1.lock().expect("no panic under it").send(()).expect("a test");
            say();
            self.0.drain().wait();
            say();
        }
    }
    let pool = Pool::builder().threads(0..=1).queue_limit(1).build().expect("no thread yet");
    let busy = support::Busy::all(&pool, 1);
    let queued = pool.spawn_blocking(|| ());
    let (send, news) = mpsc::channel();
    let waker = Waker::from(Arc::new(Waits(pool.clone(), Mutex::new(send))));
    let mut reserve = Box::pin(pool.reserve());
    assert!(reserve.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let canceller = thread::spawn(move || queued.cancel());
    news.recv_timeout(PATIENCE).expect("it is woken");
    drop(busy);
    news.recv_timeout(PATIENCE).expect("it does not wait for the job that woke it");
    canceller.join().expect("no panic");
}
