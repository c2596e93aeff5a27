//! Models of a pool's stage and of the count of its unfinished jobs: every interleaving, by loom.
//!
//! On a pool that takes jobs: `shutdown/models.rs`.
//!
//! | what against what | model |
//! |---|---|
//! | 13 enter, rise | `a_job_that_enters_against_a_pool_that_closes` |
//! | 13 leave, leave, who waits for both | `the_last_jobs_that_leave_against_who_waits_for_them` |
//! | 13 drain, shutdown | `two_that_close_a_pool` |
//! | 13 accept, enter, rise | `who_closes_sees_what_who_entered_had_counted` |

use super::*;
use crate::sync::models::{Bare, Count, check_all};
use crate::sync::{AtomicU64, Ordering};
use loom::thread;
use std::sync::Arc;

/// A job is waited for or refused, whichever comes first.
#[test]
fn a_job_that_enters_against_a_pool_that_closes() {
    check_all(|| {
        let (life, data) = (Arc::new(Lifecycle::new()), Bare::new());
        let closed = Arc::<Count>::default();
        let submitter = {
            let (life, data, closed) = (Arc::clone(&life), Arc::clone(&data), Arc::clone(&closed));
            thread::spawn(move || {
                let late = closed.get() > 0;
                let entered = life.enter();
                assert!(!(late && entered), "a closed pool takes none");
                if !entered {
                    assert_eq!(data.touch(), 1, "who is refused sees why");
                }
                entered && life.leave()
            })
        };
        data.touch();
        life.rise(Stage::Draining);
        closed.add();
        let seen = life.unfinished();
        let was_last = submitter.join().expect("no panic");
        assert!(seen == 0 || was_last, "a job seen by the closer announces its end");
        assert_eq!(life.unfinished(), 0);
    });
}

/// Who sees that none is left sees what each did.
#[test]
fn the_last_jobs_that_leave_against_who_waits_for_them() {
    check_all(|| {
        let life = Arc::new(Lifecycle::new());
        let data = [Bare::new(), Bare::new()];
        assert!(life.enter() && life.enter());
        let leave = |data: &Arc<Bare>| {
            let (life, data) = (Arc::clone(&life), Arc::clone(data));
            thread::spawn(move || {
                data.touch();
                life.leave()
            })
        };
        let jobs = [leave(&data[0]), leave(&data[1])];
        life.rise(Stage::Stopping);
        if life.unfinished() == 0 {
            assert_eq!(data.map(|data| data.touch()), [1, 1]);
        } else {
            let announced = jobs.map(|job| job.join().expect("no panic"));
            assert!(announced.contains(&true), "somebody will announce the end");
        }
    });
}

#[test]
fn two_that_close_a_pool() {
    check_all(|| {
        let (life, data) = (Arc::new(Lifecycle::new()), Bare::new());
        let (other, before) = (Arc::clone(&life), Arc::clone(&data));
        let stops = thread::spawn(move || {
            before.touch();
            other.rise(Stage::Stopping);
        });
        life.rise(Stage::Draining);
        let seen = life.stage();
        if seen == Stage::Stopping {
            assert_eq!(data.touch(), 1, "who sees that a pool stops sees why");
        }
        stops.join().expect("no panic");
        assert!(seen > Stage::Open && life.stage() == Stage::Stopping, "stages never fall");
    });
}

/// Who closes sees the count of whoever entered before.
#[test]
fn who_closes_sees_what_who_entered_had_counted() {
    check_all(|| {
        let life = Arc::new(Lifecycle::new());
        let accepted = Arc::new(AtomicU64::new(0));
        let submitter = {
            let (life, accepted) = (Arc::clone(&life), Arc::clone(&accepted));
            thread::spawn(move || {
                accepted.fetch_add(1, Ordering::Release);
                if !life.enter() {
                    accepted.fetch_sub(1, Ordering::Release);
                }
            })
        };
        life.rise(Stage::Stopping);
        let unfinished = life.unfinished();
        assert!(accepted.load(Ordering::Acquire) >= unfinished, "a job is missing in the report");
        submitter.join().expect("no panic");
    });
}
