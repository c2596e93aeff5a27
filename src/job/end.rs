//! Ending a job early: one function that its handle, its token, its parent, the timekeeper and a
//! shutdown call alike, and the last steps that every end shares.

use crate::error::{Panic, Rejection};
use crate::job::Tally;
use crate::job::cell::{Cell, Head, Run, Task};
use crate::job::state::{Early, Requested};
use crate::stop::{Cause, Phase};
use crate::sync::thread;
use crate::unwind::{self, Payload};
use std::sync::Arc;

impl Cell {
    /// Asks the job to stop; one that has not started ends here and now (law 6).
    pub(crate) fn stop(self: &Task, cause: Cause) -> Option<Phase> {
        let (hit, leftover) = self.begin_stop(cause);
        if let Some(leftover) = leftover {
            leftover.finish();
        }
        hit
    }

    /// As [`stop`](Self::stop), but for the user's code: that is left for the caller to run where it
    /// holds nobody up.
    pub(crate) fn begin_stop(self: &Task, cause: Cause) -> (Option<Phase>, Option<Leftover>) {
        let leftover = || Leftover { task: Arc::clone(self), cause };
        match self.head.state.request_stop(cause) {
            Requested::Claimed => {
                self.begin_end(Early::Stopped(cause));
                (Some(Phase::Queued), Some(leftover()))
            }
            Requested::First { listening } => {
                self.await_last_word(cause);
                (Some(Phase::Running), listening.then(leftover))
            }
            Requested::Again => (Some(Phase::Running), None),
            Requested::Decided => (None, None),
        }
    }

    /// Ends the job, if it has not started, because its time in the queue is up.
    pub(super) fn expire_queued(&self) {
        let end = Early::Stopped(Cause::Deadline);
        if self.head.state.claim(end) {
            self.end_claimed(end);
        }
    }

    /// Ends the job, if it has not started, because the pool does not take it after all.
    pub(crate) fn refuse(&self, why: Rejection) {
        let end = Early::Refused(why);
        if self.head.state.claim(end) {
            self.end_claimed(end);
        }
    }

    /// Ends a job that the pool never took: it was in no queue and no count.
    pub(crate) fn turn_away(&self, why: Rejection) {
        let end = Early::Refused(why);
        if self.head.state.claim(end) {
            self.drop_body_and_publish(end);
        }
    }

    /// Resolves the handle of a running job that was asked to stop, without its last word.
    pub(crate) fn give_up(&self) {
        if self.head.state.give_up() {
            let cause = self.head.state.cause().unwrap_or(Cause::Deadline);
            self.head.untie_timer();
            let _ = self.head.stopped.set(self.head.now());
            self.head.owner.decided(Tally::stopped(cause, Phase::Running));
            self.publish(false);
        }
    }

    /// Rule 3 of job, for the winner of `claim`.
    fn end_claimed(&self, end: Early) {
        self.begin_end(end);
        self.finish_end(end);
    }

    fn begin_end(&self, end: Early) {
        let head = &self.head;
        let _ = head.stopped.set(head.now());
        head.untie();
        head.owner.claimed(end, &|| head.info());
    }

    fn finish_end(&self, end: Early) {
        self.drop_body_and_publish(end);
        self.head.owner.ended();
    }

    fn drop_body_and_publish(&self, end: Early) {
        let (ambient, dropped) = self.slot.drop_body();
        if let Err(payload) = dropped {
            self.head.unseen_panic(payload);
        }
        self.head.owner.decided(match end {
            Early::Stopped(cause) => Tally::stopped(cause, Phase::Queued),
            Early::Refused(_) => Tally::Rejected,
        });
        self.publish(true);
        if let Some(ambient) = ambient {
            ambient.release();
        }
    }
}

/// What is left of a stop: captures to drop, or listeners to tell.
#[must_use]
pub(crate) struct Leftover {
    task: Task,
    cause: Cause,
}

impl Leftover {
    /// Runs the user's code.
    pub(crate) fn finish(self) {
        match self.task.head.state.phase() {
            Phase::Queued => self.task.finish_end(Early::Stopped(self.cause)),
            Phase::Running => self.task.tell(self.cause),
        }
    }
}

impl<S: Run + ?Sized> Cell<S> {
    /// Shows the outcome to the handle; `ended` if the body is through.
    pub(super) fn publish(&self, ended: bool) {
        let todo = self.head.state.publish(ended);
        if todo.detached {
            self.drop_outcome();
        }
        if todo.waker {
            if let Some(waker) = self.head.take_waker() {
                self.head.catch(move || waker.wake());
            }
        }
        if todo.end_wakers {
            self.head.wake_end_wakers();
        }
    }

    /// Tells those who wait for the body's end that it has come. Who gave the body up publishes
    /// first: nobody may see the end before the outcome.
    pub(super) fn publish_end(&self) {
        while !self.head.state.is_ready() {
            thread::yield_now(); // a moment: no user code is between the decision and that
        }
        if self.head.state.end() {
            self.head.wake_end_wakers();
        }
    }

    /// Drops an outcome that no handle will take; a panic is told to the pool (law 17).
    pub(super) fn drop_outcome(&self) {
        if self.head.state.early_end().is_some() {
            return; // there is none
        }
        if let Some(payload) = self.slot.drop_outcome() {
            self.head.unseen_panic(payload);
        }
    }
}

impl Head {
    /// Calls user code that has nobody to hear of its panic but the pool.
    pub(super) fn catch(&self, user: impl FnOnce()) {
        if let Err(payload) = unwind::catch(user) {
            self.unseen_panic(payload);
        }
    }

    pub(super) fn unseen_panic(&self, payload: Payload) {
        self.owner.unseen_panic(Panic::new(payload, Some(self.identity())));
    }
}
