//! A worker's walk through a job: claim, call, publish.

use crate::error::Rejection;
use crate::job::ambient::Ambient;
use crate::job::cell::{Body, Cell, Head, Outcome, Run, Slot, Task};
use crate::job::state::Finished;
use crate::job::{Checkpoint, InBody, JobContext, Tally};
use crate::stop::{Cause, Phase};
use crate::unwind::{self, Payload};
use std::sync::Arc;

impl Cell {
    /// Runs the job on this thread; `false` if it was, or is now, ended without. Who calls it tells
    /// the pool that a job that was run has ended.
    pub(crate) fn execute(self: &Task) -> bool {
        let started = self.begin();
        if started {
            self.head.owner.started(&self.head);
            let cx = JobContext::new(Arc::clone(self));
            self.slot.run(&cx);
        }
        started
    }

    /// Claims the body; a job whose time in the queue is up, or has no timer to bound its run, is
    /// ended instead.
    fn begin(self: &Task) -> bool {
        if !self.head.state.is_waiting() {
            return false; // who waited for it has run it there
        }
        let now = self.head.now();
        let _ = self.head.started.set(now);
        if self.queue_limit().has_passed_by(now) {
            self.expire_queued();
            return false;
        }
        if let Some(why) = self.head.owner.is_hopeless(&self.head, now) {
            self.refuse(why);
            return false;
        }
        if self.arm_run().is_err() {
            self.refuse(Rejection::NoThread);
            return false;
        }
        self.head.state.start()
    }
}

impl<F, T, E> Run for Slot<F, T, E>
where
    F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    fn run(&self, cx: &JobContext) {
        let Some(Body { call, on_late, ambient }) = self.take_body() else {
            unreachable!("the winner of `start` finds the body")
        };
        let returned = {
            let _in_body = InBody::enter(cx);
            unwind::catch(|| {
                let _context = ambient.enter();
                call(cx)
            })
        };
        let cell = cx.task();
        let now = cell.head.now();
        let finished = cell.head.state.finish();
        cell.head.untie(); // after that step: an alarm that is set later sees it, and goes
        match finished {
            Finished::Decides(cause) => {
                cell.head.owner.returned(&cell.head, now, cause.is_some());
                self.put(judge(returned, cause, &cell.head));
                cell.publish(on_late.is_none());
                if on_late.is_some() {
                    cell.head.catch(|| drop(on_late));
                    cell.publish_end();
                }
            }
            Finished::Late => {
                cell.await_outcome(); // the pool knows by then that the body is overdue
                // One that gives a value did not listen: so long it takes.
                let stopped = !matches!(returned, Ok(Ok(_)));
                cell.head.owner.returned(&cell.head, now, stopped);
                hand_over_late(returned, on_late, &cell.head);
                cell.publish_end();
            }
        }
        ambient.release();
        cell.head.forget_listeners();
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

/// Law 4: what a body's return amounts to, if it had been asked to stop for `cause`, or not.
fn judge<T, E>(
    returned: Result<Result<T, E>, Payload>,
    cause: Option<Cause>,
    head: &Head,
) -> Outcome<T, E> {
    let (outcome, tally) = match (returned, cause) {
        (Ok(Ok(value)), _) => (Outcome::Returned(value), Tally::Returned),
        (Ok(Err(error)), None) => (Outcome::Failed(error), Tally::Failed),
        (Ok(Err(error)), Some(cause)) => {
            (Outcome::Stopped(Some(error)), Tally::stopped(cause, Phase::Running))
        }
        (Err(payload), Some(cause)) if payload.is::<Checkpoint>() => {
            (Outcome::Stopped(None), Tally::stopped(cause, Phase::Running))
        }
        (Err(payload), _) => (Outcome::Panicked(payload), Tally::Panicked),
    };
    if matches!(outcome, Outcome::Stopped(_)) {
        let _ = head.stopped.set(head.now());
    }
    head.owner.decided(tally);
    outcome
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
