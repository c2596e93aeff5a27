//! The handles of a job, and what its body sees of it.

use super::*;
use crate::sync::Mutex;
use std::time::Instant;

#[test]
fn every_handle_knows_its_job_and_whether_it_has_finished() {
    let (_, owner) = Fake::new();
    let settings = Settings { name: Some("report".into()), ..Settings::default() };
    let (task, mut handle) = owner.job(settings, nothing);
    let stopper = handle.abort_handle();
    let ids = [handle.id(), stopper.id(), handle.info().id()];
    assert_eq!(ids, [task.head.id; 3]);
    assert_eq!(handle.info().name(), Some("report"));
    assert!(!handle.is_finished() && !stopper.is_finished());
    assert!(handle.wait_timeout(Duration::ZERO).is_none());
    assert!(task.execute());
    assert!(handle.is_finished() && stopper.is_finished());
    handle.wait_stopped();
    assert!(handle.wait_deadline(Deadline::NEVER).is_some_and(|value| value.is_ok()));
}

#[test]
fn every_handle_stops_its_job() {
    let (_, owner) = Fake::new();
    let queued = || owner.job(Settings::default(), nothing).1;
    let job = queued();
    assert_eq!(job.cancel(), Some(Phase::Queued));
    assert!(outcome(job).is_err());
    let job = queued();
    job.abort();
    assert!(outcome(job).is_err());
    let job = queued();
    let stopper = job.abort_handle();
    assert_eq!((stopper.cancel(), stopper.cancel()), (Some(Phase::Queued), None));
    assert!(outcome(job).is_err());
    let job = queued();
    job.abort_handle().abort();
    assert!(outcome(job).is_err());
}

#[test]
fn a_handle_that_cancels_on_drop_does() {
    let (_, owner) = Fake::new();
    let (task, handle) = owner.job(Settings::default(), nothing);
    let handle = handle.cancel_on_drop();
    assert_eq!((handle.id(), handle.abort_handle().id()), (task.head.id, task.head.id));
    drop(handle);
    assert_eq!(task.head.state.early_end(), Some(Early::Stopped(Cause::Dropped)));
}

#[test]
#[should_panic(expected = "was used after it gave the outcome")]
fn an_outcome_is_given_once() {
    let (_, owner) = Fake::new();
    let (task, mut handle) = owner.job(Settings::default(), nothing);
    assert!(task.execute());
    assert!(handle.wait_timeout(Duration::ZERO).is_some());
    let _ = handle.wait_timeout(Duration::ZERO);
}

#[test]
fn a_body_sees_its_own_job() {
    let (clock, owner) = Fake::new();
    let deadline = Deadline::at(clock.now() + ms(7));
    let settings =
        Settings { name: Some("report".into()), deadline: Some(deadline), ..Settings::default() };
    let (task, handle) = owner.job(settings, move |cx| {
        let named = (cx.id(), cx.name().map(str::to_owned));
        let limits = (cx.deadline(), cx.remaining());
        let before = (cx.is_stopped(), cx.cause(), cx.check().is_ok());
        cx.checkpoint();
        let current = current().map(|cx| cx.id());
        assert_eq!(cx.task().stop(Cause::Token), Some(Phase::Running));
        let after = (cx.is_stopped(), cx.cause(), cx.check().map_err(|told| told.cause()));
        Ok::<_, Infallible>((named, limits, before, current, after))
    });
    assert!(current().is_none());
    checkpoint();
    assert!(task.execute());
    assert!(current().is_none());
    let id = handle.id();
    let (named, limits, before, current, after) = outcome(handle).expect("it was done");
    assert_eq!(named, (id, Some("report".to_owned())));
    assert_eq!(limits, (deadline, Some(ms(7))));
    assert_eq!((before, current), ((false, None, true), Some(id)));
    assert_eq!(after, (true, Some(Cause::Token), Err(Cause::Token)));
}

#[test]
fn a_body_inside_another_is_the_current_one_until_it_returns() {
    let (_, owner) = Fake::new();
    let (inner, _handle) = owner.job(Settings::default(), nothing);
    let (outer, handle) = owner.job(Settings::default(), move |cx| {
        assert!(inner.execute());
        Ok::<_, Infallible>(current().is_some_and(|now| now.id() == cx.id()))
    });
    assert!(outer.execute());
    assert_eq!(outcome(handle).ok(), Some(true));
}

#[test]
fn a_job_without_a_name_or_a_limit_has_none() {
    let (_, owner) = Fake::new();
    let (task, handle) = owner.job(Settings::default(), |cx| {
        Ok::<_, Infallible>((cx.name().is_none(), cx.deadline(), cx.remaining()))
    });
    assert!(task.execute());
    assert_eq!(outcome(handle).ok(), Some((true, Deadline::NEVER, None)));
}

#[test]
fn a_sleep_is_as_long_as_it_is_said_or_ends_with_a_stop() {
    let owner = Fake::by_the_systems_clock(); // which has no timekeeper: none is needed
    let (task, handle) = owner.job(Settings::default(), |cx| {
        let start = Instant::now();
        let slept = cx.sleep(ms(5)).is_ok();
        let long_enough = start.elapsed() >= ms(5);
        let _ = cx.task().stop(Cause::Caller);
        let stopped = cx.sleep(Duration::MAX).is_err();
        Ok::<_, Infallible>((slept, long_enough, stopped))
    });
    assert!(task.execute());
    assert_eq!(outcome(handle).ok(), Some((true, true, true)));
}

#[test]
fn by_a_manual_clock_a_sleep_ends_when_the_clock_says_so() {
    let (clock, owner) = Fake::new();
    let (send, contexts) = mpsc::channel();
    let (task, handle) = owner.job(Settings::default(), move |cx| {
        let past = cx.sleep(Duration::ZERO).is_ok();
        send.send(()).expect("the test listens");
        Ok::<_, Infallible>(past && cx.sleep(Duration::from_secs(3600)).is_ok())
    });
    std::thread::scope(|s| {
        s.spawn(|| task.execute());
        contexts.recv().expect("it runs");
        while owner.keeper().alarms() == 0 {
            std::thread::yield_now();
        }
        assert!(!handle.is_finished());
        clock.advance(Duration::from_secs(3600));
        handle.wait_stopped();
    });
    assert_eq!(outcome(handle).ok(), Some(true));
}

/// How often `stop` was called after each of these steps, in milliseconds, from the stop on.
fn firings(steps: &[u64]) -> Vec<usize> {
    let (clock, owner) = Fake::new();
    let steps = steps.to_vec();
    let (task, handle) = owner.job(Settings::default(), move |cx| {
        let (fired, firings) = mpsc::channel();
        let stop = || fired.send(()).expect("the work listens");
        let seen = cx.interruptible(stop, || {
            let before = firings.try_iter().count();
            let _ = cx.task().stop(Cause::Caller);
            let first = firings.try_iter().count();
            let step = |n: u64| {
                clock.advance(ms(n));
                firings.try_iter().count()
            };
            let later: Vec<_> = steps.into_iter().map(step).collect();
            [vec![before, first], later].concat()
        });
        clock.advance(ms(1000));
        assert_eq!(firings.try_iter().count(), 0, "the work is left");
        Ok::<_, Infallible>(seen)
    });
    assert!(task.execute());
    assert_eq!(owner.keeper().alarms(), 0);
    outcome(handle).expect("no panic")
}

#[test]
fn a_stop_is_fired_again_after_one_two_four_and_at_most_32_ms() {
    assert_eq!(firings(&[1, 1, 1, 3, 1, 7, 1]), [0, 1, 1, 0, 1, 0, 1, 0, 1]);
    assert_eq!(firings(&[63, 31, 1, 31, 1, 320]), [0, 1, 6, 0, 1, 0, 1, 10]);
}

#[test]
fn work_that_begins_after_the_stop_is_interrupted_at_once() {
    let (_, owner) = Fake::new();
    let (task, handle) = owner.job(Settings::default(), |cx| {
        let _ = cx.task().stop(Cause::Caller);
        let (fired, firings) = mpsc::channel();
        let stop = || fired.send(()).expect("the work listens");
        Ok::<_, Infallible>(cx.interruptible(stop, || firings.try_iter().count()))
    });
    assert!(task.execute());
    assert_eq!(outcome(handle).ok(), Some(1));
}

#[test]
fn work_is_left_only_when_the_last_call_of_stop_has_ended() {
    let (_, owner) = Fake::new();
    let (task, handle) = owner.job(Settings::default(), |cx| {
        let (called, calls) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let ends = Mutex::new((called, gate, false));
        let stop = || {
            let mut ends = ends.lock();
            ends.0.send(()).expect("the work listens");
            let _ = ends.1.recv();
            ends.2 = true;
        };
        let stopper = std::thread::scope(|s| {
            let canceller = cx.interruptible(stop, || {
                let canceller = s.spawn(|| cx.task().stop(Cause::Caller));
                calls.recv().expect("it is called");
                s.spawn(move || {
                    (0..1000).for_each(|_| std::thread::yield_now()); // for one that does not wait
                    drop(go);
                });
                canceller
            });
            let over = ends.try_lock().is_some_and(|ends| ends.2);
            canceller.join().is_ok() && over
        });
        Ok::<_, Infallible>(stopper)
    });
    assert!(task.execute());
    assert_eq!(outcome(handle).ok(), Some(true));
}
