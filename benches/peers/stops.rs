//! Stops: of many jobs in the queue while the pool's only thread is held, and of a body that spins.
//!
//! Where a pool can not stop a job, users give it a `CancellationToken`: who awaits a job waits for that,
//! too, and the body looks at it.

use crate::contenders::{Contender, Punctual, Tokio, await_all};
use crate::held::{Capture, Fates, Held, poll_with};
use crate::measure::{
    Figures, Goal, Line, Run, Shown, Workload, nanoseconds, quantile, runs, timed,
};
use punctual::JobError;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::Wake;
use std::time::{Duration, Instant};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// How often a body looks whether to stop where that is timed.
const CHECKS: u32 = 1_000_000;

pub(crate) fn workloads(quick: bool) -> Vec<Workload> {
    let (rounds, jobs, times) = if quick { (1, 10_000, 300) } else { (5, 100_000, 2_000) };
    let line = |name, unit, decimals, goal| Line { name, shown: Shown::In(unit, decimals), goal };
    let mut cancelled = vec![
        Run { name: Punctual::NAME, run: Box::new(move || cancel_punctual(jobs)) },
        Run { name: Tokio::NAME, run: Box::new(move || cancel_tokio(jobs)) },
    ];
    cancelled.extend(runs!(cancel_by_token(jobs): Blocking Rayon Affinity Threadpool Rusty Simple));
    let mut stopped =
        vec![Run { name: Punctual::NAME, run: Box::new(move || stop_punctual(times)) }];
    stopped
        .extend(runs!(stop_by_token(times): Tokio Blocking Rayon Affinity Threadpool Rusty Simple));
    let queued = Workload {
        title: format!("{jobs} queued jobs are cancelled, no worker is free"),
        rounds,
        lines: vec![
            line("waiters freed", "%", 1, Goal::AtLeast(100.0)),
            line("until all are", "ms", 1, Goal::AtMost(35.0)),
            line("a call", "ns", 0, Goal::AtMost(150.0)),
            line("captures kept", "%", 1, Goal::AtMost(0.0)),
        ],
        runs: cancelled,
    };
    let running = Workload {
        title: "stop of a spinning body".to_owned(),
        rounds,
        lines: vec![
            line("noticed, p99", "µs", 1, Goal::AtMost(20.0)),
            line("waiter told, p99", "µs", 1, Goal::AtMost(60.0)),
            line("a look", "ns", 2, Goal::AtMost(1.5)),
        ],
        runs: stopped,
    };
    vec![queued, running]
}

fn cancel_punctual(jobs: u64) -> Figures {
    let cancelled = |outcome: Result<_, JobError>| outcome.is_err_and(|error| error.is_cancelled());
    let pool = Punctual::new(1);
    cancel(&pool, jobs, cancelled, |captures| {
        let all = captures.into_iter().map(|capture| pool.0.spawn_blocking(|| capture.run()));
        let all: Vec<_> = all.collect();
        let aborts: Vec<_> = all.iter().map(|job| job.abort_handle()).collect();
        (all, move || aborts.iter().for_each(|job| _ = job.cancel()))
    })
}

fn cancel_tokio(jobs: u64) -> Figures {
    let cancelled =
        |outcome: Result<_, JoinError>| outcome.is_err_and(|error| error.is_cancelled());
    let pool = Tokio::new(1);
    cancel(&pool, jobs, cancelled, |captures| {
        let all = captures.into_iter().map(|capture| pool.task(|| capture.run()));
        let all: Vec<_> = all.collect();
        let aborts: Vec<_> = all.iter().map(|job| job.abort_handle()).collect();
        (all, move || aborts.iter().for_each(|job| job.abort()))
    })
}

/// One token for all, as in a request.
fn cancel_by_token<C: Contender>(jobs: u64) -> Figures {
    let (pool, token) = (C::new(1), CancellationToken::new());
    let cancelled = |outcome: Option<u64>| outcome.is_none();
    cancel(&pool, jobs, cancelled, |captures| {
        let all = captures.into_iter().map(|capture| pool.spawn(|| capture.run()));
        let all = all.map(|job| token.clone().run_until_cancelled_owned(job)).collect();
        (all, || token.cancel())
    })
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

/// Which share of the waiters is freed, and when all are, in milliseconds from the first call; how long a
/// call takes, in nanoseconds; and which share of the captures is still there when the handles are gone,
/// too: some pools take that for a cancel.
fn cancel<C: Contender, F: Future, X: FnOnce()>(
    pool: &C,
    jobs: u64,
    is_cancelled: impl Fn(F::Output) -> bool,
    submit: impl FnOnce(Vec<Capture>) -> (Vec<F>, X),
) -> Figures {
    let (held, fates) = (Held::new(pool), Arc::<Fates>::default());
    let (all, cancel) = submit((0..jobs).map(|_| fates.capture()).collect());
    let mut all: Vec<Pin<Box<F>>> = all.into_iter().map(Box::pin).collect();
    let nobody = Arc::new(Nobody);
    assert!(all.iter_mut().all(|job| poll_with(job, &nobody).is_none()), "no worker is free");
    let begin = Instant::now();
    cancel();
    let calls = nanoseconds(begin.elapsed());
    let outcomes = all.iter_mut().filter_map(|job| poll_with(job, &nobody));
    let freed = outcomes.map(|outcome| assert!(is_cancelled(outcome))).count() as f64;
    let total = if freed == jobs as f64 { nanoseconds(begin.elapsed()) } else { f64::NAN };
    drop(all);
    let kept = jobs as f64 - fates.dropped();
    held.open(pool);
    let share = |count: f64| count / jobs as f64 * 100.0;
    vec![share(freed), total / 1e6, calls / jobs as f64, share(kept)]
}

/// The 99th percentiles, in microseconds, of when a body has noticed its stop, and of when its waiter goes
/// on; and how long it takes to look, in nanoseconds.
fn stop_punctual(times: u32) -> Figures {
    let pool = Punctual::new(1).0;
    let base = Instant::now();
    let stop_one = || {
        let (tell, told) = mpsc::channel();
        let job = pool.spawn(move |cx| {
            tell.send(()).expect("it is waited for");
            while cx.check().is_ok() {}
            Ok::<_, Infallible>(base.elapsed())
        });
        told.recv().expect("it has begun");
        let begin = base.elapsed();
        assert!(job.cancel().is_some());
        let noticed = job.wait().expect("the body has the last word");
        (noticed - begin, base.elapsed() - begin)
    };
    let figures = stops(times, stop_one);
    let look = pool.spawn(|cx| Ok::<_, Infallible>(time_of_check(|| cx.check().is_ok())));
    with(figures, look.wait().expect("nothing stops it"))
}

fn stop_by_token<C: Contender>(times: u32) -> Figures {
    let pool = C::new(1);
    let base = Instant::now();
    let stop_one = || {
        let ((tell, told), token) = (mpsc::channel(), CancellationToken::new());
        let own = token.clone();
        let job = pool.spawn(move || {
            tell.send(()).expect("it is waited for");
            while !own.is_cancelled() {}
            base.elapsed().as_nanos() as u64
        });
        told.recv().expect("it has begun");
        let begin = base.elapsed();
        token.cancel();
        let noticed = Duration::from_nanos(await_all([job]));
        (noticed - begin, base.elapsed() - begin)
    };
    let figures = stops(times, stop_one);
    let token = CancellationToken::new();
    let look = pool.spawn(move || time_of_check(|| !token.is_cancelled()).to_bits());
    with(figures, f64::from_bits(await_all([look])))
}

fn stops(times: u32, stop_one: impl Fn() -> (Duration, Duration)) -> [f64; 2] {
    let all = (0..times).map(|_| stop_one());
    let (mut noticed, mut told): (Vec<_>, Vec<_>) =
        all.map(|(noticed, told)| (nanoseconds(noticed), nanoseconds(told))).unzip();
    [&mut noticed, &mut told].map(|times| quantile(times, 0.99) / 1e3)
}

fn with(figures: [f64; 2], look: f64) -> Figures {
    vec![figures[0], figures[1], look]
}

fn time_of_check(goes_on: impl Fn() -> bool) -> f64 {
    let (time, all) = timed(|| (0..CHECKS).all(|_| goes_on()));
    assert!(all, "nobody stops it");
    time / f64::from(CHECKS)
}
