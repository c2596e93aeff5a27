//! A worker's life: find a job, run it, or park.

use crate::clock::Recent;
use crate::deadline::Deadline;
use crate::idle::Rest;
use crate::job::Task;
use crate::lifecycle::Stage;
use crate::park::park_for;
use crate::queue::Local;
use crate::stop::Cause;
use crate::sync::{MODEL, Ordering, thread};
use crate::unwind;
use crate::worker::desk::{Colleague, Desk, Here};
use crate::worker::{Crew, ThreadHook};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often a worker that found nothing yields and looks again before it parks: for some
/// microseconds, about as long as it takes who awaits a job to wake up and submit the next one.
/// Unparking a thread costs both sides more than that.
const LINGER: u32 = if MODEL { 2 } else { 64 };

impl Crew {
    /// A worker's life.
    pub(super) fn work(self: Arc<Self>, desk: Arc<Desk>) {
        let _ = desk.thread.set(thread::current());
        let local = Rc::new(self.queue.join());
        let here = Here {
            crew: Arc::clone(&self),
            desk: Arc::clone(&desk),
            local: RefCell::new(Some(Rc::clone(&local))),
            waits: Cell::new(false),
            outer: None,
        };
        Here::set(Some(here));
        let (mut searching, mut recent) = (self.begin(), Recent::default());
        while self.step(&desk, &local, &mut searching, &mut recent) {}
        // Nothing may be put there any more, as by the hook: nobody would find it.
        drop(self.here(|here| here.local.take()));
        self.queue.take_over(&local);
        drop(local);
        self.call_hook(&self.threads.on_stop);
        Here::set(None);
        self.remove(&desk);
    }

    /// The start hook; `true` if the worker counts as searching, as it was when it was started.
    fn begin(self: &Arc<Self>) -> bool {
        if self.threads.on_start.is_none() {
            return true;
        }
        if self.idle.pause() {
            self.wake();
        }
        self.call_hook(&self.threads.on_start); // nobody may count on a searcher that is in user code
        false
    }

    /// Runs a job, or rests; `false` to leave.
    fn step(
        self: &Arc<Self>,
        desk: &Arc<Desk>,
        local: &Local,
        searching: &mut bool,
        recent: &mut Recent,
    ) -> bool {
        match self.next(local, *searching, recent) {
            Some(task) => {
                if !self.run_at(desk, &task, recent) {
                    self.forget_entry(); // whoever ended it counted its entry as dead
                }
                local.ended(recent.known());
                *searching = false;
                !self.idle.leaves()
            }
            None if self.linger(searching) => true,
            None => {
                let stays = self.rest(desk, *searching);
                *searching = stays;
                stays
            }
        }
    }

    /// Finds a live job; `None` when nothing is queued. `recent` is forgotten if that takes time.
    pub(super) fn next(
        self: &Arc<Self>,
        local: &Local,
        searching: bool,
        recent: &mut Recent,
    ) -> Option<Task> {
        while self.idle.counts().queued() > 0 {
            let Some(task) = self.queue.find(local) else {
                recent.forget();
                thread::yield_now(); // it is being pushed, or taken
                continue;
            };
            let live = task.head.state.is_waiting();
            if self.idle.took(searching && live) {
                recent.forget();
                self.wake();
            }
            if live {
                return Some(task);
            }
            self.forget_entry();
        }
        recent.forget();
        None
    }

    /// Rules 1 and 2 of worker; `false` if the job was, or is now, ended without.
    pub(super) fn run_at(&self, desk: &Desk, task: &Task, recent: &mut Recent) -> bool {
        desk.jobs.lock().now.push(Arc::clone(task));
        if self.lifecycle.stage() == Stage::Stopping {
            task.stop(Cause::Shutdown);
        }
        let started = task.execute_at(recent);
        let done = desk.jobs.lock().clear_last(started);
        drop(done);
        if started {
            task.head.owner.ended();
        }
        started
    }

    /// Looks a little longer, unless somebody else does; `true` if something was queued.
    pub(super) fn linger(&self, searching: &mut bool) -> bool {
        *searching = *searching || self.idle.search();
        let queued = || self.idle.counts().queued() > 0;
        *searching
            && (0..LINGER).any(|_| {
                queued() || {
                    thread::yield_now();
                    false
                }
            })
    }

    /// Parks until there is something to do; `false` to leave.
    pub(super) fn rest(&self, desk: &Arc<Desk>, searching: bool) -> bool {
        let me = Colleague(Arc::clone(desk));
        let mut rest = self.idle.rest(&me, searching);
        if rest == Rest::Park {
            if park(desk, Deadline::after(self.threads.keep_alive)) {
                return true;
            }
            rest = self.idle.timed_out(&me);
        }
        match rest {
            Rest::Park | Rest::Stay => park(desk, Deadline::NEVER),
            Rest::Search => true,
            Rest::Leave => false,
        }
    }

    pub(super) fn remove(&self, desk: &Arc<Desk>) {
        let mut desks = self.desks.lock();
        desks.list.retain(|other| !Arc::ptr_eq(other, desk));
        desks.started_by_gone += desk.jobs.lock().started();
        drop(desks);
        self.notify();
    }

    fn call_hook(&self, hook: &Option<ThreadHook>) {
        if let Some(hook) = hook {
            if let Err(payload) = unwind::catch(|| hook()) {
                (self.threads.on_panic)(payload);
            }
        }
    }
}

/// Parks until called, which gives `true`, or until the deadline.
pub(super) fn park(desk: &Desk, until: Deadline) -> bool {
    // ORDERING: Acquire pairs with the Release in `unpark`.
    while !desk.called.swap(false, Ordering::Acquire) {
        match until.remaining() {
            None => thread::park(),
            Some(Duration::ZERO) => return false,
            Some(left) => park_for(left),
        }
    }
    true
}

#[cfg(all(test, punctual_loom))]
mod models;
