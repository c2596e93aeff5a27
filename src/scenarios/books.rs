//! The books that every scenario keeps, and closes at its end.

use crate::scenarios::support::{Gate, wait_for_stop};
use crate::sync::thread;
use crate::{Checked, Job, JobContext, JobError, JobHandle, Metrics, Phase, Pool, Stopped};
use std::fmt::Debug;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// All jobs of a scenario, whether accepted or not.
///
/// None of this is a step of the model: the primitives are std's, and held for a moment.
#[derive(Clone, Default)]
pub(super) struct Books(Arc<Mutex<Vec<Entry>>>);

/// What became of one job.
#[derive(Clone, Default)]
pub(super) struct Entry(Arc<Facts>);

#[derive(Default)]
struct Facts {
    called: AtomicU32,
    returned: AtomicU32,
    captures_dropped: AtomicU32,
    panics: AtomicU32,
    seen: Mutex<Option<Seen>>,
}

/// What a body says that panics because its scenario wants it to.
pub(super) const ON_PURPOSE: &str = "on purpose";

/// A job's outcome, as its handle gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Returned,
    Failed,
    Panicked,
    Cancelled(Phase),
    TimedOut(Phase),
    Rejected,
}

impl Seen {
    /// Whether the body is never called.
    fn is_never(self) -> bool {
        matches!(
            self,
            Self::Rejected | Self::Cancelled(Phase::Queued) | Self::TimedOut(Phase::Queued)
        )
    }
}

/// Captured by a body.
struct Capture(Entry);

impl Drop for Capture {
    fn drop(&mut self) {
        count(&self.0.0.captures_dropped);
    }
}

fn count(counter: &AtomicU32) {
    // ORDERING: Relaxed; all threads of an execution are one.
    counter.fetch_add(1, Ordering::Relaxed);
}

fn counted(counter: &AtomicU32) -> u32 {
    // ORDERING: as in `count`.
    counter.load(Ordering::Relaxed)
}

impl Entry {
    /// A body that is entered in the books.
    pub(super) fn body<T, E>(
        &self,
        body: impl FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
    ) -> impl FnOnce(&JobContext) -> Result<T, E> + Send + 'static {
        let capture = Capture(self.clone());
        move |cx| {
            let facts = &capture.0.0;
            count(&facts.called);
            let own = crate::current().is_some_and(|current| current.id() == cx.id());
            assert!(own, "in its body `current` is the job's own");
            let result = body(cx);
            count(&facts.returned);
            result
        }
    }

    /// A body that looks so many times whether to stop.
    pub(super) fn looks(
        &self,
        times: u32,
    ) -> impl FnOnce(&JobContext) -> Checked<u32> + Send + 'static {
        self.body(move |cx| {
            for _ in 0..times {
                cx.check()?;
                thread::yield_now();
            }
            Ok(times)
        })
    }

    /// A body that does not look whether to stop, and returns.
    pub(super) fn deaf(
        &self,
        yields: u32,
    ) -> impl FnOnce(&JobContext) -> Checked<u32> + Send + 'static {
        self.body(move |_| {
            (0..yields).for_each(|_| thread::yield_now());
            Ok(yields)
        })
    }

    /// A body that returns when it is stopped, and not before.
    pub(super) fn until_stopped(&self) -> impl FnOnce(&JobContext) -> Checked<()> + Send + 'static {
        self.body(wait_for_stop)
    }

    /// A body that panics.
    pub(super) fn panics(&self) -> impl FnOnce(&JobContext) -> Checked<u32> + Send + 'static {
        let entry = self.clone();
        self.body(move |_| entry.panic_on_purpose())
    }

    /// Panics, without a word.
    pub(super) fn panic_on_purpose(&self) -> ! {
        count(&self.0.panics);
        resume_unwind(Box::new(ON_PURPOSE))
    }

    pub(super) fn has_returned(&self) -> bool {
        counted(&self.0.returned) > 0
    }

    pub(super) fn was_called(&self) -> bool {
        counted(&self.0.called) > 0
    }

    /// Enters the outcome, which must agree with what is known.
    pub(super) fn enter<T: Debug, E: Debug>(&self, outcome: &Result<T, JobError<E>>) -> Seen {
        let seen = match outcome {
            Ok(_) => Seen::Returned,
            Err(JobError::Failed(_)) => Seen::Failed,
            Err(JobError::Panicked(panic)) if panic.message() == ON_PURPOSE => Seen::Panicked,
            Err(JobError::Panicked(panic)) => panic!("{panic}"),
            Err(JobError::Cancelled(stop)) => Seen::Cancelled(stop.phase()),
            Err(JobError::TimedOut(stop)) => Seen::TimedOut(stop.phase()),
            Err(JobError::Rejected(_)) => Seen::Rejected,
        };
        let before = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).replace(seen);
        assert_eq!(before, None, "one outcome");
        match seen {
            _ if seen.is_never() => {
                assert_eq!(counted(&self.0.called), 0, "queued means never ran");
                assert_eq!(counted(&self.0.captures_dropped), 1, "queued: captures are dropped");
            }
            Seen::Returned | Seen::Failed => {
                assert_eq!(counted(&self.0.returned), 1, "Ok and Failed mean ran to the end");
            }
            _ => {} // it runs, but its worker may not have come to the call yet
        }
        seen
    }

    pub(super) fn seen(&self) -> Option<Seen> {
        *self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job whose body waits at a gate, whoever asks it to stop.
pub(super) struct Stuck {
    pub(super) entry: Entry,
    pub(super) job: JobHandle<u32, Stopped>,
    pub(super) gate: Gate,
}

impl Stuck {
    /// Lets the body return, and gives what the handle shows.
    pub(super) fn let_go(self) -> Seen {
        self.gate.open();
        self.entry.enter(&self.job.wait())
    }
}

/// How many jobs were accepted or refused.
fn sum(metrics: &Metrics) -> u64 {
    metrics.accepted + metrics.rejected - metrics.rejected_queued
}

/// How many jobs a pool has accepted and not refused later.
pub(super) fn kept(pool: &Pool) -> u64 {
    let metrics = pool.metrics();
    metrics.accepted - metrics.rejected_queued
}

impl Books {
    /// Submits a job with these settings that waits at a gate, and maybe waits until it does.
    pub(super) fn stuck(&self, settings: Job, begun: bool) -> Stuck {
        let (entry, gate, started) = (self.entry(), Gate::default(), Gate::default());
        let (pass, tell) = (gate.clone(), started.clone());
        let job = settings.spawn(entry.body(move |_| {
            tell.open();
            pass.pass();
            Checked::Ok(0)
        }));
        if begun {
            started.pass();
        }
        Stuck { entry, job, gate }
    }

    /// The entry of a new job.
    pub(super) fn entry(&self) -> Entry {
        let entry = Entry::default();
        self.list().push(entry.clone());
        entry
    }

    /// Enters what other books have, of jobs of the same pool.
    pub(super) fn append(&self, other: &Self) {
        self.list().append(&mut other.list());
    }

    /// How many outcomes are such.
    pub(super) fn number_seen(&self, seen: Seen) -> u64 {
        self.list().iter().filter(|entry| entry.seen() == Some(seen)).count() as u64
    }

    /// Waits until the pool has ended, and compares its counts with the books.
    pub(super) fn close(&self, pool: Pool) {
        let report = pool.drain().wait();
        assert!(report.still_running.is_empty(), "a drain waits: {report:?}");
        self.agree(&pool);
    }

    /// Compares the counts of a pool that has ended with the books.
    pub(super) fn agree(&self, pool: &Pool) {
        let by_hand = pool.core().keeper.clock().is_manual();
        while !by_hand && pool.metrics().timers > 0 {
            thread::yield_now(); // a last alarm of the shutdown's own
        }
        self.compare(&pool.metrics());
    }

    fn compare(&self, metrics: &Metrics) {
        let entries = self.list();
        let number =
            |what: &dyn Fn(&Entry) -> bool| entries.iter().filter(|e| what(e)).count() as u64;
        assert_eq!((metrics.queued, metrics.overdue, metrics.timers), (0, 0, 0), "{metrics:?}");
        assert_eq!((metrics.threads, metrics.idle), (0, 0), "{metrics:?}");
        assert_eq!(metrics.unresolved(), 0, "{metrics:?}");
        assert_eq!(sum(metrics), entries.len() as u64, "{metrics:?}");
        let ran = metrics.returned
            + metrics.failed
            + metrics.panicked
            + metrics.cancelled_running
            + metrics.timed_out_running;
        assert_eq!(ran, number(&|e| e.was_called()), "{metrics:?}");
        let panics = number(&|e| counted(&e.0.panics) > 0);
        assert!(metrics.panicked <= panics, "no body panics unasked: {metrics:?}");
        assert_eq!(number(&|e| counted(&e.0.called) > 1), 0, "a body is called once");
        let never = |e: &Entry| e.seen().is_some_and(Seen::is_never) == e.was_called();
        assert_eq!(
            number(&|e| e.seen().is_some() && never(e)),
            0,
            "queued: never ran; running: ran"
        );
        assert_eq!(
            number(&|e| counted(&e.0.captures_dropped) != 1),
            0,
            "captures are dropped once"
        );
        if entries.iter().all(|entry| entry.seen().is_some()) {
            let seen = |seen| number(&|e| e.seen() == Some(seen));
            let Metrics { returned, failed, panicked, rejected, .. } = *metrics;
            assert_eq!(returned, seen(Seen::Returned), "{metrics:?}");
            assert_eq!(failed, seen(Seen::Failed), "{metrics:?}");
            assert_eq!(panicked, seen(Seen::Panicked), "{metrics:?}");
            assert_eq!(rejected, seen(Seen::Rejected), "{metrics:?}");
            assert_eq!(metrics.cancelled_queued, seen(Seen::Cancelled(Phase::Queued)));
            assert_eq!(metrics.cancelled_running, seen(Seen::Cancelled(Phase::Running)));
            assert_eq!(metrics.timed_out_queued, seen(Seen::TimedOut(Phase::Queued)));
            assert_eq!(metrics.timed_out_running, seen(Seen::TimedOut(Phase::Running)));
        }
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
