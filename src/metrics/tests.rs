//! What is counted where.

use super::*;
use crate::error::Rejection;
use crate::sync::now;

const MS: Duration = Duration::from_millis(1);

#[test]
fn every_end_is_counted_in_its_own_place() {
    use Phase::{Queued, Running};
    let board = Scoreboard::default();
    let ends = [
        Tally::Returned,
        Tally::Failed,
        Tally::Panicked,
        Tally::Cancelled(Queued),
        Tally::Cancelled(Running),
        Tally::TimedOut(Queued),
        Tally::TimedOut(Running),
        Tally::Rejected(Rejection::QueueFull),
        Tally::Refused(Rejection::QueueFull),
    ];
    for (times, end) in (1..).zip(ends) {
        (0..times).for_each(|_| board.count(end));
    }
    (0..39).for_each(|_| board.accept(Priority::Normal));
    (0..38).for_each(|_| board.claimed(Priority::Normal));
    board.refused(Priority::Normal);
    let metrics = board.snapshot();
    let expected = Metrics {
        accepted: 39,
        rejected: 8 + 9,
        rejected_queued: 9,
        returned: 1,
        failed: 2,
        panicked: 3,
        cancelled_queued: 4,
        cancelled_running: 5,
        timed_out_queued: 6,
        timed_out_running: 7,
        ..Metrics::default()
    };
    assert_eq!((&metrics, board.accepted_for_good()), (&expected, 38));
    assert_eq!((metrics.resolved(), metrics.unresolved()), (37, 2));
    let early = Metrics { accepted: 1, ..metrics };
    assert_eq!(early.unresolved(), 0, "never below zero");
}

#[test]
fn a_job_is_in_one_place_at_a_time() {
    use Priority::{High, Low, Normal};
    let board = Scoreboard::default();
    let places = || {
        let now = board.snapshot();
        let queued = [now.queued_low, now.queued_normal, now.queued_high];
        assert_eq!(now.queued, queued.iter().sum::<usize>());
        assert_eq!(board.now(), [now.queued, now.running]);
        (queued, now.running, now.overdue)
    };
    for (priority, times) in [(Low, 1), (Normal, 2), (High, 3)] {
        (0..times).for_each(|_| board.accept(priority));
    }
    assert_eq!(places(), ([1, 2, 3], 0, 0));
    let start = Moment::of(now());
    let at = |n| start + MS * n;
    assert_eq!(board.pace().since_last_start(at(0)), Duration::ZERO, "there was none");
    board.started(High, MS, at(0));
    board.started(Low, MS * 3, at(2));
    assert_eq!(board.pace().since_last_start(at(9)), MS * 7);
    board.claimed(Normal);
    board.refused(High);
    assert_eq!(places(), ([0, 1, 1], 2, 0));
    board.given_up();
    assert_eq!(places(), ([0, 1, 1], 2, 1));
    board.returned(MS * 5);
    board.late();
    assert_eq!(places(), ([0, 1, 1], 1, 0));
    board.returned(MS * 7);
    let now = board.snapshot();
    let waits = (now.queue_wait.count(), now.queue_wait.min(), now.queue_wait.max());
    assert_eq!(waits, (2, MS, MS * 3));
    let runs = (now.run_time.count(), now.run_time.min(), now.run_time.max());
    assert_eq!(runs, (2, MS * 5, MS * 7));
}

#[test]
fn those_who_submit_and_those_who_work_write_apart() {
    let board = Scoreboard::default();
    let at = [&raw const board.submitters, (&raw const board.workers).cast()];
    assert!(at.iter().all(|at| at.addr() % 128 == 0) && at[0] != at[1]);
}
