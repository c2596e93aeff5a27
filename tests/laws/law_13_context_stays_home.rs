//! `current()` is the job's own inside its body and what that calls, and `None` elsewhere.

use crate::support::{Busy, OnDrop, PATIENCE, ms, news, outcome, pool_of};
use punctual::{Pool, current};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

fn called_by_the_body() -> Option<punctual::JobId> {
    current().map(|cx| cx.id())
}

#[test]
fn it_is_the_jobs_own_inside_its_body() {
    let pool = pool_of(1);
    assert!(current().is_none());
    for _ in 0..3 {
        let job = pool.spawn_blocking(called_by_the_body);
        let id = job.id();
        assert_eq!(outcome(job).expect("it returns"), Some(id));
    }
    assert!(current().is_none());
}

#[test]
fn it_is_not_that_of_the_job_before_on_the_thread() {
    let pool = pool_of(1);
    let panicked = pool.spawn_blocking(|| crate::support::quiet_panic("out of the body"));
    let (_, id) = (outcome::<(), _>(panicked), pool.spawn_blocking(called_by_the_body));
    let own = id.id();
    assert_eq!(outcome(id).expect("it returns"), Some(own));
}

#[test]
fn a_thread_that_the_body_starts_has_none() {
    let pool = pool_of(1);
    let job = pool
        .spawn_blocking(|| std::thread::spawn(|| current().is_none()).join().expect("no panic"));
    assert!(outcome(job).expect("it returns"));
}

struct Asks(std::sync::mpsc::Sender<bool>);

impl Wake for Asks {
    fn wake(self: Arc<Self>) {
        self.0.send(current().is_none()).expect("the test listens");
    }
}

#[test]
fn wakers_and_hooks_have_none() {
    let pool = Pool::builder()
        .threads(1..=1)
        .on_thread_start(|| assert!(current().is_none()))
        .build()
        .expect("a thread");
    let busy = Busy::all(&pool, 1);
    let (send, none) = news();
    let late = send.clone();
    let mut job = pool.spawn_blocking(|| ());
    let waker = Waker::from(Arc::new(Asks(send)));
    let poll = std::pin::Pin::new(&mut job);
    assert!(matches!(
        std::future::Future::poll(poll, &mut Context::from_waker(&waker)),
        Poll::Pending
    ));
    drop(busy);
    assert!(none.next());

    let deaf = pool
        .job()
        .run_timeout(ms(3))
        .on_late(move |()| late.send(current().is_none()).expect("the test listens"))
        .spawn(|cx| {
            cx.sleep(PATIENCE).expect_err("it is stopped");
            crate::support::until("the handle has resolved", || cx.is_stopped());
            std::thread::yield_now();
            Ok::<_, ()>(())
        });
    if outcome(deaf).is_err() {
        assert!(none.next());
    }
}

#[test]
fn the_destructor_of_a_dropped_outcome_has_none() {
    let pool = pool_of(1);
    let (send, none) = news();
    let job = pool.spawn_blocking(move || {
        OnDrop(move || send.send(current().is_none()).expect("the test listens"))
    });
    drop(job);
    assert!(none.next());
}

#[test]
fn a_clone_outlives_its_job_and_tells_the_truth() {
    let pool = pool_of(1);
    let job = pool.job().name("mine").spawn_blocking(|| current().expect("a body runs"));
    let id = job.id();
    let cx = outcome(job).expect("it returns");
    assert_eq!((cx.id(), cx.name(), cx.is_stopped()), (id, Some("mine"), false));
    assert_eq!(cx.check(), Ok(()));
}
