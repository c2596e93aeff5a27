//! Programs that are kept: such as have failed, as they were shrunk, and such as are tricky.
//!
//! One that fails is printed as the code that is kept here. What a step must do is not said: the
//! specification knows.

use crate::both::run;
use crate::program::Act::{Check, Checkpoint, Fail, Listen, Panic, Return, Token, Unlisten};
use crate::program::Step::{
    Act, Advance, Await, Cancel, CancelByDrop, CancelOwnToken, CancelToken, Drain, DropHandle,
    DropPermit, DropPool, GiveUp, Reserve, Shutdown, Submit, Take,
};
use crate::program::{Asked, By, FAR, PLAIN, Settings, Step};
use punctual::Priority;

/// A job of which nothing is asked.
fn plain() -> Step {
    with(|_| ())
}

/// A job of which something is asked.
fn with(ask: impl FnOnce(&mut Asked)) -> Step {
    by(By::Pool, ask)
}

fn by(by: By, ask: impl FnOnce(&mut Asked)) -> Step {
    let mut asked = Asked::default();
    ask(&mut asked);
    Submit(by, asked)
}

fn of_limit(limit: usize) -> Settings {
    Settings { limit: Some(limit), ..PLAIN }
}

fn of_workers(workers: usize) -> Settings {
    Settings { workers, ..PLAIN }
}

#[test]
fn a_job_expires_in_the_queue_while_others_come_and_go() {
    let child = || by(By::Context(1), |_| ());
    run(
        &of_limit(4),
        &[
            plain(),
            Cancel(0),
            with(|job| (job.timeout, job.grace) = (Some(1), Some(6))),
            plain(),
            Advance(1),
            Act(0, Return),
            with(|job| job.queue = Some(1)),
            Advance(1),
            plain(),
            child(),
            child(),
            plain(),
            Cancel(2),
            plain(),
            Act(0, Return),
            Act(0, Return),
        ],
    );
}

#[test]
fn a_child_that_runs_when_its_pool_shuts_down() {
    run(
        &of_limit(4),
        &[
            plain(),
            with(|job| job.queue = Some(0)),
            Act(0, Checkpoint),
            plain(),
            Act(0, Return),
            by(By::Context(1), |_| ()),
            Shutdown(None),
        ],
    );
}

#[test]
fn a_value_that_comes_within_the_grace_time_is_in_time() {
    for (wait, also) in [(5, 0), (7, 0), (8, 0), (8, 1)] {
        let ask = |job: &mut Asked| {
            (job.timeout, job.grace, job.on_late) = (Some(5), Some(3), true);
        };
        run(&PLAIN, &[with(ask), Advance(wait), Advance(also), Act(0, Return)]);
        run(&PLAIN, &[with(ask), Advance(wait), Act(0, Fail), Take(0)]);
        run(&PLAIN, &[with(ask), Advance(wait), Act(0, Checkpoint), Take(0)]);
    }
}

#[test]
fn a_cancelled_body_has_until_its_grace_time_or_its_deadline() {
    for grace in [None, Some(0), Some(2), Some(9), Some(FAR)] {
        let ask = |job: &mut Asked| {
            (job.run, job.grace, job.queue, job.on_late) = (Some(5), grace, Some(3), true);
        };
        let steps = [with(ask), Advance(1), Cancel(0), Cancel(0), Advance(1), Act(0, Check)];
        let later = [Advance(1), Act(0, Check), Advance(1), Take(0), Advance(9), Act(0, Return)];
        run(&PLAIN, &[steps, later].concat());
    }
}

#[test]
fn the_first_cause_wins() {
    let stops = [Cancel(0), CancelToken(0), CancelOwnToken(0), Shutdown(None), Advance(2)];
    for first in &stops {
        for second in &stops {
            let job = with(|job| {
                (job.token, job.run, job.grace) = (Some(0), Some(2), Some(FAR));
            });
            let steps = [job, first.clone(), Act(0, Check), second.clone(), Act(0, Token)];
            run(&PLAIN, &steps);
            let dropped = [steps.as_slice(), &[CancelByDrop(0), Act(0, Fail)]].concat();
            run(&PLAIN, &dropped);
        }
    }
}

#[test]
fn a_queued_job_ends_at_once_and_frees_its_place() {
    let ends = [Cancel(1), CancelToken(0), CancelByDrop(1), Advance(2), Advance(3)];
    for end in ends {
        let job = with(|job| (job.token, job.queue) = (Some(0), Some(2)));
        let steps = [plain(), job.clone(), job, end, plain(), plain(), Act(0, Return)];
        run(&of_limit(1), &steps);
    }
}

#[test]
fn a_place_that_is_reserved_is_nobody_elses() {
    let on_permit = || by(By::Permit, |job| job.timeout = Some(4));
    let steps = [plain(), Reserve, Reserve, plain(), on_permit(), plain(), Cancel(2), Reserve];
    run(&of_limit(1), &steps);
    run(&of_limit(1), &[plain(), Reserve, DropPermit, plain(), Reserve]);
    run(&of_limit(2), &[plain(), Reserve, Drain(None), on_permit(), Act(0, Return)]);
    run(&of_limit(2), &[plain(), Reserve, DropPool, on_permit(), Act(0, Return)]);
}

#[test]
fn places_are_given_in_the_order_they_were_asked_for() {
    let on_permit = || by(By::Permit, |job| job.queue = Some(4));
    let steps = [plain(), Await, Await, Await, plain(), on_permit(), GiveUp(0), Cancel(2)];
    let last = [Reserve, on_permit(), DropPool, Act(0, Return), Drain(Some(3)), Advance(3)];
    run(&of_limit(1), &[steps.as_slice(), &last].concat());
    run(&of_limit(1), &[steps.as_slice(), &[Await, Await, Shutdown(None), DropPermit]].concat());
    run(&PLAIN, &[Await, on_permit(), Await, GiveUp(0), Drain(None), Await, on_permit()]);
}

#[test]
fn a_moment_in_the_past_is_a_timeout() {
    for deadline in [-2, 0] {
        run(&of_limit(1), &[with(|job| job.deadline = Some(deadline)), plain()]);
    }
    for ask in [|job: &mut Asked| job.timeout = Some(0), |job: &mut Asked| job.queue = Some(0)] {
        run(&PLAIN, &[with(ask), plain(), with(ask)]);
    }
    run(&PLAIN, &[with(|job| job.run = Some(0)), Act(0, Check), Advance(0), Act(0, Return)]);
}

#[test]
fn no_time_is_too_long() {
    let far = |job: &mut Asked| {
        (job.timeout, job.deadline, job.queue) = (Some(FAR), Some(FAR), Some(FAR));
        (job.run, job.grace) = (Some(FAR), Some(FAR));
    };
    let settings = Settings { timeout: Some(FAR), grace: Some(FAR), ..PLAIN };
    let steps = [with(far), plain(), Advance(100), Cancel(0), Act(0, Fail), Advance(100)];
    run(&settings, &[steps.as_slice(), &[Drain(Some(FAR)), Cancel(1)]].concat());
}

#[test]
fn a_child_is_stopped_with_its_parent_but_not_the_other_way() {
    for stop in [Cancel(0), Advance(4), Cancel(1), Shutdown(None), CancelOwnToken(0)] {
        for grace in [None, Some(2)] {
            let parent = with(|job| (job.timeout, job.token) = (Some(4), Some(0)));
            let child = |parent| by(parent, move |job| (job.grace, job.run) = (grace, Some(9)));
            let steps = [parent, child(By::Body(0)), child(By::Context(0)), stop.clone()];
            let check = [Act(0, Check), Act(1, Check), child(By::Context(0)), Advance(2)];
            run(&of_workers(2), &[steps.clone(), check.clone()].concat());
            run(&PLAIN, &[steps, check].concat());
        }
    }
}

#[test]
fn a_child_may_outlive_its_parent() {
    let child = || by(By::Context(0), |job| job.named = true);
    let steps = [plain(), child(), Act(0, Return), Cancel(0), child(), CancelOwnToken(0)];
    run(&PLAIN, &[steps.as_slice(), &[child(), Act(0, Check), Act(0, Panic)]].concat());
}

#[test]
fn a_panic_that_no_handle_shows_is_told() {
    let late = || with(|job| (job.run, job.on_late) = (Some(2), true));
    run(&PLAIN, &[plain(), Act(0, Panic), Take(0), DropHandle(0)]);
    run(&PLAIN, &[plain(), Act(0, Panic), DropHandle(0)]);
    run(&PLAIN, &[plain(), DropHandle(0), Act(0, Panic)]);
    run(&PLAIN, &[late(), Advance(2), Act(0, Panic)]);
    run(&PLAIN, &[late(), DropHandle(0), Advance(2), Act(0, Panic)]);
}

#[test]
fn a_value_that_nobody_takes_is_dropped() {
    let late = || with(|job| (job.run, job.on_late) = (Some(2), true));
    run(&PLAIN, &[plain(), Act(0, Return), DropHandle(0)]);
    run(&PLAIN, &[plain(), DropHandle(0), Act(0, Return)]);
    run(&PLAIN, &[late(), DropHandle(0), Act(0, Return)]);
    run(&PLAIN, &[late(), DropHandle(0), Advance(2), Act(0, Return)]);
    run(&PLAIN, &[with(|job| job.run = Some(2)), Advance(2), Take(0), Act(0, Return)]);
}

#[test]
fn whoever_listens_is_told_once() {
    let listen = |panics| Act(0, Listen { panics });
    let first = [plain(), listen(true), listen(false), listen(false), Act(0, Unlisten)];
    for stop in [Cancel(0), Shutdown(None), CancelOwnToken(0), CancelByDrop(0)] {
        let then = [stop, Cancel(0), listen(true), listen(false), Act(0, Unlisten)];
        run(&PLAIN, &[first.clone(), then].concat());
    }
    run(&PLAIN, &[first.as_slice(), &[Act(0, Return), Cancel(0), CancelOwnToken(0)]].concat());
}

#[test]
fn what_a_dropped_pool_accepted_is_run() {
    let child = || by(By::Body(0), |_| ());
    let steps = [plain(), plain(), DropPool, child(), plain(), Act(0, Return), child()];
    let ends = [Act(0, Panic), Act(0, Return), Act(0, Fail)];
    run(&of_limit(3), &[steps.as_slice(), &ends].concat());
    run(&Settings { ready: false, ..of_workers(3) }, &[steps.as_slice(), &ends].concat());
}

#[test]
fn a_drain_that_runs_out_of_time_stops_the_rest() {
    for time in [0, 3] {
        let deaf = with(|job| (job.named, job.on_late) = (true, true));
        let stopped = with(|job| (job.grace, job.priority) = (Some(9), Priority::High));
        let start = [deaf.clone(), stopped, plain(), Cancel(1), Drain(Some(time)), plain()];
        let rest = [Advance(2), Drain(None), Advance(1), Act(0, Check), Act(0, Return)];
        for workers in [1, 2] {
            run(&of_workers(workers), &[start.as_slice(), &rest].concat());
        }
    }
}

#[test]
fn a_drain_becomes_a_shutdown() {
    let steps = [plain(), plain(), Drain(None), Cancel(1), Shutdown(Some(2)), Act(0, Check)];
    run(&PLAIN, &[steps.as_slice(), &[Advance(1), Act(0, Fail), Advance(1)]].concat());
}

#[test]
fn every_class_has_its_turn() {
    let classes = [Priority::Low, Priority::Normal, Priority::High];
    let mut steps = vec![plain()];
    for n in 0..120 {
        steps.push(with(|job| job.priority = classes[n % 3]));
        if n % 10 == 7 {
            steps.extend([by(By::Body(0), |_| ()), Cancel(n / 2)]);
        }
    }
    steps.extend((0..130).map(|_| Act(0, Return)));
    run(&PLAIN, &steps);
}
