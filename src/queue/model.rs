//! The deques when the assembled pool is a model: crossbeam's faces, with lists behind them.
//!
//! Each operation is one step; but a batch is stolen in two, as crossbeam's is: for a moment it is in
//! neither deque. Now and then who steals is told to try again.

use crate::sync::for_shuttle::{chance, switch};
pub(super) use crossbeam_deque::Steal;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// A list, behind a lock that is never held while shuttle may switch.
struct List<T>(Mutex<VecDeque<T>>);

impl<T> List<T> {
    fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    /// Does something in one step.
    fn step<R>(&self, act: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        switch();
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn steal<R>(&self, act: impl FnOnce(&mut VecDeque<T>) -> Option<R>) -> Steal<R> {
        if chance(8) == 0 {
            return Steal::Retry;
        }
        self.step(act).map_or(Steal::Empty, Steal::Success)
    }

    fn steal_batch(&self, most: usize, to: &Worker<T>) -> Steal<T> {
        let batch = self.steal(|list| {
            let batch: VecDeque<_> = list.drain(..most.min(list.len().div_ceil(2))).collect();
            Some(batch).filter(|batch| !batch.is_empty())
        });
        let mut batch = match batch {
            Steal::Success(batch) => batch,
            Steal::Retry => return Steal::Retry,
            Steal::Empty => return Steal::Empty,
        };
        let first = batch.pop_front();
        if !batch.is_empty() {
            to.0.step(|list| list.append(&mut batch));
        }
        first.map_or(Steal::Empty, Steal::Success)
    }
}

/// A queue that all push to and steal from.
pub(super) struct Injector<T>(List<T>);

impl<T> Default for Injector<T> {
    fn default() -> Self {
        Self(List::new())
    }
}

impl<T> Injector<T> {
    pub(super) fn push(&self, value: T) {
        self.0.step(|list| list.push_back(value));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.0.step(|list| list.len())
    }

    pub(super) fn steal(&self) -> Steal<T> {
        self.0.steal(VecDeque::pop_front)
    }

    pub(super) fn steal_batch_with_limit_and_pop(&self, to: &Worker<T>, limit: usize) -> Steal<T> {
        self.0.steal_batch(limit, to)
    }
}

/// The owner's end of a deque.
pub(super) struct Worker<T>(Arc<List<T>>);

impl<T> Worker<T> {
    pub(super) fn new_fifo() -> Self {
        Self(Arc::new(List::new()))
    }

    pub(super) fn stealer(&self) -> Stealer<T> {
        Stealer(Arc::clone(&self.0))
    }

    pub(super) fn push(&self, value: T) {
        self.0.step(|list| list.push_back(value));
    }

    pub(super) fn pop(&self) -> Option<T> {
        self.0.step(VecDeque::pop_front)
    }

    pub(super) fn len(&self) -> usize {
        self.0.step(|list| list.len())
    }
}

/// The others' end of a deque.
pub(super) struct Stealer<T>(Arc<List<T>>);

impl<T> Stealer<T> {
    pub(super) fn steal(&self) -> Steal<T> {
        self.0.steal(VecDeque::pop_front)
    }

    pub(super) fn steal_batch_and_pop(&self, to: &Worker<T>) -> Steal<T> {
        self.0.steal_batch(usize::MAX, to)
    }

    pub(super) fn len(&self) -> usize {
        self.0.step(|list| list.len())
    }
}
