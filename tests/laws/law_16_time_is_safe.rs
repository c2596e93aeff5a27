//! `Duration::MAX`, zero, and deadlines in the past are all fine; nothing overflows.

use crate::support::{Gate, PATIENCE, error, outcome, pool_of};
use punctual::{Deadline, Job, Pool};
use std::time::{Duration, Instant};

const EXTREMES: [Duration; 4] = [
    Duration::MAX,
    Duration::from_secs(u64::MAX),
    Duration::from_secs(i64::MAX as u64),
    Duration::from_secs(1 << 40),
];

#[test]
fn endless_times_are_no_limits() {
    let pool = pool_of(1);
    for time in EXTREMES {
        let jobs: [fn(Job, Duration) -> Job; 5] = [
            |job, time| job.timeout(time),
            |job, time| job.queue_timeout(time),
            |job, time| job.run_timeout(time),
            |job, time| job.grace(time),
            |job, time| job.deadline(Deadline::after(time)),
        ];
        for set in jobs {
            assert!(outcome(set(pool.job(), time).spawn(|cx| cx.check())).is_ok());
        }
        let all = pool.job().timeout(time).queue_timeout(time).run_timeout(time).grace(time);
        let mut job = all.spawn(|cx| cx.sleep(Duration::ZERO));
        assert!(job.wait_timeout(time).expect("it resolves").is_ok());
    }
}

#[test]
fn an_endless_grace_after_a_stop_overflows_nothing() {
    let pool = pool_of(1);
    for time in EXTREMES {
        let job = pool.job().timeout(Duration::from_millis(2)).grace(time);
        let error = error(job.spawn(|cx| cx.sleep(Duration::MAX)));
        assert!(error.is_timed_out());
    }
}

#[test]
fn no_time_and_past_deadlines_never_start() {
    let pool = pool_of(1);
    let now = Instant::now();
    let past = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
    for job in [
        pool.job().timeout(Duration::ZERO),
        pool.job().queue_timeout(Duration::ZERO),
        pool.job().deadline(past),
        pool.job().deadline(Deadline::at(past)).timeout(Duration::MAX),
    ] {
        let error = error(job.spawn_blocking(|| unreachable!("it must not start")));
        assert!(error.is_timed_out(), "{error}");
    }
}

#[test]
fn no_time_to_run_and_no_grace_at_all() {
    let pool = pool_of(1);
    for _ in 0..500 {
        // The alarm rings while the worker still sets it.
        let error = error(pool.job().run_timeout(Duration::ZERO).spawn(|cx| cx.sleep(PATIENCE)));
        assert!(error.is_timed_out());
    }
    let gate = Gate::default();
    let wait = gate.clone();
    let job = pool.job().grace(Duration::ZERO).spawn_blocking(move || wait.pass());
    let hit = job.cancel();
    assert!(hit.is_some());
    assert!(crate::support::error(job).is_cancelled(), "at once");
    gate.open();
}

#[test]
fn a_pool_takes_any_times() {
    for time in EXTREMES.into_iter().chain([Duration::ZERO]) {
        let pool = Pool::builder()
            .threads(0..=2)
            .keep_alive(time)
            .default_grace(time)
            .build()
            .expect("no thread is needed");
        assert!(outcome(pool.spawn_blocking(|| ())).is_ok());
        let report = pool.drain().within(time).wait();
        assert_eq!(report.finished, 1);
    }
}

#[test]
fn waits_take_any_times() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let wait = gate.clone();
    let mut job = pool.spawn_blocking(move || wait.pass());
    assert!(job.wait_timeout(Duration::ZERO).is_none());
    assert!(job.wait_deadline(Instant::now()).is_none());
    gate.open();
    assert!(job.wait_deadline(Deadline::NEVER).expect("it resolves").is_ok());
}
