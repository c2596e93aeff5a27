//! A thread that waits for a job (law 12).

use crate::job::cell::Task;
use std::sync::Arc;

/// While it lives, the thread waits. Has run the job right there if that could be done.
#[must_use = "the wait is over when it is dropped"]
pub(crate) struct Waiting(Option<Task>);

impl Waiting {
    /// `or_run` says that the thread can wait as long as the job runs.
    pub(crate) fn begin(task: &Task, or_run: bool) -> Self {
        Self::unless(task.head.state.is_ready(), task, or_run)
    }

    /// As `begin`, for who waits for the body's end.
    pub(super) fn for_end(task: &Task) -> Self {
        Self::unless(task.head.state.has_ended(), task, true)
    }

    /// A wait for the first of these that is ready.
    pub(crate) fn for_any(tasks: impl Iterator<Item = Task>, or_run: bool) -> Self {
        let mut runs = None;
        for task in tasks {
            if task.head.state.is_waiting() {
                return Self::begin(&task, or_run);
            }
            if task.head.state.is_ready() {
                return Self(None);
            }
            runs.get_or_insert(task);
        }
        runs.map_or(Self(None), |task| Self::begin(&task, false))
    }

    fn unless(is_over: bool, task: &Task, or_run: bool) -> Self {
        let lent = !is_over && task.head.owner.wait_begins(task, or_run);
        Self(lent.then(|| Arc::clone(task)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.head.owner.wait_ends();
        }
    }
}
