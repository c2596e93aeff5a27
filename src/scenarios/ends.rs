//! The end of a pool, and who is too late.

use crate::scenarios::books::{Books, Seen};
use crate::scenarios::explore;
use crate::sync::model::thread::spawn;
use crate::{Phase, Pool};

/// Law 10: the report names exactly those that never started.
fn a_shutdown_against_submissions() {
    let pool = Pool::builder().threads(1..=2).build().expect("threads");
    let books = Books::default();
    let submitters = [2, 1].map(|jobs| {
        let (pool, books) = (pool.clone(), books.clone());
        spawn(move || {
            let entries: Vec<_> = (0..jobs).map(|_| books.entry()).collect();
            let jobs: Vec<_> = entries.iter().map(|entry| pool.spawn(entry.looks(2))).collect();
            for (job, entry) in jobs.into_iter().zip(&entries) {
                entry.enter(&job.wait());
            }
        })
    });
    let entry = books.entry();
    let job = pool.spawn(entry.looks(1));
    let report = pool.shutdown().wait();
    entry.enter(&job.wait());
    submitters.into_iter().for_each(|submitter| submitter.join().expect("no panic"));
    assert!(report.still_running.is_empty(), "all threads have left: {report:?}");
    let seen = |seen| books.number_seen(seen);
    assert_eq!(report.never_started.len() as u64, seen(Seen::Cancelled(Phase::Queued)));
    let finished = seen(Seen::Returned) + seen(Seen::Cancelled(Phase::Running));
    assert_eq!(report.finished, finished, "{report:?}");
    books.agree(&pool);
}

#[test]
fn scenario_a_shutdown_against_submissions() {
    explore("a_shutdown_against_submissions", a_shutdown_against_submissions);
}
