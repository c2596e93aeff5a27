//! Who stops a job, and who runs it.

use crate::scenarios::books::{Books, Seen};
use crate::scenarios::{explore, ms};
use crate::sync::model::thread::spawn;
use crate::testing::ManualClock;
use crate::{Phase, Pool};

/// Law 8: what a cancel says it hit is what it hit.
fn cancels_against_submissions() {
    let pool = Pool::builder().threads(1..=2).build().expect("threads");
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
    for (n, (job, entry)) in jobs.into_iter().zip(&entries).enumerate() {
        let seen = entry.enter(&job.wait());
        assert!(n != 1 || seen == Seen::Returned, "nobody stopped it: {seen:?}");
        assert!(n != 2 || again != Some(Phase::Queued) || seen == Seen::Cancelled(Phase::Queued));
    }
    other.join().expect("no panic");
    canceller.join().expect("no panic");
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

#[test]
fn scenario_cancels_against_submissions() {
    explore("cancels_against_submissions", cancels_against_submissions);
}

/// Law 5: not before the deadline, and by deadline and grace.
fn deadlines_against_runs_and_cancels() {
    let clock = ManualClock::new();
    let pool = Pool::builder().clock(&clock).threads(1..=2).build().expect("threads");
    let books = Books::default();
    let start = clock.now();
    let entries = [books.entry(), books.entry(), books.entry(), books.entry()];
    let jobs = [
        pool.job().timeout(ms(10)).spawn(entries[0].looks(3)),
        pool.job().timeout(ms(10)).grace(ms(5)).spawn(entries[1].looks(3)),
        pool.job().run_timeout(ms(5)).spawn(entries[2].deaf(3)),
        pool.job().queue_timeout(ms(5)).spawn(entries[3].looks(3)),
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
    canceller.join().expect("no panic");
    mover.join().expect("no panic");
    books.close(pool);
}

#[test]
fn scenario_deadlines_against_runs_and_cancels() {
    explore("deadlines_against_runs_and_cancels", deadlines_against_runs_and_cancels);
}
