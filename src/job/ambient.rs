//! What a job takes along from where it was spawned: the tokio runtime's context, and the span.
//!
//! Each is there with the feature of its name; without it there is nothing to take.

mod runtime;
mod span;

use crate::job::Tally;
use crate::job::cell::Head;
use runtime::Runtime;
use span::Carried;

/// What a job takes along.
pub(crate) struct Ambient {
    span: Carried,
    runtime: Runtime,
}

impl Ambient {
    /// Taken on the thread that spawns.
    pub(crate) fn capture(job: &Head) -> Self {
        Self { span: Carried::capture(job), runtime: Runtime::capture(job.submitted) }
    }

    /// Entered for as long as the body is called, on the thread that calls it.
    pub(super) fn enter(&self, job: &Head) -> impl Sized + use<'_> {
        let span = self.span.enter();
        self.span.note_start(job);
        (self.runtime.enter(), span) // left in this order
    }

    /// Ends the job's span before its outcome can be seen: who waits for the one finds the other.
    /// `true` if there was none, and so no user code was called.
    pub(crate) fn leave(&mut self, job: &Head, came_of_it: impl FnOnce() -> Tally) -> bool {
        self.span.leave(job, came_of_it)
    }

    /// Lets go of the runtime, and of its clock: the handle's waker has been woken.
    pub(super) fn release(self) {} // it is dropped here
}

/// Where a job is to be spawned from later, as if it were now: nothing is outstanding yet.
pub(crate) struct Context {
    span: Carried,
    runtime: Runtime,
}

impl Context {
    pub(crate) fn current() -> Self {
        Self { span: Carried::current(), runtime: Runtime::current() }
    }

    /// Entered for as long as it is spawned.
    pub(crate) fn enter(&self) -> impl Sized + use<'_> {
        let span = self.span.enter();
        (self.runtime.enter(), span) // left in this order
    }
}
