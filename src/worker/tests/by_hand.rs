//! Each step of a worker, on a thread that is none.

use super::*;
use crate::clock::Recent;
use crate::deadline::Deadline;
use crate::worker::life::park;

/// So many entries, of which the first `dead` are of jobs that were ended; nobody comes for them.
fn entries(crew: &Crew, owner: &Arc<Fake>, dead: usize, all: usize) {
    for n in 0..all {
        let task = owner.idle_job(Priority::Normal);
        if n < dead {
            assert!(task.stop(Cause::Caller).is_some());
        }
        let _ = crew.idle.announce();
        crew.queue.push(task);
    }
}

#[test]
fn the_dead_are_swept_when_they_are_many_and_more_than_half() {
    for (all, kept) in [(1025, 1024), (2048, 1025), (2049, 1025), (2050, 1026)] {
        let (crew, owner) = (Crew::new(threads(0, 1)), Fake::new().1);
        entries(&crew, &owner, kept + 1, all);
        for _ in 0..kept {
            crew.entry_died();
        }
        assert_eq!((crew.counts().queued(), crew.queued()), (all as u64, all - kept));
        crew.entry_died();
        let live = all - kept - 1;
        assert_eq!((crew.counts().queued(), crew.queued()), (live as u64, live));
    }
}

#[test]
fn an_entry_that_is_found_dead_before_it_is_counted_is_not_counted_below_zero() {
    let (crew, owner) = (Crew::new(threads(0, 1)), Fake::new().1);
    entries(&crew, &owner, 0, 2);
    crew.forget_entry();
    assert_eq!(crew.queued(), 2);
    crew.entry_died();
    assert_eq!(crew.queued(), 2);
    crew.entry_died();
    assert_eq!(crew.queued(), 1);
}

#[test]
fn all_that_is_alive_in_the_queue_is_given_to_who_ends_it() {
    let (crew, owner) = (Crew::new(threads(0, 1)), Fake::new().1);
    entries(&crew, &owner, 2, 5);
    (0..2).for_each(|_| crew.entry_died());
    let mut ended = 0;
    crew.empty_queue(|task| {
        assert!(task.stop(Cause::Shutdown).is_some(), "it was alive");
        crew.entry_died();
        ended += 1;
    });
    assert_eq!((ended, crew.counts().queued(), crew.queued()), (3, 0, 0));
    entries(&crew, &owner, 0, 1);
    assert_eq!(crew.queued(), 1, "no dead are left to count");
}

#[test]
fn the_next_job_is_one_that_lives() {
    let (crew, owner) = (Crew::new(threads(0, 1)), Fake::new().1);
    let local = crew.queue.join();
    crew.idle.starting();
    assert!(crew.next(&local, true, &mut Recent::default()).is_none());
    entries(&crew, &owner, 2, 4);
    (0..2).for_each(|_| crew.entry_died());
    let found = crew.next(&local, true, &mut Recent::default()).expect("two are alive");
    assert!(!found.head.state.is_decided());
    let counts = crew.counts();
    assert_eq!((counts.queued(), counts.searching(), crew.queued()), (1, 0, 1));
    assert!(
        crew.next(&local, false, &mut Recent::default()).is_some()
            && crew.next(&local, false, &mut Recent::default()).is_none()
    );
}

#[test]
fn a_worker_lingers_while_nobody_else_searches() {
    let (crew, owner) = (Crew::new(threads(0, 2)), Fake::new().1);
    let (mut mine, mut others) = (false, false);
    assert!(!crew.linger(&mut mine), "there is nothing");
    assert!(mine && crew.counts().searching() == 1);
    assert!(!crew.linger(&mut others) && !others, "one is enough");
    entries(&crew, &owner, 0, 1);
    assert!(crew.linger(&mut mine) && !crew.linger(&mut others));
}

/// Lets a thread rest as a crew's only worker, which is counted as searching.
fn rest(crew: &Arc<Crew>) -> thread::JoinHandle<bool> {
    crew.idle.starting();
    let crew = Arc::clone(crew);
    thread::spawn(move || {
        let desk = Desk::new("by hand".to_owned());
        desk.thread.set(thread::current()).expect("once");
        crew.rest(&desk, true)
    })
}

#[test]
fn a_worker_that_must_stay_parks_for_good_when_its_keep_alive_is_over() {
    let crew = Crew::new(Threads { keep_alive: Duration::ZERO, ..threads(1, 1) });
    let resting = rest(&crew);
    until("it parks", || crew.counts().idle() == 1);
    (0..1000).for_each(|_| thread::yield_now()); // for one that goes on
    assert!(!resting.is_finished(), "it spins");
    assert!(crew.idle.announce());
    crew.wake();
    assert!(resting.join().expect("no panic"), "it searches");
    assert_eq!((crew.counts().idle(), crew.counts().searching()), (0, 1));
}

#[test]
fn a_worker_that_need_not_stay_leaves_when_its_keep_alive_is_over_and_not_before() {
    let crew = Crew::new(Threads { keep_alive: Duration::ZERO, ..threads(0, 1) });
    assert!(!rest(&crew).join().expect("no panic"), "it leaves");
    assert_eq!(crew.counts().total(), 0);
    let crew = Crew::new(threads(0, 1));
    let resting = rest(&crew);
    until("it parks", || crew.counts().idle() == 1);
    crew.retire();
    assert!(resting.join().expect("no panic"), "it looks once more");
    assert!(!rest(&crew).join().expect("no panic"), "a retired crew leaves");
}

#[test]
fn who_could_not_be_started_leaves_the_work_to_the_others() {
    let crew = Crew::new(threads(0, 2));
    crew.wake();
    assert_eq!(crew.counts().total(), 0, "nobody is needed");
    let resting = rest(&crew);
    until("it parks", || crew.counts().idle() == 1);
    crew.idle.starting();
    assert!(!crew.idle.announce(), "the new one would see to it");
    crew.not_started();
    assert!(resting.join().expect("no panic"), "it is called instead");
    crew.idle.starting();
    crew.not_started();
    let counts = crew.counts();
    assert_eq!((counts.total(), counts.searching(), counts.queued()), (1, 1, 1));
}

#[test]
fn who_parks_sees_a_call_that_came_before_and_one_that_comes() {
    let desk = Desk::new("by hand".to_owned());
    assert!(!desk.is_own() && !park(&desk, Deadline::after(Duration::ZERO)));
    Colleague(Arc::clone(&desk)).unpark();
    assert!(park(&desk, Deadline::NEVER));
    assert!(!park(&desk, Deadline::after(Duration::from_millis(1))), "a call is seen once");
    desk.thread.set(thread::current()).expect("once");
    assert!(desk.is_own());
    thread::scope(|s| {
        s.spawn(|| assert!(!desk.is_own()));
        s.spawn(|| Colleague(Arc::clone(&desk)).unpark());
        assert!(park(&desk, Deadline::after(ALARM)));
    });
}

#[test]
fn a_colleague_is_known_by_its_desk() {
    let [one, other] = ["a", "a"].map(|name| Colleague(Desk::new(name.to_owned())));
    assert!(one == one.clone() && one != other);
}

#[test]
fn a_desk_counts_the_jobs_that_were_started_there() {
    let owner = Fake::new().1;
    let desk = Desk::new("by hand".to_owned());
    let mut jobs = desk.jobs.lock();
    let [waits, runs] = [0; 2].map(|_| owner.idle_job(Priority::Normal));
    assert!(runs.head.state.start());
    jobs.now.extend([waits, runs]);
    assert_eq!(jobs.started(), 1, "one waits");
    assert!(jobs.clear_last(true).is_some_and(|job| job.head.state.is_running()));
    assert!(jobs.clear_last(false).is_some() && jobs.clear_last(false).is_none());
    assert_eq!(jobs.started(), 1);
}

#[test]
fn threads_that_are_being_started_are_waited_for() {
    let crew = Crew::new(threads(0, 1));
    assert!(crew.join_exited());
    // ORDERING: Relaxed; there is one thread.
    crew.starting.fetch_add(1, Ordering::Relaxed);
    assert!(!crew.join_exited());
}
