//! Models of a pool's end: the real pool, but for its threads; every interleaving, by loom.
//!
//! The pool has no thread: what is queued stays so until somebody ends it.
//!
//! | what against what | model |
//! |---|---|
//! | 13 submit, shutdown | `a_submission_against_a_shutdown` |
//! | 13 submit, cancel, drain | `a_job_that_is_cancelled_against_a_drain` |
//! | a job ends, a snapshot of the counters | `a_job_that_ends_against_a_snapshot` |

use super::*;
use crate::clock::{Clock, Manual};
use crate::job::models::job_of;
use crate::job::{JobHandle, Owner, Tally};
use crate::metrics::Scoreboard;
use crate::observer::Watch;
use crate::priority::Priority;
use crate::queue::Order;
use crate::share::{Share, Terms};
use crate::spawner::Spawner;
use crate::sync::models::{check, check_all};
use crate::timekeeper::Timekeeper;
use crate::unwind;
use crate::worker::{Crew, Threads};
use loom::thread as model;

/// A pool without threads, by a clock that stands still.
fn pool() -> Pool {
    let crew = Crew::new(Threads {
        spawner: Spawner::default(),
        name: String::new(),
        min: 0,
        max: 0,
        spares: 0,
        order: Order::Fifo,
        keep_alive: Duration::MAX,
        stack_size: None,
        on_start: None,
        on_stop: None,
        on_panic: Arc::new(unwind::discard),
    });
    let keeper = Timekeeper::new(String::new(), Clock::Manual(Manual::new()), Spawner::default());
    let watch = Watch { observer: None, on_panic: Arc::new(unwind::discard) };
    let core = Core::new(crew, keeper, Order::Fifo, watch, Arc::new(drop));
    Pool::of(Share::new(core, None, Terms::default()))
}

fn submit(share: &Arc<Share>) -> JobHandle<()> {
    let (task, job) = job_of(Arc::clone(share) as Arc<dyn Owner>, None, |_| ());
    match share.admit(None, &task.head) {
        Ok(admission) => share.submit(&task, None, admission),
        Err(why) => task.turn_away(why),
    }
    job
}

/// Law 10: it is refused, or ended and named.
#[test]
fn a_submission_against_a_shutdown() {
    check(|| {
        let pool = pool();
        let share = Arc::clone(pool.share());
        let submitter = model::spawn(move || submit(&share));
        let report = pool.shutdown().wait();
        let job = submitter.join().expect("no panic");
        let error = job.wait().expect_err("nobody can run it");
        assert!(error.is_cancelled());
        let named = usize::from(!error.is_rejected());
        assert_eq!((report.never_started.len(), report.finished), (named, 0));
        let metrics = pool.metrics();
        assert_eq!((metrics.unresolved(), metrics.queued), (0, 0));
        let kept = metrics.accepted - metrics.rejected_queued;
        assert_eq!((kept, metrics.rejected), (named as u64, 1 - named as u64));
    });
}

/// Laws 6 and 10: it is refused, or cancelled, of which who drains is told.
#[test]
fn a_job_that_is_cancelled_against_a_drain() {
    check(|| {
        let pool = pool();
        let share = Arc::clone(pool.share());
        let submitter = model::spawn(move || {
            let job = submit(&share);
            job.cancel();
            job
        });
        let report = pool.drain().wait();
        let error = submitter.join().expect("no panic").wait().expect_err("it was not run");
        let accepted = u64::from(!error.is_rejected());
        let metrics = pool.metrics();
        assert_eq!((metrics.unresolved(), metrics.rejected), (0, 1 - accepted));
        assert_eq!((report.finished, report.never_started.len()), (accepted, 0));
    });
}

/// Who counts an outcome has counted the job as accepted.
#[test]
fn a_job_that_ends_against_a_snapshot() {
    check_all(|| {
        let counters = Arc::new(Scoreboard::default());
        let jobs = Arc::clone(&counters);
        let other = model::spawn(move || {
            jobs.accept(Priority::Normal);
            jobs.count(Tally::Returned);
        });
        let metrics = counters.snapshot();
        assert!(metrics.resolved() <= metrics.accepted, "{metrics:?}");
        other.join().expect("no panic");
    });
}
