//! How settings and a body become a job: once, or again for another try with the same settings.

use crate::deadline::Deadline;
use crate::job::{JobContext, JobHandle};
use crate::share::Core;
use crate::submit::{Job, LateJob};
use std::panic::Location;
use std::sync::Arc;
use std::time::Instant;

impl Job {
    /// As [`spawn`](Job::spawn), for who spawns on behalf of `location`.
    pub(crate) fn spawn_at<F, T, E>(
        self,
        location: &'static Location<'static>,
        body: F,
    ) -> JobHandle<T, E>
    where
        F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        LateJob::new(self, None).spawn_at(location, body)
    }

    /// What all shares of its pool have in common.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.share.core
    }

    /// Counts the timeout, which is for its whole life, from `start` on and not from when it is
    /// spawned. Gives when it must have ended, its parent's deadline included.
    pub(crate) fn begin(&mut self, start: Instant) -> Deadline {
        let after = |time| Deadline::at(start).plus(time);
        let (mut own, default) = (None, self.share.terms.default_timeout);
        if let Some(asked) = &mut self.settings {
            own = [asked.deadline, asked.timeout.take().map(after)].into_iter().flatten().min();
        }
        own = own.or_else(|| default.map(after));
        if own.is_some() {
            self.asked().deadline = own;
        }
        let inherited = self.parent.as_ref().map(|parent| parent.head.run_limit());
        own.into_iter().chain(inherited).min().unwrap_or(Deadline::NEVER)
    }

    /// The same settings for another job; a reserved place is not for two.
    pub(crate) fn again(&self) -> Self {
        Self {
            share: Arc::clone(&self.share),
            owner: self.owner.clone(),
            place: None,
            parent: self.parent.clone(),
            priority: self.priority,
            settings: self.settings.as_ref().map(|settings| Box::new(settings.again())),
        }
    }
}
