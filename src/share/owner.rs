//! What a job tells its share on its way.

use crate::clock::Clock;
use crate::error::{Panic, Rejection};
use crate::info::JobInfo;
use crate::job::{Absence, Bell, Early, Head, Held, How, News, Next, Owner, Passage, Tally, Task};
use crate::metrics::Scoreboard;
use crate::moment::Moment;
use crate::observer::outcome_of;
use crate::share::Share;
use crate::stop::Cause;
use crate::sync::Ordering;
use crate::timekeeper::Timekeeper;
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

impl Owner for Share {
    fn clock(&self) -> &Clock {
        self.core.keeper.clock()
    }

    fn keeper(&self) -> &Arc<Timekeeper<Bell>> {
        &self.core.keeper
    }

    fn lane(&self) -> Option<&Cow<'static, str>> {
        self.terms.name.as_ref()
    }

    fn is_hopeless(&self, head: &Head, now: Moment) -> Option<Rejection> {
        self.hopeless(head, now, true)
    }

    fn started(&self, head: &Head) {
        let (waited, at) = (head.queue_wait(), head.started.get().unwrap_or(head.submitted));
        self.count(|board| board.started(head.priority, waited, at));
        self.way().iter().for_each(|bulkhead| bulkhead.started(at));
        self.leave_queue(head);
    }

    fn claimed(&self, head: &Head, end: Early) {
        if end == Early::Stopped(Cause::Shutdown) {
            self.core.never_started.lock().push(head.info());
        }
        match end {
            Early::Refused(_) => {
                self.count(|board| board.refused(head.priority));
            }
            // ORDERING: Release pairs with the Acquire in `shutdown`: who has counted the job there
            // sees it in the list of those that never started. (The list's lock alone would do: who
            // reads this number can not have held it before who wrote the number did.)
            Early::Stopped(_) => {
                self.core.claimed.fetch_add(1, Ordering::Release);
                self.count(|board| board.claimed(head.priority));
            }
        }
        let crew = &self.core.crew;
        crew.while_ending(|| self.leave_queue(head)); // it wakes, while the job is counted
        match self.give_permits_back(head).0 {
            Some(Held { passed, waits: true, .. }) => self.bulkheads[passed].entry_died(),
            _ => crew.entry_died(),
        }
    }

    fn ending(&self, end: &mut dyn FnMut()) {
        self.core.crew.while_ending(end);
    }

    fn decided(&self, tally: Tally) {
        self.count(|board| board.count(tally));
    }

    fn overdue(&self, head: &Head) -> bool {
        self.count(Scoreboard::given_up);
        let Some(settings) = &head.settings else { return false };
        if let Some(key) = &settings.key {
            self.core.stuck.add(key);
        }
        let spare = self.core.crew.one_is_stuck();
        *settings.is_stuck.lock() = true;
        !spare
    }

    fn stand_in(&self) {
        self.core.crew.fill_room();
    }

    fn returned(&self, head: &Head, now: Moment, stopped: bool) -> bool {
        let took = head.run_time(now);
        self.count(|board| board.returned(took));
        self.way().iter().for_each(|bulkhead| bulkhead.returned(took));
        let (_, others_go_on) = self.give_permits_back(head);
        let Some(settings) = &head.settings else { return true };
        if let Some(forecasts) = self.core.forecasts.as_ref().filter(|_| !stopped) {
            forecasts.saw(self.kind(head), took, now);
        }
        if std::mem::take(&mut *settings.is_stuck.lock()) {
            if let Some(key) = &settings.key {
                self.core.stuck.remove(key);
            }
            self.core.crew.one_is_back();
        }
        !others_go_on
    }

    fn late(&self) {
        self.count(Scoreboard::late);
    }

    fn let_through(&self, task: &Task, next: Next) {
        self.go_on(task, next);
    }

    fn wait_begins(&self, task: &Task, how: How) -> Absence {
        let crew = &self.core.crew;
        if !crew.is_here() {
            return Absence::default();
        }
        if how == How::OrRun && task.head.state.is_waiting() {
            self.run_inside(task);
        }
        // One that still waits may need a worker that there is not: all may be waiting, like this one.
        if task.head.state.has_ended() {
            return Absence::default();
        }
        crew.one_waits(task.head.state.is_waiting(), how != How::AWhile)
    }

    fn wait_ends(&self, absence: Absence) {
        self.core.crew.one_goes_on(absence);
    }

    fn tell(&self, head: &Head, news: News) -> bool {
        self.core.watch.tell(|observer| match news {
            News::Started => observer.started(&head.info()),
            News::Ended(tally) => match outcome_of(tally, head.state.cause()) {
                Ok(outcome) => observer.ended(&head.info(), outcome),
                Err(why) => observer.rejected(&head.info(), why),
            },
            News::Overdue => observer.overdue(&self.info_with_thread(head)),
            News::ReturnedLate => observer.returned_late(&head.info()),
            News::NoSpare => observer.spare_threads_used_up(),
        })
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
    /// Runs a job that waits right here, where its end is waited for, if its lane lets it through. One
    /// that somebody lets through meanwhile may wait for the next one: there it is tried again.
    fn run_inside(&self, task: &Task) {
        let waits_for = || task.head.passage().and_then(|way| way.waits_for());
        while let Some(next) = waits_for() {
            if self.pass_at_once(task, next) {
                self.bulkheads[next].entry_died();
                return self.core.crew.run_inside(task, false);
            }
            if waits_for() == Some(next) {
                return; // it is at its limit
            }
        }
        self.core.crew.run_inside(task, true);
    }

    /// What is known of a job, and the thread that it runs on, if it does not return just now.
    fn info_with_thread(&self, head: &Head) -> JobInfo {
        let at_desks = self.core.crew.infos(|job| job.head.id == head.id);
        at_desks.into_iter().next().unwrap_or_else(|| head.info())
    }

    fn leave_queue(&self, head: &Head) {
        if let Some(places) = self.places().filter(|_| head.has_place) {
            places.give_back();
        }
    }

    /// The permits of a job whose body has returned, or never will be called, go to who waits for them.
    /// Gives what it held, and whether somebody goes on.
    fn give_permits_back(&self, head: &Head) -> (Option<Held>, bool) {
        let Some(held) = head.passage().and_then(Passage::end) else { return (None, false) };
        if held.grown {
            self.core.crew.shrink(); // before another brings it anew
        }
        let own = (0..held.passed).filter(|number| !held.borrowed.contains(number));
        let others = own.filter(|number| self.give_permit_back(*number)).count();
        (Some(held), others > 0)
    }
}
