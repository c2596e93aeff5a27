//! The end of a pool, and who is too late for it.

use crate::scenarios::books::{Books, Entry, Seen, Stuck, kept};
use crate::scenarios::scenarios;
use crate::scenarios::support::{Tally, builder, join, ms};
use crate::sync::for_shuttle::chance;
use crate::sync::for_shuttle::thread::{spawn, yield_now};
use crate::testing::ManualClock;
use crate::{Checked, JobContext, JobHandle, Phase, Pool, Rejection, ShutdownReport, Stopped};
use std::sync::Arc;

/// A body that knows of the shutdown that was called before it began.
fn asked(
    entry: &Entry,
    closed: &Tally,
) -> impl FnOnce(&JobContext) -> Checked<u32> + Send + 'static {
    let closed = closed.clone();
    let unasked = move |cx: &JobContext| {
        let closed = closed.get() > 0; // before it looks
        assert!(!closed || cx.is_stopped(), "it began after the shutdown, unasked");
        (0..2).for_each(|_| yield_now());
        cx.check().map(|()| 0)
    };
    entry.body(unasked)
}

/// The report of a pool whose threads have all left agrees with the books.
fn check_report(report: &ShutdownReport, books: &Books) {
    assert!(report.still_running.is_empty(), "all threads have left: {report:?}");
    let never = books.number_seen(Seen::Cancelled(Phase::Queued));
    assert_eq!(report.never_started.len() as u64, never, "{report:?}");
    let ran =
        books.number_seen(Seen::Returned) + books.number_seen(Seen::Cancelled(Phase::Running));
    assert_eq!(report.finished, ran, "{report:?}");
}

/// Law 10: the report names exactly those that never started, and no body starts unasked.
fn a_shutdown_against_submissions() {
    let pool = builder().threads(1..=2).build().expect("threads");
    let (books, closed) = (Books::default(), Tally::default());
    let submitters = [2, 1].map(|jobs| {
        let (pool, books, closed) = (pool.clone(), books.clone(), closed.clone());
        spawn(move || {
            let entries: Vec<_> = (0..jobs).map(|_| books.entry()).collect();
            let spawn = |entry| pool.spawn(asked(entry, &closed));
            let jobs: Vec<_> = entries.iter().map(spawn).collect();
            for (job, entry) in jobs.into_iter().zip(&entries) {
                entry.enter(&job.wait());
            }
        })
    });
    let entry = books.entry();
    let job = pool.spawn(asked(&entry, &closed));
    let shutdown = pool.shutdown();
    closed.add();
    let report = shutdown.wait();
    entry.enter(&job.wait());
    join(submitters);
    check_report(&report, &books);
    books.agree(&pool);
}

/// No body starts unasked once `shutdown` has returned: it is found in the queue, or on a desk.
fn a_shutdown_against_a_start() {
    let pool = builder().threads(1..=1).build().expect("a thread");
    let (books, closed) = (Books::default(), Tally::default());
    let entry = books.entry();
    let job = pool.spawn(asked(&entry, &closed));
    drop(pool.shutdown());
    closed.add();
    entry.enter(&job.wait());
    books.close(pool);
}

/// No thread begins after the end that `wait` has waited for.
fn an_end_against_a_thread_that_is_started() {
    let (over, late) = (Tally::default(), Tally::default());
    let (is_over, count) = (over.clone(), late.clone());
    let hook = move || (0..is_over.get()).for_each(|_| count.add());
    let settings = builder().threads(..=2).on_thread_start(hook.clone());
    let pool = settings.on_thread_stop(hook).build().expect("no thread yet");
    let books = Books::default();
    let submitters = [0, 1].map(|n| {
        let (pool, books) = (pool.clone(), books.clone());
        spawn(move || {
            let entry = books.entry();
            let job = pool.spawn(entry.looks(1));
            (0..n).for_each(|_| job.abort());
            entry.enter(&job.wait());
        })
    });
    let report = if chance(2) == 0 { pool.shutdown() } else { pool.drain() }.wait();
    assert_eq!(pool.metrics().threads, 0, "it waits for the threads: {report:?}");
    over.add();
    join(submitters);
    books.agree(&pool);
    assert_eq!(late.get(), 0, "a thread of a pool that had ended");
}

/// Law 6: a job that is submitted while the pool begins to stop needs no worker to end.
fn a_late_submission_to_a_busy_pool() {
    let pool = builder().threads(1..=1).build().expect("a thread");
    let books = Books::default();
    let stuck = books.stuck(pool.job(), true);
    let closer = {
        let pool = pool.clone();
        spawn(move || drop(pool.shutdown()))
    };
    let entry = books.entry();
    let seen = entry.enter(&pool.spawn(entry.looks(1)).wait()); // while the worker is busy
    assert!(matches!(seen, Seen::Cancelled(Phase::Queued) | Seen::Rejected), "{seen:?}");
    assert_eq!(stuck.let_go(), Seen::Returned, "the body has the last word");
    join([closer]);
    books.close(pool);
}

/// A drain whose time is up, while jobs start, end and are submitted.
fn a_drain_cut_short() {
    let clock = ManualClock::new();
    let pool = builder().clock(&clock).threads(1..=2).build().expect("threads");
    let books = Books::default();
    let Stuck { entry: stuck, job: stuck_job, gate } = books.stuck(pool.job(), false);
    let entries = [books.entry(), books.entry(), books.entry()];
    let jobs = entries.clone().map(|entry| pool.spawn(entry.looks(1)));
    let other = {
        let (pool, books) = (pool.clone(), books.clone());
        spawn(move || {
            let entry = books.entry();
            entry.enter(&pool.spawn(entry.deaf(2)).wait());
        })
    };
    let over = Tally::default();
    let is_over = over.clone();
    let mover = spawn(move || {
        while is_over.get() == 0 {
            clock.advance(ms(5));
            yield_now();
        }
    });
    let report = pool.drain().within(ms(10)).wait();
    over.add();
    let stuck_seen = stuck.enter(&stuck_job.wait()); // cut, while its body goes on
    let started = stuck_seen == Seen::Cancelled(Phase::Running);
    assert!(started || stuck_seen == Seen::Cancelled(Phase::Queued), "{stuck_seen:?}");
    for (job, entry) in jobs.into_iter().zip(&entries) {
        entry.enter(&job.wait());
    }
    join([other, mover]);
    let never = books.number_seen(Seen::Cancelled(Phase::Queued));
    assert_eq!(report.never_started.len() as u64, never, "{report:?}");
    assert!(report.still_running.len() >= usize::from(started), "{report:?}");
    let named = (report.never_started.len() + report.still_running.len()) as u64;
    assert_eq!(report.finished + named, kept(&pool), "{report:?}");
    gate.open();
    books.close(pool);
}

/// Three that wait for the pool's end, two inside jobs of it.
fn a_shutdown_from_inside() {
    let pool = builder().threads(1..=3).build().expect("threads");
    let books = Books::default();
    let cut = chance(4) == 0;
    let entries = [books.entry(), books.entry()];
    let insiders = entries.clone().map(|entry| {
        let own = pool.clone();
        pool.spawn(entry.body(move |_| {
            let end = if cut { own.shutdown() } else { own.drain() };
            Checked::Ok(end.wait())
        }))
    });
    let entry = books.entry();
    let job = pool.spawn(entry.looks(2));
    let other = {
        let pool = pool.clone();
        spawn(move || drop(pool.drain().wait()))
    };
    entry.enter(&job.wait());
    for (job, entry) in insiders.into_iter().zip(&entries) {
        let outcome = job.wait();
        entry.enter(&outcome);
        if let Ok(report) = outcome {
            let named = (report.never_started.len() + report.still_running.len()) as u64;
            assert_eq!(report.finished + named, kept(&pool), "{report:?}");
        }
    }
    join([other]);
    books.close(pool);
}

/// The last handle of a pool is dropped by one of its own jobs.
fn the_last_pool_dropped_by_its_own_job() {
    let pool = builder().threads(..=2).keep_alive(ms(1)).build().expect("no thread yet");
    let share = Arc::clone(pool.share());
    let books = Books::default();
    let entry = books.entry();
    let own = pool.clone();
    let job = pool.spawn(entry.body(move |cx| {
        drop(own);
        Checked::Ok(cx.job())
    }));
    let waits = books.entry();
    let waiting = pool.spawn(waits.looks(1));
    drop(pool);
    assert_eq!(waits.enter(&waiting.wait()), Seen::Returned, "accepted is done");
    let outcome = job.wait();
    entry.enter(&outcome);
    let child = books.entry();
    let late = outcome.expect("it returns").spawn(child.looks(1)); // no pool, no thread left, maybe
    assert_eq!(child.enter(&late.wait()), Seen::Returned);
    books.close(Pool::of(share));
}

/// A freed place is given to who waits for one; and the end of the pool is told to all who wait.
fn permits_against_a_shutdown() {
    let pool = builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let books = Books::default();
    let held = pool.try_reserve().expect("there is one place");
    let takers = [0, 1].map(|n| {
        let (pool, books) = (pool.clone(), books.clone());
        spawn(move || match pool.blocking_reserve() {
            Ok(permit) if n == 1 && chance(3) == 0 => drop(permit),
            Ok(permit) => {
                let entry = books.entry();
                let job: JobHandle<_, Stopped> = permit.spawn(entry.looks(1));
                job.cancel();
                entry.enter(&job.wait());
            }
            Err(why) => assert_eq!(why, Rejection::ShutDown),
        })
    });
    let entry = books.entry();
    assert_eq!(entry.enter(&pool.spawn(entry.looks(1)).wait()), Seen::Rejected);
    if chance(2) == 0 {
        drop(pool.shutdown());
        join(takers);
        drop(held);
    } else {
        drop(held);
        join(takers);
    }
    books.close(pool);
}

/// Law 11: while the worker is busy, exactly as many are accepted as may wait; and the places of
/// those that are cancelled are free at once (law 6).
fn submissions_against_the_queue_limit() {
    let pool = builder().threads(1..=1).queue_limit(2).build().expect("a thread");
    let books = Books::default();
    let stuck = books.stuck(pool.job(), true);
    let submitters = [(); 2].map(|()| {
        let (pool, books) = (pool.clone(), books.clone());
        spawn(move || {
            for _ in 0..2 {
                let entry = books.entry();
                let job = pool.spawn(entry.looks(1)); // two submitters, two places
                assert_eq!(job.cancel(), Some(Phase::Queued), "there was a place");
                entry.enter(&job.wait());
            }
        })
    });
    join(submitters);
    let entries = [books.entry(), books.entry(), books.entry()];
    let racing = entries.clone().map(|entry| {
        let (pool, gate) = (pool.clone(), stuck.gate.clone());
        spawn(move || {
            let job = pool.spawn(entry.looks(1));
            gate.pass();
            entry.enter(&job.wait());
        })
    });
    while kept(&pool) + pool.metrics().rejected < 8 {
        yield_now();
    }
    stuck.let_go();
    join(racing);
    let rejected = entries.iter().filter(|entry| entry.seen() == Some(Seen::Rejected));
    assert_eq!(rejected.count(), 1, "two of three may wait");
    books.close(pool);
}

scenarios! {
    a_shutdown_against_submissions
    a_shutdown_against_a_start
    an_end_against_a_thread_that_is_started
    a_late_submission_to_a_busy_pool
    a_drain_cut_short
    a_shutdown_from_inside
    the_last_pool_dropped_by_its_own_job
    permits_against_a_shutdown
    submissions_against_the_queue_limit
}
