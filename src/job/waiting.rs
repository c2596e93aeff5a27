//! A thread that waits for a job (law 12).

use crate::job::cell::Task;

/// While it lives, the thread waits. Has run the job right there if that could be done.
pub(super) struct Waiting<'a>(Option<&'a Task>);

impl<'a> Waiting<'a> {
    /// `or_run` says that the thread can wait as long as the job runs.
    pub(super) fn begin(task: &'a Task, or_run: bool) -> Self {
        let lent = !task.head.state.is_ready() && task.head.owner.wait_begins(task, or_run);
        Self(lent.then_some(task))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(task) = self.0 {
            task.head.owner.wait_ends();
        }
    }
}
