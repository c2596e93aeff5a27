//! Models of rule 6: there may be one worker more, or one less.

use super::*;

/// A crew of so many workers, all at a job.
fn busy(workers: usize, max: usize) -> Arc<Idle<usize>> {
    let idle = Idle::new(0, max);
    for _ in 0..workers {
        idle.starting();
        assert!(!idle.announce() && !idle.took(true));
    }
    Arc::new(idle)
}

/// Rule 6: a body is stuck, and a job is submitted, at the cap: one of the two starts a worker for it.
#[test]
fn room_for_one_more_against_a_submission() {
    check(|| {
        let idle = busy(1, 1);
        let other = {
            let idle = Arc::clone(&idle);
            thread::spawn(move || {
                assert!(idle.grow());
                idle.is_waited_for() && idle.wake() == Wake::New
            })
        };
        let here = idle.announce() && idle.wake() == Wake::New;
        assert!(other.join().expect("no panic") != here);
        let counts = idle.counts();
        assert_eq!((counts.total(), counts.searching(), counts.queued()), (2, 1, 1));
    });
}

/// Rule 6: the room is taken back as both workers are done and a job comes: one of them stays for it.
#[test]
fn one_worker_too_many_against_a_submission() {
    check(|| {
        let idle = busy(2, 2);
        let done = |_| {
            let idle = Arc::clone(&idle);
            thread::spawn(move || idle.leaves())
        };
        let workers = [1, 2].map(done);
        idle.shrink();
        assert!(!idle.announce() || idle.wake() == Wake::Nobody);
        let left = workers.map(|worker| worker.join().expect("no panic"));
        assert!(!(left[0] && left[1]), "nobody is there for it");
        let one_more = left == [false; 2] && idle.leaves();
        assert_eq!((idle.counts().total(), idle.max()), (1, 1), "{left:?} {one_more}");
    });
}
