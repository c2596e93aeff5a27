//! A job's deadlines: which comes next, and what happens then.
//!
//! A job has at most one alarm set. It is set for the next thing that may happen, and when it
//! rings, the job looks what is due: nothing yet (then it is set anew), the end in the queue, the
//! request to stop, or the end of the wait for the body's last word. So a job that starts before
//! its queue deadline need not touch the timekeeper.

use crate::deadline::Deadline;
use crate::job::cell::{Cell, Head, Task};
use crate::stop::Cause;
use crate::timekeeper::Alarm;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After so long a worker that is about to start a job is looked at again.
const ABOUT_TO_START: Duration = Duration::from_micros(100);

/// What a pool's timekeeper rings.
pub(crate) enum Bell {
    /// Something may be due for this job.
    Job(Task),
    /// Something else is to be done; it must not unwind.
    Call(Box<dyn FnOnce() + Send>),
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
        self.arm(self.queue_limit())
    }

    /// Sees to it that an alarm rings when the run that begins `now` must end.
    pub(super) fn arm_run(self: &Task, now: Instant) -> io::Result<()> {
        let Some(settings) = &self.head.settings else { return Ok(()) };
        let Some(run_timeout) = settings.run_timeout else { return Ok(()) };
        let limit = Deadline::at(now).plus(run_timeout);
        let set = settings.ties.lock().alarm.as_ref().map(|alarm| Deadline::at(alarm.at()));
        if set.is_some_and(|set| set <= limit) {
            return Ok(());
        }
        self.arm(limit)
    }

    /// After the first request to stop: waits so long, and no longer, for the body's last word.
    ///
    /// With a deadline as the cause that is the grace time from the deadline on. Otherwise it is
    /// the grace time from now on, if one was set, and at most until the deadline.
    pub(super) fn await_last_word(self: &Task, cause: Cause) {
        let Some(settings) = &self.head.settings else { return };
        let deadline = self.head.run_limit();
        let last_word = match (cause, settings.grace) {
            (Cause::Deadline, grace) => deadline.plus(grace.unwrap_or(Duration::ZERO)),
            (_, Some(grace)) => deadline.earliest(Deadline::after(grace)),
            (_, None) => deadline,
        };
        settings.ties.lock().last_word = Some(last_word);
        if last_word.has_passed() || self.arm(last_word).is_err() {
            self.give_up(); // with no timer the handle would hang
        }
    }

    /// When the job must have started.
    pub(super) fn queue_limit(&self) -> Deadline {
        let Some(settings) = &self.head.settings else { return Deadline::NEVER };
        let start = settings.queue_deadline.unwrap_or(Deadline::NEVER);
        start.earliest(settings.deadline.unwrap_or(Deadline::NEVER))
    }

    /// An alarm of this job rings.
    fn on_time(self: &Task) {
        loop {
            let running = self.head.state.is_running();
            let due = if running { self.head.next_of_run() } else { self.next_of_queue() };
            if !due.has_passed() {
                let _ = self.arm(due); // can not fail: the watcher is here, ringing
                return;
            }
            match (running, self.head.state.cause()) {
                _ if self.head.state.is_decided() => return,
                (true, None) => {
                    self.stop(Cause::Deadline);
                }
                (true, Some(_)) => return self.give_up(),
                (false, _) => self.expire_queued(),
            }
        }
    }

    /// What may be due next for a job that has not started. One that a worker is just about to
    /// start is no longer for the queue's limits to end, and soon for its run's.
    fn next_of_queue(&self) -> Deadline {
        match self.head.started.get() {
            Some(_) => self.head.run_limit().max(Deadline::after(ABOUT_TO_START)),
            None => self.queue_limit(),
        }
    }

    /// Sets the job's one alarm; [`NEVER`](Deadline::NEVER) sets none.
    fn arm(self: &Task, deadline: Deadline) -> io::Result<()> {
        let (Some(settings), Some(at)) = (&self.head.settings, deadline.instant()) else {
            return Ok(());
        };
        // Set under the lock that it is kept under. Otherwise it could ring, and be set anew, before
        // it is kept, and keeping it would then take the new one back.
        let mut ties = settings.ties.lock();
        let armed = self.head.owner.keeper().arm(at, Bell::Job(Arc::clone(self)))?;
        let old = ties.alarm.replace(armed);
        drop(ties);
        drop(old);
        if self.head.state.is_decided() {
            self.head.untie_timer(); // who decided may have untied before this alarm was there
        }
        Ok(())
    }
}

impl Head {
    /// When a running job must have ended: the earlier of its deadline and its run's.
    pub(crate) fn run_limit(&self) -> Deadline {
        let Some(settings) = &self.settings else { return Deadline::NEVER };
        let run = match (self.started.get(), settings.run_timeout) {
            (Some(started), Some(timeout)) => Deadline::at(*started).plus(timeout),
            _ => Deadline::NEVER,
        };
        run.earliest(settings.deadline.unwrap_or(Deadline::NEVER))
    }

    /// What may be due next for a running job: the request to stop, or the end of the wait.
    fn next_of_run(&self) -> Deadline {
        let last_word = self.settings.as_ref().and_then(|settings| settings.ties.lock().last_word);
        last_word.unwrap_or_else(|| self.run_limit())
    }

    pub(super) fn untie_timer(&self) {
        if let Some(settings) = &self.settings {
            let alarm = settings.ties.lock().alarm.take();
            drop(alarm);
        }
    }
}
