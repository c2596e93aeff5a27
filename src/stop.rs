//! Who asked a job to stop, who is to be told of it, and the two-way bridge to `CancellationToken`.

use crate::sync::{Condvar, Mutex, thread};
use crate::unwind::{self, Payload};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Who asked a job to stop. The first one wins; later requests change nothing.
///
/// # Examples
///
/// ```
/// use punctual::{Cause, Pool};
///
/// let pool = Pool::new();
/// let job = pool.spawn(|cx| {
///     while !cx.is_stopped() {
///         std::thread::yield_now();
///     }
///     cx.check()
/// });
/// job.cancel();
/// let cause = match job.wait() {
///     Err(punctual::JobError::Cancelled(stop)) => stop.cause(),
///     other => panic!("not cancelled: {other:?}"),
/// };
/// assert_eq!(cause, Cause::Caller);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// `cancel()` or `abort()` was called on one of the job's handles.
    Caller,
    /// A token was cancelled: the one the job was given, or the job's own.
    Token,
    /// A deadline passed: the job's own, or the one its parent was stopped by.
    Deadline,
    /// The pool shuts down.
    Shutdown,
    /// The handle was made to cancel on drop, and was dropped.
    Dropped,
    /// The job it was spawned from was stopped, by anything but a deadline.
    Parent,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caller => "its handle was cancelled",
            Self::Token => "its token was cancelled",
            Self::Deadline => "its deadline passed",
            Self::Shutdown => "the pool shut down",
            Self::Dropped => "its handle was dropped",
            Self::Parent => "its parent was stopped",
        })
    }
}

/// Where a stop caught a job.
///
/// # Examples
///
/// ```
/// use punctual::{Phase, Pool};
/// use std::time::Duration;
///
/// let pool = Pool::new();
/// let job = pool.job().timeout(Duration::ZERO).spawn_blocking(|| unreachable!("it never starts"));
/// assert_eq!(job.wait().unwrap_err().phase(), Some(Phase::Queued));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before it started: its body was never called, and is safe to submit again.
    Queued,
    /// After it started: its body ran, at least in part.
    Running,
}

/// What is called when a job is stopped.
pub(crate) type Listener = Box<dyn FnOnce(Cause) + Send>;

/// Those who want to know of one job's stop, each called exactly once (law 7).
///
/// # Rules
/// 1. `inner` is never locked while a listener is called or dropped.
/// 2. Once `told` is set nothing is added to `list`: who comes later is called by its own thread.
/// 3. `calling` names the listener being called, so that who removes it can wait for its end; a
///    listener that removes itself does not wait.
#[derive(Default)]
pub(crate) struct Listeners {
    inner: Mutex<Inner>,
    called: Condvar,
}

#[derive(Default)]
struct Inner {
    told: bool,
    next: u64,
    /// In the order they came.
    list: BTreeMap<u64, Listener>,
    calling: Option<(u64, thread::ThreadId)>,
}

/// What became of a listener that was to be added.
#[must_use]
pub(crate) enum Added {
    /// It is on the list, under this number.
    Listed(u64),
    /// The stop came first: call it.
    TooLate(Listener),
}

impl Listeners {
    pub(crate) fn add(&self, listener: Listener) -> Added {
        let mut inner = self.inner.lock();
        if inner.told {
            return Added::TooLate(listener);
        }
        let number = inner.next;
        inner.next += 1;
        inner.list.insert(number, listener);
        Added::Listed(number)
    }

    /// Takes a listener off the list. If another thread calls it just now, waits for its end.
    #[must_use]
    pub(crate) fn remove(&self, number: u64) -> Option<Listener> {
        let me = thread::current().id();
        let mut inner = self.inner.lock();
        let removed = inner.list.remove(&number);
        while inner.calling.is_some_and(|(n, caller)| n == number && caller != me) {
            inner = self.called.wait(inner);
        }
        removed
    }

    /// Takes a listener off the list without waiting, for one that does no harm when called late.
    #[must_use]
    pub(crate) fn remove_lazily(&self, number: u64) -> Option<Listener> {
        self.inner.lock().list.remove(&number)
    }

    /// Calls every listener, in the order they came. A panic of one is given to `panicked`.
    pub(crate) fn tell(&self, cause: Cause, mut panicked: impl FnMut(Payload)) {
        while let Some(listener) = self.next_to_tell() {
            if let Err(payload) = unwind::catch(move || listener(cause)) {
                panicked(payload);
            }
        }
    }

    /// Takes all off the list: the job has ended and can not be stopped any more.
    #[must_use]
    pub(crate) fn clear(&self) -> BTreeMap<u64, Listener> {
        std::mem::take(&mut self.inner.lock().list)
    }

    /// Ends the call that was made, if any, and begins the next.
    fn next_to_tell(&self) -> Option<Listener> {
        let mut inner = self.inner.lock();
        inner.told = true;
        if inner.calling.take().is_some() {
            self.called.notify_all();
        }
        let (number, listener) = inner.list.pop_first()?;
        inner.calling = Some((number, thread::current().id()));
        Some(listener)
    }
}

/// A registration with a [`CancellationToken`]: `waker` is woken inside the call that cancels it.
///
/// The token has no callbacks, so its `cancelled` future is polled once and kept. Dropping the
/// link takes the registration back; nothing of it stays in the token.
pub(crate) struct TokenLink {
    _waiting: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl TokenLink {
    /// Links `waker` to `token`; `None` if the token is cancelled already.
    pub(crate) fn new(token: CancellationToken, waker: &Waker) -> Option<Self> {
        let mut waiting = Box::pin(token.cancelled_owned());
        let poll = waiting.as_mut().poll(&mut Context::from_waker(waker));
        poll.is_pending().then_some(Self { _waiting: waiting })
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn listener(send: &mpsc::Sender<u32>, n: u32) -> Listener {
        let send = send.clone();
        Box::new(move |_| send.send(n).expect("the test listens"))
    }

    #[test]
    fn listeners_are_told_in_their_order_and_once() {
        let (send, told) = mpsc::channel();
        let listeners = Listeners::default();
        for n in 0..3 {
            assert!(matches!(listeners.add(listener(&send, n)), Added::Listed(_)));
        }
        assert!(listeners.remove(1).is_some());
        for _ in 0..2 {
            listeners.tell(Cause::Caller, unwind::discard);
        }
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [0, 2]);
        assert!(matches!(listeners.add(listener(&send, 3)), Added::TooLate(_)));
    }

    #[test]
    fn removing_a_listener_waits_for_its_call() {
        let (started, has_started) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let listeners = Listeners::default();
        let slow: Listener = Box::new(move |_| {
            started.send(()).expect("the test listens");
            may_go.recv().expect("the test lets it go");
        });
        let Added::Listed(number) = listeners.add(slow) else { panic!("nothing is told yet") };
        thread::scope(|s| {
            s.spawn(|| listeners.tell(Cause::Token, unwind::discard));
            has_started.recv().expect("it is called");
            let removing = s.spawn(|| listeners.remove(number).is_none());
            assert!(!removing.is_finished(), "the call is still under way");
            go.send(()).expect("it waits");
            assert!(removing.join().expect("no panic"));
        });
        assert_eq!(listeners.inner.lock().calling, None);
    }
}
