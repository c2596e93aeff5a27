//! A worker that waits for something of its own pool that is no job: a place in a queue (law 12).

use crate::job::Absence;
use crate::share::Share;
use std::sync::Arc;

/// While it lives, the thread waits; if it is a worker's, another may take its place.
#[must_use = "the wait is over when it is dropped"]
pub(crate) struct Waits(Option<(Arc<Share>, Absence)>);

impl Share {
    /// This thread waits until others of the pool have gone on, however long that takes if it is
    /// `for_ever`. They may all be waiting, as this one is: so there is one thread more, whatever the most.
    pub(crate) fn thread_waits(self: &Arc<Self>, for_ever: bool) -> Waits {
        let crew = &self.core.crew;
        Waits(crew.is_here().then(|| (Arc::clone(self), crew.one_waits(true, for_ever))))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        if let Some((share, absence)) = self.0.take() {
            share.core.crew.one_goes_on(absence);
        }
    }
}
