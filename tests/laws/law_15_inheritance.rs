//! A job spawned through a context gets min(parent's deadline, its own) and is stopped with its
//! parent; its own stop never stops the parent.

use crate::support::{PATIENCE, error, ms, news, outcome, pool_of};
use punctual::{Cause, Checked, Deadline, JobContext, JobError, JobHandle, Phase};
use std::time::Duration;

type Child = JobHandle<(), punctual::Stopped>;

fn sleeping_child(cx: &JobContext) -> Child {
    cx.job().name("child").spawn(|cx| cx.sleep(PATIENCE))
}

#[test]
fn a_running_child_is_stopped_with_its_parent() {
    let pool = pool_of(2);
    let (send, children) = news();
    let (started, starts) = news();
    let parent = pool.spawn(move |cx| {
        let child = cx.job().spawn(move |cx| {
            started.send(()).expect("the test listens");
            cx.sleep(PATIENCE)
        });
        send.send(child).expect("the test listens");
        cx.sleep(PATIENCE)
    });
    let child: Child = children.next();
    starts.next();
    parent.cancel();
    let JobError::Cancelled(stop) = error(child) else { panic!("it was cancelled") };
    assert_eq!((stop.cause(), stop.phase()), (Cause::Parent, Phase::Running));
    assert!(error(parent).is_cancelled());
}

#[test]
fn a_queued_child_ends_with_its_parents_stop() {
    let pool = pool_of(1);
    let (send, children) = news();
    let parent = pool.spawn(move |cx| {
        send.send(sleeping_child(cx)).expect("the test listens");
        cx.sleep(PATIENCE)
    });
    let child: Child = children.next();
    assert!(!child.is_finished());
    parent.cancel();
    assert!(child.is_finished(), "inside the call");
    let JobError::Cancelled(stop) = error(child) else { panic!("it was cancelled") };
    assert_eq!((stop.cause(), stop.phase()), (Cause::Parent, Phase::Queued));
}

#[test]
fn a_grandchild_is_stopped_too() {
    let pool = pool_of(3);
    let (send, ready) = news();
    let parent = pool.spawn(move |cx| {
        let child = cx.job().spawn(move |cx| {
            let grandchild = cx.job().spawn(move |cx| {
                send.send(()).expect("the test listens");
                cx.sleep(PATIENCE)
            });
            error(grandchild);
            cx.check()
        });
        let stopped = error(child).is_cancelled();
        Ok::<_, ()>(stopped)
    });
    ready.next();
    parent.cancel();
    assert!(outcome(parent).expect("it returned Ok"));
}

#[test]
fn a_childs_own_stop_does_not_stop_the_parent() {
    let pool = pool_of(2);
    let parent = pool.spawn(|cx| -> Checked<bool> {
        let child = sleeping_child(cx);
        child.cancel();
        let cancelled = error(child).is_cancelled();
        cx.check()?;
        Ok(cancelled)
    });
    assert!(outcome(parent).expect("nobody stopped it"));
}

#[test]
fn a_child_of_a_stopped_parent_never_starts() {
    let pool = pool_of(2);
    let parent = pool.spawn(|cx| {
        cx.token().cancel();
        Ok::<_, ()>(error(sleeping_child(cx)))
    });
    let JobError::Cancelled(stop) = outcome(parent).expect("it returned Ok") else {
        panic!("it was cancelled")
    };
    assert_eq!((stop.cause(), stop.phase()), (Cause::Parent, Phase::Queued));
}

#[test]
fn the_earlier_deadline_counts() {
    let pool = pool_of(2);
    let hour = Duration::from_secs(3600);
    let deadline_of = |own: Option<Duration>| {
        let parent = pool.job().timeout(hour).spawn(move |cx| -> Checked<_> {
            let mut child = cx.job();
            if let Some(own) = own {
                child = child.timeout(own);
            }
            let child = child.spawn(|cx| -> Checked<_> { Ok(cx.deadline()) });
            Ok((cx.deadline(), outcome(child).expect("it returns")))
        });
        outcome(parent).expect("it returns")
    };
    let (parent, child) = deadline_of(None);
    assert_eq!(parent, child);
    let (parent, child) = deadline_of(Some(hour * 2));
    assert_eq!(parent, child);
    let (parent, child) = deadline_of(Some(hour / 2));
    assert!(child < parent && parent < Deadline::NEVER);
}

#[test]
fn a_parents_deadline_is_the_childs_timeout() {
    let pool = pool_of(2);
    let (send, children) = news();
    let parent = pool.job().run_timeout(ms(10)).spawn(move |cx| {
        send.send(sleeping_child(cx)).expect("the test listens");
        cx.sleep(PATIENCE)
    });
    let child: Child = children.next();
    assert!(error(child).is_timed_out());
    assert!(error(parent).is_timed_out());
}

#[test]
fn a_child_may_outlive_its_parents_ordinary_end() {
    let pool = pool_of(2);
    let (send, go) = news();
    let parent = pool.spawn(move |cx| -> Checked<_> {
        Ok(cx.job().spawn(move |cx| {
            go.next();
            cx.check()
        }))
    });
    let child = outcome(parent).expect("it returns");
    send.send(()).expect("the child listens");
    assert!(outcome(child).is_ok());
}
