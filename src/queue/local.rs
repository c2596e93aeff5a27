//! The workers' own deques, and stealing from the others'.

use crate::job::Task;
use crate::moment::Moment;
use crate::queue::deque::{Steal, Stealer, Worker};
use crate::sync::{MODEL, RwLock};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// The most jobs that a worker takes at once.
const MOST: usize = if MODEL { 3 } else { 8 };
/// A job that takes no longer is quick.
const QUICK: Duration = Duration::from_micros(20);

/// One worker's own deque: its own end, for its own thread. Dropping it ends the stealing.
pub(crate) struct Local {
    deque: Worker<Task>,
    number: usize,
    /// How often this worker has looked for a job.
    turns: Cell<u32>,
    /// How many at the front of the deque came from the injector: they are older than all that is
    /// there now. Others may have stolen some of them; then it is too many, for a few turns.
    older: Cell<usize>,
    /// How many jobs this worker takes at once. Those taken in advance wait behind each other, until
    /// somebody steals them: so only who was quick lately takes some.
    at_once: Cell<usize>,
    /// When its last job ended, if that is known.
    ended: Cell<Option<Moment>>,
    others: Others,
}

/// The other ends of all workers' deques.
#[derive(Clone, Default)]
pub(super) struct Others(Arc<RwLock<Vec<Other>>>);

/// A worker's number, and the other end of its deque.
type Other = (usize, Stealer<Task>);

impl Local {
    pub(super) fn new(others: &Others) -> Self {
        let deque = Worker::new_fifo();
        let mut list = others.0.write();
        let number = list.last().map_or(0, |(last, _)| last + 1);
        list.push((number, deque.stealer()));
        drop(list);
        Self {
            deque,
            number,
            turns: Cell::new(0),
            older: Cell::new(0),
            at_once: Cell::new(if MODEL { MOST } else { 1 }),
            ended: Cell::new(None),
            others: others.clone(),
        }
    }

    /// This worker's job has ended; `now`, if that is known.
    pub(crate) fn ended(&self, now: Option<Moment>) {
        let before = self.ended.replace(now);
        let took = before.zip(now).map(|(before, now)| now.since(before));
        let is_quick = MODEL || took.is_some_and(|took| took <= QUICK);
        self.at_once.set(if is_quick { MOST.min(2 * self.at_once.get()) } else { 1 });
    }

    pub(super) fn at_once(&self) -> usize {
        self.at_once.get()
    }

    pub(crate) fn push(&self, task: Task) {
        self.deque.push(task);
    }

    pub(super) fn pop(&self) -> Option<Task> {
        let task = self.deque.pop();
        self.older.set(if task.is_some() { self.older.get().saturating_sub(1) } else { 0 });
        task
    }

    /// Whether the next of this deque was queued before all that is in the injector.
    pub(super) fn is_older(&self) -> bool {
        self.older.get() > 0
    }

    /// Fills this deque, which is empty, from the injector, and gives the first.
    pub(super) fn fill(&self, steal: impl Fn(&Worker<Task>) -> Steal<Task>) -> Option<Task> {
        let first = until_settled(|| steal(&self.deque));
        self.older.set(self.deque.len());
        first
    }

    /// The number of this look for a job, from one.
    pub(super) fn turn(&self) -> u32 {
        self.turns.set(self.turns.get().wrapping_add(1));
        self.turns.get()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let mut list = self.others.0.write();
        list.retain(|(number, _)| *number != self.number);
    }
}

impl Others {
    /// Steals half of somebody's deque into `local`, or one job if it takes no more at once, and
    /// returns the first of it. Begins behind `local` itself, so that not all steal from the same one.
    pub(super) fn steal_for(&self, local: &Local) -> Option<Task> {
        let list = self.0.read();
        let at = list.iter().position(|(number, _)| *number == local.number).unwrap_or(0);
        let (before, after) = list.split_at(at);
        after.iter().chain(before).filter(|(number, _)| *number != local.number).find_map(
            |(_, other)| match local.at_once() {
                1 => until_settled(|| other.steal()),
                _ => until_settled(|| other.steal_batch_and_pop(&local.deque)),
            },
        )
    }

    /// Steals the oldest job of somebody but `local`.
    pub(super) fn steal_one_for(&self, local: &Local) -> Option<Task> {
        let list = self.0.read();
        let others = list.iter().filter(|(number, _)| *number != local.number);
        others.into_iter().find_map(|(_, other)| until_settled(|| other.steal()))
    }

    /// Steals one job.
    pub(super) fn steal(&self) -> Option<Task> {
        let list = self.0.read();
        list.iter().find_map(|(_, other)| until_settled(|| other.steal()))
    }

    pub(super) fn len(&self) -> usize {
        let list = self.0.read();
        list.iter().map(|(_, other)| other.len()).sum()
    }
}

/// Tries again while somebody else got in between; each such time that other one got on.
pub(super) fn until_settled(mut steal: impl FnMut() -> Steal<Task>) -> Option<Task> {
    loop {
        match steal() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
