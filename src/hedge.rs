//! A second try of the same work when the first takes too long; the first value wins.
//!
//! From Dean and Barroso, "The Tail at Scale" (2013): a request is sent again once it has taken longer
//! than most do, which costs few requests more and cuts off the slow tail. That a failed try is
//! followed by the next at once is gRPC's hedging policy (its proposal A6).
//!
//! # Rules
//! 1. `second` is there until the second try is started, or can be of no more use; with it goes its
//!    alarm. Who gave an outcome, or is dropped, has none.
//! 2. The alarm only wakes who waits. Whoever polls starts the second try: in the runtime context of
//!    who asked for both.
//! 3. An error that is not given is passed over in no other way than by `pass_over` (law 17).
//!
//! # Why this is correct
//! The second try is not forgotten: who polls lists its waker, sets the alarm if none is set, and then
//! reads the clock. An alarm that has rung by then rang at its moment, which the clock shows; and a
//! clock that was moved by hand before the alarm was set shows that, too.

use crate::deadline::Deadline;
use crate::error::{JobError, Panic, Rejection};
use crate::job::ambient;
use crate::job::{Bell, How, JobContext, JobHandle, Waiting};
use crate::lane::Lane;
use crate::park;
use crate::pool::Pool;
use crate::share::Core;
use crate::stop::Phase;
use crate::submit::Job;
use crate::timekeeper::Armed;
use crate::unwind;
use crate::wakers::Wakers;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

impl Pool {
    /// Runs `f`, and once more if that takes longer than `after`; the first value wins. For settings
    /// of both tries, see [`Job::hedge`].
    ///
    /// # Examples
    ///
    /// ```
    /// use punctual::{Checked, Pool};
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use std::time::Duration;
    ///
    /// let pool = Pool::new();
    /// let stuck = AtomicBool::new(true); // the first try only
    /// let look_up = pool.hedge(Duration::from_millis(5), move |cx| -> Checked<_> {
    ///     if stuck.swap(false, Ordering::Relaxed) {
    ///         cx.sleep(Duration::MAX)?;
    ///     }
    ///     Ok("127.0.0.1")
    /// });
    /// assert_eq!(look_up.wait().unwrap(), "127.0.0.1");
    /// ```
    #[track_caller]
    pub fn hedge<F, T, E>(&self, after: Duration, f: F) -> Hedge<T, E>
    where
        F: Fn(&JobContext) -> Result<T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.job().hedge(after, f)
    }
}

impl Lane {
    /// Runs `f` in this lane, and once more if that takes longer than `after`; the first value wins.
    /// See [`Pool::hedge`].
    ///
    /// Two tries at the same time need two of the lane's [limit](Lane::limit).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("look-ups").limit(2);
    /// let number = lane.hedge(Duration::from_secs(1), |_| "42".parse::<u32>());
    /// assert_eq!(number.wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn hedge<F, T, E>(&self, after: Duration, f: F) -> Hedge<T, E>
    where
        F: Fn(&JobContext) -> Result<T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        self.job().hedge(after, f)
    }
}

impl Job {
    /// Runs `f` with these settings, and once more if that takes longer than `after`; the first value
    /// wins.
    ///
    /// The timeout and the deadline are for both tries together; the timeouts in the queue and of the
    /// run, and the grace time, are each try's own. A reserved place is the first try's.
    ///
    /// # Examples
    ///
    /// ```
    /// use punctual::Pool;
    /// use std::time::Duration;
    ///
    /// let pool = Pool::new();
    /// let query = pool.job().name("query").timeout(Duration::from_millis(100));
    /// let query = query.hedge(Duration::from_millis(5), |cx| cx.sleep(Duration::MAX));
    /// assert!(query.wait().unwrap_err().is_timed_out()); // twice
    /// assert_eq!(pool.metrics().accepted, 2);
    /// ```
    #[track_caller]
    pub fn hedge<F, T, E>(mut self, after: Duration, f: F) -> Hedge<T, E>
    where
        F: Fn(&JobContext) -> Result<T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let location = Location::caller();
        let core = Arc::clone(self.core());
        let start = core.keeper.clock().now();
        let until = self.begin(start);
        let call: Arc<Call<T, E>> = Arc::new(f);
        let second = Second {
            job: self.again(),
            call: Arc::clone(&call),
            location,
            context: ambient::Context::current(),
            at: Deadline::at(start).plus(after),
            until,
            alarm: None,
            wakers: Arc::default(),
            number: None,
        };
        let first = self.spawn_at(location, move |cx| call(cx));
        Hedge { core, tries: vec![first], error: None, second: Some(second) }
    }
}

/// Two tries of the same work, of which the first value wins; see [`Pool::hedge`].
///
/// The first try is spawned at the call. The second is spawned, by whoever polls this or
/// [waits](Self::wait), when the first has given nothing for so long, be it in the queue or running;
/// or at once when it has failed. `f` may so run twice, also at the same time: it must do no harm
/// when it does. When one try gives a value, the other is stopped, with
/// [`Cause::Dropped`](crate::Cause::Dropped).
///
/// No second try is made when the first was cancelled (by a token, its parent, the pool's end), was
/// refused by a pool that is shut down, or has used up the time for both. An error that a second try
/// would not change, such as "not found", is best made part of the value: `Ok(None)` wins.
///
/// # Errors
/// If both tries fail, the error is that of the later one to do so; but if that never ran, and the
/// other did, the other's: what it says of the [phase](JobError::phase) is true of both. A panic that is
/// passed over, for the other try's value or error, is told to the pool's
/// [`on_unseen_panic`](crate::Builder::on_unseen_panic).
///
/// # Cancel safety
/// Polling may cease at any time; nothing is lost. While nobody polls, no second try is made.
///
/// # Drop
/// Dropping it stops the tries, and leaves no timer behind. It does not wait for bodies that run.
///
/// # Panics
/// If it is polled again after it gave the outcome.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use punctual::{Hedge, Pool};
/// use std::time::Duration;
///
/// let pool = Pool::new();
/// let read: Hedge<String, std::io::Error> =
///     pool.hedge(Duration::from_secs(1), |_| std::fs::read_to_string("Cargo.toml"));
/// assert!(read.await.unwrap().contains("[package]")); // in time: there was one try
/// assert_eq!(pool.metrics().accepted, 1);
/// # }
/// ```
#[must_use = "dropping it stops the work; a second try is made only while it is polled"]
pub struct Hedge<T, E = Infallible> {
    core: Arc<Core>,
    /// Those that have given no outcome: at most two.
    tries: Vec<JobHandle<T, E>>,
    /// Of the try that has failed.
    error: Option<JobError<E>>,
    /// Rule 1.
    second: Option<Second<T, E>>,
}

type Call<T, E> = dyn Fn(&JobContext) -> Result<T, E> + Send + Sync;

/// A second try that was not started.
struct Second<T, E> {
    job: Job,
    call: Arc<Call<T, E>>,
    location: &'static Location<'static>,
    context: ambient::Context,
    /// When it is due.
    at: Deadline,
    /// By when both must have ended.
    until: Deadline,
    /// Set while somebody waits.
    alarm: Option<Armed<Bell>>,
    wakers: Arc<Wakers>,
    /// Under which the waker is listed.
    number: Option<u64>,
}

impl<T, E> Hedge<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    /// Blocks this thread until the outcome is there. Needs no runtime.
    ///
    /// # Errors
    /// Why there is no value.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let number = pool.hedge(Duration::from_secs(1), |_| "42".parse::<u32>());
    /// assert_eq!(number.wait().unwrap(), 42);
    /// ```
    pub fn wait(mut self) -> Result<T, JobError<E>> {
        loop {
            // Not run here: the other try is started by who waits.
            let _waiting = Waiting::for_any(self.tries.iter().map(JobHandle::task), How::ForEver);
            let may_come = self.second.is_some();
            let mut next = poll_fn(|cx| match Pin::new(&mut self).poll(cx) {
                Poll::Pending if may_come && self.second.is_none() => Poll::Ready(None),
                outcome => outcome.map(Some), // or the other try is waited for, too
            });
            if let Some(outcome) = park::wait(&mut next) {
                return outcome;
            }
        }
    }

    /// Looks at each try, and gives the first value.
    fn poll_tries(&mut self, cx: &mut Context<'_>) -> Option<T> {
        let mut n = 0;
        while let Some(job) = self.tries.get_mut(n) {
            let Poll::Ready(outcome) = Pin::new(job).poll(cx) else {
                n += 1;
                continue;
            };
            drop(self.tries.remove(n));
            match outcome {
                Ok(value) => return Some(value),
                Err(error) => self.failed(error),
            }
        }
        None
    }
}

impl<T, E> Hedge<T, E> {
    /// The second try, if it is time for it: its own, or because there is no other.
    fn take_due(&mut self, waker: &Waker) -> Option<Second<T, E>> {
        let (core, alone) = (&self.core, self.tries.is_empty());
        self.second.take_if(|second| alone || second.is_due(core, waker))
    }

    fn failed(&mut self, error: JobError<E>) {
        self.second.take_if(|second| !second.helps_after(&error));
        let (kept, other) = match self.error.take() {
            Some(first) if !ran(&error) && ran(&first) => (first, Some(error)),
            first => (error, first),
        };
        self.error = Some(kept);
        self.pass_over(other);
    }

    /// Stops whatever is left.
    fn end(&mut self) {
        self.second = None;
        while let Some(job) = self.tries.pop() {
            drop(job.cancel_on_drop());
        }
        let error = self.error.take();
        self.pass_over(error);
    }

    fn pass_over(&self, error: Option<JobError<E>>) {
        let unseen = match error {
            Some(JobError::Panicked(panic)) => Some(panic),
            other => unwind::drop_caught(other).err().map(|payload| Panic::new(payload, None)),
        };
        if let Some(panic) = unseen {
            self.core.unseen_panic(panic);
        }
    }
}

/// Whether the body was called.
fn ran<E>(error: &JobError<E>) -> bool {
    error.phase() == Some(Phase::Running)
}

impl<T, E> Second<T, E> {
    /// Whether its time has come. If not, `waker` is woken when it does. With no thread to see to
    /// that, it is only tried when the first try has failed.
    fn is_due(&mut self, core: &Arc<Core>, waker: &Waker) -> bool {
        self.number = Some(self.wakers.list(self.number, waker));
        if self.alarm.is_none() && self.at < self.until {
            let (wakers, pool) = (Arc::clone(&self.wakers), Arc::clone(core));
            let tell = move |payload| pool.unseen_panic(Panic::new(payload, None));
            let ring = Bell::Call(Box::new(move || wakers.wake_all(tell)));
            self.alarm = self.at.instant().and_then(|at| core.keeper.arm(at, ring).ok());
        }
        core.keeper.clock().is_past(self.at)
    }

    /// Whether it may do better than one that ended like this.
    fn helps_after(&self, error: &JobError<E>) -> bool {
        match error {
            JobError::Failed(_) | JobError::Panicked(_) => true,
            JobError::Rejected(why) => *why != Rejection::ShutDown,
            JobError::TimedOut(_) => !self.job.core().keeper.clock().is_past(self.until),
            JobError::Cancelled(_) => false,
        }
    }
}

impl<T, E> Second<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    fn start(mut self) -> JobHandle<T, E> {
        self.alarm = None;
        let call = Arc::clone(&self.call);
        let _context = self.context.enter();
        self.job.again().spawn_at(self.location, move |cx| call(cx))
    }
}

impl<T, E> Drop for Second<T, E> {
    fn drop(&mut self) {
        self.alarm = None; // before the waker: nobody is woken for it any more
        if let Some(number) = self.number {
            self.wakers.unlist(number);
        }
    }
}

impl<T, E> Future for Hedge<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    type Output = Result<T, JobError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Some(value) = self.poll_tries(cx) {
                self.end();
                return Poll::Ready(Ok(value));
            }
            match self.take_due(cx.waker()) {
                Some(second) => self.tries.push(second.start()),
                None if self.tries.is_empty() => break,
                None => return Poll::Pending,
            }
        }
        match self.error.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => panic!("a hedge was used after it gave the outcome"),
        }
    }
}

impl<T, E> Drop for Hedge<T, E> {
    fn drop(&mut self) {
        self.end();
    }
}

// No value and no error is ever pinned here.
impl<T, E> Unpin for Hedge<T, E> {}

impl<T, E> fmt::Debug for Hedge<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedge")
            .field("tries", &self.tries)
            .field("has_failed", &self.error.is_some())
            .field("second_is_due", &self.second.as_ref().map(|second| second.at))
            .finish_non_exhaustive()
    }
}
