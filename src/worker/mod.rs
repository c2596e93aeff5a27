//! The threads of a pool: each finds a job, runs it, or parks.
//!
//! # Rules
//! 1. A worker puts a job on its desk before it claims it, and only then looks whether the pool
//!    stops. A shutdown first says that the pool stops, and then looks at the desks. So one of the
//!    two sees the other, and no body starts unasked.
//! 2. A desk is cleared when all is over for its job; then the pool counts it as ended, too.
//! 3. A pool has ended when it is closed, its jobs have ended, and then no worker is counted. A new
//!    worker is counted first, and started only if the pool's jobs have not all ended. So either the
//!    end waits for it, or it is not started.
//! 4. The idle protocol is `idle`'s; this file parks and unparks for it.

mod desk;
mod guest;
mod life;

use crate::aside;
use crate::error::Rejection;
use crate::idle::{Counts, Idle, MAX_QUEUED, NotStarted, Wake};
use crate::info::JobInfo;
use crate::job::{Leftover, Task};
use crate::lifecycle::Lifecycle;
use crate::queue::{Order, Queue};
use crate::spawner::Spawner;
use crate::sync::{AtomicUsize, MODEL, Mutex, Ordering, thread};
use crate::unwind::Payload;
use crate::wakers::Wakers;
use crate::worker::desk::{Colleague, Desk, Ending, Here};
use crate::worker::guest::Spares;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A function of the user's that every thread calls.
pub(crate) type ThreadHook = Arc<dyn Fn() + Send + Sync>;

/// How many ended jobs may wait in the queue beyond as many as there are live ones.
const DEAD_ALLOWED: usize = if MODEL { 1 } else { 1024 };

/// What the threads of a pool are made with.
pub(crate) struct Threads {
    pub(crate) name: String,
    pub(crate) min: usize,
    pub(crate) max: usize,
    /// How many more there may be while others are stuck or wait.
    pub(crate) spares: usize,
    pub(crate) order: Order,
    pub(crate) keep_alive: Duration,
    pub(crate) stack_size: Option<usize>,
    pub(crate) spawner: Spawner,
    pub(crate) on_start: Option<ThreadHook>,
    pub(crate) on_stop: Option<ThreadHook>,
    /// Told of a panic in one of the hooks.
    pub(crate) on_panic: Arc<dyn Fn(Payload) + Send + Sync>,
}

/// All workers of a pool, and what they share.
pub(crate) struct Crew {
    pub(crate) lifecycle: Lifecycle,
    /// Woken when a job of a closed pool has ended, and when a worker has left.
    pub(crate) changed: Wakers,
    queue: Queue,
    idle: Idle<Colleague>,
    desks: Mutex<Desks>,
    /// For a shutdown that waits for the threads' very end.
    handles: Mutex<Vec<(Arc<Desk>, thread::JoinHandle<()>)>>,
    /// How many threads are being started, and have no handle yet.
    starting: AtomicUsize,
    /// Entries in the queue whose job was ended there, as an `isize`: an entry may be found dead
    /// before the one who ended its job has counted it.
    dead: AtomicUsize,
    /// How many threads have been named.
    names: AtomicUsize,
    spares: Mutex<Spares>,
    threads: Threads,
}

/// The desks there are.
#[derive(Default)]
struct Desks {
    list: Vec<Arc<Desk>>,
    /// How many jobs were started at desks that are gone.
    started_by_gone: u64,
}

impl Crew {
    /// A crew with no threads yet.
    pub(crate) fn new(threads: Threads) -> Arc<Self> {
        Arc::new(Self {
            lifecycle: Lifecycle::new(),
            changed: Wakers::default(),
            queue: Queue::new(threads.order),
            idle: Idle::new(threads.min, threads.max),
            desks: Mutex::default(),
            handles: Mutex::default(),
            starting: AtomicUsize::new(0),
            dead: AtomicUsize::new(0),
            names: AtomicUsize::new(0),
            spares: Mutex::new(Spares::new(threads.spares)),
            threads,
        })
    }

    /// Starts the threads that are always there.
    pub(crate) fn start_min(self: &Arc<Self>) -> io::Result<()> {
        for _ in 0..self.threads.min {
            self.idle.starting();
            if let Err(error) = self.start() {
                self.not_started();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Queues a job, and sees to it that somebody comes for it. `false` if it can not be counted.
    #[must_use]
    pub(crate) fn submit(self: &Arc<Self>, task: Task) -> bool {
        self.queue_up(|| self.push(task))
    }

    /// Queues a job before all others: one that brings room for one worker more.
    #[must_use]
    pub(crate) fn submit_first(self: &Arc<Self>, task: Task) -> bool {
        self.queue_up(|| self.queue.push_first(task))
    }

    fn queue_up(self: &Arc<Self>, push: impl FnOnce()) -> bool {
        if self.idle.counts().queued() >= MAX_QUEUED {
            return false;
        }
        let wake = self.idle.announce();
        push();
        if wake {
            self.wake();
        }
        true
    }

    /// A job's entry, counted as dead, is no longer in the queue, or never will be.
    pub(crate) fn forget_entry(&self) {
        // ORDERING: Relaxed; the number only says when to sweep, and what is shown.
        self.dead.fetch_sub(1, Ordering::Relaxed);
    }

    /// A job was ended in the queue, or on its way there. Sweeps when there are many such.
    pub(crate) fn entry_died(&self) {
        // ORDERING: Relaxed, see `forget_entry`.
        let dead = at_least_zero(self.dead.fetch_add(1, Ordering::Relaxed));
        let entries = self.idle.counts().queued() as usize;
        if dead >= DEAD_ALLOWED && dead > entries / 2 {
            self.queue.sweep(|task| self.drop_dead(task));
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.idle.counts()
    }

    /// How many workers there may be just now.
    pub(crate) fn most_threads(&self) -> usize {
        self.idle.max()
    }

    /// How many workers there may be just now, but for those of elastic lanes.
    pub(crate) fn own_threads(&self) -> usize {
        self.threads.max.saturating_add(self.spares_lent())
    }

    /// How many entries of the queue wait for a worker.
    pub(crate) fn queued(&self) -> usize {
        // ORDERING: Relaxed, see `forget_entry`.
        let dead = at_least_zero(self.dead.load(Ordering::Relaxed));
        (self.idle.counts().queued() as usize).saturating_sub(dead)
    }

    /// From now on, workers with nothing to do leave.
    pub(crate) fn retire(&self) {
        for worker in self.idle.retire() {
            worker.unpark();
        }
    }

    /// Gives every job that waits to `end`, which must end it.
    pub(crate) fn empty_queue(&self, mut end: impl FnMut(Task)) {
        while self.idle.counts().queued() > 0 {
            match self.queue.pop_any() {
                Some(task) => self.end_popped(task, &mut end),
                None => thread::yield_now(), // it is being pushed, or taken
            }
        }
    }

    /// The jobs that workers are at just now, each with its worker's name.
    pub(crate) fn at_desks(&self) -> Vec<(Task, String)> {
        let desks = self.desks.lock().list.clone();
        let at = |desk: &Arc<Desk>| {
            let jobs = desk.jobs.lock().now.clone();
            jobs.into_iter().map(|job| (job, desk.name.clone())).collect::<Vec<_>>()
        };
        desks.iter().flat_map(at).collect()
    }

    /// What is known of the jobs at the desks for which `wanted` holds.
    pub(crate) fn infos(&self, wanted: impl Fn(&Task) -> bool) -> Vec<JobInfo> {
        let jobs = self.at_desks().into_iter().filter(|(job, _)| wanted(job));
        jobs.map(|(job, thread)| JobInfo { thread: Some(thread), ..job.head.info() }).collect()
    }

    /// How many workers have not left.
    pub(crate) fn workers(&self) -> usize {
        self.desks.lock().list.len()
    }

    /// Whether all workers but so many have left, and none is about to be started (rule 3).
    pub(crate) fn is_left_to(&self, threads: usize) -> bool {
        self.idle.total() <= threads && self.workers() <= threads
    }

    /// How many jobs have ever been started. Never too many; it may miss some just now started.
    pub(crate) fn started(&self) -> u64 {
        let desks = self.desks.lock();
        let here = desks.list.iter().map(|desk| desk.jobs.lock().started());
        desks.started_by_gone + here.sum::<u64>()
    }

    /// How many jobs this very thread is at: those that it runs, and those that it ends. (One at its
    /// desk that it ends without having started it is not counted twice.)
    pub(crate) fn jobs_here(&self) -> usize {
        let runs = self.here(|here| here.desk.jobs.lock().running()).unwrap_or(0);
        runs + Ending::here(self)
    }

    /// Calls what ends one of the pool's jobs on this thread.
    pub(crate) fn while_ending(&self, end: impl FnOnce()) {
        let _ending = Ending::begin(self);
        end();
    }

    pub(crate) fn is_here(&self) -> bool {
        self.here(|_| ()).is_some()
    }

    /// Lets go of the threads that have exited, thread-locals and all; `true` if those were all but
    /// this one.
    pub(crate) fn join_exited(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `start`, so that no handle is missed. (Their lock
        // alone would do: who reads zero can not have held it before who kept the handle did.)
        if self.starting.load(Ordering::Acquire) > 0 {
            return false;
        }
        let mut handles = self.handles.lock();
        let all = std::mem::take(&mut *handles);
        let (gone, left): (Vec<_>, Vec<_>) = all.into_iter().partition(|(desk, _)| desk.is_left());
        *handles = left;
        let none_left = handles.iter().all(|(desk, _)| desk.is_own());
        drop(handles);
        for (_, handle) in gone {
            let _ = handle.join(); // a worker never unwinds
        }
        none_left
    }

    pub(crate) fn notify(&self) {
        self.changed.wake_all(|payload| (self.threads.on_panic)(payload));
    }

    fn here<R>(&self, look: impl FnOnce(&Here) -> R) -> Option<R> {
        Here::of(self, look)
    }

    /// Into this worker's own deque if it is one of ours, else into the injector.
    fn push(&self, task: Task) {
        match self.here(|here| here.local.borrow().clone()).flatten() {
            Some(local) => self.queue.push_local(&local, task),
            None => self.queue.push(task),
        }
    }

    fn wake(self: &Arc<Self>) {
        match self.idle.wake() {
            Wake::Parked(worker) => worker.unpark(),
            Wake::New => {
                if self.lifecycle.is_over() || self.start().is_err() {
                    self.not_started();
                }
            }
            Wake::Nobody => {}
        }
    }

    /// Starts a thread that is already counted.
    fn start(self: &Arc<Self>) -> io::Result<()> {
        // ORDERING: Relaxed; only the number counts.
        let number = self.names.fetch_add(1, Ordering::Relaxed) + 1;
        let desk = Desk::new(format!("{}-{number}", self.threads.name));
        self.seat(&desk);
        // ORDERING: Relaxed; the Release below is what counts.
        self.starting.fetch_add(1, Ordering::Relaxed);
        let (crew, own_desk) = (Arc::clone(self), Arc::clone(&desk));
        let Threads { stack_size, spawner, .. } = &self.threads;
        let started = spawner.start(desk.name.clone(), *stack_size, move || crew.work(own_desk));
        let started = started.map(|handle| self.keep(Arc::clone(&desk), handle));
        // ORDERING: Release pairs with the Acquire in `join_exited`.
        self.starting.fetch_sub(1, Ordering::Release);
        if started.is_err() {
            self.remove(&desk);
        }
        started
    }

    fn seat(&self, desk: &Arc<Desk>) {
        self.desks.lock().list.push(Arc::clone(desk));
    }

    /// Keeps the handle of a new thread, and lets go of those that have exited.
    fn keep(&self, desk: Arc<Desk>, handle: thread::JoinHandle<()>) {
        let mut handles = self.handles.lock();
        handles.retain(|(desk, _)| !desk.is_left());
        handles.push((desk, handle));
    }

    /// The system gave no thread, or none is wanted any more. What is queued is left to the workers
    /// there are; if there are none, or all wait, it is refused, here and now, rather than left to nobody.
    ///
    /// The users' destructors are run when this is no longer counted as a searching worker: what they
    /// submit and wait for would count on it.
    fn not_started(&self) {
        let mut left = Vec::new();
        loop {
            match self.idle.not_started() {
                NotStarted::Uncounted => break,
                NotStarted::Unpark(worker) => break worker.unpark(),
                NotStarted::Alone => {}
            }
            self.empty_queue(|task| left.extend(task.begin_refuse(Rejection::NoThread)));
            if self.idle.leave_alone() {
                break;
            }
        }
        // One that is slow must not hold up the others, which are claimed: no deadline ends them now.
        match left.first().map(Leftover::keeper).cloned() {
            Some(keeper) if left.len() > 1 => aside::run(&keeper, left, Duration::ZERO),
            _ => left.into_iter().for_each(Leftover::finish),
        }
        self.notify(); // it was counted (rule 3)
    }

    fn end_popped(&self, task: Task, end: &mut impl FnMut(Task)) {
        let _ = self.idle.took(false); // who does not search is never asked to wake
        if task.head.state.is_waiting() {
            end(task);
        }
        self.forget_entry(); // whoever ended it counted its entry as dead
    }

    fn drop_dead(&self, task: Task) {
        let _ = self.idle.took(false);
        self.forget_entry();
        drop(task);
    }
}

/// A count that may be below zero for a moment.
fn at_least_zero(count: usize) -> usize {
    usize::try_from(count as isize).unwrap_or(0)
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests;
