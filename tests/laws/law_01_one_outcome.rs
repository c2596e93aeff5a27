//! Every job has exactly one outcome, decided once, whatever panics, fails or shuts down; no handle
//! hangs.

use crate::support::{Busy, Gate, OnDrop, PATIENCE, PanicsOnDrop, outcome, pool_of, quiet_panic};
use punctual::{JobContext, JobHandle, Pool};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Body {
    Returns,
    Fails,
    Panics,
    Unwinds,
    Ignores,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Itself,
    Cancel,
    Token,
    Timeout,
    Shutdown,
    Cut,
    DropHandle,
    DropPool,
}

const BODIES: [Body; 5] = [Body::Returns, Body::Fails, Body::Panics, Body::Unwinds, Body::Ignores];
const ENDS: [End; 8] = [
    End::Itself,
    End::Cancel,
    End::Token,
    End::Timeout,
    End::Shutdown,
    End::Cut,
    End::DropHandle,
    End::DropPool,
];

/// Runs until stopped or let go, and then does what its kind does.
fn act(
    body: Body,
    cx: &JobContext,
    gate: &Gate,
    waits_for_stop: bool,
) -> Result<u32, &'static str> {
    if body == Body::Ignores {
        gate.pass();
        return Ok(1);
    }
    while waits_for_stop && !cx.is_stopped() {
        std::thread::yield_now();
    }
    match body {
        Body::Fails => Err("failed"),
        Body::Panics => quiet_panic("panicked"),
        Body::Unwinds => {
            cx.checkpoint();
            Ok(2)
        }
        _ => Ok(3),
    }
}

fn spawn(pool: &Pool, body: Body, end: End, token: &CancellationToken, gate: &Gate) -> Handle {
    let mut job = pool.job().token(token);
    if end == End::Timeout {
        job = job.timeout(Duration::from_millis(3));
    }
    let gate = gate.clone();
    let waits_for_stop = !matches!(end, End::Itself | End::DropHandle | End::DropPool);
    let loud = OnDrop(|| ());
    job.spawn(move |cx| {
        let _capture = &loud;
        act(body, cx, &gate, waits_for_stop)
    })
}

type Handle = JobHandle<u32, &'static str>;

fn try_one(body: Body, end: End, queued: bool) {
    let case = format!("{body:?} {end:?} queued: {queued}");
    let pool = pool_of(1);
    let observer = pool.clone();
    let (gate, token) = (Gate::default(), CancellationToken::new());
    let busy = queued.then(|| Busy::all(&pool, 1));
    let job = spawn(&pool, body, end, &token, &gate);
    let id = job.id();
    let mut kept = Some(job);
    match end {
        End::Itself | End::Timeout => {}
        End::Cancel => drop(kept.as_ref().map(JobHandle::cancel)),
        End::Token => token.cancel(),
        End::Shutdown => drop(pool.shutdown()),
        End::Cut => drop(pool.shutdown().within(Duration::ZERO).wait()),
        End::DropHandle => drop(kept.take()),
        End::DropPool => drop(pool),
    }
    let needs_gate = body == Body::Ignores && end != End::Cut && end != End::Timeout;
    if needs_gate {
        gate.open();
    }
    let mut busy = busy;
    if matches!(end, End::Itself | End::DropPool) {
        busy = None; // the others end it while the worker is busy
    }
    if let Some(mut job) = kept {
        let resolved = job.wait_timeout(PATIENCE).unwrap_or_else(|| panic!("{case}: {id} hangs"));
        drop(resolved);
    }
    gate.open();
    drop(busy);
    let report = observer.drain().within(PATIENCE).wait();
    assert!(report.still_running.is_empty(), "{case}: {report}");
    let metrics = observer.metrics();
    assert_eq!(metrics.unresolved(), 0, "{case}: {metrics:?}");
    assert_eq!(metrics.resolved(), metrics.accepted, "{case}: {metrics:?}");
}

#[test]
fn every_body_has_one_outcome_however_it_is_ended() {
    for body in BODIES {
        for end in ENDS {
            // A worker held busy would outlast a cut or a drain that the test itself waits for.
            let queueable = !matches!(end, End::Cut | End::Shutdown | End::DropHandle);
            for queued in if queueable { vec![false, true] } else { vec![false] } {
                try_one(body, end, queued);
            }
        }
    }
}

#[test]
fn racing_stoppers_leave_one_outcome() {
    for round in 0..200 {
        let pool = pool_of(2);
        let token = CancellationToken::new();
        let patience = Duration::from_micros(round * 5);
        let jobs: Vec<_> = (0..8)
            .map(|_| pool.job().token(&token).timeout(patience).spawn(|cx| cx.check()))
            .collect();
        std::thread::scope(|s| {
            s.spawn(|| token.cancel());
            for job in &jobs {
                s.spawn(|| job.cancel());
            }
            drop(pool.shutdown());
        });
        let resolved = jobs.into_iter().map(outcome).count();
        let report = pool.shutdown().within(PATIENCE).wait();
        let metrics = pool.metrics();
        assert_eq!((resolved, metrics.unresolved()), (8, 0), "round {round}: {metrics:?}");
        assert_eq!(report.finished + report.never_started.len() as u64, 8, "round {round}");
    }
}

#[test]
fn a_capture_that_panics_when_dropped_takes_no_outcome_away() {
    let pool = Pool::builder().threads(1..=1).on_unseen_panic(|_| ()).build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let capture = PanicsOnDrop;
    let job = pool.spawn_blocking(move || drop(capture));
    job.cancel();
    assert!(outcome(job).expect_err("cancelled").is_cancelled());
    drop(busy);
    let capture = PanicsOnDrop;
    let job = pool.spawn_blocking(move || drop(capture));
    assert!(outcome(job).expect_err("its body panicked").is_panic());
    assert_eq!(pool.metrics().unresolved(), 0);
}

#[test]
#[should_panic(expected = "was used after it gave the outcome")]
fn a_handle_gives_its_outcome_once() {
    let pool = pool_of(1);
    let mut job = pool.spawn_blocking(|| ());
    assert!(job.wait_timeout(PATIENCE).is_some());
    let _ = job.wait_timeout(PATIENCE);
}
