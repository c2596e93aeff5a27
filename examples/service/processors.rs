//! Which threads run where: reports and scans have processors of their own.
//!
//! A report keeps its processor busy for as long as it runs. A thread that wakes up there waits for its
//! turn, and a kernel that preempts at its ticks only (`PREEMPT_NONE`, as many servers have it) gives it
//! one at the next tick: that is up to 4 ms later. So a report moves to a processor that all others keep
//! off. Where there is only one, or threads can not be placed, all share.

#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::Arc;

/// The numbers of processors.
#[derive(Clone, Debug)]
pub(crate) struct Processors {
    reports: Arc<[usize]>,
    others: Arc<[usize]>,
}

impl Processors {
    /// Sets apart those that so many reports at a time need, of all that this thread may use; at least
    /// one is left to all others.
    pub(crate) fn split(reports: usize) -> Self {
        let all = allowed();
        let (others, reports) =
            all.split_at(all.len().saturating_sub(reports).max(1).min(all.len()));
        Self { reports: reports.into(), others: others.into() }
    }

    /// Takes this thread, and those that it starts from now on, off the reports' processors.
    pub(crate) fn keep_off(&self) {
        if !self.reports.is_empty() {
            place(&self.others);
        }
    }

    /// Moves this thread to a report's processor, until what it gives is dropped.
    pub(crate) fn for_a_report(&self) -> Moved<'_> {
        if !self.reports.is_empty() {
            place(&self.reports);
        }
        Moved(self)
    }
}

#[must_use]
pub(crate) struct Moved<'a>(&'a Processors);

impl Drop for Moved<'_> {
    fn drop(&mut self) {
        self.0.keep_off();
    }
}

/// The processors that this thread may use.
#[cfg(target_os = "linux")]
fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU).filter(|&number| set.is_set(number)).collect()
}

/// Lets this thread use these alone. If that may not be, it uses what it did.
#[cfg(target_os = "linux")]
fn place(processors: &[usize]) {
    let mut set = CpuSet::new();
    processors.iter().for_each(|&number| set.set(number));
    let _ = sched_setaffinity(None, &set);
}

#[cfg(not(target_os = "linux"))]
fn allowed() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
fn place(_: &[usize]) {}
