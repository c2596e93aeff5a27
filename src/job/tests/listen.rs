//! Whom a job hears, and who hears of it: tokens, parents, listeners.

use super::*;
use tokio_util::sync::CancellationToken;

fn with_token(token: &CancellationToken) -> Settings {
    Settings { token: Some(token.clone()), ..Settings::default() }
}

#[test]
fn a_token_ends_a_queued_job_and_stops_a_running_one() {
    let (_, owner) = Fake::new();
    let token = CancellationToken::new();
    let (queued, handle) = owner.job(with_token(&token), nothing);
    queued.tie(None).expect("no thread is needed");
    let cancelled = token.clone();
    let (running, other) = owner.job(with_token(&token), move |cx| {
        cancelled.cancel();
        cx.check()
    });
    running.tie(None).expect("no thread is needed");
    assert!(running.execute());
    let queued_end = outcome(handle).expect_err("it is cancelled");
    assert_eq!((queued_end.is_cancelled(), queued_end.phase()), (true, Some(Phase::Queued)));
    let Err(JobError::Cancelled(stop)) = outcome(other) else { panic!("it is cancelled") };
    assert_eq!((stop.cause(), stop.phase()), (Cause::Token, Phase::Running));
    assert_eq!(stop.error().map(|told| told.cause()), Some(Cause::Token));
}

#[test]
fn a_token_that_is_cancelled_already_ends_the_job_at_once() {
    let (_, owner) = Fake::new();
    let token = CancellationToken::new();
    token.cancel();
    let (task, handle) = owner.job(with_token(&token), nothing);
    task.tie(None).expect("no thread is needed");
    assert!(outcome(handle).is_err_and(|error| error.is_cancelled()));
}

/// A child that is queued while its parent is stopped, in its body, for this cause.
fn child_of_a_parent_stopped_for(cause: Cause) -> Cause {
    let (_, owner) = Fake::new();
    let (child, handle) = owner.job(Settings::default(), nothing);
    let tied = Arc::clone(&child);
    let (parent, _parent) = owner.job(Settings::default(), move |cx| {
        tied.tie(Some(cx.task())).expect("no thread is needed");
        assert_eq!(cx.task().stop(cause), Some(Phase::Running));
        Ok::<_, Infallible>(())
    });
    assert!(parent.execute());
    match outcome(handle) {
        Err(JobError::Cancelled(stop) | JobError::TimedOut(stop)) => stop.cause(),
        other => panic!("it is stopped, but {other:?}"),
    }
}

#[test]
fn a_parents_stop_is_its_childs() {
    assert_eq!(child_of_a_parent_stopped_for(Cause::Caller), Cause::Parent);
    assert_eq!(child_of_a_parent_stopped_for(Cause::Shutdown), Cause::Parent);
    assert_eq!(child_of_a_parent_stopped_for(Cause::Deadline), Cause::Deadline);
}

#[test]
fn a_child_that_has_ended_is_off_its_parents_list() {
    let (_, owner) = Fake::new();
    let (child, handle) = owner.job(Settings::default(), nothing);
    let (send, listeners) = mpsc::channel();
    let (parent, _parent) = owner.job(Settings::default(), move |cx| {
        child.tie(Some(cx.task())).expect("no thread is needed");
        let listening = Arc::weak_count(&child);
        assert!(child.execute());
        send.send((listening, Arc::weak_count(&child))).expect("the test listens");
        Ok::<_, Infallible>(())
    });
    assert!(parent.execute());
    assert_eq!(listeners.recv(), Ok((1, 0)));
    assert!(outcome(handle).is_ok());
}

#[test]
fn a_child_of_a_stopped_parent_is_stopped_when_it_is_tied() {
    let (_, owner) = Fake::new();
    let (child, handle) = owner.job(Settings::default(), nothing);
    let (parent, _parent) = owner.job(Settings::default(), move |cx| {
        let _ = cx.task().stop(Cause::Caller);
        child.tie(Some(cx.task())).expect("no thread is needed");
        Ok::<_, Infallible>(())
    });
    assert!(parent.execute());
    assert!(outcome(handle).is_err_and(|error| error.is_cancelled()));
}

#[test]
fn a_jobs_own_token_is_one_and_goes_both_ways() {
    let (_, owner) = Fake::new();
    let (task, handle) = owner.job(Settings::default(), |cx| {
        let (first, second) = (cx.token(), cx.token());
        first.cancel();
        assert!(second.is_cancelled());
        cx.check()
    });
    assert!(task.execute());
    let Err(JobError::Cancelled(stop)) = outcome(handle) else { panic!("it is cancelled") };
    assert_eq!(stop.cause(), Cause::Token);

    let (send, seen) = mpsc::channel();
    let (task, handle) = owner.job(Settings::default(), move |cx| {
        let token = cx.token();
        let before = token.is_cancelled();
        let _ = cx.task().stop(Cause::Caller);
        send.send((before, token.is_cancelled())).expect("the test listens");
        Ok::<_, Infallible>(())
    });
    assert!(task.execute());
    assert_eq!((seen.recv(), outcome(handle).is_ok()), (Ok((false, true)), true));
}

#[test]
fn a_token_that_outlives_its_job_stops_nothing_and_keeps_nothing() {
    let (_, owner) = Fake::new();
    let (send, tokens) = mpsc::channel();
    let (task, handle) = owner.job(Settings::default(), move |cx| {
        send.send(cx.token()).expect("the test listens");
        Ok::<_, Infallible>(())
    });
    assert!(task.execute());
    tokens.recv().expect("a token").cancel();
    assert_eq!(task.head.state.cause(), None);
    assert!(outcome(handle).is_ok());
}

#[test]
fn a_listener_is_called_once_and_one_that_is_dropped_never() {
    let (_, owner) = Fake::new();
    let (send, told) = mpsc::channel();
    let (task, _handle) = owner.job(Settings::default(), move |cx| {
        let listener = |n| {
            let send = send.clone();
            move |cause| send.send((n, cause)).expect("the test listens")
        };
        let _kept = cx.on_stop(listener(1));
        drop(cx.on_stop(listener(2)));
        let _ = (cx.task().stop(Cause::Caller), cx.task().stop(Cause::Token));
        let _late = cx.on_stop(listener(3));
        Ok::<_, Infallible>(())
    });
    assert!(task.execute());
    assert_eq!(told.iter().collect::<Vec<_>>(), [(1, Cause::Caller), (3, Cause::Caller)]);
}

#[test]
fn the_listener_of_a_forgotten_guard_is_dropped_when_the_body_ends() {
    let (_, owner) = Fake::new();
    let (send, dropped) = mpsc::channel();
    let (task, _handle) = owner.job(Settings::default(), move |cx| {
        let captured = Dropped(send, ());
        std::mem::forget(cx.on_stop(move |_| drop(captured)));
        Ok::<_, Infallible>(())
    });
    assert!(task.execute());
    assert_eq!(dropped.try_recv(), Ok(()));
}

#[test]
fn a_listener_that_comes_after_the_end_is_dropped_at_once() {
    let (_, owner) = Fake::new();
    let (task, _handle) = owner.job(Settings::default(), nothing);
    assert!(task.execute());
    let (send, dropped) = mpsc::channel();
    let captured = Dropped(send, ());
    let cx = JobContext::new(task);
    let _guard = cx.on_stop(move |_| drop(captured));
    assert_eq!(dropped.try_recv(), Ok(()));
}
