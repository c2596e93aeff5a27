//! Where jobs wait, and in which order a worker finds them.
//!
//! Each class of [`Priority`] has an injector that all threads push to. A job of normal priority
//! that a worker itself submits goes to that worker's own deque. Workers with nothing of their own
//! steal from the others: a job is never stuck behind one that blocks its thread.
//!
//! # Order
//! Usually: high; own deque; normal injector; the other workers' deques; low. Every [`NORMAL_TURN`]th
//! time one of the three places of normal jobs comes first, each in its turn; every [`LOW_TURN`]th
//! time low does. So every place has a share of the workers however much there is elsewhere (law 10:
//! what was accepted is done). The injector has no turn while the own deque holds jobs that came from
//! there and are older: one worker takes what others submit in the order it came.
//!
//! An entry whose job was ended while it waited stays behind, without its captures, until a worker
//! finds it or [`sweep`](Queue::sweep) throws it away. The pool sweeps before such entries
//! outnumber the live ones by much.

#[cfg(not(punctual_shuttle))]
use crossbeam_deque as deque;
#[cfg(punctual_shuttle)]
use model as deque;

mod injector;
mod local;
#[cfg(punctual_shuttle)]
mod model;

pub(crate) use local::Local;

use crate::job::Task;
use crate::priority::Priority;
use crate::sync::{MODEL, Mutex};
use injector::Injector;
use local::Others;

/// Set so that a flood of high jobs leaves an eighth of the workers' turns to the others.
const NORMAL_TURN: u32 = if MODEL { 2 } else { 8 };
/// Set so that low jobs trickle on under any load.
const LOW_TURN: u32 = if MODEL { 5 } else { 32 };

/// The jobs of a pool that wait for a worker, and those ended while they waited.
#[derive(Default)]
pub(crate) struct Queue {
    high: Injector,
    normal: Injector,
    low: Injector,
    others: Others,
    /// Held by the thread that sweeps.
    sweeping: Mutex<()>,
}

impl Queue {
    /// A worker's own deque, from which the others can steal until it is dropped.
    pub(crate) fn join(&self) -> Local {
        Local::new(&self.others)
    }

    /// Puts a job behind the others of its class.
    pub(crate) fn push(&self, task: Task) {
        self.injector(task.head.priority).push(task);
    }

    /// Finds a job for the worker with this deque, in the order above.
    pub(crate) fn find(&self, local: &Local) -> Option<Task> {
        match local.turn() {
            n if n % LOW_TURN == 0 => self.low.pop().or_else(|| self.find_usual(local)),
            n if n % NORMAL_TURN == 0 => {
                self.find_normal(local, n / NORMAL_TURN).or_else(|| self.find_usual(local))
            }
            _ => self.find_usual(local),
        }
    }

    /// Takes any job, from wherever it waits; for who ends them all.
    pub(crate) fn pop_any(&self) -> Option<Task> {
        let injected = self.high.pop().or_else(|| self.normal.pop());
        injected.or_else(|| self.others.steal()).or_else(|| self.low.pop())
    }

    /// Throws out the entries of ended jobs, and gives each to `dead`. Keeps the order of the
    /// rest, but for those that are pushed at the same time.
    pub(crate) fn sweep(&self, mut dead: impl FnMut(Task)) {
        let Some(_sweeping) = self.sweeping.try_lock() else { return };
        for injector in [&self.high, &self.normal, &self.low] {
            for _ in 0..injector.len() {
                let Some(task) = injector.pop() else { break };
                if task.head.state.is_decided() { dead(task) } else { injector.push(task) }
            }
        }
        for _ in 0..self.others.len() {
            let Some(task) = self.others.steal() else { break };
            if task.head.state.is_decided() { dead(task) } else { self.push(task) }
        }
    }

    /// A job of normal priority, from each of the places where one may wait in its turn.
    fn find_normal(&self, local: &Local, turn: u32) -> Option<Task> {
        match turn % 3 {
            0 => self.others.steal_one_for(local),
            1 if !local.is_older() => self.normal.pop(),
            _ => local.pop(),
        }
    }

    fn find_usual(&self, local: &Local) -> Option<Task> {
        self.high
            .pop()
            .or_else(|| local.pop())
            .or_else(|| self.normal.pop_batch(local))
            .or_else(|| self.others.steal_for(local))
            .or_else(|| self.low.pop())
    }

    fn injector(&self, priority: Priority) -> &Injector {
        match priority {
            Priority::High => &self.high,
            Priority::Normal => &self.normal,
            Priority::Low => &self.low,
        }
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests;
