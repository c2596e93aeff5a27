//! One program, run by a pool and by its specification: all that can be seen is compared.

use crate::body::Handle;
use crate::program::{Act, By, FAR, Outcome, Settings, Step, TOKENS, Time};
use crate::real::{self, PATIENCE, Real};
use crate::spec::run_limit;
use crate::state::{Job, Pool, Stage};
use punctual::{Cause, JobContext, JobId, JobInfo, Metrics, Phase, Priority};
use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

/// Runs a program to its end.
#[track_caller]
pub(crate) fn run(settings: &Settings, steps: &[Step]) {
    let mut both = Both::new(settings);
    for step in steps {
        both.step(step);
    }
    both.finish();
}

pub(crate) struct Both {
    real: Real,
    spec: Pool,
}

impl Both {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { real: Real::new(settings), spec: Pool::new(settings) }
    }

    /// Takes a step, unless it fits nothing just now.
    pub(crate) fn step(&mut self, step: &Step) {
        if let Some(step) = aim(&self.spec, step) {
            let expected = self.spec.step(&step);
            assert_eq!(self.real.step(&step), expected, "to {step:?}");
            self.spec.settle(|may| {
                let next = self.real.next_start();
                assert!(may.contains(&next), "{next} starts, but it is the turn of one of {may:?}");
                next
            });
            self.compare(&step);
        }
    }

    /// Ends what goes on, and the pool; nothing must be left of it.
    pub(crate) fn finish(mut self) {
        self.take_all();
        self.step(&Step::Shutdown(None));
        while !self.spec.at(Stage::Running).is_empty() {
            self.step(&Step::Act(0, Act::Return));
        }
        self.take_all();
        assert_eq!(self.spec.all(|job| job.stage != Stage::Over), []);
        let Real { unseen, starts, pool, jobs, ends, permits, .. } = self.real;
        let threads = pool.as_ref().map(|pool| (pool.metrics().threads, pool.metrics().timers));
        assert!(threads.is_none_or(|left| left == (0, 0)), "{threads:?}");
        drop((pool, jobs, ends, permits));
        until("nothing of the pool is left", || Arc::strong_count(&unseen), 1);
        assert_eq!(unseen.load(Ordering::SeqCst), self.spec.unseen);
        assert!(starts.try_recv().is_err(), "nothing else has started");
    }

    fn take_all(&mut self) {
        for job in 0..self.spec.jobs.len() {
            if self.spec.jobs[job].held {
                let held = self.spec.all(|job| job.held);
                let at = held.iter().position(|held| *held == job);
                self.step(&Step::Take(at.expect("it is held")));
            }
        }
    }

    fn compare(&mut self, step: &Step) {
        self.compare_ends(step);
        self.real.look_at_waiting();
        let waiting = (self.real.waiting.len(), self.real.permits.len());
        assert_eq!(waiting, (self.spec.waiting, self.spec.permits), "places, after {step:?}");
        let Self { real, spec } = self;
        for (n, job) in spec.jobs.iter().enumerate() {
            let expected = Sight::expected(spec, n, real.jobs[n].handle.is_some());
            let seen = || Sight::of(real, n, job.stage != Stage::Over);
            if matches!(step, Step::Act(own, _) if *own == n) {
                until(&format!("{n}, after {step:?}"), seen, expected);
            } else {
                assert_eq!(seen(), expected, "{n}, after {step:?}");
            }
        }
        if let Some(pool) = &real.pool {
            until("counts", || counts(&pool.metrics()), expected_counts(spec));
            let overdue = ids(real, &spec.all(Job::is_overdue));
            until("overdue", || sorted(&pool.overdue()), overdue);
            let metrics = pool.metrics();
            let limited = spec.ends.iter().filter(|end| end.limit.is_some()).count();
            let alarms = spec.all(|job| job.outcome.is_none()).len() + limited;
            assert!(metrics.timers <= alarms, "{metrics:?}");
            assert!(metrics.threads <= spec.settings.workers, "{metrics:?}");
        }
        until("unseen panics", || real.unseen.load(Ordering::SeqCst), spec.unseen);
        assert!(real.starts.try_recv().is_err(), "nothing else starts");
    }

    fn compare_ends(&mut self, step: &Step) {
        for (n, end) in self.spec.ends.iter().enumerate() {
            let Some(expected) = &end.report else {
                assert!(!self.real.ends[n].look(), "the end is not yet, after {step:?}");
                continue;
            };
            if self.real.ends[n].report.is_none() {
                until("who waits for the end is woken", || self.real.ends[n].look(), true);
                let report = self.real.ends[n].report.as_ref().expect("it is there");
                assert_eq!(report.finished, expected.finished as u64, "{report:?}");
                let (never, still) = (&report.never_started, &report.still_running);
                assert_eq!(sorted(never), ids(&self.real, &expected.never_started));
                assert_eq!(sorted(still), ids(&self.real, &expected.still_running));
                assert!(never.iter().all(|info| info.phase() == Phase::Queued), "{report:?}");
                assert!(still.iter().all(|info| info.phase() == Phase::Running), "{report:?}");
            }
        }
    }
}

/// What can be seen of a job.
#[derive(Debug, PartialEq, Eq)]
struct Sight {
    finished: bool,
    /// Whether its body has ended, as far as there is a handle that tells.
    ended: Option<bool>,
    captures_dropped: usize,
    values_dropped: usize,
    values_late: usize,
    told: Vec<Cause>,
    /// Of one that has started: its cause, its deadline.
    context: Option<(Option<Cause>, Option<Time>)>,
    /// Of one that has not ended.
    info: Option<Info>,
}

#[derive(Debug, PartialEq, Eq)]
struct Info {
    name: Option<String>,
    priority: Priority,
    phase: Phase,
    queued_for: Duration,
    ran_for: Duration,
    overdue_by: Option<Duration>,
}

impl Sight {
    fn of(real: &Real, n: usize, live: bool) -> Self {
        let job = &real.jobs[n];
        let handle = job.handle.as_ref();
        let since_birth = |at: Instant| real::time(at - real.birth);
        let context = |cx: &JobContext| {
            assert_eq!(cx.id(), job.stopper.id());
            (cx.cause(), cx.deadline().instant().map(since_birth))
        };
        let poll = |handle: &Handle| {
            pin!(handle.stopped()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
        };
        Self {
            finished: job.stopper.is_finished(),
            ended: handle.map(poll),
            captures_dropped: job.marks.captures_dropped.load(Ordering::SeqCst),
            values_dropped: job.marks.values_dropped.load(Ordering::SeqCst),
            values_late: job.marks.values_late.load(Ordering::SeqCst),
            told: job.marks.told.lock().expect("no panic under it").clone(),
            context: job.cx.as_ref().map(context),
            info: handle.filter(|_| live).map(|handle| Info::of(&handle.info())),
        }
    }

    fn expected(spec: &Pool, n: usize, handle: bool) -> Self {
        let job = &spec.jobs[n];
        let over = job.stage == Stage::Over;
        let kept = job.held && job.outcome == Some(Outcome::Returned);
        let late = job.returned && job.outcome != Some(Outcome::Returned);
        Self {
            finished: job.outcome.is_some(),
            ended: handle.then_some(over),
            captures_dropped: usize::from(over),
            values_dropped: usize::from(job.returned && !kept),
            values_late: usize::from(late && job.asked.on_late),
            told: job.stop.map_or_else(Vec::new, |cause| vec![cause; job.told]),
            context: job.started.map(|_| (job.stop, run_limit(job).filter(|at| *at < FAR))),
            info: (handle && !over).then(|| Info::expected(spec, n)),
        }
    }
}

impl Info {
    fn of(info: &JobInfo) -> Self {
        Self {
            name: info.name().map(str::to_owned),
            priority: info.priority(),
            phase: info.phase(),
            queued_for: info.queued_for(),
            ran_for: info.ran_for(),
            overdue_by: info.overdue_by(),
        }
    }

    fn expected(spec: &Pool, n: usize) -> Self {
        let job = &spec.jobs[n];
        let (queued_for, ran_for) = job.times(spec.now);
        let overdue = job.decided.filter(|_| job.is_overdue());
        Self {
            name: job.asked.named.then(|| format!("n{n}")),
            priority: job.asked.priority,
            phase: job.phase(),
            queued_for: real::ms(queued_for),
            ran_for: real::ms(ran_for),
            overdue_by: overdue.map(|at| real::ms(spec.now - at)),
        }
    }
}

/// The step for the jobs that it fits, if any.
pub(crate) fn aim(spec: &Pool, step: &Step) -> Option<Step> {
    let pick = |n: usize, of: Vec<usize>| of.get(n.checked_rem(of.len())?).copied();
    let of = |n, which: fn(&Job) -> bool| pick(n, spec.all(which));
    let started = |n| of(n, |job| job.started.is_some());
    let running = |n| of(n, |job| job.stage == Stage::Running);
    let held = |n| of(n, |job| job.held);
    Some(match *step {
        Step::Submit(by, ref asked) => {
            let by = match by {
                By::Pool => spec.held.then_some(By::Pool)?,
                By::Permit => (spec.permits > 0).then_some(By::Permit)?,
                By::Context(n) => By::Context(started(n)?),
                By::Body(n) => By::Body(running(n)?),
            };
            Step::Submit(by, asked.clone())
        }
        Step::Act(n, act) => Step::Act(running(n)?, act),
        Step::Cancel(n) => Step::Cancel(of(n, |_| true)?),
        Step::CancelToken(n) => Step::CancelToken(n % TOKENS),
        Step::CancelOwnToken(n) => Step::CancelOwnToken(started(n)?),
        Step::Take(n) => Step::Take(held(n)?),
        Step::DropHandle(n) => Step::DropHandle(held(n)?),
        Step::CancelByDrop(n) => Step::CancelByDrop(held(n)?),
        Step::GiveUp(n) => Step::GiveUp(n.checked_rem(spec.waiting)?),
        Step::DropPermit => (spec.permits > 0).then_some(Step::DropPermit)?,
        Step::Advance(time) => Step::Advance(time),
        Step::DropPool => (spec.held && spec.waiting == 0).then_some(Step::DropPool)?,
        Step::Reserve | Step::Await | Step::Drain(_) | Step::Shutdown(_) => {
            spec.held.then(|| step.clone())?
        }
    })
}

fn counts(all: &Metrics) -> Metrics {
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

/// What the specification says of all jobs together.
fn expected_counts(spec: &Pool) -> Metrics {
    let mut counts = Metrics::default();
    counts.queued = spec.at(Stage::Queued).len();
    counts.overdue = spec.all(Job::is_overdue).len();
    for job in &spec.jobs {
        let refused = matches!(job.outcome, Some(Outcome::Refused(_)));
        counts.accepted += u64::from(!refused);
        let is_timeout = |cause| cause == Cause::Deadline;
        let counter = match job.outcome {
            None => continue,
            Some(Outcome::Returned) => &mut counts.returned,
            Some(Outcome::Failed) => &mut counts.failed,
            Some(Outcome::Panicked) => &mut counts.panicked,
            Some(Outcome::Refused(_)) => &mut counts.rejected,
            Some(Outcome::Never(cause, _)) if is_timeout(cause) => &mut counts.timed_out_queued,
            Some(Outcome::Never(..)) => &mut counts.cancelled_queued,
            Some(Outcome::Cut { cause, .. }) if is_timeout(cause) => &mut counts.timed_out_running,
            Some(Outcome::Cut { .. }) => &mut counts.cancelled_running,
        };
        *counter += 1;
    }
    counts
}

fn ids(real: &Real, numbers: &[usize]) -> Vec<JobId> {
    numbers.iter().map(|n| real.jobs[*n].stopper.id()).collect()
}

/// Ids rise in the order of submission.
fn sorted(infos: &[JobInfo]) -> Vec<JobId> {
    let mut ids: Vec<_> = infos.iter().map(JobInfo::id).collect();
    ids.sort();
    ids
}

/// Waits until it is as expected; others must make it so.
#[track_caller]
fn until<V: Debug + PartialEq>(what: &str, mut seen: impl FnMut() -> V, expected: V) {
    let start = Instant::now();
    loop {
        let seen = seen();
        if seen == expected {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: {seen:?}, but expected was {expected:?}");
        std::thread::yield_now();
    }
}
