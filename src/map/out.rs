//! The jobs of a map that are out, in the order in which their outcomes are to be given.

use crate::error::JobError;
use crate::job::{How, JobHandle, Waiting};
use crate::set::JobSet;
use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Jobs whose outcome was not taken. Dropping it stops them.
pub(super) enum Out<T, E> {
    /// Only the oldest is watched: those that are ready before it wake nobody.
    InOrder(VecDeque<JobHandle<T, E>>),
    AsTheyAreReady(JobSet<T, E>),
}

impl<T, E> Out<T, E> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::InOrder(jobs) => jobs.len(),
            Self::AsTheyAreReady(jobs) => jobs.len(),
        }
    }

    pub(super) fn push(&mut self, job: JobHandle<T, E>) {
        match self {
            Self::InOrder(jobs) => jobs.push_back(job),
            Self::AsTheyAreReady(jobs) => drop(jobs.insert(job)),
        }
    }

    pub(super) fn give_as_they_are_ready(&mut self) {
        if let Self::InOrder(jobs) = self {
            *self = Self::AsTheyAreReady(mem::take(jobs).into_iter().collect());
        }
    }

    /// The next outcome; `None` if no job is out.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, JobError<E>>>> {
        match self {
            Self::InOrder(jobs) => {
                let Some(oldest) = jobs.front_mut() else { return Poll::Ready(None) };
                let outcome = ready!(Pin::new(oldest).poll(cx));
                jobs.pop_front();
                Poll::Ready(Some(outcome))
            }
            Self::AsTheyAreReady(jobs) => jobs.poll_join_next(cx),
        }
    }

    /// This thread waits for the next outcome, and may run a job for it (law 12).
    pub(super) fn begin_to_wait(&self, how: How) -> Waiting {
        match self {
            Self::InOrder(jobs) => {
                Waiting::for_any(jobs.front().map(JobHandle::task).into_iter(), how)
            }
            Self::AsTheyAreReady(jobs) => jobs.begin_to_wait(how),
        }
    }

    /// Asks all to stop, the youngest first: none is started in the place of an older one.
    pub(super) fn cancel(&self) {
        match self {
            Self::InOrder(jobs) => jobs.iter().rev().for_each(JobHandle::abort),
            Self::AsTheyAreReady(jobs) => jobs.abort_all(),
        }
    }
}

impl<T, E> Default for Out<T, E> {
    fn default() -> Self {
        Self::InOrder(VecDeque::new())
    }
}

impl<T, E> Drop for Out<T, E> {
    fn drop(&mut self) {
        if let Self::InOrder(jobs) = self {
            while let Some(youngest) = jobs.pop_back() {
                drop(youngest.cancel_on_drop());
            }
        }
    }
}
