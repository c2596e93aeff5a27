//! One lane's bulkhead: so many of its jobs are let through, the others wait before it.
//!
//! # Rules
//! 1. `taken` is how many jobs hold a permit. It changes under the lock, with the step by which a job
//!    gets its permit ([`Passage::advance`](crate::job::Passage::advance)), or after the one by which a
//!    job has lost it.
//! 2. Nobody waits while a permit is free: who finds none free waits in the same step, and a permit that
//!    is given back goes to who waits, in the same step.
//! 3. A job that ended while it waited leaves its entry, until that is found or swept away.
//!
//! How long a job waits here hangs on all that pass, from whichever lane they come: so their pace is kept
//! here.

use crate::forecast::Pace;
use crate::job::{Next, Passage, Task};
use crate::moment::Moment;
use crate::queue::{Order, Queue};
use crate::sync::{MODEL, Mutex, Ordering, Statistic};
use std::sync::Arc;
use std::time::Duration;

/// So many ended jobs may wait beyond as many as there are live ones.
const DEAD_ALLOWED: usize = if MODEL { 1 } else { 64 };

pub(crate) struct Bulkhead {
    limit: usize,
    line: Mutex<Line>,
    queue: Queue,
    pace: Pace,
    /// How many bodies have been called of jobs that passed, and have not returned.
    running: Statistic,
}

/// Rule 1.
#[derive(Clone, Copy, Default)]
struct Line {
    taken: usize,
    most: usize,
    entries: usize,
    /// As an entry may be found dead before the one who ended its job counts it, it may be below zero.
    dead: isize,
    /// How often somebody was let through from the line.
    turns: u32,
}

impl Bulkhead {
    pub(crate) fn new(limit: usize, order: Order) -> Self {
        let (pace, running) = Default::default();
        Self { limit, line: Mutex::default(), queue: Queue::new(order), pace, running }
    }

    /// Lets a job through that comes to this bulkhead, which has this number on its way; gives where it
    /// goes next. Or lets it wait; or does nothing, if it has ended or was let through elsewhere: who did
    /// that counts an entry of it here as dead.
    pub(crate) fn enter(&self, task: &Task, number: usize) -> Option<Next> {
        let way = task.head.passage()?;
        let mut line = self.line.lock();
        let waits_here = way.waits_for() == Some(number) && task.head.state.is_waiting();
        if waits_here && line.taken == self.limit {
            line.entries += 1;
            self.queue.push(Arc::clone(task));
            return None;
        }
        let next = if waits_here { way.advance() } else { None };
        match next {
            Some(_) => self.take(&mut line),
            None => line.dead -= 1,
        }
        next
    }

    /// A permit for one that need not wait; give it back by `leave`.
    #[must_use]
    pub(crate) fn try_take(&self) -> bool {
        let mut line = self.line.lock();
        let free = line.taken < self.limit;
        if free {
            self.take(&mut line);
        }
        free
    }

    /// Gives a permit back; who has it now goes on. With `close` nobody has: all who wait are being ended.
    pub(crate) fn leave(&self, close: bool) -> Option<(Task, Next)> {
        let mut line = self.line.lock();
        while line.entries > 0 {
            line.turns = line.turns.wrapping_add(1);
            let Some(task) = self.queue.pop(line.turns) else { break };
            if close && task.head.state.is_waiting() {
                self.queue.push(task);
                break;
            }
            line.entries -= 1;
            let waits = task.head.passage().filter(|_| task.head.state.is_waiting());
            if let Some(next) = waits.and_then(Passage::advance) {
                return Some((task, next));
            }
            line.dead -= 1;
        }
        line.taken -= 1;
        None
    }

    /// A job that waits here has ended, or was let through elsewhere. Sweeps when there are many such.
    pub(crate) fn entry_died(&self) {
        let mut line = self.line.lock();
        line.dead += 1;
        let dead = usize::try_from(line.dead).unwrap_or(0);
        if dead > DEAD_ALLOWED && dead > line.entries / 2 {
            self.queue.sweep(|_| {
                line.entries -= 1;
                line.dead -= 1;
            });
        }
    }

    /// All that wait here, for who ends them.
    pub(crate) fn empty(&self) -> Vec<Task> {
        let mut line = self.line.lock();
        let all: Vec<_> = std::iter::from_fn(|| self.queue.pop_any()).collect();
        line.entries -= all.len();
        let (live, dead): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|task| task.head.state.is_waiting());
        line.dead -= dead.len() as isize;
        // Who ends the live ones will count their entries as dead.
        line.dead -= live.len() as isize;
        live
    }

    /// How many permits are taken, and the most that ever were.
    pub(crate) fn taken(&self) -> (usize, usize) {
        let line = self.line.lock();
        (line.taken, line.most)
    }

    /// How many wait here; none if a permit is free.
    pub(crate) fn waiting(&self) -> Option<usize> {
        let line = self.line.lock();
        let dead = usize::try_from(line.dead).unwrap_or(0);
        (line.taken >= self.limit).then(|| line.entries.saturating_sub(dead))
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// The body of a job that has passed is called, at this moment.
    pub(crate) fn started(&self, at: Moment) {
        self.pace.started(at);
        // ORDERING: Release pairs with the Acquire in `all_run`: who sees it run sees when it started.
        self.running.fetch_add(1, Ordering::Release);
    }

    /// It has returned, after so long.
    pub(crate) fn returned(&self, took: Duration) {
        self.pace.saw(took);
        // ORDERING: Relaxed; nothing hangs on it but an estimate.
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether so many run as may. One that has a permit may still wait for a thread.
    pub(crate) fn all_run(&self) -> bool {
        // ORDERING: Acquire, see `started`.
        self.running.load(Ordering::Acquire) >= self.limit as u64
    }

    /// How long those take that pass.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    fn take(&self, line: &mut Line) {
        line.taken += 1;
        line.most = line.most.max(line.taken);
    }
}

#[cfg(all(test, punctual_loom))]
mod models;
