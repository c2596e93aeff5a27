//! Jobs that run elsewhere than in a worker's loop, and workers beyond the most.

use crate::job::Task;
use crate::sync::{Ordering, thread};
use crate::worker::Crew;
use crate::worker::desk::{Desk, Here};
use std::cell::RefCell;
use std::sync::Arc;

impl Crew {
    /// Runs a job on this thread, which is a worker's and waits for it. `is_queued` says that its entry
    /// is, or will be, in the queue.
    pub(crate) fn run_inside(&self, task: &Task, is_queued: bool) {
        let Some(desk) = self.here(|here| Arc::clone(&here.desk)) else { return };
        if is_queued {
            self.entry_died(); // it stays behind, whoever wins the job
        }
        self.run_unqueued(&desk, task);
    }

    /// Runs a job that is in no queue on this thread, whosever that is.
    pub(crate) fn run_by_caller(self: &Arc<Self>, task: &Task) {
        if let Some(desk) = self.here(|here| Arc::clone(&here.desk)) {
            self.run_unqueued(&desk, task);
            return;
        }
        let name = thread::current().name().unwrap_or("caller").to_owned();
        let desk = Desk::new(name);
        self.seat(&desk);
        let (crew, own) = (Arc::clone(self), Arc::clone(&desk));
        let here = Here { crew, desk: own, local: RefCell::new(None) };
        Here::during(here, || self.run_unqueued(&desk, task));
        self.remove(&desk);
    }

    fn run_unqueued(&self, desk: &Desk, task: &Task) {
        if !self.run_at(desk, task) {
            self.forget_entry(); // who ended it has counted one
        }
    }

    /// Lets another worker take the place of one that is stuck or waits, if a spare one is left.
    pub(crate) fn lend_spare(self: &Arc<Self>) -> bool {
        // ORDERING: Relaxed; only the number counts.
        let lent =
            self.spares.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if lent.is_err() {
            return false;
        }
        match self.idle.grow() {
            Some(true) => self.wake(),
            Some(false) => {}
            None => {
                self.return_spare();
                return false;
            }
        }
        true
    }

    /// Takes the spare one back: it, or any other, leaves when it is free.
    pub(crate) fn take_spare_back(&self) {
        self.idle.shrink();
        self.return_spare();
    }

    /// Allows one worker more; `false` if there can be none.
    pub(crate) fn grow(&self) -> bool {
        self.idle.grow().is_some() // who asks for it submits a job, which wakes
    }

    /// Takes back what `grow` allowed.
    pub(crate) fn shrink(&self) {
        self.idle.shrink();
    }

    /// How many of the spare ones are not lent.
    pub(crate) fn spares_left(&self) -> usize {
        // ORDERING: Relaxed; only the number counts.
        self.spares.load(Ordering::Relaxed)
    }

    /// Whether this thread is a worker that is at a job for which this holds.
    pub(crate) fn is_at(&self, wanted: impl Fn(&Task) -> bool) -> bool {
        self.here(|here| here.desk.jobs.lock().now.iter().any(&wanted)).unwrap_or(false)
    }

    fn return_spare(&self) {
        // ORDERING: Relaxed; only the number counts.
        self.spares.fetch_add(1, Ordering::Relaxed);
    }
}
