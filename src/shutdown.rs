//! The end of a pool: refuse new jobs, finish or stop the others, and report.

use crate::aside;
use crate::deadline::Deadline;
use crate::info::JobInfo;
use crate::job::{Bell, Leftover, Task};
use crate::lifecycle::Stage;
use crate::park::{block_on, park_for};
use crate::pool::Pool;
use crate::share::{Core, Inside};
use crate::stop::Cause;
use crate::sync::{Ordering, thread};
use crate::timekeeper::Armed;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long `shutdown` waits for destructors and callbacks, before it leaves them to their thread.
const PROMPT: Duration = Duration::from_millis(20);
/// How long `wait` pauses between two looks whether a thread has exited.
const JOIN_PAUSE: Duration = Duration::from_micros(50);

impl Pool {
    /// Refuses new jobs from now on, and finishes those that were accepted.
    ///
    /// Takes effect at the call. Await the result or [`wait`](Shutdown::wait) on it to know when
    /// all is done; [`within`](Shutdown::within) bounds that. Dropping it changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::new();
    /// let job = pool.spawn_blocking(|| 1);
    /// let report = pool.drain().wait();
    /// assert_eq!(report.finished, 1);
    /// assert_eq!(job.wait().unwrap(), 1);
    /// ```
    pub fn drain(&self) -> Shutdown {
        self.core().close(Stage::Draining);
        Shutdown::of(self)
    }

    /// Refuses new jobs from now on, ends those that wait as cancelled, and asks those that run to
    /// stop.
    ///
    /// Takes effect at the call: all is decided when it returns. What the queued jobs had captured is
    /// dropped, and what the running ones gave to `on_stop` is called, on a thread of its own; the
    /// call waits for that, but only for a moment. Await the result or [`wait`](Shutdown::wait) on it
    /// to know when the last body has returned; [`within`](Shutdown::within) bounds that, and should
    /// be used: a body need not listen. Dropping it changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.sleep(Duration::MAX));
    /// let report = pool.shutdown().within(Duration::from_secs(5)).wait();
    /// assert!(report.still_running.is_empty());
    /// assert!(job.wait().unwrap_err().is_cancelled());
    /// ```
    pub fn shutdown(&self) -> Shutdown {
        self.core().close(Stage::Stopping);
        Shutdown::of(self)
    }
}

/// A pool that drains or shuts down: waits for the end, as a future or by blocking.
///
/// All who wait are given the report. Within a job of the same pool, the end is when all other
/// jobs have ended. Two jobs that each *await* the end of their own pool wait for each other: there,
/// [`wait`](Self::wait).
///
/// # Cancel safety
/// Dropping it stops the waiting, not the shutdown; the time of `within` is then no longer kept.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let pool = punctual::Pool::new();
/// let job = pool.spawn_blocking(|| 1);
/// let end: punctual::Shutdown = pool.drain();
/// assert!(pool.spawn_blocking(|| 2).await.unwrap_err().is_rejected()); // closed already
/// assert_eq!(end.await.finished, 1);
/// # assert_eq!(job.await.unwrap(), 1);
/// # }
/// ```
#[must_use = "the pool closes, but nobody waits for its end"]
pub struct Shutdown {
    core: Arc<Core>,
    limit: Deadline,
    /// Wakes those who wait when the limit has come.
    alarm: Option<Armed<Bell>>,
    /// Under which the waker is listed.
    number: Option<u64>,
}

/// What became of a pool's jobs.
///
/// Every job that was ever accepted is in exactly one of the three.
///
/// # Examples
///
/// ```
/// let report = punctual::Pool::new().drain().wait();
/// assert_eq!(report.to_string(), "0 jobs finished, 0 never started, 0 still running");
/// ```
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How many jobs ended in any other way than by this shutdown's catching them in the queue.
    pub finished: u64,
    /// The jobs that were in the queue: cancelled, and never started.
    pub never_started: Vec<JobInfo>,
    /// The jobs whose body had not returned: when the time was up, and their handles have resolved; or
    /// because they themselves wait for this.
    pub still_running: Vec<JobInfo>,
}

impl Shutdown {
    fn of(pool: &Pool) -> Self {
        let core = Arc::clone(pool.core());
        Self { core, limit: Deadline::NEVER, alarm: None, number: None }
    }

    /// Waits at most so long, from now on. When the time is up, what is queued ends as cancelled
    /// and is named in the report as never started; the handles of bodies that run resolve as
    /// cancelled, and are named as still running.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = punctual::Pool::new();
    /// let (send, receive) = std::sync::mpsc::channel::<()>();
    /// let deaf = pool.job().name("deaf").spawn_blocking(move || receive.recv());
    /// # while pool.metrics().queued > 0 { std::thread::yield_now(); }
    /// let report = pool.shutdown().within(Duration::from_millis(10)).wait();
    /// assert_eq!(report.still_running.len() + report.never_started.len(), 1);
    /// assert!(deaf.wait().unwrap_err().is_cancelled());
    /// drop(send);
    /// ```
    pub fn within(mut self, time: Duration) -> Self {
        self.limit = self.core.keeper.clock().after(time);
        self.alarm = None;
        self
    }

    /// Blocks this thread until the end, and until the pool's workers have exited, thread-locals and
    /// all, as far as the time allows. The timekeeper's threads, which may still be dropping what
    /// queued jobs had captured, are not waited for.
    ///
    /// In a job of this pool, or in a destructor of what a job that never ran had captured, the job
    /// itself and others that wait like it are not waited for, nor are threads. All else is: give it
    /// a time if the pool may have no thread left for what is queued.
    ///
    /// ```
    /// let pool = punctual::Pool::builder().threads(2..=2).build().unwrap();
    /// let report = pool.drain().wait();
    /// assert_eq!((report.finished, pool.metrics().threads), (0, 0));
    /// ```
    pub fn wait(mut self) -> ShutdownReport {
        let core = Arc::clone(&self.core);
        let inside = Waiting::enter(&core);
        let limit = if core.keeper.clock().is_manual() && self.arm() {
            Deadline::NEVER // who moves the clock wakes this thread
        } else {
            self.limit
        };
        let mut report = std::future::poll_fn(|cx| self.poll_report(cx));
        let report = loop {
            if let Some(report) = block_on(&mut report, limit) {
                break report;
            }
        };
        let is_up = || core.keeper.clock().is_past(self.limit);
        while !inside.is_inside() && !core.crew.join_exited() && !is_up() {
            park_for(JOIN_PAUSE);
        }
        report
    }

    fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<ShutdownReport> {
        self.number = Some(self.core.crew.changed.list(self.number, cx.waker()));
        if self.core.is_over() {
            return Poll::Ready(self.core.report());
        }
        if self.core.keeper.clock().is_past(self.limit) {
            self.core.cut();
            return Poll::Ready(self.core.report());
        }
        Poll::Pending
    }

    /// Sees to it that this is polled when the limit has come; `false` if nobody can.
    fn arm(&mut self) -> bool {
        let Some(at) = self.limit.instant().filter(|_| self.alarm.is_none()) else { return true };
        let crew = Arc::clone(&self.core.crew);
        let armed = self.core.keeper.arm(at, Bell::Call(Box::new(move || crew.notify())));
        self.alarm = armed.ok();
        self.alarm.is_some()
    }
}

/// If there is a limit and no thread to watch it, the time counts as up.
impl Future for Shutdown {
    type Output = ShutdownReport;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ShutdownReport> {
        if !self.arm() {
            self.limit = self.core.keeper.clock().after(Duration::ZERO);
        }
        self.poll_report(cx)
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.core.crew.changed.unlist(number);
        }
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (never, still) = (self.never_started.len(), self.still_running.len());
        write!(f, "{} jobs finished, {never} never started, {still} still running", self.finished)
    }
}

impl Core {
    fn close(&self, stage: Stage) {
        self.refuse_new(stage);
        if stage == Stage::Stopping {
            self.stop_all();
        }
    }

    fn refuse_new(&self, stage: Stage) {
        let begun = self.crew.lifecycle.rise(stage);
        self.close_places();
        self.retire();
        if begun {
            self.watch.tell(|observer| match stage {
                Stage::Stopping => observer.shutdown_begun(),
                _ => observer.drain_begun(),
            });
        }
    }

    /// Ends all that waits, asks all that runs to stop. What comes later sees the stage.
    ///
    /// All is decided first. The user's code that follows, destructors and callbacks, is run aside:
    /// one that is slow holds up neither the caller for long nor the others' stop.
    fn stop_all(&self) {
        let left = self.begin_stop_all(|job| job.begin_stop(Cause::Shutdown).1);
        aside::run(&self.keeper, left, PROMPT);
    }

    /// The time is up: resolves every handle without waiting for user code.
    fn cut(&self) {
        self.refuse_new(Stage::Stopping);
        let left = self.begin_stop_all(|job| {
            let (_, leftover) = job.begin_stop(Cause::Shutdown);
            job.give_up();
            leftover
        });
        aside::run(&self.keeper, left, Duration::ZERO);
    }

    fn begin_stop_all(&self, stop: impl Fn(&Task) -> Option<Leftover>) -> Vec<Leftover> {
        let mut left = Vec::new();
        for share in self.shares() {
            for bulkhead in share.way() {
                left.extend(bulkhead.empty().iter().filter_map(&stop));
            }
        }
        self.crew.empty_queue(|job| left.extend(stop(&job)));
        left.extend(self.crew.at_desks().iter().filter_map(|(job, _)| stop(job)));
        left
    }

    /// Whether all jobs have ended and all threads have left; to a job of this pool, all but those
    /// that wait for it.
    fn is_over(&self) -> bool {
        let (jobs, threads) = match self.crew.jobs_here() {
            0 => (0, 0),
            here => {
                let inside = *self.inside.lock();
                (inside.jobs.max(here) as u64, inside.threads.max(1))
            }
        };
        self.crew.lifecycle.unfinished() <= jobs && self.crew.is_left_to(threads)
    }

    fn report(&self) -> ShutdownReport {
        let accepted = self.settle();
        let goes_on = |job: &Task| job.head.state.is_running() && !job.head.state.has_ended();
        let still_running = self.crew.infos(goes_on);
        let never_started = self.never_started.lock().clone();
        let named = (never_started.len() + still_running.len()) as u64;
        let finished = accepted.saturating_sub(named);
        ShutdownReport { finished, never_started, still_running }
    }

    /// Waits until every accepted job has been started or claimed. Before a queue, and between it
    /// and a desk, a job is nowhere to be seen; no user code runs there, so it is a matter of
    /// moments, and what comes out of there sees that the pool stops.
    ///
    /// Gives their number. (The counter of accepted jobs includes, for a moment, one that is being
    /// refused.)
    fn settle(&self) -> u64 {
        loop {
            // ORDERING: Acquire pairs with the Release in `claimed`; see there.
            let settled = self.crew.started() + self.claimed.load(Ordering::Acquire);
            if settled >= self.counters.accepted_for_good() {
                return settled;
            }
            thread::yield_now();
        }
    }
}

/// On the stack of a thread that waits for the end of a pool, which may be its own.
struct Waiting<'a> {
    core: &'a Core,
    own: Inside,
}

impl<'a> Waiting<'a> {
    fn enter(core: &'a Core) -> Self {
        let threads = usize::from(core.crew.is_here());
        let own = Inside { jobs: core.crew.jobs_here(), threads };
        let mut inside = core.inside.lock();
        inside.jobs += own.jobs;
        inside.threads += own.threads;
        drop(inside);
        let waiting = Self { core, own };
        if waiting.is_inside() {
            core.crew.notify(); // others inside need not wait for this one
        }
        waiting
    }

    fn is_inside(&self) -> bool {
        self.own.jobs > 0 || self.own.threads > 0
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut inside = self.core.inside.lock();
        inside.jobs -= self.own.jobs;
        inside.threads -= self.own.threads;
    }
}

#[cfg(all(test, punctual_loom))]
mod models;
