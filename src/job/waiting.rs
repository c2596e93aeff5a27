//! A thread that waits for a job (law 12).

use crate::job::cell::Task;
use std::sync::Arc;

/// While it lives, the thread waits. Has run the job right there if that could be done.
#[must_use = "the wait is over when it is dropped"]
pub(crate) struct Waiting(Option<(Task, Absence)>);

/// What a worker that waits is to give back when it goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Absence {
    /// There is room for another in its place.
    pub(crate) lent: bool,
    /// It comes for no job, however long that takes.
    pub(crate) is_counted: bool,
}

impl Waiting {
    /// `or_run` says that the thread can wait as long as the job runs, and does.
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
        runs.map_or(Self(None), |task| Self::begin(&task, or_run))
    }

    fn unless(is_over: bool, task: &Task, or_run: bool) -> Self {
        if is_over {
            return Self(None);
        }
        let absence = task.head.owner.wait_begins(task, or_run);
        Self((absence != Absence::default()).then(|| (Arc::clone(task), absence)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((task, absence)) = self.0.take() {
            task.head.owner.wait_ends(absence);
        }
    }
}
