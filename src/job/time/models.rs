//! Models of a job's deadlines: the real cell by a clock moved by hand, every interleaving, by loom.
//!
//! Who moves the clock rings what is due, and so plays the timekeeper; that one's own threads are in
//! `timekeeper/models.rs`.
//!
//! | what against what | model |
//! |---|---|
//! | 4 deadline, start; 5 deadline, finish | `the_start_and_end_of_a_job_against_its_deadline` |
//! | 6 cancel, deadline, finish | `the_end_of_a_job_against_a_cancel_against_its_deadline` |
//! | deadline, dropped handle, finish | `the_end_of_a_job_against_its_deadline_against_a_dropped_handle` |
//! | the end of a body that was given up | `the_late_end_of_a_body_is_not_seen_before_the_outcome` |
//! | a deaf body's last word | `a_deaf_body_is_given_up_on_time` |
//! | an alarm that rings early, start | `a_worker_about_to_start_against_the_ring_of_its_deadline` |
//! | the same, with no further move of the clock | `a_clock_that_is_moved_once_against_the_start` |
//! | an alarm set too late for a move | `a_clock_that_is_moved_once_against_a_run_that_begins`, `…_against_a_submission` |
//! | an alarm set, and not wanted | `who_ties_a_job_against_who_ends_it`, `who_starts_a_job_against_who_ends_it` |

use super::*;
use crate::clock::{Clock, Manual};
use crate::job::models::*;
use crate::job::{JobContext, JobHandle};
use crate::stop::Phase;
use crate::sync::{Condvar, Mutex};

/// A while by the models' clock.
const WHILE: Duration = Duration::from_millis(1);

fn by_hand() -> (Arc<Host>, Arc<Manual>) {
    let time = Manual::new();
    (Host::new(Clock::Manual(Arc::clone(&time))), time)
}

fn due_in_a_while(host: &Host) -> Settings {
    Settings { deadline: Some(host.keeper.clock().after(WHILE)), ..Settings::default() }
}

fn advance(time: &Arc<Manual>) -> Thread<()> {
    let time = Arc::clone(time);
    thread::spawn(move || time.advance(WHILE))
}

/// Checks what must hold at the end of a job that had a deadline, which may have ended it.
fn check_end(host: &Host, task: &Task, job: JobHandle<u32>, data: &Bare) {
    let outcome = outcome(job);
    let ran = data.touch();
    match &outcome {
        Ok(_) => assert_eq!(ran, 1),
        Err(error) => assert_eq!(ran, u32::from(error.phase() == Some(Phase::Running))),
    }
    assert_eq!((host.decided.get(), host.keeper.alarms()), (1, 0));
    assert!(task.head.state.has_ended());
}

/// A body that nothing but a stop ends.
fn sleep_on(cx: &JobContext) -> bool {
    cx.sleep(Duration::MAX).is_ok()
}

#[test]
fn the_start_and_end_of_a_job_against_its_deadline() {
    check(|| {
        let ((host, time), data) = (by_hand(), Bare::new());
        let at_work = Arc::clone(&data);
        let (task, job) = host.job(Some(due_in_a_while(&host)), move |_| at_work.touch());
        task.tie(None).expect("no thread is needed");
        let worker = work(Arc::clone(&task));
        time.advance(WHILE);
        worker.join().expect("no panic");
        check_end(&host, &task, job, &data);
    });
}

#[test]
fn the_end_of_a_job_against_a_cancel_against_its_deadline() {
    check(|| {
        let ((host, time), data) = (by_hand(), Bare::new());
        let at_work = Arc::clone(&data);
        let (task, job) = host.job(Some(due_in_a_while(&host)), move |_| at_work.touch());
        task.tie(None).expect("no thread is needed");
        let (worker, clock) = (work(Arc::clone(&task)), advance(&time));
        let hit = job.cancel();
        clock.join().expect("no panic");
        worker.join().expect("no panic");
        if hit == Some(Phase::Queued) {
            assert_eq!(task.head.state.cause(), Some(Cause::Caller), "the first cause wins");
        }
        check_end(&host, &task, job, &data);
    });
}

#[test]
fn the_end_of_a_job_against_its_deadline_against_a_dropped_handle() {
    check(|| {
        let ((host, time), data) = (by_hand(), Bare::new());
        let value = Trace(Arc::clone(&data));
        let (task, job) = host.job(Some(due_in_a_while(&host)), move |_| value);
        task.tie(None).expect("no thread is needed");
        let (worker, clock) = (work(Arc::clone(&task)), advance(&time));
        drop(job);
        clock.join().expect("no panic");
        worker.join().expect("no panic");
        assert_eq!(data.touch(), 1, "the value, or the body that had it, was dropped, once");
        assert_eq!((host.decided.get(), host.keeper.alarms()), (1, 0));
    });
}

#[test]
fn the_late_end_of_a_body_is_not_seen_before_the_outcome() {
    check(|| {
        let ((host, time), data) = (by_hand(), Bare::new());
        let value = Trace(Arc::clone(&data));
        let (task, job) = host.job(Some(due_in_a_while(&host)), move |_| value);
        task.tie(None).expect("no thread is needed");
        let (worker, clock) = (work(Arc::clone(&task)), advance(&time));
        let woken = Arc::default();
        let mut end = job.stopped();
        let ended = poll(&mut end, &woken).is_some();
        if ended {
            data.touch(); // a late value is gone
            assert!(job.is_finished(), "nobody sees the end before the outcome");
        }
        clock.join().expect("no panic");
        worker.join().expect("no panic");
        assert!(ended || woken.0.get() == 1, "no lost wake-up");
        drop(end);
        assert!(outcome(job).is_ok() || task.head.state.cause().is_some());
    });
}

/// Laws 1 and 5: a cancel, too, sets an alarm for the last word, while another one rings.
#[test]
fn a_deaf_body_is_given_up_on_time() {
    check(|| {
        let ((host, time), gate) = (by_hand(), Arc::new((Mutex::new(false), Condvar::new())));
        let settings = Settings { grace: Some(WHILE), ..due_in_a_while(&host) };
        let closed = Arc::clone(&gate);
        let (task, mut job) = host.job(Some(settings), move |_| {
            let mut open = closed.0.lock();
            while !*open {
                open = closed.1.wait(open);
            }
        });
        task.tie(None).expect("no thread is needed");
        assert!(task.head.state.start());
        let stopper = job.abort_handle();
        let canceller = thread::spawn(move || stopper.cancel());
        time.advance(WHILE);
        canceller.join().expect("no panic");
        time.advance(WHILE);
        assert!(poll(&mut job, &Arc::default()).is_some(), "its deadline and its grace are over");
        assert_eq!(host.decided.get(), 1);
    });
}

/// Its time in the queue is up, or has just ceased to count; its run ends at its deadline.
#[test]
fn a_worker_about_to_start_against_the_ring_of_its_deadline() {
    check(|| {
        let (host, time) = by_hand();
        let in_a_while = due_in_a_while(&host);
        let settings = Settings {
            queue_deadline: in_a_while.deadline,
            deadline: Some(host.keeper.clock().after(2 * WHILE)),
            ..in_a_while
        };
        let (task, job) = host.job(Some(settings), sleep_on);
        task.tie(None).expect("no thread is needed");
        let worker = work(Arc::clone(&task));
        while !job.is_finished() {
            time.advance(WHILE);
            thread::yield_now();
        }
        worker.join().expect("no panic");
        assert!(outcome(job).is_err_and(|error| error.is_timed_out()));
        assert_eq!((host.decided.get(), host.keeper.alarms()), (1, 0));
    });
}

/// The clock stands still after one move: nothing that was due by then may wait for another.
#[test]
fn a_clock_that_is_moved_once_against_the_start() {
    check(|| {
        let (host, time) = by_hand();
        let after = |time| Some(host.keeper.clock().after(time));
        let (queue_deadline, deadline) = (after(WHILE), after(2 * WHILE));
        let settings = Settings { queue_deadline, deadline, ..Settings::default() };
        let (task, job) = host.job(Some(settings), sleep_on);
        task.tie(None).expect("no thread is needed");
        let worker = work(Arc::clone(&task));
        time.advance(2 * WHILE);
        worker.join().expect("no panic");
        assert_eq!(task.head.state.cause(), Some(Cause::Deadline), "it was not left to the body");
        assert!(!outcome(job).unwrap_or(false), "a stop has ended it");
        assert_eq!((host.decided.get(), host.keeper.alarms()), (1, 0));
    });
}

/// A run is counted from where the clock stood when it began.
#[test]
fn a_clock_that_is_moved_once_against_a_run_that_begins() {
    check(|| {
        let (host, time) = by_hand();
        let settings = Settings { run_timeout: Some(WHILE), ..Settings::default() };
        let (task, job) = host.job(Some(settings), sleep_on);
        task.tie(None).expect("no thread is needed");
        let (begin, worker) = (time.now(), work(Arc::clone(&task)));
        time.advance(WHILE);
        let started = loop {
            match task.head.started.get() {
                Some(started) => break started,
                None => thread::yield_now(),
            }
        };
        if started != Moment::of(begin) {
            time.advance(WHILE);
        }
        worker.join().expect("no panic");
        assert!(!outcome(job).unwrap_or(false), "a stop has ended it");
        assert_eq!((host.decided.get(), host.keeper.alarms()), (1, 0));
    });
}

#[test]
fn a_clock_that_is_moved_once_against_a_submission() {
    check(|| {
        let (host, time) = by_hand();
        let (task, job) = host.job(Some(due_in_a_while(&host)), |_| ());
        let clock = advance(&time);
        task.tie(None).expect("no thread is needed");
        clock.join().expect("no panic");
        assert!(outcome(job).is_err_and(|error| error.is_timed_out()));
        assert_eq!((host.decided.get(), host.keeper.alarms()), (1, 0));
    });
}

#[test]
fn who_ties_a_job_against_who_ends_it() {
    check(|| {
        let (host, _time) = by_hand();
        let (task, job) = host.job(Some(due_in_a_while(&host)), |_| ());
        let stopper = job.abort_handle();
        let canceller = thread::spawn(move || stopper.cancel());
        task.tie(None).expect("no thread is needed");
        canceller.join().expect("no panic");
        assert_eq!(host.keeper.alarms(), 0, "an ended job has no alarm");
        assert!(outcome(job).is_err());
    });
}

/// The alarm for the end of a run is set before the run begins.
#[test]
fn who_starts_a_job_against_who_ends_it() {
    check(|| {
        let (host, _time) = by_hand();
        let settings = Settings { run_timeout: Some(WHILE), ..Settings::default() };
        let (task, job) = host.job(Some(settings), |_| ());
        let worker = work(task);
        let hit = job.cancel();
        worker.join().expect("no panic");
        assert_eq!(host.keeper.alarms(), 0, "an ended job has no alarm");
        assert_eq!(outcome(job).is_err(), hit == Some(Phase::Queued));
    });
}
