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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
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
    /// The [scope](crate::Pool::scope) it was spawned in stopped its jobs: by its policy, because it
    /// was told to, or because its function panicked.
    Scope,
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
            Self::Scope => "its scope was stopped",
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Phase {
    /// Before it started: its body was never called, and is safe to submit again.
    Queued,
    /// After it started: its body ran, at least in part.
    Running,
}

/// What is called when a job is stopped.
pub(crate) type Listener<R> = Box<dyn FnOnce(Cause) -> R + Send>;

/// Those who want to know of one job's stop, each called exactly once (law 7).
///
/// # Rules
/// 1. `inner` is never locked while a listener is called or dropped.
/// 2. Once `told` is set nothing is added to `list`: who comes later is called by its own thread.
/// 3. `calling` names the listener being called, so that who removes it can wait for its end; a
///    listener that removes itself does not wait.
pub(crate) struct Listeners<R> {
    inner: Mutex<Inner<R>>,
    called: Condvar,
}

struct Inner<R> {
    told: bool,
    next: u64,
    /// In the order they came.
    list: BTreeMap<u64, Listener<R>>,
    calling: Option<(u64, thread::ThreadId)>,
}

/// What became of a listener that was to be added.
#[must_use]
pub(crate) enum Added<R> {
    /// It is on the list, under this number.
    Listed(u64),
    /// The stop came first: call it.
    TooLate(Listener<R>),
}

impl<R> Default for Listeners<R> {
    fn default() -> Self {
        let inner = Inner { told: false, next: 0, list: BTreeMap::new(), calling: None };
        Self { inner: Mutex::new(inner), called: Condvar::new() }
    }
}

impl<R> Listeners<R> {
    pub(crate) fn add(&self, listener: Listener<R>) -> Added<R> {
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
    pub(crate) fn remove(&self, number: u64) -> Option<Listener<R>> {
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
    pub(crate) fn remove_lazily(&self, number: u64) -> Option<Listener<R>> {
        self.inner.lock().list.remove(&number)
    }

    /// Calls the listener that came first, if there is one left: what it gives, or its panic.
    pub(crate) fn tell_next(&self, cause: Cause) -> Option<Result<R, Payload>> {
        let listener = self.next_to_tell()?;
        Some(unwind::catch(move || listener(cause)))
    }

    /// Calls every listener, in the order they came. A panic of one is given to `panicked`.
    #[cfg(all(test, not(punctual_shuttle)))]
    pub(crate) fn tell(&self, cause: Cause, mut panicked: impl FnMut(Payload)) {
        while let Some(told) = self.tell_next(cause) {
            told.map(drop).unwrap_or_else(&mut panicked);
        }
    }

    /// Takes all off the list: the job has ended and can not be stopped any more.
    #[must_use]
    pub(crate) fn clear(&self) -> BTreeMap<u64, Listener<R>> {
        std::mem::take(&mut self.inner.lock().list)
    }

    /// Ends the call that was made, if any, and begins the next.
    fn next_to_tell(&self) -> Option<Listener<R>> {
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
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::task::Wake;
    use std::time::Duration;

    /// After so long a test counts as hung.
    const ALARM: Duration =
        Duration::from_secs(if option_env!("PUNCTUAL_IMPATIENT").is_some() { 5 } else { 30 });

    fn listener(send: &mpsc::Sender<u32>, n: u32) -> Listener<()> {
        let send = send.clone();
        Box::new(move |_| send.send(n).expect("the test listens"))
    }

    #[track_caller]
    fn listed(listeners: &Listeners<()>, listener: Listener<()>) -> u64 {
        let Added::Listed(number) = listeners.add(listener) else { panic!("nothing is told yet") };
        number
    }

    #[test]
    fn listeners_are_told_in_their_order_and_once() {
        let (send, told) = mpsc::channel();
        let listeners = Listeners::<()>::default();
        let numbers = [0, 1, 2].map(|n| listed(&listeners, listener(&send, n)));
        assert!(listeners.remove(numbers[1]).is_some());
        assert!(listeners.remove(numbers[1]).is_none(), "it is gone");
        for _ in 0..2 {
            listeners.tell(Cause::Caller, unwind::discard);
        }
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [0, 2]);
        assert!(matches!(listeners.add(listener(&send, 3)), Added::TooLate(_)));
    }

    #[test]
    fn a_listener_hears_the_cause_and_its_panic_stops_no_other() {
        let (send, told) = mpsc::channel();
        let listeners = Listeners::<()>::default();
        let _ = listed(&listeners, Box::new(|_| std::panic::resume_unwind(Box::new(7))));
        let _ = listed(&listeners, Box::new(move |cause| send.send(cause).expect("a listener")));
        let mut panics = Vec::new();
        listeners.tell(Cause::Parent, |payload| panics.push(payload.downcast_ref().copied()));
        assert_eq!((panics, told.recv()), (vec![Some(7)], Ok(Cause::Parent)));
    }

    #[test]
    fn what_is_cleared_away_is_given_back_and_never_told() {
        let (send, told) = mpsc::channel();
        let listeners = Listeners::<()>::default();
        let number = listed(&listeners, listener(&send, 0));
        let lazy = listed(&listeners, listener(&send, 1));
        assert!(listeners.remove_lazily(lazy).is_some());
        assert!(listeners.remove_lazily(lazy).is_none(), "it is gone");
        assert!(listeners.clear().into_keys().eq([number]));
        listeners.tell(Cause::Caller, unwind::discard);
        assert_eq!(told.try_iter().count(), 0);
    }

    #[test]
    fn removing_a_listener_waits_for_its_call_and_for_no_other() {
        let (started, has_started) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let (over, is_over) = mpsc::channel();
        let listeners = Listeners::<()>::default();
        let slow: Listener<()> = Box::new(move |_| {
            started.send(()).expect("the test listens");
            may_go.recv().expect("the test lets it go");
            over.send(()).expect("the test listens");
        });
        let number = listed(&listeners, slow);
        let other = listed(&listeners, Box::new(|_| ()));
        thread::scope(|s| {
            let go = go; // so that the listener ends when this fails
            s.spawn(|| listeners.tell(Cause::Token, unwind::discard));
            has_started.recv().expect("it is called");
            assert!(listeners.remove(other).is_some(), "this one is not called");
            assert!(listeners.remove_lazily(number).is_none(), "this does not wait");
            let removing = s.spawn(|| listeners.remove(number).is_none());
            (0..100).for_each(|_| thread::yield_now()); // for one that does not wait
            assert!(!removing.is_finished(), "the call is still under way");
            go.send(()).expect("it waits");
            assert!(removing.join().expect("no panic"));
            assert_eq!(is_over.try_recv(), Ok(()));
        });
        assert_eq!(listeners.inner.lock().calling, None);
    }

    #[test]
    fn a_listener_that_removes_itself_does_not_wait() {
        let listeners = Arc::new(Listeners::<()>::default());
        let (send, told) = mpsc::channel();
        let own = Arc::clone(&listeners);
        let number = listed(
            &listeners,
            Box::new(move |_| send.send(own.remove(0).is_none()).expect("the test listens")),
        );
        assert_eq!(number, 0);
        thread::spawn(move || listeners.tell(Cause::Caller, unwind::discard));
        assert_eq!(told.recv_timeout(ALARM), Ok(true));
    }

    struct Called(mpsc::Sender<()>);

    impl Wake for Called {
        fn wake(self: Arc<Self>) {
            self.0.send(()).expect("the test listens");
        }
    }

    #[test]
    fn a_token_wakes_its_link_as_long_as_there_is_one() {
        let (send, woken) = mpsc::channel();
        let waker = Waker::from(Arc::new(Called(send)));
        let token = CancellationToken::new();
        let _kept = TokenLink::new(token.clone(), &waker).expect("it is not cancelled");
        drop(TokenLink::new(token.clone(), &waker));
        token.cancel();
        assert_eq!(woken.try_iter().count(), 1, "the other link was dropped");
        assert!(TokenLink::new(token, &waker).is_none(), "it is cancelled");
    }

    #[test]
    fn every_cause_says_who_asked() {
        use Cause::*;
        let causes = [Caller, Token, Deadline, Shutdown, Dropped, Parent, Scope];
        let said = causes.map(|cause| cause.to_string());
        assert_eq!(said[2..4], ["its deadline passed", "the pool shut down"]);
        assert!(
            said.iter()
                .zip(["handle", "token", "deadline", "pool", "handle", "parent", "scope"])
                .all(|(said, who)| said.contains(who))
        );
    }
}

#[cfg(all(test, punctual_loom))]
mod models;
