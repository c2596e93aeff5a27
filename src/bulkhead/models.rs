//! Models of a lane's bulkhead, with real jobs: every interleaving, by loom.
//!
//! | what against what | model |
//! |---|---|
//! | a permit is given back, a job comes | `a_permit_given_back_against_a_job_that_comes` |
//! | a permit is given back, who waits for it is cancelled | `a_permit_given_back_against_a_cancel` |
//! | a job is let through, and run by who waits for it | `a_job_let_through_against_a_jump` |

use super::*;
use crate::clock::Clock;
use crate::job::models::{Host, job_of};
use crate::job::{Held, JobHandle, Settings};
use crate::stop::Cause;
use crate::sync::models::check;
use loom::thread as model;

fn job() -> (Task, JobHandle<()>) {
    let settings = Settings { passage: Passage::new(1), ..Settings::default() };
    job_of(Host::new(Clock::System), Some(settings), |_| ())
}

/// One lane with one permit, which is taken.
fn taken() -> Arc<Bulkhead> {
    let bulkhead = Bulkhead::new(1, Order::Fifo);
    assert!(bulkhead.try_take());
    Arc::new(bulkhead)
}

/// What a job's share does when the job is over.
fn end(bulkhead: &Bulkhead, task: &Task) {
    match task.head.passage().and_then(Passage::end) {
        Some(Held { waits: true, .. }) => bulkhead.entry_died(),
        Some(_) => assert!(bulkhead.leave(false).is_none()),
        None => {}
    }
}

fn assert_free(bulkhead: &Bulkhead) {
    assert!(bulkhead.try_take() && !bulkhead.try_take());
    assert!(bulkhead.leave(false).is_none());
    let line = *bulkhead.line.lock();
    assert_eq!((line.taken, line.entries, line.dead), (0, 0, 0));
}

#[test]
fn a_permit_given_back_against_a_job_that_comes() {
    check(|| {
        let bulkhead = taken();
        let (task, job) = job();
        let other = {
            let bulkhead = Arc::clone(&bulkhead);
            model::spawn(move || bulkhead.leave(false))
        };
        let came = bulkhead.enter(&task, 0);
        let handed_over = other.join().expect("no panic").map(|(_, next)| next);
        let through: Vec<_> = came.into_iter().chain(handed_over).collect();
        assert_eq!(through, [Next::Queue], "by one of the two");
        assert_eq!(bulkhead.taken(), (1, 1));
        end(&bulkhead, &task);
        assert_free(&bulkhead);
        drop(job);
    });
}

#[test]
fn a_permit_given_back_against_a_cancel() {
    check(|| {
        let bulkhead = taken();
        let (task, job) = job();
        assert!(bulkhead.enter(&task, 0).is_none());
        let other = {
            let (bulkhead, task) = (Arc::clone(&bulkhead), Arc::clone(&task));
            model::spawn(move || {
                assert!(task.stop(Cause::Caller).is_some());
                end(&bulkhead, &task);
            })
        };
        let _ = bulkhead.leave(false);
        other.join().expect("no panic");
        assert_free(&bulkhead);
        drop(job);
    });
}

/// Law 12: one that is waited for jumps the line, on a borrowed permit, as its turn comes.
#[test]
fn a_job_let_through_against_a_jump() {
    check(|| {
        let bulkhead = taken();
        let (task, job) = job();
        assert!(bulkhead.enter(&task, 0).is_none());
        let other = {
            let bulkhead = Arc::clone(&bulkhead);
            model::spawn(move || bulkhead.leave(false).is_some())
        };
        let way = task.head.passage().expect("it has settings");
        let jumped = way.jump(0, vec![0]);
        if jumped {
            bulkhead.entry_died();
        }
        let let_through = other.join().expect("no panic");
        assert!(jumped != let_through, "one of the two");
        assert_eq!(bulkhead.taken().0, usize::from(let_through));
        if let_through {
            end(&bulkhead, &task);
        }
        assert_free(&bulkhead);
        drop(job);
    });
}
