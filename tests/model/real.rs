//! A real pool that takes the steps of a program, and what of it can be seen.

use crate::spec::{self, Act, Asked, Cause, Outcome};
use punctual::testing::ManualClock;
use punctual::{AbortHandle, JobContext, JobError, JobHandle, Metrics, Phase, Pool, Rejection};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// After so long a pool counts as hung.
const PATIENCE: Duration =
    Duration::from_secs(if option_env!("PUNCTUAL_IMPATIENT").is_some() { 5 } else { 30 });

type Handle = JobHandle<(), &'static str>;

pub(crate) struct Real {
    pool: Pool,
    clock: ManualClock,
    tokens: Vec<CancellationToken>,
    jobs: Vec<Job>,
    starts: Receiver<(usize, JobContext)>,
    start: Sender<(usize, JobContext)>,
}

struct Job {
    handle: Option<Handle>,
    stopper: AbortHandle,
    /// What it gave, once it did.
    outcome: Option<Outcome>,
    acts: Sender<Act>,
    said: Receiver<Option<Cause>>,
    /// Set by the drop of what the body captured.
    dropped: Arc<AtomicBool>,
    cx: Option<JobContext>,
}

struct Capture(Arc<AtomicBool>);

impl Drop for Capture {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Real {
    pub(crate) fn new(limit: usize, tokens: usize) -> Self {
        let clock = ManualClock::new();
        let builder = Pool::builder().threads(1..=1).queue_limit(limit).clock(&clock);
        let pool = builder.on_unseen_panic(|_| ()).build().expect("a thread");
        let (start, starts) = mpsc::channel();
        let tokens = (0..tokens).map(|_| CancellationToken::new()).collect();
        Self { pool, clock, tokens, jobs: Vec::new(), starts, start }
    }

    pub(crate) fn submit(&mut self, asked: &Asked) {
        let parent = asked.parent.map(|parent| &self.jobs[parent]);
        let mut job = match parent {
            Some(parent) => parent.cx.as_ref().expect("it has started").job(),
            None => self.pool.job(),
        };
        if let Some(time) = asked.timeout {
            job = job.timeout(ms(time));
        }
        if let Some(time) = asked.queue {
            job = job.queue_timeout(ms(time));
        }
        if let Some(time) = asked.run {
            job = job.run_timeout(ms(time));
        }
        if let Some(time) = asked.grace {
            job = job.grace(ms(time));
        }
        if let Some(token) = asked.token {
            job = job.token(&self.tokens[token]);
        }
        let (own, start) = (self.jobs.len(), self.start.clone());
        let (acts, orders) = mpsc::channel();
        let (say, said) = mpsc::channel();
        let dropped = Arc::new(AtomicBool::new(false));
        let capture = Capture(Arc::clone(&dropped));
        let handle = job.spawn(move |cx| {
            let _capture = &capture;
            start.send((own, cx.clone())).expect("the test listens");
            obey(cx, &orders, &say)
        });
        let stopper = handle.abort_handle();
        let handle = Some(handle);
        self.jobs.push(Job { handle, stopper, outcome: None, acts, said, dropped, cx: None });
    }

    pub(crate) fn cancel(&self, job: usize) -> Option<spec::Phase> {
        self.jobs[job].stopper.cancel().map(|phase| match phase {
            Phase::Queued => spec::Phase::Queued,
            Phase::Running => spec::Phase::Running,
        })
    }

    pub(crate) fn cancel_token(&self, token: usize) {
        self.tokens[token].cancel();
    }

    pub(crate) fn advance(&self, time: u64) {
        self.clock.advance(ms(time));
    }

    /// Has the running body act, and gives what `check` said to it.
    pub(crate) fn act(&self, job: usize, act: Act, ends: bool) -> Option<Option<Cause>> {
        let job = &self.jobs[job];
        job.acts.send(act).expect("the body listens");
        if ends {
            return None;
        }
        let said = job.said.recv_timeout(PATIENCE).expect("the body goes on");
        (act == Act::Check).then_some(said)
    }

    pub(crate) fn drop_handle(&mut self, job: usize) {
        self.jobs[job].handle = None;
    }

    pub(crate) fn drain(&self) {
        drop(self.pool.drain());
    }

    pub(crate) fn shutdown(&self) {
        drop(self.pool.shutdown());
    }

    /// All that can be seen is as the specification has it.
    pub(crate) fn assert_agrees(&mut self, spec: &spec::Pool) {
        self.await_worker(spec);
        for (n, (job, spec)) in self.jobs.iter_mut().zip(&spec.jobs).enumerate() {
            let over = spec.phase == spec::Phase::Over;
            assert_eq!(job.dropped.load(Ordering::SeqCst), over, "captures of {n}: {spec:?}");
            if let Some(handle) = &mut job.handle {
                assert_eq!(handle.is_finished(), spec.outcome.is_some(), "{n}: {spec:?}");
                if handle.is_finished() && job.outcome.is_none() {
                    let outcome = handle.wait_timeout(Duration::ZERO).expect("it is finished");
                    job.outcome = Some(seen(&outcome));
                }
                assert_eq!(job.outcome, spec.outcome, "{n}: {spec:?}");
            }
            if let (Some(cx), Some(cause)) = (&job.cx, spec.stop) {
                assert_eq!(cx.cause().map(of_cause), Some(cause), "{n}: {spec:?}");
            }
        }
        let expected = counts(spec);
        until(&format!("{expected:?}"), || self.counts() == expected);
        assert!(self.starts.try_recv().is_err(), "nothing else starts");
    }

    /// Lets all bodies return, and ends the pool.
    pub(crate) fn finish(self) {
        let Self { pool, jobs, clock, .. } = self;
        let dropped: Vec<_> = jobs.iter().map(|job| Arc::clone(&job.dropped)).collect();
        drop(jobs);
        let report = pool.shutdown().wait();
        clock.advance(ms(1_000));
        assert!(report.still_running.is_empty(), "{report}");
        assert!(dropped.iter().all(|dropped| dropped.load(Ordering::SeqCst)));
        let metrics = pool.metrics();
        assert_eq!((metrics.unresolved(), metrics.threads, metrics.timers), (0, 0, 0));
    }

    /// Waits until the worker has done with the body that ended, and started what it starts.
    fn await_worker(&mut self, spec: &spec::Pool) {
        for (job, spec) in self.jobs.iter().zip(&spec.jobs) {
            if spec.phase == spec::Phase::Over {
                if let Some(handle) = &job.handle {
                    handle.wait_stopped();
                }
                until("captures are dropped", || job.dropped.load(Ordering::SeqCst));
            }
        }
        if let Some(next) = spec.running().filter(|next| self.jobs[*next].cx.is_none()) {
            let (started, cx) = self.starts.recv_timeout(PATIENCE).expect("the next one starts");
            assert_eq!(started, next);
            self.jobs[next].cx = Some(cx);
        }
    }

    fn counts(&self) -> Metrics {
        let all = self.pool.metrics();
        let mut counts = Metrics::default();
        counts.queued = all.queued;
        counts.overdue = all.overdue;
        counts.accepted = all.accepted;
        counts.rejected = all.rejected;
        counts.returned = all.returned;
        counts.failed = all.failed;
        counts.panicked = all.panicked;
        counts.cancelled_queued = all.cancelled_queued;
        counts.cancelled_running = all.cancelled_running;
        counts.timed_out_queued = all.timed_out_queued;
        counts.timed_out_running = all.timed_out_running;
        counts
    }
}

/// What the specification says of all jobs together.
fn counts(spec: &spec::Pool) -> Metrics {
    let mut counts = Metrics::default();
    counts.queued = spec.queued();
    for job in &spec.jobs {
        let rejected = matches!(job.outcome, Some(Outcome::Full | Outcome::Closed));
        counts.accepted += u64::from(!rejected);
        counts.overdue += usize::from(job.outcome.is_some() && job.phase == spec::Phase::Running);
        let counter = match job.outcome {
            None => continue,
            Some(Outcome::Ok) => &mut counts.returned,
            Some(Outcome::Failed) => &mut counts.failed,
            Some(Outcome::Panicked) => &mut counts.panicked,
            Some(Outcome::Never(Cause::Deadline)) => &mut counts.timed_out_queued,
            Some(Outcome::Never(_)) => &mut counts.cancelled_queued,
            Some(Outcome::Cut(Cause::Deadline, _)) => &mut counts.timed_out_running,
            Some(Outcome::Cut(..)) => &mut counts.cancelled_running,
            Some(Outcome::Full | Outcome::Closed) => &mut counts.rejected,
        };
        *counter += 1;
    }
    counts
}

/// A body: does as it is told, and returns when nobody tells it anything any more.
fn obey(
    cx: &JobContext,
    orders: &Receiver<Act>,
    say: &Sender<Option<Cause>>,
) -> Result<(), &'static str> {
    while let Ok(order) = orders.recv() {
        match order {
            Act::Return => break,
            Act::Fail => return Err("failed"),
            Act::Panic => resume_unwind(Box::new("panicked")),
            Act::Checkpoint => cx.checkpoint(),
            Act::Check => {}
        }
        let checked = cx.check().err().map(|stopped| of_cause(stopped.cause()));
        say.send(checked).expect("the test listens");
    }
    Ok(())
}

fn seen(outcome: &Result<(), JobError<&'static str>>) -> Outcome {
    match outcome {
        Ok(()) => Outcome::Ok,
        Err(JobError::Failed("failed")) => Outcome::Failed,
        Err(JobError::Panicked(panic)) if panic.message() == "panicked" => Outcome::Panicked,
        Err(JobError::Rejected(Rejection::QueueFull)) => Outcome::Full,
        Err(JobError::Rejected(Rejection::ShutDown)) => Outcome::Closed,
        Err(error @ (JobError::Cancelled(stop) | JobError::TimedOut(stop))) => {
            assert_eq!(error.is_timed_out(), stop.cause() == punctual::Cause::Deadline);
            match stop.phase() {
                Phase::Queued => Outcome::Never(of_cause(stop.cause())),
                Phase::Running => Outcome::Cut(of_cause(stop.cause()), stop.error().is_some()),
            }
        }
        Err(other) => panic!("{other}"),
    }
}

fn of_cause(cause: punctual::Cause) -> Cause {
    match cause {
        punctual::Cause::Caller => Cause::Caller,
        punctual::Cause::Token => Cause::Token,
        punctual::Cause::Deadline => Cause::Deadline,
        punctual::Cause::Shutdown => Cause::Shutdown,
        punctual::Cause::Parent => Cause::Parent,
        other => panic!("{other}"),
    }
}

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::yield_now();
    }
}
