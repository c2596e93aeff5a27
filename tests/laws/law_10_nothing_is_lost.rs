//! accepted = sum of outcomes; `drain` finishes every accepted job; the report of a shutdown names
//! exactly the jobs that never started and those still running.

use crate::support::{Busy, Gate, PATIENCE, error, ms, news, outcome, pool_of, until};
use punctual::{JobError, Pool, Rejection};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

#[test]
fn a_hundred_thousand_jobs_racing_a_shutdown() {
    const SUBMITTERS: u64 = 8;
    const EACH: u64 = 12_500;
    let pool = pool_of(4);
    let ran = Arc::new(AtomicU64::new(0));
    let (jobs, report) = thread::scope(|s| {
        let submit = |_| {
            let (pool, ran) = (&pool, &ran);
            s.spawn(move || {
                let spawn = |_| {
                    let ran = Arc::clone(ran);
                    pool.spawn_blocking(move || ran.fetch_add(1, Ordering::Relaxed))
                };
                (0..EACH).map(spawn).collect::<Vec<_>>()
            })
        };
        let submitters: Vec<_> = (0..SUBMITTERS).map(submit).collect();
        until("some have run", || ran.load(Ordering::Relaxed) > 1_000);
        let report = pool.shutdown().within(PATIENCE).wait();
        let jobs = submitters.into_iter().flat_map(|s| s.join().expect("no panic"));
        (jobs.collect::<Vec<_>>(), report)
    });
    let never_started: HashSet<_> = report.never_started.iter().map(|job| job.id()).collect();
    let (mut returned, mut cancelled, mut rejected) = (0, 0, 0);
    for job in jobs {
        let id = job.id();
        match outcome(job) {
            Ok(_) => returned += 1,
            Err(JobError::Cancelled(stop)) => {
                cancelled += 1;
                assert!(never_started.contains(&id), "{stop}");
            }
            Err(JobError::Rejected(Rejection::ShutDown)) => rejected += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(returned + cancelled + rejected, SUBMITTERS * EACH);
    assert_eq!(ran.load(Ordering::Relaxed), returned);
    assert_eq!((report.finished, report.still_running.len()), (returned, 0));
    assert_eq!(never_started.len() as u64, cancelled);
    let metrics = pool.metrics();
    let kept = metrics.accepted - metrics.rejected_queued;
    assert_eq!((kept, metrics.rejected), (returned + cancelled, rejected));
    assert_eq!((metrics.unresolved(), metrics.threads, metrics.queued), (0, 0, 0));
}

#[test]
fn a_drain_finishes_every_accepted_job() {
    let pool = pool_of(2);
    let ran = Arc::new(AtomicU64::new(0));
    for _ in 0..5_000 {
        let ran = Arc::clone(&ran);
        drop(pool.spawn_blocking(move || ran.fetch_add(1, Ordering::Relaxed)));
    }
    let report = pool.drain().within(PATIENCE).wait();
    assert_eq!(ran.load(Ordering::Relaxed), 5_000);
    assert_eq!((report.finished, report.never_started.len()), (5_000, 0));
    assert!(matches!(error(pool.spawn_blocking(|| ())), JobError::Rejected(Rejection::ShutDown)));
}

#[test]
fn a_shutdown_in_time_names_what_still_runs() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let deaf = gate.clone();
    let (send, late) = news();
    let (started, starts) = news();
    let job = pool
        .job()
        .name("deaf")
        .run_timeout(ms(5))
        .on_late(move |n: u8| assert!(send.send(n).is_ok()));
    let job = job.spawn_blocking(move || {
        started.send(()).expect("the test listens");
        deaf.pass();
        9
    });
    starts.next();
    assert!(error(job).is_timed_out());
    assert_eq!(pool.overdue()[0].name(), Some("deaf"));
    let queued = pool.job().name("queued").spawn_blocking(|| ());
    let report = pool.shutdown().within(ms(50)).wait();
    assert_eq!(report.still_running.len(), 1, "{report}");
    assert_eq!(report.still_running[0].name(), Some("deaf"));
    assert_eq!(report.never_started[0].name(), Some("queued"));
    assert_eq!(report.finished, 0);
    assert!(error(queued).is_cancelled());
    gate.open();
    assert_eq!(late.next(), 9);
}

#[test]
fn a_shutdown_stops_what_runs_and_resolves_its_handle_when_the_time_is_up() {
    let pool = pool_of(2);
    let gate = Gate::default();
    let deaf = gate.clone();
    let (started, starts) = news();
    let also = started.clone();
    let listens = pool.spawn(move |cx| {
        started.send(()).expect("the test listens");
        cx.sleep(PATIENCE)
    });
    let ignores = pool.spawn_blocking(move || {
        also.send(()).expect("the test listens");
        deaf.pass();
    });
    starts.next();
    starts.next();
    let ending = pool.shutdown();
    listens.wait_stopped();
    let report = ending.within(ms(50)).wait();
    assert_eq!(report.still_running.len(), 1);
    assert_eq!(report.finished, 1);
    for error in [error(listens).phase(), error(ignores).phase()] {
        assert_eq!(error, Some(punctual::Phase::Running));
    }
    gate.open();
}

#[test]
fn all_who_wait_for_a_shutdown_are_told() {
    let pool = pool_of(1);
    let busy = Busy::all(&pool, 1);
    thread::scope(|s| {
        let waiters: Vec<_> = (0..3).map(|_| s.spawn(|| pool.drain().wait())).collect();
        drop(busy);
        for waiter in waiters {
            assert_eq!(waiter.join().expect("no panic").finished, 1);
        }
    });
    assert_eq!(pool.shutdown().wait().finished, 1, "and those who come later");
}

#[test]
fn a_shutdown_waited_for_by_its_own_job_does_not_hang() {
    let pool = pool_of(2);
    let own = pool.clone();
    let job = pool.spawn_blocking(move || own.shutdown().wait());
    let report = outcome(job).expect("it returns");
    assert_eq!(report.still_running.len(), 1, "itself");
    assert_eq!(pool.shutdown().within(PATIENCE).wait().finished, 1);
}

#[tokio::test]
async fn a_shutdown_is_a_future() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let deaf = gate.clone();
    let (started, starts) = news();
    let job = pool.spawn_blocking(move || {
        started.send(()).expect("the test listens");
        deaf.pass();
    });
    starts.next();
    let report = pool.shutdown().within(ms(10)).await;
    assert_eq!(report.still_running.len(), 1);
    assert!(job.await.expect_err("it was cut").is_cancelled());
    gate.open();
    assert_eq!(pool.shutdown().await.finished, 1);
}

#[test]
fn dropping_the_last_pool_loses_no_job() {
    let pool = Pool::builder().threads(0..=2).build().expect("no thread is needed");
    let (send, ran) = news();
    for n in 0..100 {
        let send = send.clone();
        drop(pool.spawn_blocking(move || send.send(n).expect("the test listens")));
    }
    drop((pool, send));
    let mut all: Vec<_> = (0..100).map(|_| ran.next()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
    ran.assert_over();
}

#[test]
fn a_pool_dropped_by_its_own_job_lets_it_spawn_children() {
    let pool = pool_of(1);
    let own = pool.clone();
    let (send, ran) = news();
    let job = pool.spawn(move |cx| {
        drop(own);
        cx.job().spawn_blocking(move || send.send(1).expect("the test listens"));
        Ok::<_, ()>(())
    });
    drop(pool);
    outcome(job).expect("it returns");
    assert_eq!(ran.next(), 1);
    ran.assert_over();
}

#[test]
fn without_a_thread_to_be_had_a_job_is_refused_and_none_is_orphaned() {
    let pool = Pool::builder()
        .threads(0..=4)
        .thread_stack_size(1 << 46) // no system has so much: every thread fails to start
        .build()
        .expect("no thread is needed yet");
    for _ in 0..100 {
        let refused = error(pool.spawn_blocking(|| ()));
        assert!(matches!(refused, JobError::Rejected(Rejection::NoThread)), "{refused}");
    }
    let metrics = pool.metrics();
    assert_eq!((metrics.unresolved(), metrics.rejected, metrics.queued), (0, 100, 0));
    assert_eq!(pool.drain().wait().finished, 0);
}

#[test]
fn a_pool_whose_first_threads_fail_to_start_is_not_built() {
    let built = Pool::builder().threads(1..=4).thread_stack_size(1 << 46).build();
    assert!(matches!(built, Err(punctual::BuildError::Thread(_))), "{built:?}");
}
