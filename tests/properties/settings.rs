//! No setting of a job or a pool panics, whatever it is given; and what several of them mean.

use crate::{PATIENCE, config, duration};
use proptest::prelude::*;
use punctual::testing::ManualClock;
use punctual::{BuildError, Checked, Deadline, Job, JobError, Phase, Pool, Priority, Rejection};
use std::ops::Bound;
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug)]
enum Setting {
    Name(String),
    Priority(Priority),
    Timeout(Duration),
    Deadline(Duration),
    NoDeadline,
    QueueTimeout(Duration),
    RunTimeout(Duration),
    Grace(Duration),
}

impl Setting {
    fn set(self, job: Job) -> Job {
        match self {
            Self::Name(name) => job.name(name),
            Self::Priority(priority) => job.priority(priority),
            Self::Timeout(time) => job.timeout(time),
            Self::Deadline(time) => job.deadline(Deadline::after(time)),
            Self::NoDeadline => job.deadline(Deadline::NEVER),
            Self::QueueTimeout(time) => job.queue_timeout(time),
            Self::RunTimeout(time) => job.run_timeout(time),
            Self::Grace(time) => job.grace(time),
        }
    }

    /// Whether a job that is given this may be out of time before it has returned.
    fn is_short(&self) -> bool {
        match self {
            Self::Timeout(time) | Self::Deadline(time) => *time < HOUR,
            Self::QueueTimeout(time) | Self::RunTimeout(time) => *time < HOUR,
            _ => false,
        }
    }
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High)]
}

fn setting() -> impl Strategy<Value = Setting> {
    prop_oneof![
        any::<String>().prop_map(Setting::Name),
        priority().prop_map(Setting::Priority),
        duration().prop_map(Setting::Timeout),
        duration().prop_map(Setting::Deadline),
        Just(Setting::NoDeadline),
        duration().prop_map(Setting::QueueTimeout),
        duration().prop_map(Setting::RunTimeout),
        duration().prop_map(Setting::Grace),
    ]
}

/// A number of threads that is small, or more than there can be.
fn threads() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0..4_usize, 1 => (1 << 32)..=usize::MAX, 1 => Just(usize::MAX)]
}

fn bound(n: impl Strategy<Value = usize>) -> impl Strategy<Value = Bound<usize>> {
    (n, 0..3).prop_map(|(n, kind)| match kind {
        0 => Bound::Included(n),
        1 => Bound::Excluded(n),
        _ => Bound::Unbounded,
    })
}

/// The range that it stands for; `None` as an end that is left to the pool.
fn ends((start, end): (Bound<usize>, Bound<usize>)) -> (usize, Option<usize>) {
    let start = match start {
        Bound::Included(n) => n,
        Bound::Excluded(n) => n.saturating_add(1),
        Bound::Unbounded => 0,
    };
    match end {
        Bound::Included(n) => (start, Some(n)),
        Bound::Excluded(n) => (start, Some(n.saturating_sub(1))),
        Bound::Unbounded => (start, None),
    }
}

/// Times that are not over before a job starts, by a clock that stands.
fn later() -> impl Strategy<Value = Duration> {
    duration().prop_map(|time| time.max(Duration::from_nanos(1)))
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn a_job_of_any_settings_has_an_outcome(settings in prop::collection::vec(setting(), 0..6)) {
        let pool = Pool::builder().threads(0..=1).build().expect("no thread is needed");
        let is_short = settings.iter().any(Setting::is_short);
        let job = settings.into_iter().fold(pool.job(), |job, setting| setting.set(job));
        let mut handle = job.spawn(|_| -> Checked<u32> { Ok(7) });
        match handle.wait_timeout(PATIENCE).expect("it resolves") {
            Ok(value) => prop_assert_eq!(value, 7),
            Err(error) => prop_assert!(is_short && error.is_timed_out(), "{}", error),
        }
    }

    #[test]
    fn a_pool_of_any_settings_works_or_says_why_not(
        name in any::<String>(),
        range in (bound(threads()), bound(threads())),
        limit in prop::option::of(prop_oneof![0..3_usize, Just(usize::MAX), any::<usize>()]),
        stack in prop::option::of(prop_oneof![0..1_usize << 20, Just(usize::MAX)]),
        keep_alive in duration(),
        timeout in prop::option::of(duration()),
        grace in duration(),
    ) {
        let (min, max) = ends(range);
        let builder = Pool::builder().name(name.clone()).threads(range).keep_alive(keep_alive);
        let builder = limit.into_iter().fold(builder, punctual::Builder::queue_limit);
        let builder = stack.into_iter().fold(builder, punctual::Builder::thread_stack_size);
        let builder = timeout.into_iter().fold(builder, punctual::Builder::default_timeout);
        let pool = match builder.default_grace(grace).build() {
            Ok(pool) => pool,
            Err(error) => {
                let is_right = match error {
                    BuildError::NoThreads => max == Some(0),
                    BuildError::EmptyRange { min: from, max: to } => from > to && from == min,
                    BuildError::TooManyThreads { asked, most } => asked > most && asked >= min,
                    BuildError::NoQueue => limit == Some(0),
                    BuildError::Name(ref asked) => asked.contains('\0') && *asked == name,
                    BuildError::Thread(_) => min > 0 && stack == Some(usize::MAX),
                    _ => false,
                };
                prop_assert!(is_right, "{}", error);
                return Ok(());
            }
        };
        prop_assert!(max.is_none_or(|max| min <= max && max > 0) && limit != Some(0));
        let mut job = pool.spawn_blocking(|| 7);
        match job.wait_timeout(PATIENCE).expect("it resolves") {
            Ok(value) => prop_assert_eq!(value, 7),
            Err(JobError::TimedOut(_)) => prop_assert!(timeout.is_some_and(|time| time < HOUR)),
            Err(JobError::Rejected(Rejection::NoThread)) => {
                prop_assert_eq!(stack, Some(usize::MAX));
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
        let report = pool.drain().within(PATIENCE).wait();
        prop_assert!(report.never_started.is_empty() && report.still_running.is_empty());
    }

    #[test]
    fn the_later_setting_wins_and_the_earlier_moment_counts(
        timeouts in prop::collection::vec(later(), 0..3),
        deadlines in prop::collection::vec(prop::option::of(later()), 0..3),
        runs in prop::collection::vec(later(), 0..3),
        default in prop::option::of(later()),
        timeouts_first in any::<bool>(),
    ) {
        let clock = ManualClock::new();
        let builder = Pool::builder().threads(1..=1).clock(&clock);
        let builder = default.into_iter().fold(builder, punctual::Builder::default_timeout);
        let pool = builder.build().expect("a thread");
        let now = clock.now();
        let after = |time| now.checked_add(time).map_or(Deadline::NEVER, Deadline::at);
        let deadline = |time: &Option<Duration>| time.map_or(Deadline::NEVER, after);
        let set_timeouts = |job| timeouts.iter().copied().fold(job, Job::timeout);
        let set_deadlines = |job| deadlines.iter().map(deadline).fold(job, Job::deadline);
        let job = match timeouts_first {
            true => set_deadlines(set_timeouts(pool.job())),
            false => set_timeouts(set_deadlines(pool.job())),
        };
        let job = runs.iter().copied().fold(job, Job::run_timeout);
        let mut job = job.spawn(|cx| -> Checked<_> { Ok((cx.deadline(), cx.remaining())) });
        let (seen, remaining) = job.wait_timeout(PATIENCE).expect("it resolves").expect("in time");

        let own = [timeouts.last().copied().map(after), deadlines.last().map(deadline)];
        let own = own.into_iter().flatten().reduce(Deadline::earliest);
        let own = own.or(default.map(after)).unwrap_or(Deadline::NEVER);
        let run = runs.last().copied().map_or(Deadline::NEVER, after);
        prop_assert_eq!(seen, own.earliest(run));
        prop_assert_eq!(remaining, seen.instant().map(|at| at - now));
    }

    #[test]
    fn a_name_and_a_priority_are_what_was_set_last(
        names in prop::collection::vec(any::<String>(), 1..3),
        priorities in prop::collection::vec(priority(), 0..3),
        past in 0..1_000_u64,
    ) {
        let pool = Pool::builder().threads(0..=1).build().expect("no thread is needed");
        let job = names.iter().cloned().fold(pool.job(), Job::name);
        let job = priorities.iter().copied().fold(job, Job::priority);
        let past = Instant::now().checked_sub(Duration::from_micros(past));
        let job = job.deadline(past.expect("the machine runs for longer")).spawn_blocking(|| ());
        let info = job.info();
        prop_assert_eq!(info.name(), names.last().map(String::as_str));
        prop_assert_eq!(info.priority(), priorities.last().copied().unwrap_or_default());
        let Err(JobError::TimedOut(stop)) = job.wait() else { panic!("its moment is past") };
        prop_assert_eq!((stop.phase(), stop.ran_for()), (Phase::Queued, Duration::ZERO));
        prop_assert_eq!(stop.name(), info.name());
        prop_assert_eq!(pool.metrics().threads, 0, "a job that is too late needs none");
    }
}
