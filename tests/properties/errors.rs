//! What an error says of itself agrees, whichever way it is asked; and what it becomes elsewhere.

use crate::{PATIENCE, config};
use proptest::prelude::*;
use punctual::testing::ManualClock;
use punctual::{Cause, Checked, JobError, JobId, Phase, Pool, Rejection, Stopped};
use std::error::Error;
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

/// Ways for a job to give no value.
#[derive(Clone, Debug)]
enum Way {
    Fail(ErrorKind),
    Panic(String),
    Reject(Rejection),
    Stop(Phase, Cause),
}

/// The error of a job that ended so, and the job's number.
struct Ended {
    error: JobError<io::Error>,
    id: JobId,
    stopped: Option<Stopped>,
}

fn text() -> impl Strategy<Value = String> {
    "[a-z]{1,8}( [a-z]{1,8}){0,2}"
}

fn kind() -> impl Strategy<Value = ErrorKind> {
    use ErrorKind::{Interrupted, NotFound, Other, TimedOut, UnexpectedEof, WouldBlock};
    prop::sample::select(vec![Interrupted, NotFound, Other, TimedOut, UnexpectedEof, WouldBlock])
}

fn way() -> impl Strategy<Value = Way> {
    use Rejection::{NoThread, QueueFull, ShutDown, TooLate};
    let causes = [Cause::Caller, Cause::Token, Cause::Deadline, Cause::Shutdown, Cause::Parent];
    let phase = prop_oneof![Just(Phase::Queued), Just(Phase::Running)];
    prop_oneof![
        2 => kind().prop_map(Way::Fail),
        2 => text().prop_map(Way::Panic),
        1 => prop::sample::select(vec![NoThread, QueueFull, ShutDown, TooLate]).prop_map(Way::Reject),
        5 => (phase, prop::sample::select(causes.to_vec())).prop_map(|(at, by)| Way::Stop(at, by)),
    ]
}

/// Has a job end so.
fn end(way: &Way, name: Option<&str>) -> Ended {
    let pool = Pool::builder().threads(1..=1).build().expect("a thread");
    let job = name.map(str::to_owned).into_iter().fold(pool.job(), punctual::Job::name);
    let job = match way.clone() {
        Way::Stop(phase, cause) => return stop(name, phase, cause),
        Way::Fail(kind) => job.spawn(move |_| Err::<(), _>(io::Error::new(kind, "it failed"))),
        Way::Panic(text) => job.spawn(|_| resume_unwind(Box::new(text))),
        Way::Reject(why) => {
            let job = job.spawn_blocking(|| ());
            return Ended { error: JobError::Rejected(why), id: job.id(), stopped: None };
        }
    };
    let id = job.id();
    Ended { error: job.wait().expect_err("it gives no value"), id, stopped: None }
}

/// Has a job stopped in this phase, by this cause.
fn stop(name: Option<&str>, phase: Phase, cause: Cause) -> Ended {
    let (clock, token) = (ManualClock::new(), CancellationToken::new());
    let pool = Pool::builder().threads(2..=2).clock(&clock).build().expect("threads");
    let (send, started) = mpsc::channel();
    let (_open, gate) = mpsc::channel::<()>();
    // Does not listen: a worker that it left could take the child before that is told.
    let parent = pool.spawn(move |cx| -> Checked<_> {
        send.send(cx.clone()).expect("the test listens");
        Ok(gate.recv())
    });
    let inner = started.recv_timeout(PATIENCE).expect("it starts");
    let (send, checks) = mpsc::channel();
    let body = move |cx: &punctual::JobContext| {
        send.send(None).expect("the test listens");
        let stopped = cx.sleep(Duration::MAX).expect_err("nothing else ends it");
        send.send(Some(stopped)).expect("the test listens");
        Err::<(), _>(io::Error::other("it rolled back"))
    };
    let (send, busy) = mpsc::channel();
    let _busy = (phase == Phase::Queued).then(|| {
        pool.spawn(move |cx| {
            send.send(()).expect("the test listens");
            cx.sleep(Duration::MAX)
        })
    });
    if phase == Phase::Queued {
        busy.recv_timeout(PATIENCE).expect("no worker is free");
    }
    let job = inner.job().timeout(SECOND).token(&token);
    let job = name.map(str::to_owned).into_iter().fold(job, punctual::Job::name).spawn(body);
    if phase == Phase::Running {
        checks.recv_timeout(PATIENCE).expect("it starts");
    }
    match cause {
        Cause::Token => token.cancel(),
        Cause::Deadline => clock.advance(SECOND),
        Cause::Shutdown => drop(pool.shutdown()),
        Cause::Parent => drop(parent.cancel()),
        _ => drop(job.cancel()),
    }
    let id = job.id();
    let stopped = checks.recv_timeout(PATIENCE).ok().flatten();
    let error = job.wait().expect_err("it gives no value");
    drop(pool.shutdown());
    Ended { error, id, stopped }
}

/// What it becomes as an `io::Error`.
fn io_kind(way: &Way) -> ErrorKind {
    match way {
        Way::Fail(kind) => *kind,
        Way::Stop(_, Cause::Deadline) | Way::Reject(Rejection::TooLate) => ErrorKind::TimedOut,
        Way::Reject(Rejection::QueueFull) => ErrorKind::WouldBlock,
        _ => ErrorKind::Other,
    }
}

/// As the errors of std: lower case, no full stop, and no part of it said again by its source.
fn assert_reads_well(error: &dyn Error) {
    let text = error.to_string();
    assert!(text.starts_with(|first: char| !first.is_uppercase()), "{text}");
    assert!(!text.ends_with(['.', ' ', '\n']) && !text.contains("  "), "{text}");
    assert!(error.source().is_none_or(|source| !text.contains(&source.to_string())), "{text}");
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn an_error_says_the_same_however_it_is_asked(way in way(), name in prop::option::of(text())) {
        let Ended { error, id, .. } = end(&way, name.as_deref());
        let is_stop = matches!(way, Way::Stop(..));
        let is_deadline = matches!(way, Way::Stop(_, Cause::Deadline));
        let is_closed = matches!(way, Way::Reject(Rejection::ShutDown));
        prop_assert_eq!(error.is_timed_out(), is_deadline);
        prop_assert_eq!(error.is_cancelled(), is_stop && !is_deadline || is_closed);
        prop_assert_eq!(error.is_panic(), matches!(way, Way::Panic(_)));
        prop_assert_eq!(error.is_rejected(), matches!(way, Way::Reject(_)));
        prop_assert_eq!(error.phase(), Some(match way {
            Way::Stop(phase, _) => phase,
            Way::Reject(_) => Phase::Queued,
            _ => Phase::Running,
        }));
        let knows = is_stop || error.is_panic();
        prop_assert_eq!(error.id(), knows.then_some(id));
        if let (JobError::Cancelled(stop) | JobError::TimedOut(stop), Way::Stop(phase, cause)) =
            (&error, &way)
        {
            prop_assert_eq!((stop.phase(), stop.cause(), stop.id()), (*phase, *cause, id));
            prop_assert_eq!(stop.name(), name.as_deref());
            let ran_in_time = *phase == Phase::Queued || *cause == Cause::Deadline;
            prop_assert_eq!(stop.error().is_none(), ran_in_time);
        }
        assert_reads_well(&error);
        let text = error.to_string();
        prop_assert!(!knows || text.contains(&id.to_string()), "{}", text);
        let names_it = name.is_none_or(|name| text.contains(&format!("`{name}`")));
        prop_assert!(!knows || names_it, "{}", text);
    }

    #[test]
    fn an_error_keeps_its_kind_and_its_words_as_an_io_error(way in way(), name in text()) {
        let Ended { error, stopped, .. } = end(&way, Some(&name));
        let text = error.to_string();
        let io = io::Error::from(error);
        prop_assert_eq!(io.kind(), io_kind(&way));
        match way {
            Way::Fail(_) => prop_assert_eq!(io.to_string(), "it failed"),
            _ => prop_assert_eq!(io.to_string(), text),
        }
        if let Some(stopped) = stopped {
            prop_assert!(matches!(way, Way::Stop(Phase::Running, cause) if cause == stopped.cause()));
            assert_reads_well(&stopped);
            let io = io::Error::from(stopped);
            prop_assert_eq!(io.kind(), io_kind(&way));
            prop_assert_ne!(io.kind(), ErrorKind::Interrupted);
            let inner = io.into_inner().expect("it is kept").downcast::<Stopped>();
            prop_assert_eq!(*inner.expect("as it was"), stopped);
        }
    }

    #[test]
    fn a_panic_goes_on_and_nothing_else_does(way in way(), name in prop::option::of(text())) {
        let Ended { error, .. } = end(&way, name.as_deref());
        let text = error.to_string();
        match (error.try_into_panic(), &way) {
            (Ok(payload), Way::Panic(said)) => {
                prop_assert_eq!(payload.downcast_ref::<String>(), Some(said));
            }
            (Err(same), way) => {
                prop_assert!(!matches!(way, Way::Panic(_)) && same.to_string() == text);
            }
            (Ok(_), _) => prop_assert!(false, "it did not panic: {}", text),
        }
        if let Way::Panic(said) = &way {
            let payload = end(&way, None).error.into_panic();
            prop_assert_eq!(payload.downcast_ref::<String>(), Some(said));
            let JobError::Panicked(panic) = end(&way, None).error else { panic!("it panicked") };
            prop_assert_eq!(panic.message(), said);
            let resumed = catch_unwind(AssertUnwindSafe(|| panic.resume())).expect_err("it goes on");
            prop_assert_eq!(resumed.downcast_ref::<String>(), Some(said));
        }
    }
}

#[test]
#[should_panic(expected = "not a panic")]
fn what_is_no_panic_can_not_be_made_one() {
    drop(JobError::<io::Error>::Rejected(Rejection::QueueFull).into_panic());
}

#[test]
fn every_refusal_reads_well() {
    use Rejection::{NoThread, QueueFull, ShutDown, TooLate};
    [NoThread, QueueFull, ShutDown, TooLate].iter().for_each(|why| assert_reads_well(why));
    let range = (Bound::Included(3), Bound::Included(2));
    let range = Pool::builder().threads(range).build().expect_err("it is empty");
    let none = Pool::builder().threads(..=0).build().expect_err("it is none");
    let queue = Pool::builder().queue_limit(0).build().expect_err("it is none");
    let name = Pool::builder().name("a\0b").build().expect_err("it holds a NUL");
    let many = Pool::builder().threads(..=usize::MAX).build().expect_err("they are too many");
    let stack = Pool::builder().threads(1..=1).thread_stack_size(usize::MAX);
    let thread = stack.build().expect_err("there is no such stack");
    [range, none, queue, name, many, thread].iter().for_each(|error| assert_reads_well(error));
}
