//! The queue of one class, which all threads push to and all workers pop from.

use crate::job::Task;
use crate::queue::deque::Injector as Deque;
use crate::queue::local::{Local, until_settled};

#[derive(Default)]
pub(super) struct Injector(Deque<Task>);

impl Injector {
    pub(super) fn push(&self, task: Task) {
        self.0.push(task);
    }

    pub(super) fn pop(&self) -> Option<Task> {
        if self.0.is_empty() {
            return None;
        }
        until_settled(|| self.0.steal())
    }

    /// Pops one job, and moves those behind it to the worker's own deque that it takes at once.
    pub(super) fn pop_batch(&self, local: &Local) -> Option<Task> {
        if self.0.is_empty() || local.at_once() == 1 {
            return self.pop();
        }
        local.fill(|deque| self.0.steal_batch_with_limit_and_pop(deque, local.at_once()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
