//! A share of a pool: all of it, or a lane. The walk of a job through one.
//!
//! 1. All of the job but its body is made (in `submit`): it has a name, and limits.
//! 2. [`admit`](Share::admit): may it come in? Not if the pool is closed, the queue is full, or it would
//!    be too late. Who watches the pool is told, and from here on it is counted, and has its place in
//!    the queue. No user code is called between that and the next step: a shutdown waits for it.
//! 3. [`submit`](Share::submit): it is tied to timer, token and parent; it passes the bulkheads from its
//!    own lane up, or waits before one; then the crew queues it.
//! 4. A worker runs it, or somebody ends it. Either tells its share through [`Owner`].
//! 5. What it held goes to who waits for it: its place when it leaves the queue, its permits when its
//!    body has returned or never will be called.

mod core;
mod owner;
mod room;
mod stuck;
mod waits;

pub use room::WhenFull;

pub(crate) use core::{Core, Inside, UnseenPanicHook, payload_hook};
pub(crate) use stuck::Stuck;

use crate::bulkhead::Bulkhead;
use crate::error::Rejection;
use crate::forecast::Kind;
use crate::job::{Head, News, Next, Owner, Passage, Tally, Task};
use crate::lifecycle::Stage;
use crate::metrics::{LaneMetrics, Metrics, Scoreboard};
use crate::moment::Moment;
use crate::places::{Place, Places};
use crate::priority::Priority;
use crate::share::room::{Entry, Room};
use crate::stop::Cause;
use crate::sync::{AtomicBool, Ordering};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// A pool, or a lane of one, as its jobs know it.
pub(crate) struct Share {
    pub(crate) core: Arc<Core>,
    pub(crate) terms: Terms,
    /// Its own bulkhead first, the pool's last; those without a limit have none.
    bulkheads: Vec<Arc<Bulkhead>>,
    /// In its own queue, or that of the nearest above that has a limit.
    room: Option<Arc<Room>>,
    /// Of a lane only: the pool has its own.
    own_counters: Option<Scoreboard>,
    /// Whether each of its jobs brings room for one thread more.
    pub(crate) is_elastic: bool,
    /// Set under the lock of the list.
    is_listed: AtomicBool,
}

/// What a share is made with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// Every lane has one, and a pool none.
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) limit: Option<usize>,
    pub(crate) queue_limit: Option<usize>,
    pub(crate) when_full: WhenFull,
    pub(crate) default_timeout: Option<Duration>,
    pub(crate) default_grace: Option<Duration>,
    pub(crate) priority: Priority,
    pub(crate) is_elastic: bool,
}

/// How a job came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It has a place, or needs none.
    Queued { has_place: bool },
    /// The thread that spawns it runs it.
    ByCaller,
}

impl Share {
    pub(crate) fn new(core: Arc<Core>, parent: Option<&Arc<Self>>, terms: Terms) -> Arc<Self> {
        let own = terms.limit.map(|limit| Arc::new(Bulkhead::new(limit.max(1), core.order)));
        let is_elastic =
            terms.is_elastic && own.is_some() || parent.is_some_and(|parent| parent.is_elastic);
        let above = parent.into_iter().flat_map(|parent| parent.bulkheads.iter().cloned());
        let room = terms.queue_limit.map(|limit| {
            let limit = limit.max(1);
            Arc::new(Room::new(core.new_places(limit), terms.when_full))
        });
        let own_counters = terms.name.as_ref().map(|_| Scoreboard::default());
        Arc::new(Self {
            bulkheads: own.into_iter().chain(above).collect(),
            room: room.or_else(|| parent.and_then(|parent| parent.room.clone())),
            core,
            terms,
            own_counters,
            is_elastic,
            is_listed: AtomicBool::new(false),
        })
    }

    /// How many bulkheads there are on the way of a job.
    pub(crate) fn bulkheads(&self) -> usize {
        self.bulkheads.len()
    }

    /// Its own bulkhead, if it has a limit.
    pub(crate) fn bulkhead(&self) -> Option<&Arc<Bulkhead>> {
        self.bulkheads.first().filter(|_| self.terms.limit.is_some())
    }

    /// All that its jobs pass: its own, if it has one, then those above.
    pub(crate) fn way(&self) -> &[Arc<Bulkhead>] {
        &self.bulkheads
    }

    pub(crate) fn places(&self) -> Option<&Arc<Places>> {
        self.room.as_ref().map(|room| &room.places)
    }

    /// Refuses all who wait for a place.
    pub(crate) fn close_places(&self) {
        if let Some(places) = self.places() {
            places.close();
        }
    }

    /// A shutdown sees it from now on. One that has looked already did not: either it finds this on the
    /// list, whose lock it takes after it has raised the stage, or this sees the stage.
    pub(crate) fn list(self: &Arc<Self>) {
        // ORDERING: Acquire pairs with the Release in the core's `list`: who sees it listed comes after.
        let is_new =
            !self.is_listed.load(Ordering::Acquire) && self.core.list(self, &self.is_listed);
        if is_new && self.core.stage() != Stage::Open {
            self.close_places();
        }
    }

    /// Step 2. `place` is one that was reserved for it.
    pub(crate) fn admit(
        self: &Arc<Self>,
        place: Option<Place>,
        head: &Head,
    ) -> Result<Admission, Rejection> {
        self.list();
        let why_not = match self.core.stage() {
            Stage::Open if head.settings.is_none() => None,
            Stage::Open => self.hopeless(head, head.submitted, false),
            _ => Some(Rejection::ShutDown),
        };
        if let Some(why) = why_not {
            return Err(why);
        }
        let entry = match (place, &self.room) {
            (Some(place), _) => Some(Entry::Placed(place)),
            (None, Some(room)) => Some(room.enter(|| self.core.stage() == Stage::Open)?),
            (None, None) => None,
        };
        // Before it is counted: a shutdown waits for all that it counts, and not for user code.
        self.core.watch.tell(|observer| observer.accepted(&head.info()));
        let count = |board: &Scoreboard| board.accept(head.priority);
        self.count(count); // before it enters: a shutdown waits for all that it counts
        if !self.core.crew.lifecycle.enter() {
            self.count(|board| board.kept_out(head.priority));
            return Err(Rejection::ShutDown);
        }
        Ok(match entry {
            Some(Entry::Placed(place)) => {
                place.keep(); // given back when the job leaves the queue
                Admission::Queued { has_place: true }
            }
            Some(Entry::ByCaller) => Admission::ByCaller,
            None => Admission::Queued { has_place: false },
        })
    }

    /// A place for a job to come.
    pub(crate) fn try_place(&self) -> Result<Option<Place>, Rejection> {
        let Some(places) = self.places() else { return Ok(None) };
        places.try_take().map(Some).ok_or_else(|| match self.core.stage() {
            Stage::Open => Rejection::QueueFull,
            _ => Rejection::ShutDown,
        })
    }

    /// A job that was not admitted, and of which there never was more than its head.
    pub(crate) fn reject(&self, head: &Head, why: Rejection) {
        self.decided(Tally::Rejected(why));
        self.tell(head, News::Ended(Tally::Rejected(why)));
    }

    /// Step 3.
    pub(crate) fn submit(&self, task: &Task, parent: Option<&Task>, admission: Admission) {
        if task.tie(parent).is_err() {
            task.refuse(Rejection::NoThread);
        }
        if let Some(cause) = task.head.owner.accepted(task) {
            task.stop(cause);
        }
        if admission == Admission::ByCaller {
            return self.run_by_caller(task);
        }
        if let Some(room) = &self.room {
            room.note(task);
        }
        self.go_on(task, task.head.passage().map_or(Next::Queue, Passage::first));
    }

    /// Takes a job through the bulkheads that let it through, and into the queue.
    fn go_on(&self, task: &Task, mut next: Next) {
        while let Next::Bulkhead(number) = next {
            match self.bulkheads[number].enter(task, number) {
                Some(after) => next = after,
                None => return self.look_at_stage(task),
            }
        }
        if !task.head.state.is_waiting() {
            return self.core.crew.forget_entry();
        }
        let crew = &self.core.crew;
        let task_too = Arc::clone(task);
        if let Some(way) = task.head.passage().filter(|_| self.is_elastic) {
            way.grow(|| crew.grow());
        }
        let queued =
            if self.is_elastic { crew.submit_first(task_too) } else { crew.submit(task_too) };
        if !queued {
            task.refuse(Rejection::QueueFull);
            return crew.forget_entry();
        }
        self.look_at_stage(task);
    }

    /// A shutdown that began after `admit` looks through the queues once. Either it found the job
    /// there, or what it announced before (in the idle word, or under the bulkhead's lock) came first,
    /// and this sees the stage.
    fn look_at_stage(&self, task: &Task) {
        if self.core.stage() == Stage::Stopping {
            task.stop(Cause::Shutdown);
        }
    }

    /// Whoever spawns the job runs it, or waits until it has been run.
    fn run_by_caller(&self, task: &Task) {
        let lets_through = match task.head.passage().and_then(|way| way.waits_for()) {
            Some(next) => self.pass_at_once(task, next),
            None => self.bulkheads.is_empty(), // or it was ended, and its entry counted, at the first
        };
        if lets_through {
            self.core.crew.run_by_caller(task);
        } else {
            self.go_on(task, task.head.passage().map_or(Next::Queue, Passage::first));
            task.wait_stopped();
        }
    }

    /// Why a job is not worth being taken, or started, at `now`.
    fn hopeless(&self, head: &Head, now: Moment, starts: bool) -> Option<Rejection> {
        let settings = head.settings.as_ref()?;
        if settings.key.as_ref().is_some_and(|key| self.core.stuck.has(key)) {
            return Some(Rejection::Overdue);
        }
        let (limit, forecasts) = (settings.limit?, self.core.forecasts.as_ref()?);
        let (left, in_all) = (limit.since(now), limit.since(head.submitted));
        let kind = self.kind(head);
        let needs = forecasts.needs(kind, now)?;
        let backlog = || if starts { self.backlog() } else { Duration::ZERO };
        let is_late = !left.is_zero() && needs.exceed(left, in_all, backlog); // else it times out
        if !is_late || self.backlog().is_zero() && forecasts.tries(kind, now, starts) {
            return None;
        }
        Some(Rejection::TooLate)
    }

    /// For how long what waits beside a job keeps the threads busy that the job may run on, as long as
    /// jobs lately take: in the pool's queue, or before a lane that it must pass. Each by its own pace.
    fn backlog(&self) -> Duration {
        let crew = &self.core.crew;
        let threads = crew.most_threads().max(1);
        let in_lane = |bulkhead: &Arc<Bulkhead>| {
            let rounds = bulkhead.waiting()? / bulkhead.limit().min(threads);
            Some(bulkhead.pace().time_for(rounds))
        };
        let in_pool = self.core.counters.pace().time_for(crew.queued() / threads);
        self.bulkheads.iter().filter_map(in_lane).fold(in_pool, Duration::max)
    }

    /// Jobs of one name are alike; or else those of one lane, or those that are spawned at one place.
    fn kind(&self, head: &Head) -> Kind {
        let name = head.settings.as_ref().and_then(|settings| settings.name.as_deref());
        match (name, &self.terms.name) {
            (Some(name), _) => Kind::of(name),
            (None, Some(lane)) if self.own_counters.is_some() => Kind::of(("lane", lane)),
            _ => Kind::at(head.location),
        }
    }

    /// Lets a job that waits for the bulkhead `from` through all that are left, if none makes it wait.
    /// What is full lets a job through on the permit of one that waits for it on this thread.
    fn pass_at_once(&self, task: &Task, from: usize) -> bool {
        let (mut taken, mut borrowed) = (Vec::new(), Vec::new());
        let passes = (from..self.bulkheads.len()).all(|n| {
            let bulkhead = &self.bulkheads[n];
            if bulkhead.try_take() {
                taken.push(n);
                true
            } else {
                borrowed.push(n);
                self.core.crew.is_at(|job| Self::holds(job, bulkhead))
            }
        });
        let jumped = passes && task.head.passage().is_some_and(|way| way.jump(from, borrowed));
        if !jumped {
            for n in taken {
                self.give_permit_back(n);
            }
        }
        jumped
    }

    /// Whether this job has passed that bulkhead.
    fn holds(job: &Task, bulkhead: &Arc<Bulkhead>) -> bool {
        let Some(share) = Self::of(job) else { return false };
        let number = share.bulkheads.iter().position(|own| Arc::ptr_eq(own, bulkhead));
        number.is_some_and(|n| job.head.passage().is_some_and(|way| way.has_passed(n)))
    }

    /// `true` if a job that waited for it goes on.
    fn give_permit_back(&self, number: usize) -> bool {
        let closed = self.core.stage() == Stage::Stopping;
        let next = self.bulkheads[number].leave(closed);
        if let Some((task, next)) = &next {
            task.head.owner.let_through(task, *next);
        }
        next.is_some()
    }

    /// The share of a job, which every job has.
    pub(crate) fn of(task: &Task) -> Option<Arc<Self>> {
        Arc::clone(&task.head.owner).as_any().downcast().ok()
    }
}

impl Share {
    /// Of the whole pool.
    pub(crate) fn metrics(&self) -> Metrics {
        let crew = &self.core.crew;
        let counts = crew.counts();
        Metrics {
            threads: counts.total(),
            idle: counts.idle(),
            busy: counts.total().saturating_sub(counts.idle() + counts.searching()),
            spare: crew.spares_lent(),
            timers: self.core.keeper.alarms(),
            ..self.core.counters.snapshot()
        }
    }

    /// Of a lane; those of a pool are all zero.
    pub(crate) fn lane_metrics(&self) -> LaneMetrics {
        let numbers = self.own_counters.as_ref().map(Scoreboard::snapshot).unwrap_or_default();
        let most_running = self.bulkhead().map(|bulkhead| bulkhead.taken().1);
        let name = self.terms.name.as_deref().unwrap_or_default().to_owned();
        LaneMetrics::new(name, self.bulkhead().map(|own| own.limit()), most_running, numbers)
    }

    /// Where its jobs are counted, and for the pool's own also those of all lanes.
    pub(crate) fn board(&self) -> &Scoreboard {
        self.own_counters.as_ref().unwrap_or(&self.core.counters)
    }

    /// Where what happens to its jobs is counted.
    fn count(&self, count: impl Fn(&Scoreboard)) {
        count(&self.core.counters);
        if let Some(own) = &self.own_counters {
            count(own);
        }
    }
}
