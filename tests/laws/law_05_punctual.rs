//! A handle with a deadline resolves by `deadline + grace` whatever the body does; never before the
//! deadline as timed out. A value that comes later goes to `on_late`, or is dropped on the worker.
//! `stopped()` waits for the body's real end.

use crate::support::{Drops, Gate, PATIENCE, error, ms, news, outcome, pool_of, until};
use punctual::{JobError, Phase, Pool};
use std::thread;
use std::time::{Duration, Instant};

/// How late a handle may be here; generous, for a loaded machine.
const LATE: Duration = Duration::from_secs(5);

#[test]
fn a_deaf_body_does_not_keep_its_handle() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let deaf = gate.clone();
    let start = Instant::now();
    let job = pool.job().run_timeout(ms(20)).spawn_blocking(move || deaf.pass());
    let JobError::TimedOut(stop) = error(job) else { panic!("it timed out") };
    let took = start.elapsed();
    assert!(took >= ms(20) && took < LATE, "{took:?}");
    assert_eq!(stop.phase(), Phase::Running);
    gate.open();
}

#[test]
fn a_deadline_counts_from_the_spawn() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let deaf = gate.clone();
    let start = Instant::now();
    let job = pool.job().timeout(ms(300)).run_timeout(PATIENCE).spawn_blocking(move || deaf.pass());
    assert!(error(job).is_timed_out());
    let took = start.elapsed();
    assert!(took >= ms(300) && took < LATE, "{took:?}");
    gate.open();
}

#[test]
fn the_handle_waits_out_the_grace_and_no_longer() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let deaf = gate.clone();
    let start = Instant::now();
    let job = pool.job().run_timeout(ms(10)).grace(ms(20)).spawn_blocking(move || deaf.pass());
    assert!(error(job).is_timed_out());
    let took = start.elapsed();
    assert!(took >= ms(30) && took < LATE, "{took:?}");
    gate.open();
}

#[test]
fn a_run_timeout_counts_from_the_start() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let deaf = gate.clone();
    let job = pool.job().run_timeout(ms(10)).spawn(move |cx| {
        deaf.pass();
        cx.check()
    });
    let JobError::TimedOut(stop) = error(job) else { panic!("it timed out") };
    assert!(stop.phase() == Phase::Running && stop.ran_for() >= ms(10), "{stop:?}");
    gate.open();
}

#[test]
fn nothing_times_out_before_its_deadline() {
    let pool = pool_of(4);
    let jobs: Vec<_> = (0..200_u64)
        .map(|n| {
            let time = Duration::from_micros(50 * (n % 40));
            let start = Instant::now();
            let job = pool.job().timeout(time).spawn(|cx| cx.sleep(PATIENCE));
            (start, time, job)
        })
        .collect();
    for (start, time, job) in jobs {
        assert!(error(job).is_timed_out());
        assert!(start.elapsed() >= time);
    }
}

#[test]
fn a_late_value_goes_to_its_hook() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let deaf = gate.clone();
    let (send, late) = news();
    let job = pool
        .job()
        .name("slow")
        .run_timeout(ms(5))
        .on_late(move |value: u32| send.send(value).expect("the test listens"))
        .spawn_blocking(move || {
            deaf.pass();
            17
        });
    assert!(error(job).is_timed_out());
    let overdue = pool.overdue();
    assert_eq!(overdue.len(), 1);
    assert_eq!(overdue[0].name(), Some("slow"));
    assert!(overdue[0].overdue_by().is_some() && overdue[0].thread().is_some());
    assert!(overdue[0].location().file().ends_with("law_05_punctual.rs"));
    gate.open();
    assert_eq!(late.next(), 17);
    late.assert_over();
    until("it is no longer overdue", || pool.overdue().is_empty());
}

#[test]
fn a_value_in_time_does_not_go_to_the_hook() {
    let pool = pool_of(1);
    let (send, late) = news::<u32>();
    let job = pool.job().timeout(PATIENCE).on_late(move |value| assert!(send.send(value).is_ok()));
    assert_eq!(outcome(job.spawn_blocking(|| 1)).expect("in time"), 1);
    late.assert_over();
}

#[test]
fn a_late_value_without_a_hook_is_dropped() {
    let pool = pool_of(1);
    let (gate, drops) = (Gate::default(), Drops::default());
    let (deaf, value) = (gate.clone(), drops.value());
    let job = pool.job().run_timeout(ms(5)).spawn_blocking(move || {
        deaf.pass();
        value
    });
    let mut job = job;
    assert!(job.wait_timeout(PATIENCE).expect("it resolves").is_err());
    assert_eq!(drops.count(), 0);
    let opener = thread::spawn(move || {
        (0..1000).for_each(|_| thread::yield_now()); // the other waits already, or would be gone
        gate.open();
    });
    job.wait_stopped();
    assert_eq!(drops.count(), 1);
    opener.join().expect("no panic");
}

#[test]
fn stopped_waits_for_the_real_end() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let deaf = gate.clone();
    let (send, returned) = news();
    let mut job = pool.job().run_timeout(ms(5)).spawn_blocking(move || {
        deaf.pass();
        send.send(()).expect("the test listens");
    });
    assert!(job.wait_timeout(PATIENCE).expect("it resolves").is_err());
    std::thread::scope(|s| {
        let waiters: Vec<_> = (0..3).map(|_| s.spawn(|| job.wait_stopped())).collect();
        assert!(waiters.iter().all(|waiter| !waiter.is_finished()), "the body goes on");
        gate.open();
        for waiter in waiters {
            waiter.join().expect("no panic");
        }
    });
    assert_eq!(returned.so_far().len(), 1, "the body had returned");
}

#[test]
fn stopped_is_at_once_for_a_job_that_never_ran() {
    let pool = pool_of(1);
    let job = pool.job().timeout(ms(0)).spawn_blocking(|| ());
    job.wait_stopped();
    assert!(job.is_finished());
}

#[test]
fn a_cancelled_deaf_body_keeps_its_handle_for_the_grace_at_most() {
    let pool = Pool::builder().threads(1..=1).default_grace(ms(5)).build().expect("a thread");
    let gate = Gate::default();
    let deaf = gate.clone();
    let (started, starts) = news();
    let job = pool.spawn_blocking(move || {
        started.send(()).expect("the test listens");
        deaf.pass();
    });
    starts.next();
    assert_eq!(job.cancel(), Some(Phase::Running));
    assert!(error(job).is_cancelled());
    gate.open();
}

#[test]
fn a_cancelled_deaf_body_keeps_its_handle_until_its_deadline_at_most() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let deaf = gate.clone();
    let (started, starts) = news();
    let job = pool.job().run_timeout(ms(1000)).spawn_blocking(move || {
        started.send(()).expect("the test listens");
        deaf.pass();
    });
    starts.next();
    let hit = job.cancel();
    let error = error(job);
    assert!(hit == Some(Phase::Running) && error.is_cancelled(), "the first cause counts: {error}");
    gate.open();
}

#[test]
fn a_default_timeout_is_for_jobs_that_set_none() {
    let pool = Pool::builder().threads(1..=1).default_timeout(ms(5)).build().expect("a thread");
    assert!(error(pool.spawn(|cx| cx.sleep(PATIENCE))).is_timed_out());
    let own = pool.job().timeout(PATIENCE).spawn(|cx| Ok::<_, ()>(cx.remaining()));
    assert!(outcome(own).expect("in time").is_some_and(|left| left > ms(1000)));
}
