//! A pool that is none, by a manual clock: for tests of what a job does by itself.

use super::*;
use crate::clock::Manual;
use crate::job::ambient::Ambient;
use crate::priority::Priority;
use crate::spawner::Spawner;
use crate::sync::Mutex;
use std::convert::Infallible;
use std::panic::Location;
use std::sync::mpsc;

/// What a job tells its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Started,
    Claimed(Early),
    Decided(Tally),
    Ended,
    UnseenPanic,
}

/// A job's owner that only notes what it is told.
pub(crate) struct Fake {
    clock: Clock,
    keeper: Arc<Timekeeper<Bell>>,
    told: Mutex<Vec<Told>>,
    /// Who decides the next job waits here until the other end is dropped.
    pub(crate) hold: Mutex<Option<mpsc::Receiver<()>>>,
    /// Whether another job goes on with what the next one that returns held.
    pub(crate) hands_on: Mutex<bool>,
    /// Done by the worker that is about to start the next job.
    pub(crate) before_start: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Fake {
    pub(crate) fn new() -> (Arc<Manual>, Arc<Self>) {
        let manual = Manual::new();
        let clock = Clock::Manual(Arc::clone(&manual));
        let keeper = Timekeeper::new(String::new(), clock.clone(), Spawner::default());
        (manual, Self::by(clock, keeper))
    }

    /// One whose timekeeper can not start a thread, and panics when it must.
    pub(crate) fn by_the_systems_clock() -> Arc<Self> {
        let keeper = Timekeeper::new("\0".to_owned(), Clock::System, Spawner::default());
        Self::by(Clock::System, keeper)
    }

    fn by(clock: Clock, keeper: Arc<Timekeeper<Bell>>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            keeper,
            told: Mutex::default(),
            hold: Mutex::default(),
            hands_on: Mutex::default(),
            before_start: Mutex::default(),
        })
    }

    /// A job that does nothing.
    pub(crate) fn idle_job(self: &Arc<Self>, priority: Priority) -> Task {
        let call = |_: &JobContext| Ok::<_, Infallible>(());
        self.job_of(priority, None, call).0
    }

    pub(crate) fn job_of_class(
        self: &Arc<Self>,
        priority: Priority,
        call: impl FnOnce() + Send + 'static,
    ) -> Task {
        self.job_of(priority, None, |_: &JobContext| {
            call();
            Ok::<_, Infallible>(())
        })
        .0
    }

    pub(crate) fn job<T: Send + 'static, E: Send + 'static>(
        self: &Arc<Self>,
        settings: Settings,
        call: impl FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
    ) -> (Task, JobHandle<T, E>) {
        self.job_of(Priority::Normal, Some(Box::new(settings)), call)
    }

    fn job_of<T: Send + 'static, E: Send + 'static>(
        self: &Arc<Self>,
        priority: Priority,
        settings: Option<Box<Settings>>,
        call: impl FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
    ) -> (Task, JobHandle<T, E>) {
        let now = self.clock.now();
        let owner: Arc<dyn Owner> = Arc::clone(self) as _;
        let head = Head::new(owner, settings, priority, now, Location::caller());
        let ambient = Ambient::capture(&head);
        new_job(head, Body { call, on_late: None, ambient })
    }

    /// What was told since this was last asked.
    pub(crate) fn told(&self) -> Vec<Told> {
        std::mem::take(&mut *self.told.lock())
    }

    fn note(&self, told: Told) {
        self.told.lock().push(told);
    }
}

impl Owner for Fake {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn keeper(&self) -> &Arc<Timekeeper<Bell>> {
        &self.keeper
    }

    fn lane(&self) -> Option<&Cow<'static, str>> {
        None
    }

    fn is_hopeless(&self, _: &Head, _: Moment) -> Option<Rejection> {
        let before_start = self.before_start.lock().take();
        if let Some(before_start) = before_start {
            before_start();
        }
        None
    }

    fn started(&self, _: &Head) {
        self.note(Told::Started);
    }

    fn claimed(&self, _: &Head, end: Early) {
        self.note(Told::Claimed(end));
    }

    fn overdue(&self, _: &Head) -> bool {
        false
    }

    fn stand_in(&self) {}

    fn returned(&self, _: &Head, _: Moment, _: bool) -> bool {
        !std::mem::take(&mut *self.hands_on.lock())
    }

    fn late(&self) {}

    fn let_through(&self, _: &Task, _: Next) {}

    fn wait_begins(&self, _: &Task, _: How) -> Absence {
        Absence::default()
    }

    fn wait_ends(&self, _: Absence) {}

    fn ending(&self, end: &mut dyn FnMut()) {
        end();
    }

    fn decided(&self, tally: Tally) {
        self.note(Told::Decided(tally));
        let hold = self.hold.lock().take();
        if let Some(hold) = hold {
            let _ = hold.recv();
        }
    }

    fn tell(&self, _: &Head, _: News) -> bool {
        false
    }

    fn ended(&self) {
        self.note(Told::Ended);
    }

    fn unseen_panic(&self, _: Panic) {
        self.note(Told::UnseenPanic);
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
