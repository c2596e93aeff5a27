//! What every error says, and what it becomes as an `io::Error`.

use super::*;
use crate::info::Identity;
use std::panic::Location;
use std::time::Duration;

fn identity(name: Option<&'static str>) -> Identity {
    Identity { id: JobId::next(), name: name.map(Into::into), location: Location::caller() }
}

fn a_stop<E>(cause: Cause, phase: Phase, error: Option<E>) -> Stop<E> {
    let times = (Duration::from_millis(50), Duration::from_millis(7));
    Stop::new(identity(Some("report")), phase, cause, times, error)
}

fn panicked() -> JobError {
    JobError::Panicked(Panic::new(Box::new("no sum"), Some(identity(None))))
}

/// One error of every kind.
fn all() -> [JobError<&'static str>; 6] {
    [
        JobError::Failed("no row"),
        JobError::stopped(a_stop(Cause::Caller, Phase::Running, Some("gone"))),
        JobError::stopped(a_stop(Cause::Deadline, Phase::Queued, None)),
        JobError::Panicked(Panic::new(Box::new("no sum"), Some(identity(None)))),
        JobError::Rejected(Rejection::ShutDown),
        JobError::Rejected(Rejection::QueueFull),
    ]
}

#[test]
fn every_error_is_of_one_kind_but_a_shut_down_pool_cancels_too() {
    let kinds = all().map(|error| {
        [error.is_cancelled(), error.is_timed_out(), error.is_panic(), error.is_rejected()]
    });
    let expected = [
        [false; 4],
        [true, false, false, false],
        [false, true, false, false],
        [false, false, true, false],
        [true, false, false, true],
        [false, false, false, true],
    ];
    assert_eq!(kinds, expected);
    let (queued, running) = (Some(Phase::Queued), Some(Phase::Running));
    let phases = all().map(|error| error.phase());
    assert_eq!(phases, [running, running, queued, running, queued, queued]);
    let known = all().map(|error| error.id().is_some());
    assert_eq!(known, [false, true, true, true, false, false]);
}

#[test]
fn a_stop_tells_all_that_is_known_of_it() {
    let stop = a_stop(Cause::Token, Phase::Running, Some(7));
    assert_eq!((stop.cause(), stop.phase()), (Cause::Token, Phase::Running));
    let times = (stop.queued_for().as_millis(), stop.ran_for().as_millis());
    assert_eq!((times, stop.name(), stop.error()), ((50, 7), Some("report"), Some(&7)));
    assert!(stop.location().file().ends_with("tests.rs"));
    let id = stop.id();
    let (plain, error) = stop.split();
    assert_eq!((plain.id(), plain.cause(), error), (id, Cause::Token, Some(7)));
    assert_eq!((plain.ran_for().as_millis(), plain.phase()), (7, Phase::Running));
    let kept = a_stop(Cause::Caller, Phase::Queued, Some(8));
    assert_eq!(kept.into_error(), Some(8));
    let told = Stopped { id, cause: Cause::Dropped };
    assert_eq!((told.id(), told.cause()), (id, Cause::Dropped));
}

#[test]
fn a_panic_tells_all_that_is_known_of_it() {
    let named = identity(Some("report"));
    let (id, line) = (named.id, named.location.line());
    let panic = Panic::new(Box::new("no sum".to_owned()), Some(named));
    assert_eq!((panic.id(), panic.name(), panic.message()), (Some(id), Some("report"), "no sum"));
    assert_eq!(panic.location().map(|at| at.line()), Some(line));
    assert_eq!(panic.into_payload().downcast_ref(), Some(&"no sum".to_owned()));
    let hook = Panic::new(Box::new(404), None);
    assert!(hook.id().is_none() && hook.name().is_none() && hook.location().is_none());
    assert_eq!(hook.to_string(), "a hook of the pool panicked: a value that is not text");
}

#[test]
fn the_payload_of_a_panic_is_had_from_a_panic_alone() {
    assert_eq!(panicked().into_panic().downcast_ref(), Some(&"no sum"));
    assert!(panicked().try_into_panic().is_ok());
    let rejected = JobError::<&str>::Rejected(Rejection::NoThread).try_into_panic();
    assert!(rejected.is_err_and(|error| error.is_rejected()));
}

#[test]
#[should_panic(expected = "a job error that is not a panic")]
fn to_take_the_panic_of_another_error_is_a_bug() {
    JobError::<&str>::Failed("no row").into_panic();
}

#[test]
fn every_error_names_its_job_and_says_what_happened() {
    let ends = [
        "job failed: no row",
        "was cancelled because its handle was cancelled, 7.0ms after its start (50.0ms queued)",
        "timed out after 50.0ms in the queue; it never started",
        "panicked: no sum",
        "job rejected: the pool is shut down",
        "job rejected: the queue is full",
    ];
    for (error, end) in all().into_iter().zip(ends) {
        let said = error.to_string();
        assert!(said.ends_with(end), "{said}");
        if let Some(id) = error.id() {
            assert!(said.contains(&id.to_string()) && said.contains("tests.rs:"), "{said}");
        }
    }
    let stopped = Stopped { id: JobId::next(), cause: Cause::Shutdown };
    assert!(stopped.to_string().ends_with("was asked to stop: the pool shut down"));
}

#[test]
fn as_an_io_error_each_has_a_kind_and_none_is_to_be_tried_again() {
    use io::ErrorKind::{NotFound, Other, TimedOut, WouldBlock};
    let kinds = all().map(|error| io::Error::from(error).kind());
    assert_eq!(kinds, [Other, Other, TimedOut, Other, Other, WouldBlock]);
    let too_late = JobError::<&str>::Rejected(Rejection::TooLate);
    assert_eq!(io::Error::from(too_late).kind(), TimedOut);
    let inside = JobError::Failed(io::Error::new(NotFound, "no file"));
    assert_eq!(io::Error::from(inside).kind(), NotFound);
    let id = JobId::next();
    for (cause, kind) in [(Cause::Deadline, TimedOut), (Cause::Caller, Other)] {
        let error = io::Error::from(Stopped { id, cause });
        assert_eq!(error.kind(), kind);
        assert!(error.get_ref().is_some_and(|inner| inner.is::<Stopped>()));
    }
    assert!(io::Error::from(panicked()).to_string().ends_with("panicked: no sum"));
}
