//! Who stops a job, and who runs it.

use crate::job::Bell;
use crate::scenarios::books::{Books, Seen, Stuck};
use crate::scenarios::scenarios;
use crate::scenarios::support::{Gate, Tally, builder, join, ms, wait_for_stop};
use crate::sync::for_shuttle::chance;
use crate::sync::for_shuttle::thread::{spawn, yield_now};
use crate::testing::ManualClock;
use crate::timekeeper::Alarm;
use crate::{Cause, JobError, Phase, Stop};
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// Law 8: what a cancel says it hit is what it hit.
fn cancels_against_submissions() {
    let pool = builder().threads(1..=2).build().expect("threads");
    let books = Books::default();
    let other = {
        let (pool, books) = (pool.clone(), books.clone());
        spawn(move || {
            for _ in 0..2 {
                let entry = books.entry();
                let job = pool.spawn(entry.looks(2));
                let hit = job.cancel();
                check_hit(hit, entry.enter(&job.wait()));
            }
        })
    };
    let entries = [books.entry(), books.entry(), books.entry()];
    let jobs = entries.clone().map(|entry| pool.spawn(entry.looks(2)));
    let stoppers = [jobs[0].abort_handle(), jobs[2].abort_handle()];
    let canceller = spawn(move || stoppers.iter().for_each(|job| job.abort()));
    let again = jobs[2].cancel();
    let metrics = pool.metrics();
    assert!(metrics.resolved() <= metrics.accepted, "{metrics:?}");
    for (n, (job, entry)) in jobs.into_iter().zip(&entries).enumerate() {
        let seen = entry.enter(&job.wait());
        assert!(n != 1 || seen == Seen::Returned, "nobody stopped it: {seen:?}");
        assert!(n != 2 || again != Some(Phase::Queued) || seen == Seen::Cancelled(Phase::Queued));
    }
    join([other, canceller]);
    books.close(pool);
}

fn check_hit(hit: Option<Phase>, seen: Seen) {
    let agrees = match hit {
        Some(Phase::Queued) => seen == Seen::Cancelled(Phase::Queued),
        Some(Phase::Running) => matches!(seen, Seen::Returned | Seen::Cancelled(Phase::Running)),
        None => seen == Seen::Returned,
    };
    assert!(agrees, "the cancel hit {hit:?}, the outcome is {seen:?}");
}

/// Law 5: not before the deadline, and by deadline and grace.
fn deadlines_against_runs_and_cancels() {
    let clock = ManualClock::new();
    let pool = builder().clock(&clock).threads(1..=2).build().expect("threads");
    let books = Books::default();
    let start = clock.now();
    let entries = [books.entry(), books.entry(), books.entry(), books.entry()];
    let jobs = [
        pool.job().timeout(ms(10)).spawn(entries[0].looks(3)),
        pool.job().timeout(ms(10)).grace(ms(5)).spawn(entries[1].looks(3)),
        pool.job().run_timeout(ms(5)).spawn(entries[2].deaf(3)),
        pool.job().queue_timeout(ms(5)).timeout(ms(1000)).spawn(entries[3].looks(3)),
    ];
    let stopper = jobs[1].abort_handle();
    let canceller = spawn(move || stopper.abort());
    let mover = {
        let clock = clock.clone();
        spawn(move || (0..4).for_each(|_| clock.advance(ms(5))))
    };
    let due = [10, 10, 5, 5].map(|n| start + ms(n));
    for ((job, entry), due) in jobs.into_iter().zip(&entries).zip(due) {
        if let Seen::TimedOut(_) = entry.enter(&job.wait()) {
            assert!(clock.now() >= due, "timed out before its time");
        }
    }
    join([canceller, mover]);
    books.close(pool);
}

/// A job that could not start in time does not start, whoever sees it first: its alarm or a worker.
fn a_late_start_against_the_queue_timeout() {
    let clock = ManualClock::new();
    let pool = builder().clock(&clock).threads(1..=1).build().expect("a thread");
    let books = Books::default();
    let entries = [books.entry(), books.entry()];
    let jobs = entries.clone().map(|entry| pool.job().queue_timeout(ms(5)).spawn(entry.deaf(1)));
    let mover = {
        let clock = clock.clone();
        spawn(move || clock.advance(ms(5)))
    };
    for (job, entry) in jobs.into_iter().zip(&entries) {
        job.wait_stopped();
        let queued_for = job.info().queued_for();
        let seen = entry.enter(&job.wait());
        assert!(seen != Seen::Returned || queued_for < ms(5), "it began after {queued_for:?}");
    }
    join([mover]);
    books.close(pool);
}

/// Law 5: two threads notice deadlines of one job at once; its body still has its grace time.
fn two_deadlines_noticed_at_once() {
    let clock = ManualClock::new();
    let pool = builder().clock(&clock).threads(1..=1).build().expect("a thread");
    let books = Books::default();
    let Stuck { entry, job, gate } = books.stuck(pool.job().timeout(ms(5)).grace(ms(10)), true);
    let task = pool.core().crew.at_desks().remove(0).0;
    let own = task.clone();
    join([
        spawn(move || (0..4).for_each(|_| Bell::Job(own.clone()).ring())),
        spawn(move || clock.advance(ms(5))),
    ]);
    assert!(!job.is_finished(), "the clock shows 5 ms, deadline and grace are 15 ms");
    gate.open();
    assert_eq!(entry.enter(&job.wait()), Seen::Returned, "the body has the last word");
    drop(task);
    books.close(pool);
}

/// A token that is cancelled stops the jobs that have it, and those that are given it later.
fn tokens_against_submissions() {
    let pool = builder().threads(1..=2).build().expect("threads");
    let books = Books::default();
    let token = CancellationToken::new();
    let entries = [books.entry(), books.entry()];
    let canceller = {
        let token = token.clone();
        spawn(move || token.cancel())
    };
    let jobs = entries.clone().map(|entry| pool.job().token(&token).spawn(entry.looks(2)));
    let hit = jobs[0].cancel();
    for (n, (job, entry)) in jobs.into_iter().zip(&entries).enumerate() {
        let outcome = job.wait();
        if let Err(JobError::Cancelled(stop)) = &outcome {
            assert!(n == 0 || stop.cause() == Cause::Token, "{stop:?}");
        }
        let seen = entry.enter(&outcome);
        assert!(n != 0 || hit != Some(Phase::Queued) || seen == Seen::Cancelled(Phase::Queued));
    }
    join([canceller]);
    let entry = books.entry();
    let late = pool.job().token(&token).spawn(entry.looks(1));
    assert_eq!(entry.enter(&late.wait()), Seen::Cancelled(Phase::Queued));
    books.close(pool);
}

/// A job's own token: cancelling it stops the job, and the job's stop cancels it.
fn a_jobs_own_token() {
    let pool = builder().threads(1..=1).build().expect("a thread");
    let books = Books::default();
    let entry = books.entry();
    let body = entry.body(|cx| {
        let (token, mirror) = (cx.token(), cx.token());
        let other = spawn(move || token.cancel());
        wait_for_stop(cx).expect_err("its own token stops it");
        join([other]);
        assert!(mirror.is_cancelled(), "its stop cancels its token");
        cx.check()
    });
    let job = pool.spawn(body);
    let stopper = job.abort_handle();
    let cancels = chance(2) == 0;
    let canceller = spawn(move || (0..u32::from(cancels)).for_each(|_| stopper.abort()));
    entry.enter(&job.wait());
    join([canceller]);
    books.close(pool);
}

/// Law 7: the first cause wins, and all see the same one: `check`, listeners and the handle.
fn three_causes_at_once() {
    let clock = ManualClock::new();
    let pool = builder().clock(&clock).threads(1..=1).build().expect("a thread");
    let books = Books::default();
    let (entry, token) = (books.entry(), CancellationToken::new());
    let body = entry.body(|cx| {
        let (told, hear) = (Gate::default(), Arc::new(OnceLock::new()));
        let (tell, heard) = (told.clone(), Arc::clone(&hear));
        let _guard = cx.on_stop(move |cause| {
            let _ = hear.set(cause);
            tell.open();
        });
        told.pass();
        let seen = cx.check().expect_err("it is stopped").cause();
        assert_eq!((heard.get(), cx.cause()), (Some(&seen), Some(seen)));
        Err::<(), _>(seen)
    });
    let job = pool.job().timeout(ms(5)).grace(ms(5)).token(&token).spawn(body);
    let stopper = job.abort_handle();
    let others = [spawn(move || stopper.abort()), spawn(move || clock.advance(ms(5)))];
    token.cancel();
    let outcome = job.wait();
    entry.enter(&outcome);
    match outcome.expect_err("it is stopped") {
        JobError::TimedOut(stop) => check_cause(&stop, |cause| cause == Cause::Deadline),
        JobError::Cancelled(stop) => {
            check_cause(&stop, |cause| matches!(cause, Cause::Caller | Cause::Token));
        }
        other => panic!("not stopped: {other}"),
    }
    join(others);
    books.close(pool);
}

fn check_cause(stop: &Stop<Cause>, fits: impl FnOnce(Cause) -> bool) {
    assert!(fits(stop.cause()), "{stop:?}");
    assert!(stop.error().is_none_or(|seen| *seen == stop.cause()), "{stop:?}");
}

/// Law 15: a stopped parent's children are stopped, though they are spawned just then.
fn a_parents_stop_against_its_children() {
    let pool = builder().threads(2..=2).build().expect("threads");
    let books = Books::default();
    let (entry, children) = (books.entry(), Books::default());
    let theirs = children.clone();
    let job = pool.spawn(entry.body(move |cx| {
        let child = theirs.entry();
        let grandchildren = theirs.clone();
        let child_job = cx.job().spawn(child.body(move |cx| {
            let entry = grandchildren.entry();
            let outcome = cx.job().spawn(entry.until_stopped()).wait();
            entry.enter(&outcome);
            cx.check()
        }));
        let other = theirs.entry();
        let other_job = cx.job().spawn(other.looks(1));
        other_job.cancel(); // which is not the parent's stop, nor its other child's
        let stopped = wait_for_stop(cx);
        child.enter(&child_job.wait());
        other.enter(&other_job.wait());
        stopped
    }));
    let hit = job.cancel();
    let seen = entry.enter(&job.wait());
    assert_eq!(Some(seen), hit.map(Seen::Cancelled), "the stop is seen by who waits for it");
    books.append(&children);
    books.close(pool);
}

/// Law 7: a listener is told once, and never after its guard is dropped.
fn listeners_against_a_cancel() {
    let pool = builder().threads(1..=1).build().expect("a thread");
    let books = Books::default();
    let entry = books.entry();
    let (told, kept, after) = (Tally::default(), Tally::default(), Tally::default());
    let counts = (told.clone(), kept.clone(), after.clone());
    let body = entry.body(move |cx| {
        let (told, kept, after) = counts;
        let gone = Tally::default();
        let guard = {
            let (told, gone) = (told.clone(), gone.clone());
            cx.on_stop(move |_| {
                told.add();
                yield_now();
                (0..gone.get()).for_each(|_| after.add());
            })
        };
        let _kept = cx.on_stop(move |_| kept.add());
        yield_now();
        drop(guard);
        gone.add(); // from here on it is not called, and not in a call
        let stopped = cx.is_stopped();
        let late = Tally::default();
        let count = late.clone();
        let _late = cx.on_stop(move |_| count.add());
        assert!(late.get() == 1 || !stopped, "registered late: at once");
        cx.check()
    });
    let job = pool.spawn(body);
    let stopper = job.abort_handle();
    let other = spawn(move || stopper.abort());
    job.cancel();
    join([other]);
    entry.enter(&job.wait());
    assert_eq!(after.get(), 0, "called after its guard was dropped");
    assert!(told.get() <= 1 && kept.get() <= 1, "told is told once");
    books.close(pool);
}

/// A stop is fired until the work is left, and never after.
fn interruptible_work_against_a_cancel() {
    let clock = ManualClock::new();
    let pool = builder().clock(&clock).threads(1..=1).build().expect("a thread");
    let books = Books::default();
    let entry = books.entry();
    let (late, wanted) = (Tally::default(), chance(3) as usize);
    let count = late.clone();
    let body = entry.body(move |cx| {
        let (fired, left) = (Tally::default(), Tally::default());
        let stop = || {
            fired.add();
            yield_now();
            (0..left.get()).for_each(|_| count.add());
        };
        let work = || {
            while fired.get() < wanted {
                yield_now(); // interrupts are lost, but not for ever
            }
        };
        cx.interruptible(stop, work);
        left.add();
        yield_now();
        cx.check()
    });
    let job = pool.spawn(body);
    job.cancel();
    let mover = {
        let stopper = job.abort_handle();
        spawn(move || {
            while !stopper.is_finished() {
                clock.advance(ms(1));
                yield_now();
            }
        })
    };
    entry.enter(&job.wait());
    join([mover]);
    assert_eq!(late.get(), 0, "fired after the work was left");
    books.close(pool);
}

scenarios! {
    cancels_against_submissions
    deadlines_against_runs_and_cancels
    a_late_start_against_the_queue_timeout
    two_deadlines_noticed_at_once
    three_causes_at_once
    tokens_against_submissions
    a_jobs_own_token
    a_parents_stop_against_its_children
    listeners_against_a_cancel
    interruptible_work_against_a_cancel
}
