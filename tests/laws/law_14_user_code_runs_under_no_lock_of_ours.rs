//! Bodies, destructors, wakers and hooks run under no lock. A panic in any of them kills no worker
//! and harms no other job.

use crate::support::{
    Busy, Gate, News, OnDrop, PATIENCE, PanicsOnDrop, error, ms, news, outcome, quiet_panic, until,
};
use punctual::{AbortHandle, Checked, JobHandle, Pool};
use std::cell::RefCell;
use std::future::Future;
use std::panic::{panic_any, resume_unwind};
use std::pin::pin;
use std::ptr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread;
use tokio_util::sync::CancellationToken;

/// One worker, and what its pool tells of panics that nobody sees.
fn told_pool() -> (Pool, News<String>) {
    let (send, unseen) = news();
    let pool = Pool::builder()
        .threads(1..=1)
        .queue_limit(100)
        .on_unseen_panic(move |panic| drop(send.send(panic.message().to_owned())))
        .build()
        .expect("a thread");
    (pool, unseen)
}

/// The pool's one worker is alive and takes jobs.
#[track_caller]
fn assert_unharmed(pool: &Pool) {
    assert_eq!(outcome(pool.spawn_blocking(|| 1)).expect("it returns"), 1);
    assert_eq!(pool.metrics().threads, 1);
}

/// Does all that takes any of the pool's locks.
fn use_everything(pool: &Pool) {
    let _ = (pool.metrics(), pool.overdue(), pool.try_reserve().map(drop));
    let token = CancellationToken::new();
    let job = pool.job().token(&token).timeout(PATIENCE).spawn(|cx| cx.check());
    let _ = (job.info(), job.is_finished());
    token.cancel();
    job.cancel();
    drop(job);
}

fn poll_once<T, E>(job: &mut JobHandle<T, E>, waker: &Waker) -> bool {
    let poll = std::future::Future::poll(std::pin::Pin::new(job), &mut Context::from_waker(waker));
    matches!(poll, Poll::Ready(_))
}

struct OnWake<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for OnWake<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn waker(call: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(OnWake(call)))
}

#[test]
fn a_panic_in_the_body() {
    let (pool, _unseen) = told_pool();
    assert!(error(pool.spawn_blocking(|| quiet_panic("body"))).is_panic());
    assert_unharmed(&pool);
}

#[test]
fn a_panic_in_a_captures_drop() {
    let (pool, unseen) = told_pool();
    let busy = Busy::all(&pool, 1);
    let capture = PanicsOnDrop;
    let queued = pool.spawn_blocking(move || drop(capture));
    queued.cancel();
    assert_eq!(unseen.next(), "a destructor panics");
    assert!(error(queued).is_cancelled());
    drop(busy);
    let capture = PanicsOnDrop;
    assert!(error(pool.spawn_blocking(move || drop(capture))).is_panic());
    assert_unharmed(&pool);
}

#[test]
fn a_panic_in_the_outcomes_drop() {
    let (pool, _unseen) = told_pool();
    let gate = Gate::default();
    let wait = gate.clone();
    let detached = pool.spawn_blocking(move || {
        wait.pass();
        PanicsOnDrop
    });
    drop(detached);
    gate.open();
    assert_unharmed(&pool);
    let finished = pool.spawn_blocking(|| PanicsOnDrop);
    until("it is finished", || finished.is_finished());
    drop(finished);
    assert_unharmed(&pool);
}

#[test]
fn a_panic_in_a_payloads_drop() {
    let (pool, _unseen) = told_pool();
    let lost = pool.spawn_blocking(|| resume_unwind(Box::new(PanicsOnDrop)));
    drop::<JobHandle<()>>(lost);
    assert_unharmed(&pool);
    let late = pool.job().run_timeout(ms(3)).spawn(|cx| -> Checked<()> {
        let _ = cx.sleep(PATIENCE);
        resume_unwind(Box::new(PanicsOnDrop))
    });
    drop(late);
    assert_unharmed(&pool);
}

#[test]
fn a_panic_in_a_waker() {
    let (pool, unseen) = told_pool();
    let busy = Busy::all(&pool, 1);
    let mut run = pool.spawn_blocking(|| 1);
    let mut cancelled = pool.spawn_blocking(|| 2);
    let panics = waker(|| quiet_panic("waker"));
    assert!(!poll_once(&mut run, &panics) && !poll_once(&mut cancelled, &panics));
    cancelled.cancel();
    assert_eq!(unseen.next(), "waker");
    drop(busy);
    assert_eq!(unseen.next(), "waker");
    assert_eq!(outcome(run).expect("it returns"), 1);
    assert!(error(cancelled).is_cancelled());
    assert_unharmed(&pool);
}

#[test]
fn a_panic_in_an_on_stop_hook_on_late_hook_and_thread_hook() {
    let (send, unseen) = news();
    let pool = Pool::builder()
        .threads(1..=1)
        .on_thread_start(|| quiet_panic("thread start"))
        .on_thread_stop(|| quiet_panic("thread stop"))
        .on_unseen_panic(move |panic| drop(send.send(panic.message().to_owned())))
        .build()
        .expect("a thread");
    assert_eq!(unseen.next(), "thread start");
    let (gate, wait) = {
        let gate = Gate::default();
        (gate.clone(), gate)
    };
    let job = pool.job().run_timeout(ms(3)).on_late(|()| quiet_panic("on late"));
    let job = job.spawn(move |cx| {
        let _guard = cx.on_stop(|_| quiet_panic("on stop"));
        wait.pass();
        Ok::<_, ()>(())
    });
    assert!(error(job).is_timed_out());
    assert_eq!(unseen.next(), "on stop");
    gate.open();
    assert_eq!(unseen.next(), "on late");
    assert_unharmed(&pool);
    assert!(pool.shutdown().within(PATIENCE).wait().still_running.is_empty());
    assert_eq!(unseen.next(), "thread stop");
}

#[test]
fn a_panic_in_the_hook_for_panics() {
    let pool = Pool::builder()
        .threads(1..=1)
        .on_unseen_panic(|panic| panic_any_quietly(panic.message().to_owned()))
        .build()
        .expect("a thread");
    drop(pool.spawn_blocking(|| quiet_panic("lost")));
    assert_unharmed(&pool);
}

fn panic_any_quietly(message: String) {
    let _: fn(String) -> ! = panic_any::<String>;
    resume_unwind(Box::new(message));
}

/// Sends when dropped, after having used the whole pool.
fn re_entrant(pool: &Pool, done: &Sender<&'static str>, what: &'static str) -> impl Send + use<> {
    let (pool, done) = (pool.clone(), done.clone());
    OnDrop(move || {
        use_everything(&pool);
        done.send(what).expect("the test listens");
    })
}

#[test]
fn destructors_may_use_the_pool() {
    let (pool, _unseen) = told_pool();
    let (done, all) = news();
    let busy = Busy::all(&pool, 1);
    let capture = re_entrant(&pool, &done, "cancelled");
    pool.spawn_blocking(move || drop(capture)).cancel();
    assert_eq!(all.next(), "cancelled");
    let capture = re_entrant(&pool, &done, "timed out");
    drop(pool.job().timeout(ms(3)).spawn_blocking(move || drop(capture)));
    assert_eq!(all.next(), "timed out");
    let capture = re_entrant(&pool, &done, "outcome");
    drop(pool.spawn_blocking(move || capture));
    drop(busy);
    assert_eq!(all.next(), "outcome");
    let capture = re_entrant(&pool, &done, "shut down");
    let busy = Busy::all(&pool, 1);
    let queued = pool.spawn_blocking(move || drop(capture));
    let ending = pool.shutdown();
    assert_eq!(all.next(), "shut down");
    assert!(error(queued).is_cancelled());
    drop(busy);
    ending.within(PATIENCE).wait();
}

#[test]
fn wakers_and_hooks_may_use_the_pool() {
    let (pool, _unseen) = told_pool();
    let (done, all) = news();
    let busy = Busy::all(&pool, 1);
    let mut job = pool.spawn_blocking(|| ());
    let (own, told) = (pool.clone(), done.clone());
    let wakes = waker(move || {
        use_everything(&own);
        told.send("waker").expect("the test listens");
    });
    assert!(!poll_once(&mut job, &wakes));
    drop(busy);
    assert_eq!(all.next(), "waker");
    let (own, told) = (pool.clone(), done.clone());
    let job = pool.job().run_timeout(ms(3)).spawn(move |cx| {
        // Forgotten: or the body, which is stopped, too, could take it back before it is told.
        std::mem::forget(cx.on_stop(move |_| {
            use_everything(&own);
            told.send("on stop").expect("the test listens");
        }));
        cx.sleep(PATIENCE)
    });
    assert_eq!(all.next(), "on stop");
    assert!(error(job).is_timed_out());
}

#[test]
fn a_waker_that_is_replaced_is_not_woken() {
    let (pool, _unseen) = told_pool();
    let busy = Busy::all(&pool, 1);
    let mut job = pool.spawn_blocking(|| ());
    let (send, woken) = news();
    for n in 0..3 {
        let send = send.clone();
        assert!(!poll_once(&mut job, &waker(move || send.send(n).expect("the test listens"))));
    }
    drop((busy, send));
    assert_eq!(woken.next(), 2, "the last one");
    outcome(job).expect("it returns");
    woken.assert_over();
}

thread_local! {
    /// What the next clone of a [`clone_calls`] on this thread calls.
    static ON_CLONE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, drop, drop, drop);

fn clone(_: *const ()) -> RawWaker {
    if let Some(call) = ON_CLONE.take() {
        call();
    }
    RawWaker::new(ptr::null(), &VTABLE)
}

/// A waker whose first clone calls a function, here.
fn clone_calls(call: impl FnOnce() + 'static) -> Waker {
    ON_CLONE.set(Some(Box::new(call)));
    // SAFETY: the functions do not look at the pointer, and any thread may call them.
    unsafe { Waker::new(ptr::null(), &VTABLE) }
}

/// Polls what waits in vain, and once more with a waker that ends `job` as it is cloned: a lock held
/// over that would be needed there, to wake the first.
fn poll_again<F: Future>(waits: F, pool: &Pool, job: AbortHandle) -> Poll<F::Output> {
    let mut waits = pin!(waits);
    assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let pool = pool.clone();
    let waker = clone_calls(move || {
        use_everything(&pool);
        job.cancel();
        assert!(job.is_finished());
    });
    let poll = waits.poll(&mut Context::from_waker(&waker));
    assert!(ON_CLONE.take().is_none(), "it was cloned");
    poll
}

/// Calls it with a pool whose queue is full of one job, on a thread that may hang.
fn with_a_full_queue(test: fn(&Pool, JobHandle<()>)) {
    let builder = Pool::builder().threads(1..=1).queue_limit(1);
    let pool = builder.build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let (done, is_done) = news();
    let job = pool.spawn_blocking(|| ());
    thread::spawn(move || {
        test(&pool, job);
        done.send(()).expect("the test listens");
    });
    is_done.next();
    drop(busy);
}

#[test]
fn a_handles_waker_may_end_its_job_as_it_is_cloned() {
    with_a_full_queue(|pool, job| {
        let stopper = job.abort_handle();
        let poll = poll_again(job, pool, stopper);
        assert!(matches!(poll, Poll::Ready(Err(error)) if error.is_cancelled()));
    });
}

#[test]
fn a_waker_for_a_bodys_end_may_end_the_job_as_it_is_cloned() {
    with_a_full_queue(|pool, job| {
        assert!(poll_again(job.stopped(), pool, job.abort_handle()).is_ready());
    });
}

#[test]
fn a_waker_for_a_place_may_free_one_as_it_is_cloned() {
    with_a_full_queue(|pool, job| {
        let poll = poll_again(pool.reserve(), pool, job.abort_handle());
        assert!(matches!(poll, Poll::Ready(Ok(_))));
    });
}

#[test]
fn a_waker_for_a_pools_end_may_end_a_job_as_it_is_cloned() {
    with_a_full_queue(|pool, job| {
        let drain = pool.drain();
        assert!(poll_again(drain, pool, job.abort_handle()).is_pending(), "the other runs");
    });
}
