//! Ending a job early: one function that its handle, its token, its parent, the timekeeper and a
//! shutdown call alike, and the last steps that every end shares.

use crate::error::{Panic, Rejection};
use crate::job::cell::{Cell, Head, Run, Task};
use crate::job::state::{Early, Published, Requested};
use crate::job::waiting::Waiting;
use crate::job::{Bell, Ended, News, Tally};
use crate::park;
use crate::stop::{Cause, Phase};
use crate::sync::thread;
use crate::timekeeper::Timekeeper;
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
        let leftover = |left| Leftover { task: Arc::clone(self), left };
        match self.head.state.request_stop(cause) {
            Requested::Claimed => {
                let end = Early::Stopped(cause);
                self.begin_end(end);
                (Some(Phase::Queued), Some(leftover(Left::Ended(end))))
            }
            Requested::First { listening } => {
                self.await_last_word(cause);
                (Some(Phase::Running), listening.then(|| leftover(Left::Told(cause))))
            }
            Requested::Again => (Some(Phase::Running), None),
            Requested::Decided => (None, None),
        }
    }

    /// As [`stop`](Self::stop), for the job's own body, in the midst of which it is called: that may hold
    /// what the user's code waits for, as a lock. So all but the request is left to the timekeeper.
    #[cfg(all(unix, feature = "io"))]
    pub(super) fn stop_from_within(self: &Task, cause: Cause) {
        let Requested::First { listening } = self.head.state.request_stop(cause) else { return };
        let task = Arc::clone(self);
        let rest = move || {
            task.await_last_word(cause);
            if listening {
                Leftover { task, left: Left::Told(cause) }.finish();
            }
        };
        // It can not fail: a thread is there that watches this job's deadline.
        let _ = self.head.owner.keeper().ring_soon(Bell::Call(Box::new(rest)));
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

    /// As [`refuse`](Self::refuse), but for the user's code: that is left for the caller to run where
    /// nothing hangs on it.
    pub(crate) fn begin_refuse(self: &Task, why: Rejection) -> Option<Leftover> {
        let end = Early::Refused(why);
        self.head.state.claim(end).then(|| {
            self.begin_end(end);
            Leftover { task: Arc::clone(self), left: Left::Ended(end) }
        })
    }

    /// Ends a job that the pool never took: it was in no queue and no count.
    pub(crate) fn turn_away(&self, why: Rejection) {
        if self.head.state.claim(Early::Refused(why)) {
            self.drop_body_and_publish(Tally::Rejected(why));
        }
    }

    /// Resolves the handle of a running job that was asked to stop, without its last word.
    pub(crate) fn give_up(&self) {
        if self.head.state.give_up() {
            let cause = self.head.state.cause().unwrap_or(Cause::Deadline);
            self.head.untie_timer();
            self.head.stopped.set(self.head.now().moment);
            let tally = Tally::stopped(cause, Phase::Running);
            let no_spare = self.head.owner.overdue(&self.head);
            self.head.owner.decided(tally);
            let _ = self.publish(false);
            if !no_spare {
                self.head.owner.stand_in(); // may start a thread: the handle has not waited for that
            }
            if self.head.state.may_tell_overdue() {
                self.tell_overdue();
            }
            if no_spare {
                self.head.owner.tell(&self.head, News::NoSpare);
            }
        }
    }

    /// Tells who watches the pool that the job was given up, and then whether the body is through.
    pub(super) fn tell_overdue(&self) {
        let head = &self.head;
        let cause = head.state.cause().unwrap_or(Cause::Deadline);
        head.owner.tell(head, News::Ended(Tally::stopped(cause, Phase::Running)));
        head.owner.tell(head, News::Overdue);
        if head.state.told_overdue() {
            head.owner.tell(head, News::ReturnedLate);
        }
    }

    /// Blocks this thread until the body's real end, which may be right here (law 12).
    pub(crate) fn wait_stopped(self: &Task) {
        let _waiting = Waiting::for_end(self);
        park::wait(&mut Ended::of(&self.head));
    }

    /// Rule 3 of job, for the winner of `claim`.
    fn end_claimed(&self, end: Early) {
        self.begin_end(end);
        self.finish_end(end);
    }

    fn begin_end(&self, end: Early) {
        let head = &self.head;
        head.stopped.set(head.now().moment);
        head.untie();
        head.owner.claimed(head, end);
    }

    fn finish_end(&self, end: Early) {
        let tally = match end {
            Early::Stopped(cause) => Tally::stopped(cause, Phase::Queued),
            Early::Refused(why) => Tally::Refused(why),
        };
        self.head.owner.ending(&mut || self.drop_body_and_publish(tally));
        self.head.owner.ended();
    }

    fn drop_body_and_publish(&self, tally: Tally) {
        let (mut ambient, panics) = self.slot.drop_body();
        for payload in panics.into_iter().flatten() {
            self.head.unseen_panic(payload);
        }
        if let Some(ambient) = &mut ambient {
            ambient.leave(&self.head, || tally);
        }
        self.head.owner.decided(tally);
        let _ = self.publish(true);
        if let Some(ambient) = ambient {
            ambient.release();
        }
        self.head.owner.tell(&self.head, News::Ended(tally));
    }
}

/// What is left to do for a job that was ended or stopped.
#[must_use]
pub(crate) struct Leftover {
    task: Task,
    left: Left,
}

enum Left {
    /// It was ended like this: there are captures to drop, and its end is to be told.
    Ended(Early),
    /// It runs, and was stopped for this: there are listeners to tell.
    Told(Cause),
}

impl Leftover {
    /// Runs the user's code, and that of those who are stopped with the job: each child's before the
    /// parent's next listener is called, as if it were told inside the one that stopped it; but in a
    /// loop, for a line of jobs may be longer than a thread's stack is deep.
    pub(crate) fn finish(self) {
        let (mut now, mut above) = (Some(self), Vec::new());
        while let Some(leftover) = now {
            let (child, rest) = leftover.step();
            now = match child {
                Some(_) => {
                    above.extend(rest);
                    child
                }
                None => rest.or_else(|| above.pop()),
            };
        }
    }

    /// The timekeeper of the job's pool, which can run it aside.
    pub(crate) fn keeper(&self) -> &Arc<Timekeeper<Bell>> {
        self.task.head.owner.keeper()
    }

    /// Runs one piece of it: what a child left, and what is left of this.
    fn step(self) -> (Option<Self>, Option<Self>) {
        match self.left {
            Left::Ended(end) => {
                self.task.finish_end(end);
                (None, None)
            }
            Left::Told(cause) => match self.task.tell_next(cause) {
                Some(child) => (child, Some(self)),
                None => (None, None),
            },
        }
    }
}

impl<S: Run + ?Sized> Cell<S> {
    /// Shows the outcome to the handle; `ended` if the body is through. Gives what there was to do.
    pub(super) fn publish(&self, ended: bool) -> Published {
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
        todo
    }

    /// Waits until who gave the body up has published: nobody may see the end before the outcome.
    pub(super) fn await_outcome(&self) {
        while !self.head.state.is_ready() {
            thread::yield_now(); // a moment: no user code is between the decision and that
        }
    }

    /// Tells those who wait for the body's end that it has come.
    pub(super) fn publish_end(&self) {
        self.await_outcome();
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
    pub(crate) fn catch(&self, user: impl FnOnce()) {
        if let Err(payload) = unwind::catch(user) {
            self.unseen_panic(payload);
        }
    }

    pub(super) fn unseen_panic(&self, payload: Payload) {
        self.owner.unseen_panic(Panic::new(payload, Some(self.identity())));
    }
}
