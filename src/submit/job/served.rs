//! What a server does with the settings of a job, beside spawning it.

use crate::deadline::Deadline;
use crate::error::Rejection;
use crate::job::Head;
use crate::submit::Job;
use std::panic::Location;
use std::sync::Arc;

impl Job {
    /// With this deadline, too: the earlier one counts. One that never comes changes nothing.
    pub(crate) fn by(mut self, deadline: Deadline) -> Self {
        if deadline != Deadline::NEVER {
            let asked = &mut self.asked().deadline;
            *asked = Some(asked.map_or(deadline, |own| own.min(deadline)));
        }
        self
    }

    /// Refuses it without asking the pool. It is counted, and observers are told of it, as of one that the
    /// pool refused at once.
    pub(crate) fn refuse_at(mut self, location: &'static Location<'static>, why: Rejection) {
        let submitted = self.core().clock().now();
        let settings = self.settle(submitted);
        let Self { share, owner, priority, .. } = self;
        let owner = owner.unwrap_or_else(|| Arc::clone(&share) as _);
        let head = Head::new(owner, settings, priority, submitted, location);
        share.list();
        share.reject(&head, why);
    }
}
