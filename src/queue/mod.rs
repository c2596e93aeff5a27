//! Where jobs wait, and in which order a worker finds them.
//!
//! Each class of [`Priority`] has two places: for jobs with a deadline, the earliest first ([`urgent`]),
//! and an injector for the others, that all threads push to. A job of normal priority without a
//! deadline that a worker itself submits goes to that worker's own deque. Workers with nothing of their
//! own steal from the others: a job is never stuck behind one that blocks its thread. With
//! [`Order::Fifo`] deadlines count for nothing here.
//!
//! # Order
//! Usually: high; normal; low. In each class those with a deadline and those without take turns. Normal
//! ones without are taken from the own deque; the injector; the other workers' deques. Every
//! [`NORMAL_TURN`]th time one of these three comes before all, each in its turn; every [`LOW_TURN`]th
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
mod order;
mod urgent;

pub use order::Order;

pub(crate) use local::Local;

use crate::deadline::Deadline;
use crate::job::Task;
use crate::priority::Priority;
use crate::sync::{MODEL, Mutex};
use injector::Injector;
use local::Others;
use urgent::Urgent;

/// Set so that a flood of high jobs leaves an eighth of the workers' turns to the others.
const NORMAL_TURN: u32 = if MODEL { 2 } else { 8 };
/// Set so that low jobs trickle on under any load.
const LOW_TURN: u32 = if MODEL { 5 } else { 32 };

/// The jobs of a pool that wait for a worker, and those ended while they waited.
#[derive(Default)]
pub(crate) struct Queue {
    order: Order,
    /// Jobs that bring room for a worker of their own.
    first: Injector,
    high: Class,
    normal: Class,
    low: Class,
    others: Others,
    /// Held by the thread that sweeps.
    sweeping: Mutex<()>,
}

/// The jobs of one priority.
#[derive(Default)]
struct Class {
    urgent: Urgent,
    injector: Injector,
}

impl Queue {
    pub(crate) fn new(order: Order) -> Self {
        Self { order, ..Self::default() }
    }

    /// A worker's own deque, from which the others can steal until it is dropped.
    pub(crate) fn join(&self) -> Local {
        Local::new(&self.others)
    }

    /// Puts a job behind the others of its class that are due no later.
    pub(crate) fn push(&self, task: Task) {
        let class = self.class(task.head.priority);
        match self.due(&task) {
            Deadline::NEVER => class.injector.push(task),
            due => class.urgent.push(due, task),
        }
    }

    /// Puts a job before all others.
    pub(crate) fn push_first(&self, task: Task) {
        self.first.push(task);
    }

    /// Puts what is left in a worker's own deque, who leaves, where the others look.
    pub(crate) fn take_over(&self, local: &Local) {
        while let Some(task) = local.pop() {
            self.push(task);
        }
    }

    /// Puts a job into the worker's own deque, if it is one that may be there.
    pub(crate) fn push_local(&self, local: &Local, task: Task) {
        if task.head.priority == Priority::Normal && self.due(&task) == Deadline::NEVER {
            local.push(task);
        } else {
            self.push(task);
        }
    }

    /// Finds a job for the worker with this deque, in the order above.
    pub(crate) fn find(&self, local: &Local) -> Option<Task> {
        self.first.pop().or_else(|| self.find_in_turn(local))
    }

    fn find_in_turn(&self, local: &Local) -> Option<Task> {
        match local.turn() {
            n if n % LOW_TURN == 0 => {
                self.low.pop(n / LOW_TURN).or_else(|| self.find_usual(local, n))
            }
            n if n % NORMAL_TURN == 0 => {
                self.find_normal(local, n / NORMAL_TURN).or_else(|| self.find_usual(local, n))
            }
            n => self.find_usual(local, n),
        }
    }

    /// Finds a job for nobody in particular; `turn` counts the calls.
    pub(crate) fn pop(&self, turn: u32) -> Option<Task> {
        let by_rank = [&self.high, &self.normal, &self.low];
        let first = match turn {
            n if n % LOW_TURN == 0 => self.low.pop(n / LOW_TURN),
            n if n % NORMAL_TURN == 0 => self.normal.pop(n / NORMAL_TURN),
            _ => None,
        };
        first.or_else(|| by_rank.into_iter().find_map(|class| class.pop(turn)))
    }

    /// Takes any job, from wherever it waits; for who ends them all.
    pub(crate) fn pop_any(&self) -> Option<Task> {
        let first = self.first.pop().or_else(|| self.high.pop(0));
        let injected = first.or_else(|| self.normal.pop(0));
        injected.or_else(|| self.others.steal()).or_else(|| self.low.pop(0))
    }

    /// Throws out the entries of ended jobs, and gives each to `dead`. Keeps the order of the
    /// rest, but for those that are pushed at the same time.
    pub(crate) fn sweep(&self, mut dead: impl FnMut(Task)) {
        let Some(_sweeping) = self.sweeping.try_lock() else { return };
        for class in [&self.high, &self.normal, &self.low] {
            class.urgent.sweep(&mut dead);
        }
        for injector in
            [&self.first, &self.high.injector, &self.normal.injector, &self.low.injector]
        {
            for _ in 0..injector.len() {
                let Some(task) = injector.pop() else { break };
                if task.head.state.is_waiting() { injector.push(task) } else { dead(task) }
            }
        }
        for _ in 0..self.others.len() {
            let Some(task) = self.others.steal() else { break };
            if task.head.state.is_waiting() { self.push(task) } else { dead(task) }
        }
    }

    /// A job of normal priority without a deadline, from each of the places where one may wait in its
    /// turn.
    fn find_normal(&self, local: &Local, turn: u32) -> Option<Task> {
        match turn % 3 {
            0 => self.others.steal_one_for(local),
            1 if !local.is_older() => self.normal.injector.pop(),
            _ => local.pop(),
        }
    }

    fn find_usual(&self, local: &Local, turn: u32) -> Option<Task> {
        let plain = || {
            local
                .pop()
                .or_else(|| self.normal.injector.pop_batch(local))
                .or_else(|| self.others.steal_for(local))
        };
        self.high
            .pop(turn)
            .or_else(|| self.normal.urgent.take_turns(turn, plain))
            .or_else(|| self.low.pop(turn))
    }

    /// By when the job must start, if that counts here.
    fn due(&self, task: &Task) -> Deadline {
        match self.order {
            Order::EarliestDeadline => task.queue_limit(),
            Order::Fifo => Deadline::NEVER,
        }
    }

    fn class(&self, priority: Priority) -> &Class {
        match priority {
            Priority::High => &self.high,
            Priority::Normal => &self.normal,
            Priority::Low => &self.low,
        }
    }
}

impl Class {
    fn pop(&self, turn: u32) -> Option<Task> {
        self.urgent.take_turns(turn, || self.injector.pop())
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests;
