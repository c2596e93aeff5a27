//! Who listens to a job: for its stop, and for its body's end; and whom it listens to itself.

use crate::job::Leftover;
use crate::job::cell::{Cell, Head, Task};
use crate::job::settings::Ties;
use crate::stop::{Added, Cause, Listeners, TokenLink};
use crate::sync::Mutex;
use crate::wakers::Wakers;
use std::io;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use tokio_util::sync::CancellationToken;

/// What is called when a job is stopped: it may leave a child's user code to be run next.
pub(super) type Listener = crate::stop::Listener<Option<Leftover>>;

/// What only some jobs need, made on first use.
#[derive(Default)]
pub(crate) struct Extras {
    listeners: Listeners<Option<Leftover>>,
    own_token: Mutex<Option<OwnToken>>,
    end_wakers: Wakers,
}

/// The job's own token, and the link through which cancelling it stops the job.
struct OwnToken {
    token: CancellationToken,
    link: Option<TokenLink>,
}

/// A place on another job's list of listeners, given back when dropped. Until then it keeps that
/// job's record, and no longer: a line of jobs that each spawn the next must not keep them all.
pub(crate) struct Registration {
    job: Task,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.job.head.unlisten_lazily(self.number);
    }
}

/// A waker that stops a job, for a token to wake.
struct StopOnWake(Weak<Cell>);

impl Wake for StopOnWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(task) = self.0.upgrade() {
            task.stop(Cause::Token);
        }
    }
}

impl Cell {
    /// Ties a job that is about to be queued to its timer, token and parent. Any of them may end
    /// it at once.
    ///
    /// # Errors
    /// If it has a deadline and there is no thread to watch it.
    pub(crate) fn tie(self: &Task, parent: Option<&Task>) -> io::Result<()> {
        let Some(settings) = &self.head.settings else { return Ok(()) };
        if self.head.owner.clock().is_past(self.queue_limit()) {
            self.expire_queued();
            return Ok(());
        }
        self.arm_queue()?;
        let token = match &settings.token {
            None => None,
            Some(token) => match TokenLink::new(token.clone(), &self.stop_waker()) {
                Some(link) => Some(link),
                None => {
                    self.stop(Cause::Token);
                    return Ok(());
                }
            },
        };
        let parent = parent.and_then(|parent| self.listen_to(parent));
        let mut ties = settings.ties.lock();
        ties.token = token;
        ties.parent = parent;
        drop(ties);
        if self.head.state.is_decided() {
            self.head.untie(); // who decided may have untied before all was tied
        }
        Ok(())
    }

    /// Law 15: the parent's stop is the child's. Its deadline was the child's too.
    fn listen_to(self: &Task, parent: &Task) -> Option<Registration> {
        let child = Arc::downgrade(self);
        let number = parent.head.listen(Box::new(move |cause| {
            let cause = if cause == Cause::Deadline { cause } else { Cause::Parent };
            child.upgrade().and_then(|child| child.begin_stop(cause).1)
        }))?;
        Some(Registration { job: Arc::clone(parent), number })
    }

    /// The job's own token: cancelled with the job, and cancelling it stops the job.
    pub(super) fn own_token(self: &Task) -> CancellationToken {
        let mut own = self.head.extras().own_token.lock();
        if let Some(own) = &*own {
            return own.token.clone();
        }
        let token = CancellationToken::new();
        let link = TokenLink::new(token.clone(), &self.stop_waker());
        *own = Some(OwnToken { token: token.clone(), link });
        drop(own);
        let mirror = token.clone();
        let _ = self.head.listen(Box::new(move |_| {
            mirror.cancel();
            None
        }));
        token
    }

    /// Calls the next listener, once; what it leaves to be done before the one after it. `None` if
    /// all have been told.
    pub(super) fn tell_next(&self, cause: Cause) -> Option<Option<Leftover>> {
        let told = self.head.extras().listeners.tell_next(cause)?;
        Some(told.unwrap_or_else(|payload| {
            self.head.unseen_panic(payload);
            None
        }))
    }

    fn stop_waker(self: &Task) -> Waker {
        Waker::from(Arc::new(StopOnWake(Arc::downgrade(self))))
    }
}

impl Head {
    /// Adds a listener and gives its number; after the stop it is called here instead (law 7).
    pub(super) fn listen(&self, listener: Listener) -> Option<u64> {
        let listeners = &self.extras().listeners;
        let added = match self.state.listen() {
            None => listeners.add(listener),
            Some(_) => Added::TooLate(listener),
        };
        match (added, self.state.cause()) {
            (Added::Listed(number), None) if self.state.has_ended() => {
                self.unlisten_lazily(number); // it would never be told, nor dropped before the cell
                None
            }
            (Added::Listed(number), _) => Some(number),
            (Added::TooLate(listener), cause) => {
                self.catch(move || {
                    if let Some(child) = listener(cause.unwrap_or(Cause::Caller)) {
                        child.finish();
                    }
                });
                None
            }
        }
    }

    /// Takes a listener back; waits if it is being called.
    pub(super) fn unlisten(&self, number: u64) {
        let removed = self.extras().listeners.remove(number);
        self.catch(|| drop(removed));
    }

    /// Takes a listener back that does no harm when called late.
    pub(super) fn unlisten_lazily(&self, number: u64) {
        let removed = self.extras().listeners.remove_lazily(number);
        self.catch(|| drop(removed));
    }

    pub(super) fn extras(&self) -> &Extras {
        self.extras.get_or_init(Box::default)
    }

    /// Undoes what ties the job to others.
    pub(super) fn untie(&self) {
        if let Some(settings) = &self.settings {
            let ties = std::mem::take(&mut *settings.ties.lock());
            let Ties { alarm, token, parent, .. } = ties;
            drop((alarm, token, parent));
        }
        if let Some(extras) = self.extras.get() {
            let link = extras.own_token.lock().as_mut().and_then(|own| own.link.take());
            drop(link);
        }
    }

    /// Drops the listeners of forgotten guards: the job has ended, and was not stopped.
    pub(super) fn forget_listeners(&self) {
        let Some(extras) = self.extras.get().filter(|_| self.state.cause().is_none()) else {
            return;
        };
        for (_, listener) in extras.listeners.clear() {
            self.catch(|| drop(listener));
        }
    }

    /// Those who wait for the body's end.
    pub(super) fn end_wakers(&self) -> &Wakers {
        &self.extras().end_wakers
    }

    pub(super) fn wake_end_wakers(&self) {
        self.end_wakers().wake_all(|payload| self.unseen_panic(payload));
    }
}

#[cfg(all(test, punctual_loom))]
mod models;
