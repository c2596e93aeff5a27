//! The shared cell: a head that everybody sees, and a slot for the body, then the outcome.

use crate::clock::{Now, Recent};
use crate::error::{JobError, Panic, Stop};
use crate::info::{Identity, JobId, JobInfo};
use crate::job::ambient::Ambient;
use crate::job::listen::Extras;
use crate::job::passage::Passage;
use crate::job::settings::Settings;
use crate::job::state::{Early, State};
use crate::job::{JobContext, JobHandle, Owner};
use crate::moment::{Moment, Stamp};
use crate::priority::Priority;
use crate::stop::{Cause, Phase};
use crate::sync::{Mutex, Reserved};
use crate::unwind::Payload;
use std::panic::Location;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::{Duration, Instant};

/// A job: what everybody may look at, and the slot for body or outcome.
///
/// Without a parameter it is the job whose types are forgotten.
pub(crate) struct Cell<S: ?Sized = dyn Run> {
    pub(crate) head: Head,
    pub(super) slot: S,
}

/// A job as its worker, the queue, the timekeeper and its stoppers know it.
pub(crate) type Task = Arc<Cell>;

/// The part of a job that does not depend on its types.
pub(crate) struct Head {
    pub(crate) state: State,
    pub(crate) priority: Priority,
    pub(crate) id: JobId,
    pub(crate) location: &'static Location<'static>,
    pub(crate) owner: Arc<dyn Owner>,
    pub(crate) submitted: Moment,
    /// Whether it has one of the places of a bounded queue while it waits.
    pub(crate) has_place: bool,
    /// Set just before the body is called; not proof that it was.
    pub(crate) started: Stamp,
    /// When a stop decided the outcome. Set by who did, before `publish`.
    pub(super) stopped: Stamp,
    /// Rule 2 of job.
    waker: Mutex<Option<Waker>>,
    pub(crate) settings: Option<Box<Settings>>,
    /// Made when somebody first listens.
    pub(super) extras: OnceLock<Box<Extras>>,
}

/// What the worker's side can do with the slot without knowing its types.
pub(crate) trait Run: Send + Sync {
    /// Calls the body and sees its result through to the end.
    fn run(&self, cx: &JobContext, recent: &mut Recent);

    /// Drops the body, captures and all, and gives what must outlive that until the job is
    /// published. Panics on the way become their payloads.
    fn drop_body(&self) -> (Option<Ambient>, [Option<Payload>; 2]);

    /// Drops the outcome that the body left, if there is one. A panic nobody saw is given back.
    fn drop_outcome(&self) -> Option<Payload>;
}

/// A job as its handle knows it.
pub(crate) trait Fetch<T, E>: Send + Sync {
    fn head(&self) -> &Head;

    /// The outcome, for the winner of `take`.
    fn fetch(&self) -> Option<Result<T, JobError<E>>>;

    /// Drops the outcome, which no handle will take.
    fn discard(&self);

    fn into_task(self: Arc<Self>) -> Task;
}

/// What the user gave: the body, and what it is to run with.
pub(crate) struct Body<F, T> {
    pub(crate) call: F,
    pub(crate) on_late: Option<Box<dyn FnOnce(T) + Send>>,
    pub(crate) ambient: Ambient,
}

/// What a body left behind.
pub(crate) enum Outcome<T, E> {
    Returned(T),
    Failed(E),
    Panicked(Payload),
    Stopped(Option<E>),
}

/// Rule 1 of job: the state word gives the right to it.
pub(super) struct Slot<F, T, E>(Reserved<Content<F, T, E>>);

enum Content<F, T, E> {
    Body(Body<F, T>),
    Outcome(Outcome<T, E>),
    Nothing,
}

/// The two faces of a new job.
pub(crate) fn new_job<F, T, E>(head: Head, body: Body<F, T>) -> (Task, JobHandle<T, E>)
where
    F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let cell = Arc::new(Cell { head, slot: Slot(Reserved::new(Content::Body(body))) });
    (Arc::clone(&cell) as Task, JobHandle::new(cell))
}

impl Head {
    pub(crate) fn new(
        owner: Arc<dyn Owner>,
        settings: Option<Box<Settings>>,
        priority: Priority,
        submitted: Instant,
        location: &'static Location<'static>,
    ) -> Self {
        Self {
            state: State::new(),
            priority,
            id: JobId::next(),
            location,
            owner,
            submitted: Moment::of(submitted),
            has_place: false,
            started: Stamp::default(),
            stopped: Stamp::default(),
            waker: Mutex::new(None),
            settings,
            extras: OnceLock::new(),
        }
    }

    /// What time it is for this job's pool.
    pub(crate) fn now(&self) -> Now {
        self.owner.clock().look()
    }

    pub(crate) fn identity(&self) -> Identity {
        let name = self.settings.as_ref().and_then(|settings| settings.name.clone());
        Identity { id: self.id, name, location: self.location }
    }

    pub(crate) fn info(&self) -> JobInfo {
        let phase = self.state.phase();
        let gone_on = phase == Phase::Running && !self.state.has_ended();
        let end = self.stopped.get().filter(|_| !gone_on);
        let (queued_for, ran_for) = self.times(end.unwrap_or_else(|| self.now().moment));
        let overdue_by = self.stopped.get().filter(|_| gone_on);
        let overdue_by = overdue_by.map(|at| self.now().moment.since(at));
        JobInfo {
            identity: self.identity(),
            lane: self.owner.lane().cloned(),
            priority: self.priority,
            phase,
            queued_for,
            ran_for,
            overdue_by,
            thread: None,
        }
    }

    /// Whether the body goes on after the handle has resolved without it.
    pub(crate) fn is_overdue(&self) -> bool {
        self.state.is_given_up() && !self.state.has_ended()
    }

    /// How long it was in the queue, if it has started, or is just about to.
    pub(crate) fn queue_wait(&self) -> Duration {
        self.started.get().unwrap_or(self.submitted).since(self.submitted)
    }

    /// How long the body has run at `now`.
    pub(crate) fn run_time(&self, now: Moment) -> Duration {
        self.started.get().map_or(Duration::ZERO, |started| now.since(started))
    }

    /// How long the job was queued and how long it has run, at `now`.
    fn times(&self, now: Moment) -> (Duration, Duration) {
        let started = self.started.get().filter(|_| self.state.is_running());
        let queued = started.unwrap_or(now).since(self.submitted);
        (queued, started.map_or(Duration::ZERO, |started| now.since(started)))
    }

    /// Its way through the bulkheads, if it has settings.
    pub(crate) fn passage(&self) -> Option<&Passage> {
        self.settings.as_ref().map(|settings| &settings.passage)
    }

    /// Registers the waker that `publish` will wake.
    pub(super) fn set_waker(&self, waker: &Waker) {
        let known = self.waker.lock().as_ref().is_some_and(|known| known.will_wake(waker));
        if !known {
            let waker = waker.clone(); // the user's code: under no lock
            let old = self.waker.lock().replace(waker);
            self.catch(|| drop(old));
        }
    }

    pub(super) fn take_waker(&self) -> Option<Waker> {
        self.waker.lock().take()
    }

    /// Drops a waker that nobody will wake.
    pub(super) fn forget_waker(&self) {
        let waker = self.take_waker();
        self.catch(|| drop(waker));
    }

    fn to_stop<E>(&self, error: Option<E>) -> Stop<E> {
        let cause = self.state.cause().unwrap_or(Cause::Caller);
        let at = self.stopped.get().unwrap_or_else(|| self.now().moment);
        Stop::new(self.identity(), self.state.phase(), cause, self.times(at), error)
    }
}

impl<F, T, E> Slot<F, T, E> {
    pub(super) fn take_body(&self) -> Option<Body<F, T>> {
        match self.take() {
            Content::Body(body) => Some(body),
            _ => None,
        }
    }

    pub(super) fn take_outcome(&self) -> Option<Outcome<T, E>> {
        match self.take() {
            Content::Outcome(outcome) => Some(outcome),
            _ => None,
        }
    }

    pub(super) fn put(&self, outcome: Outcome<T, E>) {
        self.0.replace(Content::Outcome(outcome));
    }

    fn take(&self) -> Content<F, T, E> {
        self.0.replace(Content::Nothing)
    }
}

impl<F, T, E> Fetch<T, E> for Cell<Slot<F, T, E>>
where
    F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    fn head(&self) -> &Head {
        &self.head
    }

    fn fetch(&self) -> Option<Result<T, JobError<E>>> {
        match self.head.state.early_end() {
            Some(Early::Refused(why)) => return Some(Err(JobError::Rejected(why))),
            Some(Early::Stopped(_)) => {
                return Some(Err(JobError::stopped(self.head.to_stop(None))));
            }
            None => {}
        }
        Some(match self.slot.take_outcome()? {
            Outcome::Returned(value) => Ok(value),
            Outcome::Failed(error) => Err(JobError::Failed(error)),
            Outcome::Panicked(payload) => {
                Err(JobError::Panicked(Panic::new(payload, Some(self.head.identity()))))
            }
            Outcome::Stopped(error) => Err(JobError::stopped(self.head.to_stop(error))),
        })
    }

    fn discard(&self) {
        self.drop_outcome();
    }

    fn into_task(self: Arc<Self>) -> Task {
        self
    }
}
