//! The timekeeper's own threads, by the system's clock: time passes whenever somebody waits for it.

use crate::scenarios::books::{Books, Seen, Stuck};
use crate::scenarios::scenarios;
use crate::scenarios::support::{Gate, OnDrop, builder, join, ms};
use crate::sync::for_shuttle::NEVER_COMES;
use crate::sync::for_shuttle::thread::{park_timeout, spawn};
use crate::sync::now;
use crate::{Checked, JobError, Phase, Pool, Stopped};
use std::time::Duration;

/// A pool of one thread, which is busy.
fn busy_pool(books: &Books) -> (Pool, Stuck) {
    let pool = builder().threads(1..=1).build().expect("a thread");
    let stuck = books.stuck(pool.job(), true);
    (pool, stuck)
}

fn is_past(job: &JobError<Stopped>, time: Duration) {
    if let JobError::TimedOut(stop) = job {
        let after = stop.queued_for() + stop.ran_for();
        assert!(after >= time, "it timed out after {after:?}, and not after {time:?}");
    }
}

/// Deadlines, runs and a cancel, by the system's clock.
fn deadlines_by_the_system_clock() {
    let pool = builder().threads(1..=2).build().expect("threads");
    let books = Books::default();
    let entries = [books.entry(), books.entry(), books.entry()];
    let jobs = [
        pool.job().timeout(ms(2)).grace(ms(1)).spawn(entries[0].looks(2)),
        pool.job().queue_timeout(ms(1)).run_timeout(ms(1)).spawn(entries[1].deaf(2)),
        pool.job().run_timeout(ms(3)).spawn(entries[2].body(|cx| cx.sleep(ms(5)).map(|()| 0))),
    ];
    let stopper = jobs[2].abort_handle();
    let canceller = spawn(move || stopper.abort());
    for ((job, entry), time) in jobs.into_iter().zip(&entries).zip([2, 1, 3]) {
        let outcome = job.wait();
        entry.enter(&outcome);
        if let Err(error) = &outcome {
            is_past(error, ms(time));
        }
    }
    join([canceller]);
    books.close(pool);
}

/// Law 2: a destructor that does not end delays nobody else's deadline.
fn slow_destructors_against_deadlines() {
    let books = Books::default();
    let (pool, stuck) = busy_pool(&books);
    let open = Gate::default();
    let slow = [(); 2].map(|()| {
        let (pool, entry, pass) = (pool.clone(), books.entry(), open.clone());
        spawn(move || {
            let capture = OnDrop(move || pass.pass());
            let body = entry.body(move |_| {
                drop(capture);
                Checked::Ok(())
            });
            let job = pool.job().queue_timeout(ms(1)).spawn(body);
            assert_eq!(entry.enter(&job.wait()), Seen::TimedOut(Phase::Queued));
        })
    });
    let entry = books.entry();
    let job = pool.job().queue_timeout(ms(2)).spawn(entry.looks(1));
    let outcome = job.wait();
    assert_eq!(entry.enter(&outcome), Seen::TimedOut(Phase::Queued));
    is_past(&outcome.expect_err("it timed out"), ms(2));
    open.open();
    join(slow);
    stuck.let_go();
    books.close(pool);
}

/// An alarm that is set just when the watcher leaves, for want of any, is rung.
fn alarms_against_a_leaving_watcher() {
    let books = Books::default();
    let pool = builder().threads(1..=1).build().expect("a thread");
    let Stuck { entry: stuck, job, gate } = books.stuck(pool.job().run_timeout(ms(60_000)), true);
    for pause in [10_000, 9_999, 0] {
        let entry = books.entry();
        let outcome = pool.job().queue_timeout(ms(1)).spawn(entry.looks(1)).wait();
        assert_eq!(entry.enter(&outcome), Seen::TimedOut(Phase::Queued));
        if pause > 0 {
            park_timeout(ms(pause));
        }
    }
    drop(pool.drain()); // the watcher leaves as soon as it may
    assert_eq!(stuck.enter(&job.wait()), Seen::TimedOut(Phase::Running));
    gate.open();
    books.close(pool);
}

/// An alarm for earlier than the watcher would look calls it; one that is taken back does not ring.
fn earlier_alarms_against_the_watcher() {
    let books = Books::default();
    let (pool, stuck) = busy_pool(&books);
    let entries = [books.entry(), books.entry(), books.entry()];
    let begun = now();
    let jobs = [NEVER_COMES, ms(20), ms(1)].into_iter().zip(&entries);
    let jobs: Vec<_> =
        jobs.map(|(time, entry)| pool.job().queue_timeout(time).spawn(entry.looks(1))).collect();
    let hit = jobs[1].cancel();
    let [far, cancelled, early]: [_; 3] = jobs.try_into().expect("three");
    assert_eq!(entries[2].enter(&early.wait()), Seen::TimedOut(Phase::Queued));
    assert!(now() >= begun + ms(1));
    let seen = entries[1].enter(&cancelled.wait());
    assert_eq!(seen == Seen::Cancelled(Phase::Queued), hit.is_some());
    assert_eq!(far.cancel(), Some(Phase::Queued));
    entries[0].enter(&far.wait());
    stuck.let_go();
    books.close(pool);
}

scenarios! {
    deadlines_by_the_system_clock
    slow_destructors_against_deadlines
    alarms_against_a_leaving_watcher
    earlier_alarms_against_the_watcher
}
