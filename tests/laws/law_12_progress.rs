//! Waiting, inside a job, for another job of the same pool cannot deadlock the pool: a wait on a queued
//! job claims and runs it right there; a wait on a running one lets another worker take its place.

use crate::support::{Busy, Gate, PATIENCE, error, ms, news, outcome, pool_of, until};
use punctual::{Checked, JobContext, JobHandle, Pool, current};
use std::thread;

/// So many levels, each of which waits for the next.
fn nested(pool: &Pool, levels: u32) -> u32 {
    if levels == 0 {
        return 0;
    }
    let inner = pool.clone();
    let next = pool.spawn_blocking(move || nested(&inner, levels - 1));
    1 + next.wait().expect("it returns")
}

#[test]
fn more_levels_than_threads_wait_for_each_other() {
    for threads in [1, 2, 4] {
        let pool = pool_of(threads);
        let inner = pool.clone();
        assert_eq!(outcome(pool.spawn_blocking(move || nested(&inner, 6))).ok(), Some(6));
        assert_eq!(pool.drain().wait().finished, 7);
    }
}

#[test]
fn a_tree_of_jobs_is_done_by_one_thread() {
    fn leaves(cx: &JobContext, depth: u32) -> Checked<u32> {
        if depth == 0 {
            return Ok(1);
        }
        let child = || cx.job().spawn(move |cx| leaves(cx, depth - 1));
        let children: Vec<JobHandle<_, _>> = (0..3).map(|_| child()).collect();
        Ok(children.into_iter().map(|child| child.wait().expect("it returns")).sum())
    }
    let pool = pool_of(1);
    assert_eq!(outcome(pool.spawn(|cx| leaves(cx, 5))).ok(), Some(243));
    let metrics = pool.metrics();
    assert_eq!((metrics.returned, metrics.queued), (364, 0));
}

#[test]
fn it_runs_on_the_thread_that_waits_and_nothing_else_does() {
    let pool = pool_of(1);
    let inner = pool.clone();
    let (ran, others) = news();
    let waits = pool.spawn_blocking(move || {
        let other = inner.spawn_blocking(move || ran.send(()).expect("the test listens"));
        let own = thread::current().id();
        let here = inner.spawn_blocking(move || thread::current().id() == own);
        let here = here.wait().expect("it returns");
        assert!(!other.is_finished(), "it is nobody's to run but its worker's");
        here
    });
    assert_eq!(outcome(waits).ok(), Some(true));
    others.next();
}

#[test]
fn the_context_is_each_jobs_own() {
    let pool = pool_of(1);
    let waits = pool.job().name("outer").spawn(|cx| -> Checked<_> {
        let inner = cx.job().name("inner").spawn_blocking(|| current().expect("a body").id());
        let id = inner.id();
        assert_eq!(inner.wait().expect("it returns"), id);
        Ok(current().expect("a body").id() == cx.id())
    });
    assert_eq!(outcome(waits).ok(), Some(true));
}

#[test]
fn what_the_inner_job_does_is_its_own() {
    let pool = pool_of(1);
    let waits = pool.spawn(|cx| -> Checked<_> {
        let panics = cx.job().spawn_blocking(|| crate::support::quiet_panic("on purpose"));
        let stops = cx.job().spawn(|cx| -> Checked<()> {
            cx.token().cancel();
            cx.checkpoint();
            Ok(())
        });
        let (panicked, stopped) = (panics.wait(), stops.wait());
        cx.check()?;
        Ok((panicked.is_err_and(|e| e.is_panic()), stopped.is_err_and(|e| e.is_cancelled())))
    });
    assert_eq!(outcome(waits).ok(), Some((true, true)));
}

#[test]
fn a_wait_until_the_bodys_end_runs_it_too() {
    let pool = pool_of(1);
    let inner = pool.clone();
    let waits = pool.spawn_blocking(move || {
        let job = inner.spawn_blocking(|| 1);
        job.wait_stopped();
        job.wait().expect("it returns")
    });
    assert_eq!(outcome(waits).ok(), Some(1));
}

#[test]
fn a_wait_with_a_limit_does_not_outlast_it_by_running_the_job() {
    let pool = pool_of(1);
    let inner = pool.clone();
    let waits = pool.spawn_blocking(move || {
        let mut job = inner.spawn(|cx| cx.sleep(PATIENCE));
        let in_vain = job.wait_timeout(ms(5)).is_none();
        assert!(job.cancel().is_some());
        in_vain
    });
    assert_eq!(outcome(waits).ok(), Some(true));
}

#[test]
fn a_wait_for_a_running_job_lends_the_threads_place() {
    let pool = Pool::builder().threads(2..=2).spare_threads(1).build().expect("threads");
    let gate = Gate::default();
    let (closed, inner) = (gate.clone(), pool.clone());
    let (started, is_started) = news();
    let runs = pool.spawn_blocking(move || {
        started.send(()).expect("the test listens");
        closed.pass();
    });
    is_started.next();
    let waits = pool.spawn_blocking(move || runs.wait().is_ok());
    // Both threads are taken: by one that runs, and one that waits for it.
    assert!(outcome(pool.spawn_blocking(|| ())).is_ok());
    assert!(inner.metrics().threads <= 3);
    gate.open();
    assert_eq!(outcome(waits).ok(), Some(true));
    let _both = Busy::all(&pool, 2);
    until("the spare one leaves", || pool.metrics().threads == 2);
}

#[test]
fn a_job_that_ended_in_the_queue_is_not_run() {
    let pool = pool_of(1);
    let waits = pool.spawn(|cx| -> Checked<_> {
        let job = cx.job().spawn_blocking(|| unreachable!("it was cancelled"));
        job.cancel();
        Ok(job.wait().is_err_and(|error: punctual::JobError| error.is_cancelled()))
    });
    assert_eq!(outcome(waits).ok(), Some(true));
}

#[test]
fn the_entries_of_jobs_that_ran_elsewhere_are_not_counted() {
    let pool = pool_of(1);
    let inner = pool.clone();
    let waits = pool.spawn_blocking(move || {
        for n in 0..5_000 {
            let job = inner.spawn_blocking(move || n);
            assert_eq!(job.wait().ok(), Some(n));
            assert_eq!(inner.metrics().queued, 0);
        }
    });
    outcome(waits).expect("it returns");
    outcome(pool.spawn_blocking(|| ())).expect("it returns");
    assert_eq!(pool.metrics().queued, 0);
}

#[test]
fn a_shutdown_stops_the_inner_job_and_the_one_that_waits() {
    let pool = pool_of(1);
    let (started, is_started) = news();
    let waits = pool.spawn(move |cx| -> Checked<_> {
        let inner = cx.job().spawn(move |cx| {
            started.send(()).expect("the test listens");
            cx.sleep(PATIENCE)
        });
        assert!(inner.wait().is_err_and(|error| error.is_cancelled()));
        cx.check()
    });
    is_started.next();
    let report = pool.shutdown().wait();
    assert_eq!((report.finished, report.never_started.len()), (2, 0));
    assert!(error(waits).is_cancelled());
}
