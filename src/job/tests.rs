//! One job on its own, by a manual clock and on one thread: its body moves the clock and stops it.

use super::*;
use crate::clock::Manual;
use crate::deadline::Deadline;
use crate::error::{JobError, Rejection};
use crate::job::fake::{Fake, Told};
use std::convert::Infallible;
use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

mod end;
mod handle;
mod listen;
mod recent;
mod time;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Panics without a word on stderr.
fn quiet_panic() -> ! {
    resume_unwind(Box::new("on purpose"))
}

/// A value whose drop is told.
struct Dropped<T: Copy>(mpsc::Sender<T>, T);

impl<T: Copy> Drop for Dropped<T> {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

/// The outcome, which is there.
#[track_caller]
fn outcome<T, E>(mut handle: JobHandle<T, E>) -> Result<T, JobError<E>> {
    assert!(handle.is_finished(), "there is no outcome yet");
    handle.wait_timeout(Duration::ZERO).expect("it is finished")
}

fn nothing(_: &JobContext) -> Result<(), Infallible> {
    Ok(())
}
