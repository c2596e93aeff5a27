//! A worker's walk through a job: claim, call, publish.

use crate::clock::{Now, Recent};
use crate::error::Rejection;
use crate::job::ambient::Ambient;
use crate::job::cell::{Body, Cell, Head, Outcome, Run, Slot, Task};
use crate::job::state::Finished;
use crate::job::{Checkpoint, InBody, JobContext, News, Tally};
use crate::moment::Moment;
use crate::stop::{Cause, Phase};
use crate::unwind::{self, Payload};
use std::mem::needs_drop;
use std::sync::Arc;

impl Cell {
    /// Runs the job on this thread; `false` if it was, or is now, ended without. Who calls it tells
    /// the pool that a job that was run has ended.
    ///
    /// `recent` is left with what time it is, if no more user code was called after the body.
    pub(crate) fn execute_at(self: &Task, recent: &mut Recent) -> bool {
        let started = self.begin(recent);
        if started {
            self.head.owner.started(&self.head);
            if self.head.owner.tell(&self.head, News::Started) && self.head.state.told_start() {
                self.tell_overdue();
            }
            self.answer_ring();
            let cx = JobContext::new(Arc::clone(self));
            self.slot.run(&cx, recent);
        }
        started
    }

    /// As [`execute_at`](Self::execute_at), for who does not know what time it is.
    #[cfg(all(test, not(punctual_shuttle)))]
    pub(crate) fn execute(self: &Task) -> bool {
        self.execute_at(&mut Recent::default())
    }

    /// Claims the body; a job whose time in the queue is up, or has no timer to bound its run, is
    /// ended instead.
    fn begin(self: &Task, recent: &mut Recent) -> bool {
        if !self.head.state.is_waiting() {
            recent.forget(); // who stopped it here took time for that
            return false; // or who waited for it has run it there
        }
        let now = recent.now(self.head.owner.clock());
        self.head.started.set(now.moment);
        (self.head.settings.is_none() || self.may_start(now)) && self.head.state.start()
    }

    /// Whether the limits of a job that has some let it start now; it is ended if not.
    fn may_start(self: &Task, now: Now) -> bool {
        if self.queue_limit().has_passed_by(now.instant) {
            self.expire_queued();
            return false;
        }
        if let Some(why) = self.head.owner.is_hopeless(&self.head, now.moment) {
            self.refuse(why);
            return false;
        }
        if self.arm_run().is_err() {
            self.refuse(Rejection::NoThread);
            return false;
        }
        true
    }
}

impl<F, T, E> Run for Slot<F, T, E>
where
    F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    fn run(&self, cx: &JobContext, recent: &mut Recent) {
        let Some(Body { call, on_late, mut ambient }) = self.take_body() else {
            unreachable!("the winner of `start` finds the body")
        };
        let (cell, head) = (cx.task(), &cx.task().head);
        let returned = {
            let _in_body = InBody::enter(cx);
            unwind::catch(|| {
                let _context = ambient.enter(head);
                call(cx)
            })
        };
        let now = head.now();
        let mut quiet = ambient.leave(head, || foresee(&returned, head));
        let finished = head.state.finish();
        head.untie(); // after that step: an alarm that is set later sees it, and goes
        match finished {
            Finished::Decides(cause) => {
                quiet &= head.owner.returned(head, now.moment, cause.is_some());
                let tally = weigh(&returned, cause);
                if matches!(tally, Tally::Cancelled(_) | Tally::TimedOut(_)) {
                    head.stopped.set(now.moment);
                }
                quiet &= self.show(judge(returned, tally), tally, on_late, cell);
            }
            Finished::Late => {
                quiet = false;
                end_late(returned, on_late, cell, now.moment);
            }
        }
        ambient.release();
        head.forget_listeners();
        if quiet && head.extras.get().is_none() {
            recent.looked(now);
        }
    }

    fn drop_body(&self) -> (Option<Ambient>, [Option<Payload>; 2]) {
        let Some(Body { call, on_late, ambient }) = self.take_body() else {
            return (None, [None, None]);
        };
        let panics = [unwind::drop_caught(call).err(), unwind::drop_caught(on_late).err()];
        (Some(ambient), panics)
    }

    fn drop_outcome(&self) -> Option<Payload> {
        match self.take_outcome()? {
            Outcome::Panicked(payload) => Some(payload),
            other => unwind::drop_caught(other).err(),
        }
    }
}

impl<F, T, E> Slot<F, T, E> {
    /// Publishes what the body decided; `true` if no user code was called for that.
    fn show(
        &self,
        outcome: Outcome<T, E>,
        tally: Tally,
        on_late: Option<Box<dyn FnOnce(T) + Send>>,
        cell: &Task,
    ) -> bool {
        let head = &cell.head;
        let has_drop = needs_drop::<T>() || needs_drop::<E>() || tally == Tally::Panicked;
        self.put(outcome);
        head.owner.decided(tally);
        let todo = cell.publish(on_late.is_none());
        let hook = on_late.is_some();
        if hook {
            head.catch(|| drop(on_late));
            cell.publish_end();
        }
        let told = head.owner.tell(head, News::Ended(tally));
        !(told || hook || todo.waker || todo.end_wakers || (todo.detached && has_drop))
    }
}

/// Law 4: what a body's return amounts to, if it had been asked to stop for `cause`, or not.
fn weigh<T, E>(returned: &Result<Result<T, E>, Payload>, cause: Option<Cause>) -> Tally {
    match (returned, cause) {
        (Ok(Ok(_)), _) => Tally::Returned,
        (Ok(Err(_)), None) => Tally::Failed,
        (Ok(Err(_)), Some(cause)) => Tally::stopped(cause, Phase::Running),
        (Err(payload), Some(cause)) if payload.is::<Checkpoint>() => {
            Tally::stopped(cause, Phase::Running)
        }
        (Err(_), _) => Tally::Panicked,
    }
}

/// What it will amount to, unless a stop comes just now; or has amounted to, if it was given up.
fn foresee<T, E>(returned: &Result<Result<T, E>, Payload>, head: &Head) -> Tally {
    match (head.state.cause(), head.state.is_given_up()) {
        (Some(cause), true) => Tally::stopped(cause, Phase::Running),
        (cause, _) => weigh(returned, cause),
    }
}

fn judge<T, E>(returned: Result<Result<T, E>, Payload>, tally: Tally) -> Outcome<T, E> {
    match (returned, tally) {
        (Ok(Ok(value)), _) => Outcome::Returned(value),
        (Ok(Err(error)), Tally::Failed) => Outcome::Failed(error),
        (Ok(Err(error)), _) => Outcome::Stopped(Some(error)),
        (Err(payload), Tally::Panicked) => Outcome::Panicked(payload),
        (Err(_), _) => Outcome::Stopped(None),
    }
}

/// The end of a body whose handle had resolved without it.
fn end_late<T, E>(
    returned: Result<Result<T, E>, Payload>,
    on_late: Option<Box<dyn FnOnce(T) + Send>>,
    cell: &Task,
    now: Moment,
) {
    let head = &cell.head;
    cell.await_outcome(); // the pool knows by then that the body is overdue
    // One that gives a value did not listen: so long it takes.
    head.owner.returned(head, now, !matches!(returned, Ok(Ok(_))));
    hand_over_late(returned, on_late, head);
    head.owner.late();
    cell.publish_end();
    if head.state.may_tell_late() {
        head.owner.tell(head, News::ReturnedLate);
    }
}

/// Law 5: a value that comes after the handle resolved goes to the hook, if there is one.
fn hand_over_late<T, E>(
    returned: Result<Result<T, E>, Payload>,
    on_late: Option<Box<dyn FnOnce(T) + Send>>,
    head: &Head,
) {
    match (returned, on_late) {
        (Ok(Ok(value)), Some(hook)) => head.catch(|| hook(value)),
        (Ok(Ok(value)), None) => head.catch(|| drop(value)),
        (Ok(Err(error)), hook) => {
            head.catch(|| drop(error));
            head.catch(|| drop(hook));
        }
        (Err(payload), hook) => {
            if !payload.is::<Checkpoint>() {
                head.unseen_panic(payload);
            }
            head.catch(|| drop(hook));
        }
    }
}
