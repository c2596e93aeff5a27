//! A worker's life: find a job, run it, or park.

use crate::deadline::Deadline;
use crate::idle::Rest;
use crate::job::Task;
use crate::lifecycle::Stage;
use crate::park::park_for;
use crate::queue::Local;
use crate::stop::Cause;
use crate::sync::{Ordering, thread};
use crate::unwind;
use crate::worker::desk::{Colleague, Desk, Here};
use crate::worker::{Crew, ThreadHook};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

impl Crew {
    /// A worker's life.
    pub(super) fn work(self: Arc<Self>, desk: Arc<Desk>) {
        let _ = desk.thread.set(thread::current());
        let local = Rc::new(self.queue.join());
        let here =
            Here { crew: Arc::clone(&self), desk: Arc::clone(&desk), local: Rc::clone(&local) };
        Here::set(Some(here));
        self.call_hook(&self.threads.on_start);
        let mut searching = true; // so it was counted when it was started
        loop {
            match self.next(&local, searching) {
                Some(task) => {
                    self.run(&desk, &task);
                    searching = false;
                }
                None if self.rest(&desk, searching) => searching = true,
                None => break,
            }
        }
        self.call_hook(&self.threads.on_stop);
        Here::set(None);
        drop(local);
        self.remove(&desk);
    }

    /// Finds a live job; `None` when nothing is queued.
    fn next(self: &Arc<Self>, local: &Local, searching: bool) -> Option<Task> {
        while self.idle.counts().queued() > 0 {
            let Some(task) = self.queue.find(local) else {
                thread::yield_now(); // it is being pushed, or taken
                continue;
            };
            let live = !task.head.state.is_decided();
            if self.idle.took(searching && live) {
                self.wake();
            }
            if live {
                return Some(task);
            }
            self.forget_entry();
        }
        None
    }

    /// Rules 1 and 2 of worker.
    fn run(&self, desk: &Desk, task: &Task) {
        desk.jobs.lock().push(Arc::clone(task));
        if self.lifecycle.stage() == Stage::Stopping {
            task.stop(Cause::Shutdown);
        }
        if !task.execute() {
            self.forget_entry(); // whoever ended it counted its entry as dead
        }
        let done = desk.jobs.lock().pop();
        drop(done);
    }

    /// Parks until there is something to do; `false` to leave.
    fn rest(&self, desk: &Arc<Desk>, searching: bool) -> bool {
        let me = Colleague(Arc::clone(desk));
        let mut rest = self.idle.rest(&me, searching);
        while rest == Rest::Park {
            if self.park(desk) {
                return true;
            }
            rest = self.idle.timed_out(&me);
        }
        rest == Rest::Search
    }

    /// Parks for the keep-alive time; `true` if called before it is over.
    fn park(&self, desk: &Desk) -> bool {
        let until = Deadline::after(self.threads.keep_alive);
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

    pub(super) fn remove(&self, desk: &Arc<Desk>) {
        self.desks.lock().retain(|other| !Arc::ptr_eq(other, desk));
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
