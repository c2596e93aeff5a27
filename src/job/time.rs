//! A job's deadlines: which comes next, and what happens then.
//!
//! A job has at most one alarm set. It is set for the next thing that may happen, and when it
//! rings, the job looks what is due: nothing yet (then it is set anew), the end in the queue, the
//! request to stop, or the end of the wait for the body's last word. So a job that starts before
//! its queue deadline need not touch the timekeeper.

use crate::deadline::Deadline;
use crate::job::cell::{Cell, Head, Task};
use crate::job::settings::{Settings, Ties};
use crate::moment::Moment;
use crate::stop::Cause;
use crate::timekeeper::{Alarm, Armed};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What a pool's timekeeper rings.
pub(crate) enum Bell {
    /// Something may be due for this job.
    Job(Task),
    /// Something else is to be done; it must not unwind.
    Call(Box<dyn FnOnce() + Send>),
}

/// Whether an alarm will ring that a job has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
enum Ring {
    Comes,
    /// A clock that is moved by hand was moved past it before it was set. It rings at the next move,
    /// which may never come: who has set it looks at once.
    Missed,
}

/// What a job finds whose alarm rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// What was set is due.
    Due,
    /// Nothing is, yet.
    Later,
    /// A worker is about to start it.
    AboutToStart,
}

impl Alarm for Bell {
    fn ring(self) {
        match self {
            Self::Job(task) => task.on_time(),
            Self::Call(call) => call(),
        }
    }
}

impl Cell {
    /// Sets the first alarm of a job that is about to be queued.
    pub(super) fn arm_queue(self: &Task) -> io::Result<()> {
        if self.arm(|_| self.queue_limit())? == Ring::Missed {
            self.on_time();
        }
        Ok(())
    }

    /// Sees to it that an alarm rings when the run that begins now must end.
    pub(super) fn arm_run(self: &Task) -> io::Result<()> {
        let Some(settings) = &self.head.settings else { return Ok(()) };
        if settings.run_timeout.is_none() {
            return Ok(());
        }
        let ring = self.arm(|ties| {
            // One that is set for earlier will see, when it rings, what is due next.
            let set = ties.alarm.as_ref().map_or(Deadline::NEVER, |set| Deadline::at(set.at()));
            if set <= self.head.run_limit() { Deadline::NEVER } else { self.head.run_limit() }
        })?;
        if ring == Ring::Missed {
            let _ = self.head.state.ring(); // for this worker to answer, unless the job is decided
        }
        Ok(())
    }

    /// Looks, before the body is called, what was due while the worker was about to start the job.
    pub(super) fn answer_ring(self: &Task) {
        if self.head.settings.is_some() && self.head.state.rang() {
            self.on_time();
        }
    }

    /// After the first request to stop: waits so long, and no longer, for the body's last word.
    pub(super) fn await_last_word(self: &Task, cause: Cause) {
        let Some(settings) = &self.head.settings else { return };
        let last_word = self.head.last_word(settings, cause);
        let armed = self.arm(|ties| {
            ties.last_word = Some(last_word);
            last_word
        });
        if self.head.owner.clock().is_past(last_word) || armed.is_err() {
            self.give_up(); // with no timer the handle would hang
        }
    }

    /// Has the pool's timekeeper call a function, unless it is taken back; `None` if that is never.
    pub(super) fn call_at(
        &self,
        at: Deadline,
        call: impl FnOnce() + Send + 'static,
    ) -> Option<Armed<Bell>> {
        self.head.owner.keeper().arm(at.instant()?, Bell::Call(Box::new(call))).ok()
    }

    /// When the job must have started.
    pub(crate) fn queue_limit(&self) -> Deadline {
        let Some(settings) = &self.head.settings else { return Deadline::NEVER };
        let start = settings.queue_deadline.unwrap_or(Deadline::NEVER);
        start.earliest(settings.deadline.unwrap_or(Deadline::NEVER))
    }

    /// An alarm of this job rings.
    ///
    /// A look that finds no start where there is one does no harm:
    /// 1. If the worker has been in [`arm_run`](Self::arm_run), which is after it noted the start, the lock
    ///    on the ties brings that here. So what is found missing, no alarm was set by.
    /// 2. What is due for the queue then is to be claimed, and that fails once the job has been started:
    ///    the state decides, not this. It is looked at anew then, as a job that runs.
    /// 3. What is not yet due is set for when it will be, and `arm_run`, if it is still to come, sees that
    ///    alarm: it sets an earlier one, or that one rings and is looked at anew.
    fn on_time(self: &Task) {
        while !self.head.state.is_decided() {
            let (running, cause) = (self.head.state.is_running(), self.head.state.cause());
            let mut look = Look::Later;
            let ring = self.arm(|ties| {
                let due = match running {
                    true => self.head.next_of_run(ties, cause),
                    false => self.queue_limit(),
                };
                if !running && self.head.started.get().is_some() {
                    look = Look::AboutToStart;
                } else if self.head.owner.clock().is_past(due) {
                    look = Look::Due;
                }
                if look == Look::Later { due } else { Deadline::NEVER }
            }); // can not fail: the watcher is here, ringing
            match (look, running, cause) {
                // The queue's limits no longer end it: the worker has looked at them.
                (Look::AboutToStart, ..) if self.head.state.ring() => return,
                (Look::Later, ..) if !matches!(ring, Ok(Ring::Missed)) => return,
                (Look::AboutToStart | Look::Later, ..) => {} // that has changed since: once more
                (Look::Due, true, None) => {
                    self.stop(Cause::Deadline);
                }
                (Look::Due, true, Some(_)) => self.give_up(),
                (Look::Due, false, _) => self.expire_queued(),
            }
        }
    }

    /// Sets the job's one alarm, for when `due` says; [`NEVER`](Deadline::NEVER) leaves it as it is.
    ///
    /// What is due is found, and the alarm is set and kept, under one lock. Otherwise an alarm for
    /// what was due before could replace one for what is due now; or an alarm could ring, and be
    /// set anew, before it is kept, and keeping it would then take the new one back.
    fn arm(self: &Task, due: impl FnOnce(&mut Ties) -> Deadline) -> io::Result<Ring> {
        let Some(settings) = &self.head.settings else { return Ok(Ring::Comes) };
        let mut ties = settings.ties.lock();
        let Some(at) = due(&mut ties).instant() else { return Ok(Ring::Comes) };
        let armed = self.head.owner.keeper().arm(at, Bell::Job(Arc::clone(self)))?;
        let old = ties.alarm.replace(armed);
        drop(ties);
        drop(old);
        if self.head.state.is_decided() {
            self.head.untie_timer(); // who decided may have untied before this alarm was there
        }
        let clock = self.head.owner.clock();
        let missed = clock.is_manual() && clock.is_past(Deadline::at(at));
        Ok(if missed { Ring::Missed } else { Ring::Comes })
    }
}

impl Head {
    /// When a running job must have ended: the earlier of its deadline and its run's.
    pub(crate) fn run_limit(&self) -> Deadline {
        let Some(settings) = &self.settings else { return Deadline::NEVER };
        let started = self.started.get().and_then(Moment::instant);
        let run = match (started, settings.run_timeout) {
            (Some(started), Some(timeout)) => Deadline::at(started).plus(timeout),
            _ => Deadline::NEVER,
        };
        run.earliest(settings.deadline.unwrap_or(Deadline::NEVER))
    }

    /// What may be due next for a running job: the request to stop, or the end of the wait.
    fn next_of_run(&self, ties: &Ties, cause: Option<Cause>) -> Deadline {
        match (&self.settings, cause) {
            // Between the request and `await_last_word` there is no last word yet.
            (Some(settings), Some(Cause::Deadline)) => self.last_word(settings, Cause::Deadline),
            _ => ties.last_word.unwrap_or_else(|| self.run_limit()),
        }
    }

    /// Until when the handle waits for the last word of a body that is asked to stop now: with a
    /// deadline as the cause, for the grace time from the deadline on. Otherwise for the grace time
    /// from now on, if one was set, and at most until the deadline.
    fn last_word(&self, settings: &Settings, cause: Cause) -> Deadline {
        let deadline = self.run_limit();
        match (cause, settings.grace) {
            (Cause::Deadline, grace) => deadline.plus(grace.unwrap_or(Duration::ZERO)),
            (_, Some(grace)) => deadline.earliest(self.owner.clock().after(grace)),
            (_, None) => deadline,
        }
    }

    pub(super) fn untie_timer(&self) {
        if let Some(settings) = &self.settings {
            let alarm = settings.ties.lock().alarm.take();
            drop(alarm);
        }
    }
}

#[cfg(all(test, punctual_loom))]
mod models;
