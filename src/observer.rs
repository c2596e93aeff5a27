//! Who watches a pool from outside: the user's own logs and counters.
//!
//! The pool calls it where things happen, through [`Watch`]: under no lock, every call caught by
//! itself. Without an observer each such place costs a branch.

use crate::error::{Panic, Rejection};
use crate::info::JobInfo;
use crate::job::Tally;
use crate::stop::Cause;
use crate::unwind::{self, Payload};
use std::fmt;
use std::sync::Arc;
use std::thread;

/// Is told what happens in a pool; see [`Builder::observer`](crate::Builder::observer).
///
/// Every method has a default that does nothing.
///
/// # Order
/// For each job: [`accepted`](Self::accepted), then [`started`](Self::started), then
/// [`ended`](Self::ended), then [`overdue`](Self::overdue), then
/// [`returned_late`](Self::returned_late); never two at once, and each at most once. A job has exactly
/// one of `ended` and [`rejected`](Self::rejected). Calls for different jobs come at any time, on many
/// threads at once.
///
/// `ended` and `rejected` come just after the outcome can be seen: who waits for a job may go on before
/// its observer is told. Who waits for the pool's end finds that all was told (but perhaps for the last
/// of a job whose body returned just as it became overdue).
///
/// # Be quick
/// Each method says on which thread it is called. That thread does nothing else meanwhile: a slow
/// observer slows down the pool, and what it does in `started` is part of the job's run. No lock of the
/// pool's is held, so it may look at the pool's [`metrics`](crate::Pool::metrics); but it must not wait
/// for one of its jobs, nor for its end. A job that it spawns on the same pool is told, too.
///
/// # Panics
/// One in a method is caught, and told to the pool's
/// [`on_unseen_panic`](crate::Builder::on_unseen_panic).
///
/// # Examples
/// A log of how jobs end:
///
/// ```
/// use punctual::{JobInfo, Observer, Outcome, Pool};
/// use std::sync::mpsc::{self, Sender};
///
/// struct Log(Sender<String>);
///
/// impl Observer for Log {
///     fn ended(&self, job: &JobInfo, outcome: Outcome) {
///         let _ = self.0.send(format!("{} {outcome}", job.name().unwrap_or("a job")));
///     }
/// }
///
/// let (send, log) = mpsc::channel();
/// let pool = Pool::builder().observer(Log(send)).build().unwrap();
/// pool.job().name("report").spawn_blocking(|| ()).wait().unwrap();
/// assert_eq!(log.recv().unwrap(), "report returned");
/// ```
///
/// And one of what goes wrong. A body hangs beyond its time, and meanwhile the queue is full:
///
/// ```
/// use punctual::{JobInfo, Observer, Pool, Rejection};
/// use std::sync::mpsc::{self, Sender};
/// use std::time::Duration;
///
/// struct Log(Sender<String>);
///
/// impl Log {
///     fn note(&self, job: &JobInfo, what: &str) {
///         let _ = self.0.send(format!("{}: {what}", job.name().unwrap_or("a job")));
///     }
/// }
///
/// impl Observer for Log {
///     fn accepted(&self, job: &JobInfo) {
///         self.note(job, "accepted");
///     }
///     fn rejected(&self, job: &JobInfo, why: Rejection) {
///         self.note(job, &format!("rejected, {why}"));
///     }
///     fn started(&self, job: &JobInfo) {
///         self.note(job, "started");
///     }
///     fn overdue(&self, job: &JobInfo) {
///         self.note(job, &format!("overdue on {}", job.thread().unwrap_or("no thread")));
///     }
///     fn returned_late(&self, job: &JobInfo) {
///         self.note(job, "returned late");
///     }
/// }
///
/// let (send, log) = mpsc::channel();
/// let pool = Pool::builder().name("db").threads(1..=1).queue_limit(1).observer(Log(send));
/// let pool = pool.build().unwrap();
/// let noted = |notes: &[&str]| notes.iter().for_each(|note| assert_eq!(log.recv().unwrap(), *note));
///
/// let (go, gate) = mpsc::channel::<()>();
/// let query = pool.job().name("query").run_timeout(Duration::from_millis(5));
/// let query = query.spawn_blocking(move || gate.recv());
/// noted(&["query: accepted", "query: started", "query: overdue on db-1"]);
/// assert!(query.wait().unwrap_err().is_timed_out());
///
/// let report = pool.job().name("report").spawn_blocking(|| ()); // waits for the only thread
/// noted(&["report: accepted"]);
/// assert!(pool.job().name("more").spawn_blocking(|| ()).wait().is_err());
/// noted(&["more: rejected, the queue is full"]);
///
/// drop(go);
/// report.wait().unwrap();
/// noted(&["query: returned late", "report: started"]);
/// ```
#[allow(unused_variables, reason = "their names are for those who write an observer")]
pub trait Observer: Send + Sync + 'static {
    /// The pool takes a job: there is a place for it in the queue. It may still be refused, if the
    /// pool shuts down just now, there is no thread to be had, or it can not be done in time any more.
    ///
    /// On the thread that spawns it, before it is queued.
    fn accepted(&self, job: &JobInfo) {}

    /// The pool refused a job: it never starts.
    ///
    /// On the thread that spawned it, mostly, also if [`try_spawn`](crate::Job::try_spawn) gives the body
    /// back. One that had been accepted is refused on the thread that found no other; or that would have
    /// started it, and found that it is too late; or that spawned a later one, if its place goes to that.
    fn rejected(&self, job: &JobInfo, why: Rejection) {}

    /// A job's body is about to be called; [`JobInfo::queued_for`] says how long it waited.
    ///
    /// On the thread that calls it.
    fn started(&self, job: &JobInfo) {}

    /// A job that was accepted has its outcome. If it never started, its
    /// [phase](JobInfo::phase) is [`Queued`](crate::Phase::Queued).
    ///
    /// On the thread that ended it: the worker; or that of who stopped it, or the timekeeper's.
    fn ended(&self, job: &JobInfo, outcome: Outcome) {}

    /// A job that has just ended goes on: its body has not returned yet. [`JobInfo::thread`] says which
    /// thread that holds, unless it returns at this very moment.
    ///
    /// On the thread that ended it, mostly the timekeeper's; or on the worker, if it had not told yet
    /// that the job has started.
    fn overdue(&self, job: &JobInfo) {}

    /// The body of a job that was overdue has returned; what came of it was dropped, or handed to
    /// [`on_late`](crate::Job::on_late).
    ///
    /// On the worker; or, if it returned just then, on the thread that has told that it is overdue.
    fn returned_late(&self, job: &JobInfo) {}

    /// A thread is about to take its first job.
    ///
    /// On that thread, before [`on_thread_start`](crate::Builder::on_thread_start).
    fn thread_started(&self, name: &str) {}

    /// A thread has done its last job.
    ///
    /// On that thread, after [`on_thread_stop`](crate::Builder::on_thread_stop).
    fn thread_stopped(&self, name: &str) {}

    /// A job is overdue, and no [spare thread](crate::Builder::spare_threads) is left (or there never
    /// was one) to take the place of the one that its body holds: until that returns, the other jobs
    /// have a thread fewer. Each time that it comes to this.
    ///
    /// On the thread that ended that job, mostly the timekeeper's; just after it was told that it is
    /// overdue, if its start had been told.
    fn spare_threads_used_up(&self) {}

    /// The pool refuses new jobs from now on, and finishes the others. At most once.
    ///
    /// On the thread that called [`drain`](crate::Pool::drain).
    fn drain_begun(&self) {}

    /// The pool refuses new jobs from now on, and stops the others: by
    /// [`shutdown`](crate::Pool::shutdown), or because the time of a drain is up. At most once.
    ///
    /// On the thread that called it, or waits for it; before any job is stopped.
    fn shutdown_begun(&self) {}
}

/// How an accepted job ended, for an [`Observer`].
///
/// # Examples
///
/// ```
/// use punctual::{Cause, Outcome};
///
/// assert_eq!(Outcome::Cancelled(Cause::Shutdown).to_string(), "cancelled");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Outcome {
    /// The body gave a value.
    Returned,
    /// The body returned an error, without having been stopped.
    Failed,
    /// The body panicked.
    Panicked,
    /// It was stopped by anything but a deadline.
    Cancelled(Cause),
    /// It was stopped by a deadline.
    TimedOut,
}

/// For people: `returned`, `failed`, `panicked`, `cancelled`, `timed out`. (Labels of metrics and fields of
/// spans have `timed_out`.)
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Returned => "returned",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Cancelled(_) => "cancelled",
            Self::TimedOut => "timed out",
        })
    }
}

/// How a job ended that was stopped for `cause`, if it was; or why it was refused.
pub(crate) fn outcome_of(tally: Tally, cause: Option<Cause>) -> Result<Outcome, Rejection> {
    Ok(match tally {
        Tally::Returned => Outcome::Returned,
        Tally::Failed => Outcome::Failed,
        Tally::Panicked => Outcome::Panicked,
        Tally::Cancelled(_) => Outcome::Cancelled(cause.unwrap_or(Cause::Caller)),
        Tally::TimedOut(_) => Outcome::TimedOut,
        Tally::Rejected(why) | Tally::Refused(why) => return Err(why),
    })
}

/// A pool's observer, if it has one.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// Told of the observer's panics. Must not panic itself.
    pub(crate) on_panic: Arc<dyn Fn(Payload) + Send + Sync>,
}

/// The observer's destructor is user code, too; it is called with the last of these.
impl Drop for Watch {
    fn drop(&mut self) {
        if let Err(payload) = unwind::drop_caught(self.observer.take()) {
            (self.on_panic)(payload);
        }
    }
}

/// A function that every thread calls.
type ThreadHook = Arc<dyn Fn() + Send + Sync>;

impl Watch {
    /// Tells the observer; `false` if there is none.
    #[inline]
    pub(crate) fn tell(&self, what: impl FnOnce(&dyn Observer)) -> bool {
        let Some(observer) = &self.observer else { return false };
        if let Err(payload) = unwind::catch(|| what(&**observer)) {
            (self.on_panic)(payload);
        }
        true
    }

    /// What a thread calls before its first job: this hook, and the observer before it.
    pub(crate) fn before(&self, hook: Option<ThreadHook>) -> Option<ThreadHook> {
        if self.observer.is_none() {
            return hook;
        }
        let watch = self.clone();
        Some(Arc::new(move || {
            watch.tell(|observer| {
                observer.thread_started(thread::current().name().unwrap_or_default())
            });
            if let Some(hook) = &hook {
                hook();
            }
        }))
    }

    /// What a thread calls after its last job: this hook, and the observer after it.
    pub(crate) fn after(&self, hook: Option<ThreadHook>) -> Option<ThreadHook> {
        if self.observer.is_none() {
            return hook;
        }
        let watch = self.clone();
        Some(Arc::new(move || {
            let called = hook.as_ref().map_or(Ok(()), |hook| unwind::catch(|| hook()));
            watch.tell(|observer| {
                observer.thread_stopped(thread::current().name().unwrap_or_default())
            });
            if let Err(payload) = called {
                (watch.on_panic)(payload);
            }
        }))
    }
}

/// What becomes of a panic that nobody sees, where the user has set nothing for it.
#[expect(clippy::needless_pass_by_value, reason = "hooks are given the panic")]
pub(crate) fn print_unseen(panic: Panic) {
    if !is_logged(&panic) {
        eprintln!("punctual: {panic} (nobody was there to see it)");
    }
}

/// Whether the panic went to those who collect the program's events.
#[cfg(feature = "tracing")]
fn is_logged(panic: &Panic) -> bool {
    // Asked first: `tracing` may take the answer of a thread on which nobody listens for everybody's.
    let is_anybody = |by: &tracing::Dispatch| !by.is::<tracing::subscriber::NoSubscriber>();
    let heard = tracing::dispatcher::get_default(is_anybody)
        && tracing::event_enabled!(target: "punctual", tracing::Level::ERROR);
    if heard {
        tracing::error!(target: "punctual", "{panic} (nobody was there to see it)");
    }
    heard
}

#[cfg(not(feature = "tracing"))]
fn is_logged(_: &Panic) -> bool {
    false
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;
    use crate::stop::Phase;

    #[test]
    fn every_end_has_its_word() {
        let said = |tally| outcome_of(tally, Some(Cause::Token)).map(|outcome| outcome.to_string());
        let stopped = [Phase::Queued, Phase::Running].map(Tally::Cancelled);
        let ends = [Tally::Returned, Tally::Failed, Tally::Panicked, stopped[0], stopped[1]];
        let words = ["returned", "failed", "panicked", "cancelled", "cancelled"];
        for (end, word) in ends.into_iter().zip(words) {
            assert_eq!(said(end), Ok(word.to_owned()));
        }
        assert_eq!(said(Tally::TimedOut(Phase::Queued)), Ok("timed out".to_owned()));
        let full = Rejection::QueueFull;
        assert_eq!(outcome_of(Tally::Rejected(full), None), Err(full));
        let by = outcome_of(stopped[0], Some(Cause::Token));
        assert_eq!(by, Ok(Outcome::Cancelled(Cause::Token)));
    }
}
