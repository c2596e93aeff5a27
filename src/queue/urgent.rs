//! The jobs of one class that must start by some time, the earliest first.
//!
//! They are kept in a few runs, each sorted: a job goes to the end of a run whose last job is due no
//! later, and the earliest of all is at the front of one of them. So jobs that all have the same
//! timeout, or one of a few, are pushed and popped in constant time. What fits no run goes to a heap.
//! (Runs as in patience sorting: Aldous and Diaconis, "Longest increasing subsequences", 1999.)

use crate::deadline::Deadline;
use crate::job::Task;
use crate::sync::{AtomicUsize, Mutex, Ordering};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Set so that to look through all fronts costs no more than a step or two down a heap.
const RUNS: usize = 4;
/// A run that is empty keeps room for so many.
const KEPT: usize = 1024;

/// Jobs that have a time by which they must start.
#[derive(Default)]
pub(super) struct Urgent {
    runs: Mutex<Runs>,
    /// How many there are, for who only looks. Written under the lock.
    len: AtomicUsize,
}

#[derive(Default)]
struct Runs {
    runs: [VecDeque<Entry>; RUNS],
    rest: BinaryHeap<Reverse<Entry>>,
    next: u64,
}

/// Ordered by when it is due, then by when it came.
struct Entry {
    due: (Deadline, u64),
    task: Task,
}

impl Urgent {
    pub(super) fn push(&self, due: Deadline, task: Task) {
        let mut runs = self.runs.lock();
        runs.push(due, task);
        // ORDERING: Relaxed; who is to find this entry was told of it by the idle word, after this.
        self.len.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn pop(&self) -> Option<Task> {
        if self.len() == 0 {
            return None;
        }
        let mut runs = self.runs.lock();
        let task = runs.pop()?;
        // ORDERING: Relaxed, as in `push`.
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some(task)
    }

    /// One of these, or one that has no deadline: the former first in every other turn.
    pub(super) fn take_turns(&self, turn: u32, plain: impl Fn() -> Option<Task>) -> Option<Task> {
        if self.len() == 0 {
            return plain();
        }
        if turn % 2 == 0 { plain().or_else(|| self.pop()) } else { self.pop().or_else(plain) }
    }

    /// Gives the entries of jobs that do not wait any more to `dead`.
    pub(super) fn sweep(&self, dead: &mut impl FnMut(Task)) {
        let mut runs = self.runs.lock();
        let gone = runs.remove_dead();
        // ORDERING: Relaxed, as in `push`.
        self.len.fetch_sub(gone.len(), Ordering::Relaxed);
        drop(runs);
        gone.into_iter().for_each(dead);
    }

    pub(super) fn len(&self) -> usize {
        // ORDERING: Relaxed. Who misses one that is just being pushed looks again: it is announced.
        self.len.load(Ordering::Relaxed)
    }
}

impl Runs {
    fn push(&mut self, due: Deadline, task: Task) {
        self.next += 1;
        let entry = Entry { due: (due, self.next), task };
        let last = |run: &VecDeque<Entry>| run.back().map(|entry| entry.due);
        // The run whose last is due closest before it; an empty one only if there is none.
        let fitting = self.runs.iter_mut().filter(|run| last(run) < Some(entry.due));
        match fitting.max_by_key(|run| last(run)) {
            Some(run) => run.push_back(entry),
            None => self.rest.push(Reverse(entry)),
        }
    }

    fn remove_dead(&mut self) -> Vec<Task> {
        let (mut live, mut dead) = (VecDeque::new(), Vec::new());
        for run in &mut self.runs {
            for entry in run.drain(..) {
                match entry.task.head.state.is_waiting() {
                    true => live.push_back(entry),
                    false => dead.push(entry.task),
                }
            }
            std::mem::swap(run, &mut live);
        }
        for Reverse(entry) in std::mem::take(&mut self.rest) {
            match entry.task.head.state.is_waiting() {
                true => self.rest.push(Reverse(entry)),
                false => dead.push(entry.task),
            }
        }
        dead
    }

    fn pop(&mut self) -> Option<Task> {
        let due = |run: &VecDeque<Entry>| run.front().map(|entry| entry.due);
        let first = self.runs.iter_mut().filter(|run| !run.is_empty()).min_by_key(|run| due(run));
        let in_rest = self.rest.peek().map(|Reverse(entry)| entry.due);
        match first {
            Some(run) if in_rest.is_none_or(|rest| due(run) < Some(rest)) => {
                let entry = run.pop_front();
                if run.is_empty() && run.capacity() > KEPT {
                    run.shrink_to(KEPT);
                }
                entry.map(|entry| entry.task)
            }
            _ => self.rest.pop().map(|Reverse(entry)| entry.task),
        }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;
    use crate::job::fake::Fake;
    use crate::priority::Priority;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    proptest! {
        /// Whatever is pushed and popped in between, what comes is the earliest there is, and of those
        /// that are due together the one that came first.
        #[test]
        fn the_earliest_comes_first(steps in prop::collection::vec(prop::option::of(0..40_u64), 1..300)) {
            let (urgent, owner, start) = (Urgent::default(), Fake::new().1, Instant::now());
            let mut model = std::collections::BTreeMap::new();
            for (n, step) in steps.into_iter().enumerate() {
                if let Some(due) = step {
                    let task = owner.idle_job(Priority::Normal);
                    model.insert((due, n), task.head.id);
                    urgent.push(Deadline::at(start + Duration::from_millis(due)), task);
                } else {
                    let popped = urgent.pop().map(|task| task.head.id);
                    prop_assert_eq!(popped, model.pop_first().map(|(_, id)| id));
                }
                prop_assert_eq!(urgent.len(), model.len());
            }
            let rest: Vec<_> = std::iter::from_fn(|| urgent.pop().map(|task| task.head.id)).collect();
            prop_assert_eq!(rest, model.into_values().collect::<Vec<_>>());
        }
    }

    #[test]
    fn jobs_with_one_of_a_few_timeouts_need_no_heap() {
        let (urgent, owner, start) = (Urgent::default(), Fake::new().1, Instant::now());
        for n in 0..1000_u64 {
            let timeout = [10, 500, 3000, 60_000][n as usize % 4];
            let due = Deadline::at(start + Duration::from_millis(n + timeout));
            urgent.push(due, owner.idle_job(Priority::Normal));
        }
        assert!(urgent.runs.lock().rest.is_empty());
        while urgent.pop().is_some() {}
        assert!(urgent.runs.lock().runs.iter().all(|run| run.capacity() <= 2 * KEPT));
    }
}
