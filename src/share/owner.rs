//! What a job tells its share on its way.

use crate::clock::Clock;
use crate::error::{Panic, Rejection};
use crate::job::{Bell, Early, Head, Held, Next, Owner, Tally, Task};
use crate::share::{Share, add, subtract};
use crate::stop::Cause;
use crate::sync::Ordering;
use crate::timekeeper::Timekeeper;
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Owner for Share {
    fn clock(&self) -> &Clock {
        self.core.keeper.clock()
    }

    fn keeper(&self) -> &Arc<Timekeeper<Bell>> {
        &self.core.keeper
    }

    fn is_hopeless(&self, head: &Head, now: Instant) -> Option<Rejection> {
        let settings = head.settings.as_ref()?;
        if settings.key.as_ref().is_some_and(|key| self.core.stuck.has(key)) {
            return Some(Rejection::Overdue);
        }
        let forecasts = self.core.forecasts.as_ref()?;
        let limit = settings.deadline?.plus(settings.grace.unwrap_or(Duration::ZERO)).instant()?;
        let needs = forecasts.needs(self.kind(settings.name.as_deref(), head.location), now)?;
        let left = limit.saturating_duration_since(now);
        let in_all = limit.saturating_duration_since(head.submitted);
        let others_wait = self.core.crew.queued() > 0;
        needs.exceed(left, in_all, others_wait).then_some(Rejection::TooLate)
    }

    fn started(&self, head: &Head) {
        self.leave_queue(head);
        add(&self.running);
    }

    fn claimed(&self, head: &Head, end: Early) {
        if end == Early::Stopped(Cause::Shutdown) {
            self.core.never_started.lock().push(head.info());
        }
        match end {
            Early::Refused(_) => {
                self.core.counters.unaccept();
                if self.is_lane {
                    self.counters.unaccept();
                }
            }
            // ORDERING: Release pairs with the Acquire in `shutdown`: who has counted the job there
            // sees it in the list of those that never started. (The list's lock alone would do: who
            // reads this number can not have held it before who wrote the number did.)
            Early::Stopped(_) => {
                self.core.claimed.fetch_add(1, Ordering::Release);
            }
        }
        let crew = &self.core.crew;
        crew.while_ending(|| self.leave_queue(head)); // it wakes, while the job is counted
        match self.give_permits_back(head) {
            Some(Held { passed, waits: true, .. }) => self.bulkheads[passed].entry_died(),
            _ => crew.entry_died(),
        }
    }

    fn ending(&self, end: &mut dyn FnMut()) {
        self.core.crew.while_ending(end);
    }

    fn decided(&self, tally: Tally) {
        self.core.counters.count(tally);
        if self.is_lane {
            self.counters.count(tally);
        }
    }

    fn overdue(&self, head: &Head) {
        let Some(settings) = &head.settings else { return };
        if let Some(key) = &settings.key {
            self.core.stuck.add(key);
        }
        self.core.crew.one_is_stuck();
        *settings.is_stuck.lock() = true;
    }

    fn returned(&self, head: &Head, now: Instant, stopped: bool) {
        subtract(&self.running);
        self.give_permits_back(head);
        let Some(started) = head.started.get() else { return };
        let took = now.saturating_duration_since(*started);
        self.pace.saw(took);
        let Some(settings) = &head.settings else { return };
        if let Some(forecasts) = self.core.forecasts.as_ref().filter(|_| !stopped) {
            forecasts.saw(self.kind(settings.name.as_deref(), head.location), took, now);
        }
        if std::mem::take(&mut *settings.is_stuck.lock()) {
            if let Some(key) = &settings.key {
                self.core.stuck.remove(key);
            }
            self.core.crew.one_is_back();
        }
    }

    fn let_through(&self, task: &Task, next: Next) {
        self.go_on(task, next);
    }

    fn wait_begins(&self, task: &Task, or_run: bool) -> bool {
        let crew = &self.core.crew;
        if !crew.is_here() {
            return false;
        }
        if or_run && task.head.state.is_waiting() {
            self.run_inside(task);
        }
        // One that still waits may need a worker that there is not: all may be waiting, like this one.
        !task.head.state.has_ended() && crew.one_waits(task.head.state.is_waiting())
    }

    fn wait_ends(&self) {
        self.core.crew.one_goes_on();
    }

    fn ended(&self) {
        if self.core.crew.lifecycle.leave() {
            self.core.crew.notify();
        }
    }

    fn unseen_panic(&self, panic: Panic) {
        self.core.unseen_panic(panic);
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl Share {
    /// Runs a job that waits right here, where its end is waited for, if its lane lets it through.
    fn run_inside(&self, task: &Task) {
        match task.head.passage().and_then(|way| way.waits_for()) {
            None => self.core.crew.run_inside(task, true),
            Some(next) if self.pass_at_once(task, next) => {
                self.bulkheads[next].entry_died();
                self.core.crew.run_inside(task, false);
            }
            Some(_) => {}
        }
    }

    fn leave_queue(&self, head: &Head) {
        subtract(&self.waiting);
        if let Some(places) = self.places().filter(|_| head.has_place) {
            places.give_back();
        }
    }

    /// The permits of a job whose body has returned, or never will be called, go to who waits for them.
    fn give_permits_back(&self, head: &Head) -> Option<Held> {
        let held = head.passage()?.end()?;
        if held.grown {
            self.core.crew.shrink(); // before another brings it anew
        }
        for number in 0..held.passed {
            if !held.borrowed.contains(&number) {
                self.give_permit_back(number);
            }
        }
        Some(held)
    }
}
