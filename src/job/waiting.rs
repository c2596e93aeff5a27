//! A thread that waits for a job (law 12).

use crate::deadline::Deadline;
use crate::job::cell::Task;
use crate::job::current;
use std::sync::Arc;

/// While it lives, the thread waits. Has run the job right there if that could be done.
#[must_use = "the wait is over when it is dropped"]
pub(crate) struct Waiting(Option<(Task, Absence)>);

/// How a thread waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Until some time is up.
    AWhile,
    /// However long it takes, but it runs nothing itself.
    ForEver,
    /// However long it takes: it may run the job right there.
    OrRun,
}

impl How {
    /// It runs the job if it has no deadline.
    pub(crate) fn until(deadline: Deadline) -> Self {
        if deadline == Deadline::NEVER { Self::OrRun } else { Self::AWhile }
    }
}

/// What a worker that waits is to give back when it goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Absence {
    /// There is room for another in its place.
    pub(crate) lent: bool,
    /// It comes for no job, however long that takes.
    pub(crate) is_counted: bool,
}

impl Waiting {
    pub(crate) fn begin(task: &Task, how: How) -> Self {
        Self::unless(task.head.state.is_ready(), task, how)
    }

    /// As `begin`, for who waits for the body's end.
    pub(super) fn for_end(task: &Task) -> Self {
        Self::unless(task.head.state.has_ended(), task, How::OrRun)
    }

    /// A wait for the first of these that is ready.
    pub(crate) fn for_any(tasks: impl Iterator<Item = Task>, how: How) -> Self {
        let mut runs = None;
        for task in tasks {
            if task.head.state.is_waiting() {
                let waiting = Self::begin(&task, how);
                if waiting.0.is_some() || current().is_none() {
                    return waiting;
                } // else it is another pool's, or was run
            }
            if task.head.state.is_ready() {
                return Self(None);
            }
            runs.get_or_insert(task);
        }
        runs.map_or(Self(None), |task| Self::begin(&task, how))
    }

    fn unless(is_over: bool, task: &Task, how: How) -> Self {
        if is_over {
            return Self(None);
        }
        let absence = task.head.owner.wait_begins(task, how);
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
