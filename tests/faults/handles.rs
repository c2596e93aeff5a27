//! What becomes of handles and pools: dropped where they should not be, forgotten, polled by wakers
//! that panic.

use crate::support::{Gate, PATIENCE, error, news, outcome, pool_of, quiet_panic};
use punctual::{JobError, JobHandle, Pool, Rejection};
use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::mpsc;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

/// A waker that panics when it is cloned.
fn panics_when_cloned() -> Waker {
    const TABLE: RawWakerVTable =
        RawWakerVTable::new(|_| quiet_panic("a waker is cloned"), |_| (), |_| (), |_| ());
    // SAFETY: the functions of the table do not use the pointer.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &TABLE)) }
}

/// Fault 6: the panic is the poller's, and that is all.
#[test]
fn a_waker_that_panics_when_cloned_leaves_the_job_unharmed() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let wait = gate.clone();
    let mut job = pool.spawn_blocking(move || {
        wait.pass();
        7
    });
    let waker = panics_when_cloned();
    let mut cx = Context::from_waker(&waker);
    for _ in 0..3 {
        let mut poll = || Pin::new(&mut job).poll(&mut cx).is_ready();
        assert!(catch_unwind(AssertUnwindSafe(&mut poll)).is_err());
    }
    let mut ended = Box::pin(job.stopped());
    let mut poll = || ended.as_mut().poll(&mut cx).is_ready();
    assert!(catch_unwind(AssertUnwindSafe(&mut poll)).is_err());
    drop(ended);
    gate.open();
    assert_eq!(outcome(job).expect("it returns"), 7);
}

/// Fault 18: a closed pool takes nothing from its own jobs either, and says so.
#[test]
fn a_job_of_a_closed_pool_spawns_no_more() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let wait = gate.clone();
    let parent = pool.spawn(move |cx| {
        wait.pass();
        cx.job().spawn_blocking(|| 1).wait()
    });
    let end = pool.drain();
    gate.open();
    let error = match outcome(parent) {
        Err(JobError::Failed(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(error, JobError::Rejected(Rejection::ShutDown)), "{error}");
    assert_eq!(end.wait().finished, 1);
}

/// Fault 20: the handle goes while its body runs, and by that very body.
#[test]
fn a_handle_may_be_dropped_by_its_own_body() {
    let pool = pool_of(1);
    for cancels in [false, true] {
        let (give, take) = mpsc::channel::<JobHandle<u8>>();
        let (done, is_done) = news();
        let job = pool.spawn_blocking(move || {
            let own = take.recv_timeout(PATIENCE).expect("the test gives it");
            if cancels {
                drop(own.cancel_on_drop());
            } else {
                drop(own);
            }
            let stopped = punctual::current().expect("a body runs").is_stopped();
            done.send(stopped).expect("the test listens");
            7
        });
        give.send(job).expect("the body waits");
        assert_eq!(is_done.next(), cancels);
    }
    assert_eq!(pool.drain().wait().finished, 2);
}

/// Fault 22: nobody tells a forgotten pool to end, so it goes on; all it keeps is itself.
#[test]
fn a_forgotten_pool_goes_on() {
    // Kept until the end, and not forgotten: that would look like a leak to who looks for those.
    static FORGOTTEN: Mutex<Vec<Pool>> = Mutex::new(Vec::new());
    let builder = Pool::builder().threads(0..=1).keep_alive(Duration::ZERO);
    let pool = builder.build().expect("no thread is needed");
    let (done, is_done) = news();
    let last = pool.spawn_blocking(move || {
        let cx = punctual::current().expect("a body runs");
        drop(cx.job().spawn_blocking(move || done.send(7).expect("the test listens")));
    });
    FORGOTTEN.lock().expect("no panic").push(pool);
    outcome(last).expect("it returns");
    assert_eq!(is_done.next(), 7);
    drop(FORGOTTEN.lock().expect("no panic").pop().map(|pool| pool.drain().wait()));
}

type AtEnd = Box<dyn FnOnce()>;

/// Calls a function when its thread drops its thread-locals.
struct Local(Option<AtEnd>);

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

thread_local! {
    static LOCAL: RefCell<Local> = const { RefCell::new(Local(None)) };
}

fn at_thread_end(call: impl FnOnce() + 'static) {
    LOCAL.with_borrow_mut(|local| local.0 = Some(Box::new(call)));
}

/// Fault 29: a thread-local of a worker, and of another thread, submits as it is dropped, and waits.
#[test]
fn a_thread_local_may_submit_as_it_is_dropped() {
    let (pool, other) = (pool_of(1), pool_of(1));
    for own in [true, false] {
        let (send, outcomes) = news();
        let to = if own { pool.clone() } else { other.clone() };
        let call = move || {
            let job = to.job().timeout(PATIENCE).spawn_blocking(|| 7);
            let _ = send.send(outcome(job).map_err(|error| error.is_rejected()));
        };
        if own {
            let ending = pool.clone();
            outcome(pool.spawn_blocking(move || at_thread_end(call))).expect("it returns");
            ending.shutdown().wait();
            assert_eq!(outcomes.next(), Err(true), "the pool is closed");
        } else {
            std::thread::spawn(move || at_thread_end(call)).join().expect("no panic");
            assert_eq!(outcomes.next(), Ok(7));
        }
    }
    assert!(error(pool.spawn_blocking(|| 1)).is_rejected());
}
