//! Into `io::Error`, with a kind that code around it handles rightly.

use crate::error::{JobError, Rejection, Stop, Stopped};
use crate::stop::Cause;
use std::convert::Infallible;
use std::error::Error;
use std::io::{self, ErrorKind};

impl From<Stopped> for io::Error {
    fn from(stopped: Stopped) -> Self {
        Self::new(kind_of(stopped.cause()), stopped)
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<JobError<E>> for io::Error {
    /// A failure keeps its kind if it is an `io::Error`; a deadline is `TimedOut`, a full queue
    /// `WouldBlock`, all else `Other`.
    fn from(error: JobError<E>) -> Self {
        match error {
            JobError::Failed(e) => unbox(e.into()),
            JobError::Cancelled(stop) => of_stop(stop, JobError::Cancelled),
            JobError::TimedOut(stop) => of_stop(stop, JobError::TimedOut),
            JobError::Panicked(panic) => Self::other(JobError::<Infallible>::Panicked(panic)),
            JobError::Rejected(why) => {
                Self::new(kind_of_rejection(why), JobError::<Infallible>::Rejected(why))
            }
        }
    }
}

fn of_stop<E>(stop: Stop<E>, as_error: impl FnOnce(Stop) -> JobError) -> io::Error {
    let (stop, _) = stop.split();
    io::Error::new(kind_of(stop.cause()), as_error(stop))
}

/// An `io::Error` inside is given back as it was.
fn unbox(error: Box<dyn Error + Send + Sync>) -> io::Error {
    match error.downcast::<io::Error>() {
        Ok(io) => *io,
        Err(other) => io::Error::other(other),
    }
}

/// Never `Interrupted`: std would try the call again, for ever.
fn kind_of(cause: Cause) -> ErrorKind {
    match cause {
        Cause::Deadline => ErrorKind::TimedOut,
        _ => ErrorKind::Other,
    }
}

fn kind_of_rejection(why: Rejection) -> ErrorKind {
    match why {
        Rejection::QueueFull => ErrorKind::WouldBlock,
        Rejection::TooLate => ErrorKind::TimedOut,
        _ => ErrorKind::Other,
    }
}
