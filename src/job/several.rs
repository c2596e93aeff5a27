//! What those who keep several handles need of each.

use crate::error::Rejection;
use crate::job::handle::JobHandle;
use crate::job::state::Early;
use std::task::Waker;

impl<T, E> JobHandle<T, E> {
    /// Has `waker` woken once: when the outcome is ready, or here and now if it is.
    pub(crate) fn call_when_ready(&self, waker: &Waker) {
        let head = self.head();
        head.set_waker(waker);
        if head.state.watch() {
            // A handle that was polled before has who publishes look for a waker, too: of the two,
            // one finds this.
            if let Some(waker) = head.take_waker() {
                head.catch(move || waker.wake());
            }
        }
    }

    /// Why the pool did not take the job, if it did not.
    pub(crate) fn refusal(&self) -> Option<Rejection> {
        match self.head().state.early_end() {
            Some(Early::Refused(why)) => Some(why),
            _ => None,
        }
    }
}
