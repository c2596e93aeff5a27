//! When a worker still knows what time it is: it has called no user code since the body returned.

use super::*;
use crate::clock::Recent;
use std::pin::Pin;
use std::task::{Context, Waker};

/// Runs the job; whether the time at its body's end is known after that.
fn knows(task: &Task) -> bool {
    let mut recent = Recent::default();
    recent.looked(task.head.now());
    assert!(task.execute_at(&mut recent));
    recent != Recent::default()
}

#[test]
fn the_time_at_a_bodys_end_is_known_if_nothing_followed_that_takes_time() {
    let (clock, owner) = Fake::new();
    let (task, job) = owner.job(Settings::default(), nothing);
    let mut recent = Recent::default();
    assert!(task.execute_at(&mut recent));
    let mut now = Recent::default();
    now.looked(Clock::Manual(clock).look());
    assert_eq!(recent, now);
    assert!(outcome(job).is_ok());
    let (task, job) = owner.job(Settings::default(), nothing);
    drop(job);
    assert!(knows(&task), "an outcome that has no destructor");
    let (task, job) = owner.job(Settings::default(), |_| Ok::<_, ()>("some text".to_owned()));
    assert!(knows(&task), "nobody has dropped it yet");
    assert!(outcome(job).is_ok());
}

#[test]
fn it_is_forgotten_with_the_users_code() {
    let (_, owner) = Fake::new();
    let (task, job) = owner.job(Settings::default(), |_| Ok::<_, ()>("some text".to_owned()));
    drop(job);
    assert!(!knows(&task), "a destructor");
    let (task, job) = owner.job(Settings::default(), |_| -> Result<(), ()> { quiet_panic() });
    drop(job);
    assert!(!knows(&task), "a panic's destructor, and a hook");
    let (task, mut job) = owner.job(Settings::default(), nothing);
    assert!(Pin::new(&mut job).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(!knows(&task), "a waker");
    let (task, job) = owner.job(Settings::default(), |cx| {
        std::mem::forget(cx.on_stop(|_| ()));
        Ok::<_, ()>(())
    });
    assert!(!knows(&task), "a listener's destructor");
    assert!(outcome(job).is_ok());
    let (task, job) = owner.job(Settings::default(), |cx| {
        let _ = cx.task().stop(Cause::Caller);
        cx.task().give_up();
        Ok::<_, ()>(())
    });
    assert!(!knows(&task), "a late value's destructor");
    assert!(outcome(job).is_err());
    let (task, job) = owner.job(Settings::default(), nothing);
    *owner.hands_on.lock() = true;
    assert!(!knows(&task), "what goes on with its permit");
    assert!(outcome(job).is_ok());
}

#[test]
fn a_run_takes_time_from_its_start_on() {
    let (clock, owner) = Fake::new();
    let (task, job) = owner.job(Settings::default(), nothing);
    clock.advance(Duration::from_millis(2));
    assert_eq!(task.head.run_time(task.head.now().moment), Duration::ZERO, "it was in the queue");
    assert!(task.execute());
    clock.advance(Duration::from_millis(3));
    assert_eq!(task.head.run_time(task.head.now().moment), Duration::from_millis(3));
    assert!(outcome(job).is_ok());
}

#[test]
fn a_job_that_is_not_started_leaves_it_unknown() {
    let (_, owner) = Fake::new();
    let (task, job) = owner.job(Settings::default(), nothing);
    let mut recent = Recent::default();
    recent.looked(task.head.now());
    job.cancel();
    assert!(!task.execute_at(&mut recent));
    assert_eq!(recent, Recent::default());
}
