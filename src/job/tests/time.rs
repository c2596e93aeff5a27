//! When a job is asked to stop, and until when its handle waits after that.

use super::*;
use crate::clock::Keeper;

/// A job's times, in milliseconds from its submission.
#[derive(Clone, Copy, Default)]
struct Times {
    deadline: Option<u64>,
    queue_deadline: Option<u64>,
    run_timeout: Option<u64>,
    grace: Option<u64>,
}

impl Times {
    fn settings(self, clock: &Manual) -> Settings {
        let now = clock.now();
        let at = |n| Deadline::at(now + ms(n));
        Settings {
            deadline: self.deadline.map(at),
            queue_deadline: self.queue_deadline.map(at),
            run_timeout: self.run_timeout.map(ms),
            grace: self.grace.map(ms),
            ..Settings::default()
        }
    }
}

/// Who asked a body to stop, and whether its handle has resolved without it.
type Seen = (Option<Cause>, bool);

const GOING: Seen = (None, false);
const ASKED: Seen = (Some(Cause::Deadline), false);
const GIVEN_UP: Seen = (Some(Cause::Deadline), true);

/// What a job sees that starts after `queued`, is asked to stop by `caller`, if by anybody, and goes
/// on for each of the steps.
fn watch(times: Times, queued: u64, caller: Option<Cause>, steps: &[u64]) -> Vec<Seen> {
    let (clock, owner) = Fake::new();
    let (send, seen) = mpsc::channel();
    let (moved, steps) = (Arc::clone(&clock), steps.to_vec());
    let (task, handle) = owner.job(times.settings(&clock), move |cx| {
        if let Some(cause) = caller {
            assert_eq!(cx.task().stop(cause), Some(Phase::Running));
        }
        for step in steps {
            moved.advance(ms(step));
            let seen = (cx.cause(), cx.task().head.state.is_ready());
            send.send(seen).expect("the test listens");
        }
        Ok::<_, Infallible>(())
    });
    task.tie(None).expect("no thread is needed");
    clock.advance(ms(queued));
    assert!(task.execute());
    assert_eq!(owner.keeper().alarms(), 0, "an alarm is left behind");
    let seen: Vec<_> = seen.try_iter().collect();
    let given_up = seen.last().is_some_and(|(_, given_up)| *given_up);
    assert_eq!(outcome(handle).is_err(), given_up);
    seen
}

#[test]
fn a_body_is_asked_to_stop_at_its_deadline_and_given_up_when_its_grace_is_over() {
    let deadline = Times { deadline: Some(10), ..Times::default() };
    assert_eq!(watch(deadline, 0, None, &[9, 1]), [GOING, GIVEN_UP]);
    let grace = Times { grace: Some(5), ..deadline };
    assert_eq!(watch(grace, 3, None, &[6, 1, 4, 1]), [GOING, ASKED, ASKED, GIVEN_UP]);
    assert_eq!(watch(grace, 3, None, &[6, 100]), [GOING, GIVEN_UP]);
}

#[test]
fn a_run_timeout_counts_from_the_start_and_the_earlier_limit_counts() {
    let run = Times { run_timeout: Some(7), ..Times::default() };
    assert_eq!(watch(run, 3, None, &[6, 1]), [GOING, GIVEN_UP]);
    let deadline_first = Times { deadline: Some(10), run_timeout: Some(20), ..run };
    assert_eq!(watch(deadline_first, 3, None, &[6, 1]), [GOING, GIVEN_UP]);
    let run_first = Times { deadline: Some(10), run_timeout: Some(5), ..run };
    assert_eq!(watch(run_first, 3, None, &[4, 1]), [GOING, GIVEN_UP]);
    let grace = Times { grace: Some(5), ..run_first };
    assert_eq!(watch(grace, 3, None, &[4, 1, 4, 1]), [GOING, ASKED, ASKED, GIVEN_UP]);
}

#[test]
fn the_limit_of_the_queue_does_not_end_what_has_started() {
    let queue = Times { queue_deadline: Some(5), ..Times::default() };
    assert_eq!(watch(queue, 1, None, &[100]), [GOING]);
    let deadline = Times { deadline: Some(10), ..queue };
    assert_eq!(watch(deadline, 1, None, &[4, 4, 1]), [GOING, GOING, GIVEN_UP]);
    let run = Times { run_timeout: Some(7), ..queue };
    assert_eq!(watch(run, 1, None, &[4, 2, 1]), [GOING, GOING, GIVEN_UP]);
}

#[test]
fn after_a_callers_stop_the_handle_waits_for_the_grace_and_at_most_until_the_deadline() {
    let caller = Some(Cause::Caller);
    let (waits, over) = ((caller, false), (caller, true));
    let none = Times::default();
    assert_eq!(watch(none, 0, caller, &[100]), [waits]);
    let grace = Times { grace: Some(5), ..none };
    assert_eq!(watch(grace, 2, caller, &[4, 1]), [waits, over]);
    let deadline = Times { deadline: Some(3), ..none };
    assert_eq!(watch(deadline, 0, caller, &[2, 1]), [waits, over]);
    let both = Times { deadline: Some(3), ..grace };
    assert_eq!(watch(both, 0, caller, &[2, 1]), [waits, over]);
    let at_once = Times { grace: Some(0), ..none };
    assert_eq!(watch(at_once, 0, caller, &[0]), [over]);
}

#[test]
fn a_queued_job_ends_when_its_time_is_up_and_not_before() {
    for times in [
        Times { queue_deadline: Some(5), ..Times::default() },
        Times { deadline: Some(5), ..Times::default() },
        Times { deadline: Some(9), queue_deadline: Some(5), ..Times::default() },
        Times { deadline: Some(5), queue_deadline: Some(9), ..Times::default() },
    ] {
        let (clock, owner) = Fake::new();
        let (task, handle) = owner.job(times.settings(&clock), nothing);
        task.tie(None).expect("no thread is needed");
        assert_eq!(owner.keeper().alarms(), 1);
        clock.advance(ms(4));
        assert_eq!((handle.is_finished(), owner.told()), (false, Vec::new()));
        clock.advance(ms(1));
        let end = Early::Stopped(Cause::Deadline);
        let tally = Tally::TimedOut(Phase::Queued);
        assert_eq!(owner.told(), [Told::Claimed(end), Told::Decided(tally), Told::Ended]);
        assert!(outcome(handle).is_err_and(|error| error.is_timed_out()));
        assert!(!task.execute(), "it never runs");
        assert_eq!(owner.keeper().alarms(), 0);
    }
}

#[test]
fn a_job_whose_time_is_up_when_it_is_submitted_or_found_never_runs() {
    let late = Times { queue_deadline: Some(0), ..Times::default() };
    let (clock, owner) = Fake::new();
    let (task, handle) = owner.job(late.settings(&clock), nothing);
    task.tie(None).expect("no thread is needed");
    assert!(outcome(handle).is_err_and(|error| error.is_timed_out()));
    let (task, handle) = owner.job(late.settings(&clock), nothing);
    assert!(!task.execute(), "not tied: no alarm has rung");
    assert!(outcome(handle).is_err_and(|error| error.is_timed_out()));
}

#[test]
fn an_alarm_that_rings_while_a_worker_is_about_to_start_is_answered_by_the_worker() {
    for (run_timeout, end) in [(None, 7), (Some(1), 1), (Some(5), 5)] {
        let times =
            Times { queue_deadline: Some(5), deadline: Some(7), run_timeout, ..Times::default() };
        let (clock, owner) = Fake::new();
        let (moved, start) = (Arc::clone(&clock), clock.now());
        let (task, handle) =
            owner.job(times.settings(&clock), |cx| cx.sleep(Duration::MAX).map_err(|_| ()));
        task.tie(None).expect("no thread is needed");
        *owner.before_start.lock() = Some(Box::new(move || moved.advance(ms(5))));
        let keeper = Arc::clone(owner.keeper());
        let worker = thread::spawn(move || task.execute());
        while end > 5 && keeper.next() != Some(start + ms(end)) {
            thread::yield_now(); // the queue's limit did not end it; the next is set
        }
        clock.advance(ms(end.saturating_sub(5)));
        assert!(worker.join().expect("no panic"), "it ran");
        assert!(outcome(handle).is_err_and(|error| error.is_timed_out()));
    }
}

#[test]
fn a_run_whose_limit_passes_before_it_is_set_ends_at_once() {
    let times = Times { run_timeout: Some(3), ..Times::default() };
    let (clock, owner) = Fake::new();
    let moved = Arc::clone(&clock);
    let (task, handle) =
        owner.job(times.settings(&clock), |cx| cx.sleep(Duration::MAX).map_err(|_| ()));
    *owner.before_start.lock() = Some(Box::new(move || moved.advance(ms(3))));
    assert!(task.execute());
    assert!(outcome(handle).is_err_and(|error| error.is_timed_out()));
    assert_eq!(owner.keeper().alarms(), 0);
}

#[test]
fn how_long_a_job_waited_and_ran_is_told_to_the_millisecond() {
    let times = Times { deadline: Some(10), ..Times::default() };
    let (clock, owner) = Fake::new();
    let moved = Arc::clone(&clock);
    let (send, seen) = mpsc::channel();
    let (task, handle) = owner.job(times.settings(&clock), move |cx| {
        for step in [2, 10] {
            moved.advance(ms(step));
            let (info, overdue) = (cx.task().head.info(), cx.task().head.is_overdue());
            let times = (info.queued_for(), info.ran_for(), info.overdue_by());
            send.send((times, overdue, cx.remaining())).expect("the test listens");
        }
        Ok::<_, Infallible>(())
    });
    task.tie(None).expect("no thread is needed");
    clock.advance(ms(3));
    let waiting = task.head.info();
    assert_eq!((waiting.phase(), waiting.queued_for()), (Phase::Queued, ms(3)));
    assert!(task.execute());
    clock.advance(ms(100));
    let seen: Vec<_> = seen.try_iter().collect();
    assert_eq!(seen[0], ((ms(3), ms(2), None), false, Some(ms(5))));
    assert_eq!(seen[1], ((ms(3), ms(12), Some(ms(5))), true, Some(ms(0))));
    let info = task.head.info();
    let after = (info.queued_for(), info.ran_for(), info.overdue_by());
    assert_eq!(after, (ms(3), ms(7), None), "it counts to the stop, once the body has ended");
    assert!(!task.head.is_overdue());
    let Err(JobError::TimedOut(stop)) = outcome(handle) else { panic!("it timed out") };
    assert_eq!((stop.queued_for(), stop.ran_for()), (ms(3), ms(7)));
}

#[test]
fn a_job_that_is_given_up_has_no_alarm_though_its_body_goes_on() {
    let times = Times { grace: Some(100), ..Times::default() };
    let (clock, owner) = Fake::new();
    let (send, seen) = mpsc::channel();
    let keeper = Arc::clone(owner.keeper());
    let (task, handle) = owner.job(times.settings(&clock), move |cx| {
        let _ = cx.task().stop(Cause::Shutdown);
        let waiting = keeper.alarms();
        cx.task().give_up();
        send.send((waiting, keeper.alarms())).expect("the test listens");
        Ok::<_, Infallible>(())
    });
    assert!(task.execute());
    assert_eq!((seen.recv(), outcome(handle).is_err()), (Ok((1, 0)), true));
}

#[test]
fn a_deadlines_stop_leaves_the_grace_even_before_it_has_set_the_alarm_for_it() {
    let times = Times { deadline: Some(5), grace: Some(5), ..Times::default() };
    let (clock, owner) = Fake::new();
    let (moved, (send, seen)) = (Arc::clone(&clock), mpsc::channel());
    let (task, handle) = owner.job(times.settings(&clock), move |cx| {
        let state = &cx.task().head.state; // as a parent's deadline does, on another thread
        let _ = state.request_stop(Cause::Deadline);
        for step in [5, 4, 1] {
            moved.advance(ms(step));
            send.send(state.is_ready()).expect("the test listens");
        }
        Ok::<_, Infallible>(())
    });
    task.tie(None).expect("no thread is needed");
    assert!(task.execute());
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [false, false, true]);
    assert!(outcome(handle).is_err_and(|error| error.is_timed_out()));
}
