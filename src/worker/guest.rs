//! Jobs that run elsewhere than in a worker's loop, and workers beyond the most.

use crate::clock::Recent;
use crate::job::{Absence, Task};
use crate::sync::thread;
use crate::worker::Crew;
use crate::worker::desk::{Desk, Here};
use std::cell::{Cell, RefCell};
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
        let here = Here {
            crew,
            desk: own,
            local: RefCell::new(None),
            waits: Cell::new(false),
            outer: None,
        };
        Here::during(here, || self.run_unqueued(&desk, task));
        self.remove(&desk);
    }

    fn run_unqueued(&self, desk: &Desk, task: &Task) {
        if !self.run_at(desk, task, &mut Recent::default()) {
            self.forget_entry(); // who ended it has counted one
        }
    }

    /// A body is stuck: a spare worker may take its place, if one is left; `true` if one was. The caller
    /// then calls [`fill_room`](Self::fill_room).
    pub(crate) fn one_is_stuck(&self) -> bool {
        let mut spares = self.spares.lock();
        spares.stuck += 1;
        let lent = spares.free > 0 && self.make_room(&mut spares);
        spares.with_stuck += usize::from(lent);
        lent
    }

    /// A body that was stuck is back, and with it its worker; the spare one takes the place of another
    /// that is stuck, or any leaves.
    pub(crate) fn one_is_back(&self) {
        let mut spares = self.spares.lock();
        spares.stuck -= 1;
        if spares.with_stuck > spares.stuck {
            spares.with_stuck -= 1;
            self.take_room_back(&mut spares);
        }
    }

    /// A worker waits for a job: another takes its place; a spare one, or, if it `must` for that job to
    /// be run at all, one beyond those. `for_ever` says that it comes for nothing else before that job
    /// has ended: if all workers wait like this and the system gives no other, what is queued is refused.
    pub(crate) fn one_waits(self: &Arc<Self>, must: bool, for_ever: bool) -> Absence {
        // Once, though user code that a wait calls may wait in turn, as a map's inputs do.
        let count = |here: &Here| here.local.borrow().is_some() && !here.waits.replace(true);
        let is_counted = for_ever && self.here(count).unwrap_or(false);
        let mut spares = self.spares.lock();
        let lent = (must || spares.free > 0) && self.make_room(&mut spares);
        drop(spares);
        if is_counted {
            self.idle.waits();
        }
        if lent || is_counted {
            self.fill_room();
        }
        Absence { lent, is_counted }
    }

    /// A worker for which `one_waits` gave this goes on.
    pub(crate) fn one_goes_on(&self, absence: Absence) {
        if absence.is_counted {
            self.here(|here| here.waits.set(false));
            self.idle.goes_on();
        }
        if !absence.lent {
            return;
        }
        let mut spares = self.spares.lock();
        if spares.with_stuck < spares.stuck && spares.free >= 0 {
            spares.with_stuck += 1; // another has needed it
        } else {
            self.take_room_back(&mut spares);
        }
    }

    /// There is room for one worker more: it is called, or started, if something waits for it.
    pub(crate) fn fill_room(self: &Arc<Self>) {
        if self.idle.is_waited_for() {
            self.wake();
        }
    }

    fn make_room(&self, spares: &mut Spares) -> bool {
        let grown = self.idle.grow();
        spares.free -= isize::from(grown);
        grown
    }

    fn take_room_back(&self, spares: &mut Spares) {
        self.idle.shrink();
        spares.free += 1;
    }

    /// Allows one worker more; `false` if there can be none.
    pub(crate) fn grow(&self) -> bool {
        self.idle.grow() // who asks for it submits a job, which wakes
    }

    /// Takes back what `grow` allowed.
    pub(crate) fn shrink(&self) {
        self.idle.shrink();
    }

    /// How many workers there may be beyond the most just now, but for those of elastic lanes.
    pub(crate) fn spares_lent(&self) -> usize {
        let free = self.spares.lock().free;
        usize::try_from(self.threads.spares as isize - free).unwrap_or(0)
    }

    /// Whether this thread is a worker that is at a job for which this holds.
    pub(crate) fn is_at(&self, wanted: impl Fn(&Task) -> bool) -> bool {
        self.here(|here| here.desk.jobs.lock().now.iter().any(&wanted)).unwrap_or(false)
    }
}

/// Workers that there may be beyond the most.
#[derive(Debug)]
pub(super) struct Spares {
    /// Those that are not lent; below zero by those that had to be made all the same.
    free: isize,
    /// How many bodies are stuck, and how many of them have a spare worker in their place.
    stuck: usize,
    with_stuck: usize,
}

impl Spares {
    pub(super) fn new(count: usize) -> Self {
        let free = isize::try_from(count).unwrap_or(isize::MAX);
        Self { free, stuck: 0, with_stuck: 0 }
    }
}
