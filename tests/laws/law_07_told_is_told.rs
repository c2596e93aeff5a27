//! Once a stop is requested, `check()` fails for ever with the first cause; each `on_stop` callback
//! runs exactly once (registered late: inline, at once); one panicking callback stops neither the
//! others nor the canceller.

use crate::support::{Gate, News, PATIENCE, error, ms, news, outcome, pool_of, quiet_panic};
use punctual::{Cause, Checked, JobContext, JobHandle, Phase, Pool};
use std::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

/// A running job's context, outside of it; the job ends when the gate opens.
fn running(pool: &Pool) -> (JobContext, JobHandle<()>, Gate) {
    let gate = Gate::default();
    let wait = gate.clone();
    let (send, contexts): (Sender<JobContext>, News<JobContext>) = news();
    let job = pool.spawn_blocking(move || {
        send.send(punctual::current().expect("a body runs")).expect("the test listens");
        wait.pass();
    });
    (contexts.next(), job, gate)
}

#[test]
fn check_fails_for_ever_with_the_first_cause() {
    let pool = pool_of(1);
    let (cx, job, gate) = running(&pool);
    assert_eq!(cx.check(), Ok(()));
    job.cancel();
    cx.token().cancel();
    drop(pool.shutdown());
    for _ in 0..3 {
        let stopped = cx.check().expect_err("it was stopped");
        assert_eq!((stopped.cause(), stopped.id()), (Cause::Caller, job.id()));
    }
    gate.open();
    outcome(job).expect("it returned Ok");
    assert!(cx.check().is_err() && cx.is_stopped(), "after its end, too");
}

#[test]
fn each_callback_is_called_once_inside_the_call_that_stops() {
    let pool = pool_of(1);
    let (cx, job, gate) = running(&pool);
    let (send, told) = news();
    let guards: Vec<_> = (0..5)
        .map(|n| {
            let send = send.clone();
            cx.on_stop(move |cause| send.send((n, cause)).expect("the test listens"))
        })
        .collect();
    assert_eq!(job.cancel(), Some(Phase::Running));
    let expected: Vec<_> = (0..5).map(|n| (n, Cause::Caller)).collect();
    assert_eq!(told.so_far(), expected, "in order, before cancel returns");
    job.cancel();
    drop(guards);
    gate.open();
    outcome(job).expect("it returned Ok");
    assert_eq!(told.so_far(), []);
}

#[test]
fn a_late_callback_is_called_at_once_on_the_spot() {
    let pool = pool_of(1);
    let (cx, job, gate) = running(&pool);
    job.cancel();
    let (send, told) = news();
    let here = std::thread::current().id();
    let guard = cx.on_stop(move |cause| {
        send.send((std::thread::current().id() == here, cause)).expect("the test listens");
    });
    assert_eq!(told.so_far(), [(true, Cause::Caller)]);
    drop(guard);
    gate.open();
}

#[test]
fn a_panicking_callback_stops_neither_the_others_nor_the_canceller() {
    let (send_unseen, unseen) = news();
    let pool = Pool::builder()
        .threads(1..=1)
        .on_unseen_panic(move |panic| drop(send_unseen.send(panic.message().to_owned())))
        .build()
        .expect("a thread");
    let (cx, job, gate) = running(&pool);
    let (send, told) = news();
    let also = send.clone();
    let _guards = [
        cx.on_stop(move |_| send.send(1).expect("the test listens")),
        cx.on_stop(|_| quiet_panic("in a callback")),
        cx.on_stop(move |_| also.send(2).expect("the test listens")),
    ];
    assert_eq!(job.cancel(), Some(Phase::Running));
    assert_eq!(told.so_far(), [1, 2]);
    assert_eq!(unseen.next(), "in a callback");
    let late = cx.on_stop(|_| quiet_panic("in a late callback"));
    assert_eq!(unseen.next(), "in a late callback");
    drop(late);
    gate.open();
    outcome(job).expect("it returned Ok");
}

#[test]
fn callbacks_racing_the_stop_are_all_called_once() {
    let pool = pool_of(1);
    for _ in 0..200 {
        let (cx, job, gate) = running(&pool);
        let (send, told) = news();
        std::thread::scope(|s| {
            s.spawn(|| job.cancel());
            for n in 0..4 {
                let (cx, send) = (&cx, send.clone());
                let call = move |_| send.send(n).expect("the test listens");
                s.spawn(move || std::mem::forget(cx.on_stop(call)));
            }
        });
        gate.open();
        outcome(job).expect("it returned Ok");
        let mut told = told.so_far();
        told.sort_unstable();
        assert_eq!(told, [0, 1, 2, 3]);
    }
}

#[test]
fn a_deadline_tells_a_running_body() {
    let pool = pool_of(1);
    let (send, told) = news();
    let job = pool.job().run_timeout(ms(5)).grace(PATIENCE).spawn(move |cx| -> Checked<()> {
        // Forgotten: or the body, which is stopped, too, could take it back before it is told.
        std::mem::forget(cx.on_stop(move |cause| send.send(cause).expect("the test listens")));
        cx.sleep(PATIENCE)
    });
    assert!(error(job).is_timed_out());
    assert_eq!(told.next(), Cause::Deadline);
    told.assert_over();
}

#[test]
fn the_jobs_token_is_cancelled_with_it_and_cancels_it() {
    let pool = pool_of(1);
    let (cx, job, gate) = running(&pool);
    let token = cx.token();
    assert!(!token.is_cancelled());
    job.cancel();
    assert!(token.is_cancelled() && cx.token().is_cancelled());
    gate.open();
    outcome(job).expect("it returned Ok");

    let (cx, job, gate) = running(&pool);
    cx.token().cancel();
    assert_eq!(cx.cause(), Some(Cause::Token));
    gate.open();
    outcome(job).expect("it returned Ok");

    let (cx, job, gate) = running(&pool);
    let token = cx.token();
    gate.open();
    outcome(job).expect("it returned Ok");
    assert!(!token.is_cancelled(), "an ordinary end is no stop");
    token.cancel();
    assert_eq!(cx.cause(), None, "and too late for one");
}

#[test]
fn a_token_made_after_the_stop_is_cancelled() {
    let pool = pool_of(1);
    let (cx, job, gate) = running(&pool);
    job.cancel();
    assert!(cx.token().is_cancelled());
    gate.open();
}

#[test]
fn a_parent_token_stops_a_running_job_inside_the_call() {
    let pool = pool_of(1);
    let token = CancellationToken::new();
    let (send, contexts) = news();
    let job = pool.job().token(&token.child_token()).spawn(move |cx| {
        send.send(cx.clone()).expect("the test listens");
        cx.sleep(PATIENCE)
    });
    let cx = contexts.next();
    token.cancel();
    assert_eq!(cx.cause(), Some(Cause::Token));
    assert!(error(job).is_cancelled());
}

#[test]
fn sleep_ends_when_told() {
    let pool = pool_of(1);
    let job = pool.spawn(|cx| cx.sleep(std::time::Duration::MAX));
    job.cancel();
    assert!(error(job).is_cancelled());
    let slept = pool.spawn(|cx| cx.sleep(ms(1)));
    assert!(outcome(slept).is_ok(), "and by itself");
}
