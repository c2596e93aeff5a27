//! Models of a worker's parking and of what it looks at before it runs a job: every interleaving, by
//! loom.
//!
//! The crew is a real one, but its threads are the models' own: loom's turns share one thread, and so
//! what a worker keeps in thread-locals. The deques are crossbeam's, each call one step, and so is the
//! announcement of an entry with the push that follows it.
//!
//! | what against what | model |
//! |---|---|
//! | 10 park, a call | `a_worker_that_parks_against_a_call` |
//! | 10 park, submit | `a_worker_that_rests_against_a_submission` |
//! | 12 submit twice at the cap | `a_worker_that_rests_against_two_submissions` |
//! | 14 park, retire | `a_worker_that_rests_against_the_retirement` |
//! | 15 keep-alive exit, submit | `a_worker_whose_time_is_up_against_a_submission` |
//! | 13 a job put on a desk, shutdown | `a_job_on_a_desk_against_a_shutdown` |
//! | threads joined, threads that leave | `a_worker_that_leaves_against_who_joins_it` |

use super::*;
use crate::clock::Clock;
use crate::job::JobHandle;
use crate::job::models::Host;
use crate::queue::Order;
use crate::spawner::Spawner;
use crate::sync::models::{Bare, Count, check, check_all};
use crate::worker::Threads;
use crate::worker::desk::Exit;
use loom::thread as model;

/// A crew of one thread, or of none yet.
fn crew(min: usize, keep_alive: Duration) -> Arc<Crew> {
    Crew::new(Threads {
        spawner: Spawner::default(),
        name: String::new(),
        min,
        max: 1,
        spares: 0,
        order: Order::Fifo,
        keep_alive,
        stack_size: None,
        on_start: None,
        on_stop: None,
        on_panic: Arc::new(unwind::discard),
    })
}

/// A worker that does not linger.
fn start(crew: &Arc<Crew>) -> model::JoinHandle<()> {
    crew.idle.starting();
    let (crew, desk) = (Arc::clone(crew), Desk::new(String::new()));
    crew.desks.lock().list.push(Arc::clone(&desk));
    model::spawn(move || {
        let _ = desk.thread.set(thread::current());
        let local = crew.queue.join();
        let mut searching = true;
        loop {
            match crew.next(&local, searching, &mut Recent::default()) {
                Some(task) => {
                    if !crew.run_at(&desk, &task, &mut Recent::default()) {
                        crew.forget_entry();
                    }
                    searching = false;
                }
                None if crew.rest(&desk, searching) => searching = true,
                None => break,
            }
        }
        crew.remove(&desk);
    })
}

fn submit(crew: &Arc<Crew>, data: &Arc<Bare>) -> JobHandle<u32> {
    let data = Arc::clone(data);
    let (task, job) = Host::new(Clock::System).job(None, move |_| data.touch());
    assert!(crew.submit(task), "there is room");
    job
}

fn finish(crew: &Crew, worker: model::JoinHandle<()>) {
    crew.retire();
    worker.join().expect("no panic");
    let counts = crew.counts();
    assert_eq!((counts.queued(), counts.searching()), (0, 0));
    assert_eq!((counts.idle(), counts.total(), crew.workers()), (0, 0, 0));
}

#[test]
fn a_worker_that_parks_against_a_call() {
    check_all(|| {
        let (desk, data) = (Desk::new(String::new()), Bare::new());
        let (own, seen) = (Arc::clone(&desk), Arc::clone(&data));
        let worker = model::spawn(move || {
            let _ = own.thread.set(thread::current());
            assert!(park(&own, Deadline::NEVER), "it is called");
            assert_eq!(seen.touch(), 1, "who is called sees what for");
        });
        data.touch();
        Colleague(desk).unpark();
        worker.join().expect("no panic");
    });
}

#[test]
fn a_worker_that_rests_against_a_submission() {
    check(|| {
        let (crew, data) = (crew(1, Duration::MAX), Bare::new());
        let worker = start(&crew);
        assert_eq!(submit(&crew, &data).wait().expect("it ran"), 0);
        finish(&crew, worker);
    });
}

#[test]
fn a_worker_that_rests_against_two_submissions() {
    check(|| {
        let (crew, data) = (crew(1, Duration::MAX), Bare::new());
        let worker = start(&crew);
        let jobs = [submit(&crew, &data), submit(&crew, &data)];
        assert_eq!(jobs.map(|job| job.wait().expect("it ran")), [0, 1], "one after the other");
        finish(&crew, worker);
    });
}

#[test]
fn a_worker_that_rests_against_the_retirement() {
    check(|| {
        let (crew, data) = (crew(1, Duration::MAX), Bare::new());
        let worker = start(&crew);
        let job = submit(&crew, &data);
        finish(&crew, worker);
        assert_eq!(job.wait().expect("what was there is done"), 0);
    });
}

/// It stays, since it is the least there must be: so it must hear of every submission.
#[test]
fn a_worker_whose_time_is_up_against_a_submission() {
    check(|| {
        let (crew, data) = (crew(1, Duration::ZERO), Bare::new());
        let worker = start(&crew);
        for n in 0..2 {
            assert_eq!(submit(&crew, &data).wait().expect("it ran"), n);
        }
        finish(&crew, worker);
    });
}

/// Rule 1 of worker: no body starts unasked once the pool stops.
#[test]
fn a_job_on_a_desk_against_a_shutdown() {
    check(|| {
        let (stopped, late) = (Arc::<Count>::default(), Arc::<Count>::default());
        let crew = crew(1, Duration::MAX);
        let (has_stopped, was_late) = (Arc::clone(&stopped), Arc::clone(&late));
        let (task, job) = Host::new(Clock::System).job(None, move |_| {
            (0..has_stopped.get()).for_each(|_| _ = was_late.add());
        });
        let desk = Desk::new(String::new());
        crew.desks.lock().list.push(Arc::clone(&desk));
        let (here, found) = (Arc::clone(&crew), Arc::clone(&task));
        let worker = model::spawn(move || here.run_at(&desk, &found, &mut Recent::default()));
        crew.lifecycle.rise(Stage::Stopping);
        for (job, _) in crew.at_desks() {
            job.stop(Cause::Shutdown);
        }
        stopped.add();
        worker.join().expect("no panic");
        let asked = task.head.state.cause() == Some(Cause::Shutdown);
        assert!(asked || late.get() == 0, "no body starts unasked");
        assert!(job.wait().is_ok() || asked);
    });
}

#[test]
fn a_worker_that_leaves_against_who_joins_it() {
    check_all(|| {
        let (crew, desk) = (crew(1, Duration::MAX), Desk::new(String::new()));
        let (data, exit) = (Bare::new(), Exit(Arc::clone(&desk)));
        let last = Arc::clone(&data);
        let handle = model::spawn(move || {
            last.touch(); // a thread-local's destructor
            drop(exit);
        });
        if desk.is_left() {
            assert_eq!(data.touch(), 1, "it has dropped its thread-locals");
        }
        crew.handles.lock().push((desk, handle));
        while !crew.join_exited() {
            model::yield_now();
        }
        assert!(crew.handles.lock().is_empty());
    });
}
