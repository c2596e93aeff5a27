//! Models of the idle protocol: every interleaving, by loom.
//!
//! With a real crew's desks and queue: `worker/life/models.rs`. All models of the crate are run by
//!
//! ```sh
//! RUSTFLAGS="--cfg punctual_loom" cargo test --release --lib models
//! ```
//!
//! | what against what | model |
//! |---|---|
//! | 10 park, submit | `a_worker_that_parks_against_a_submission` |
//! | 11 searching is handed over | `two_workers_and_two_jobs_that_wait_for_each_other` |
//! | 12 submit twice at the cap | `two_submitters_at_the_cap` |
//! | 14 the idle count, retire | `a_retirement_against_workers_that_park` |
//! | 15 keep-alive exit, submit | `a_worker_that_leaves_against_a_submission` |
//! | 15 keep-alive over, taken off the stack | `a_worker_whose_time_is_up_when_it_is_called` |
//! | 20 no thread is to be had | `a_thread_that_fails_to_start_against_a_submission` |
//! | 20 no second thread is to be had | `a_thread_that_fails_to_start_beside_one_that_works` |
//! | 20 no thread is to be had, and all workers wait | `the_last_worker_that_waits_against_a_submission` |
//! | a start hook, submit | `workers_with_a_start_hook` |
//! | room for one worker more, submit | `room_for_one_more_against_a_submission` |
//! | one worker too many, submit | `one_worker_too_many_against_a_submission` |

mod room;

use super::*;
use crate::sync::models::check;
use crate::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;

/// A pool reduced to this protocol: jobs are numbers, running one is counting it.
struct Pool {
    idle: Idle<usize>,
    queue: Mutex<Vec<u32>>,
    /// Notified when the queue, or what it counts, has changed.
    moved: Condvar,
    done: Mutex<u32>,
    /// How many jobs must run at once for any to end.
    to_meet: u32,
    met: Condvar,
    /// Which workers were called, by number.
    called: (Mutex<[bool; 3]>, Condvar),
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    /// Whether parked workers time out at once.
    impatient: bool,
    /// How many threads the system gives.
    given: usize,
    /// How many jobs are done before the start hook of the second worker ends; none without hooks.
    hooked: u32,
}

impl Pool {
    fn new(max: usize) -> Arc<Self> {
        Arc::new(Self::of(0, max))
    }

    fn of(min: usize, max: usize) -> Self {
        Self {
            idle: Idle::new(min, max),
            queue: Mutex::new(Vec::new()),
            moved: Condvar::new(),
            done: Mutex::new(0),
            to_meet: 0,
            met: Condvar::new(),
            called: (Mutex::new([false; 3]), Condvar::new()),
            threads: Mutex::new(Vec::new()),
            impatient: false,
            given: usize::MAX,
            hooked: 0,
        }
    }

    fn submit(self: &Arc<Self>) {
        let wake = self.idle.announce();
        self.queue.lock().push(1);
        self.moved.notify_all();
        if wake {
            self.wake();
        }
    }

    /// Pops an entry. The pool's own searchers yield until an announced entry is pushed; two
    /// that do so are more than loom can follow, so here they wait.
    fn pop(&self) -> bool {
        let mut queue = self.queue.lock();
        while queue.is_empty() && self.idle.counts().queued() > 0 {
            queue = self.moved.wait(queue);
        }
        queue.pop().is_some()
    }

    fn wake(self: &Arc<Self>) {
        match self.idle.wake() {
            Wake::Parked(worker) => self.call(worker),
            Wake::New if self.threads.lock().len() >= self.given => self.not_started(),
            Wake::New => self.start(),
            Wake::Nobody => {}
        }
    }

    fn not_started(self: &Arc<Self>) {
        match self.idle.not_started() {
            NotStarted::Uncounted => {}
            NotStarted::Unpark(worker) => self.call(worker),
            NotStarted::Alone => loop {
                self.take_all(false);
                if self.idle.leave_alone() {
                    break;
                }
            },
        }
    }

    fn start(self: &Arc<Self>) {
        let mut threads = self.threads.lock();
        let (me, pool) = (threads.len(), Arc::clone(self));
        threads.push(thread::spawn(move || pool.work(me)));
    }

    fn call(&self, worker: usize) {
        self.called.0.lock()[worker] = true;
        self.called.1.notify_all();
    }

    /// `false` if it timed out.
    fn park(&self, me: usize) -> bool {
        let mut called = self.called.0.lock();
        while !called[me] {
            if self.impatient {
                return false;
            }
            called = self.called.1.wait(called);
        }
        called[me] = false;
        true
    }

    fn await_call(&self, me: usize) {
        let mut called = self.called.0.lock();
        while !called[me] {
            called = self.called.1.wait(called);
        }
        called[me] = false;
    }

    fn take_all(self: &Arc<Self>, mut searching: bool) -> bool {
        while self.pop() {
            let wake = self.idle.took(searching);
            drop(self.queue.lock()); // who looks at `queued` now sees it, or waits and is notified
            self.moved.notify_all();
            if wake {
                self.wake();
            }
            searching = false;
            self.run();
        }
        searching
    }

    /// A job: it blocks its worker until as many have come to run as are to meet.
    fn run(&self) {
        let mut done = self.done.lock();
        *done += 1;
        self.met.notify_all();
        while *done < self.to_meet {
            done = self.met.wait(done);
        }
    }

    fn work(self: &Arc<Self>, me: usize) {
        let mut searching = self.hooked == 0;
        if self.hooked > 0 && self.idle.pause() {
            self.wake();
        }
        if me > 0 {
            self.await_done(self.hooked);
        }
        loop {
            searching = self.take_all(searching) || self.idle.search();
            searching = self.take_all(searching);
            match self.idle.rest(&me, searching) {
                Rest::Search => searching = true,
                Rest::Leave => return,
                Rest::Stay => unreachable!("nobody timed out"),
                Rest::Park if self.park(me) => searching = true,
                Rest::Park => match self.idle.timed_out(&me) {
                    Rest::Search => searching = true,
                    Rest::Leave => return,
                    Rest::Park | Rest::Stay => {
                        self.await_call(me);
                        searching = true;
                    }
                },
            }
        }
    }

    /// Waits until all that was submitted is done: nobody needs a retirement for that.
    fn finish(&self, jobs: u32) {
        self.await_done(jobs);
        self.end(jobs);
    }

    fn await_done(&self, jobs: u32) {
        let mut done = self.done.lock();
        while *done < jobs {
            done = self.met.wait(done);
        }
    }

    /// Ends the pool, and checks that all that was submitted was done by its own workers.
    fn end(&self, jobs: u32) {
        for worker in self.idle.retire() {
            self.call(worker);
        }
        loop {
            let threads = std::mem::take(&mut *self.threads.lock());
            if threads.is_empty() {
                break;
            }
            for thread in threads {
                thread.join().expect("no panic");
            }
        }
        assert_eq!(*self.done.lock(), jobs);
        let counts = self.idle.counts();
        assert_eq!(
            (counts.queued(), counts.searching(), counts.idle(), counts.total()),
            (0, 0, 0, 0)
        );
    }
}

/// tokio #525: the last look at the queue against parking.
#[test]
fn a_worker_that_parks_against_a_submission() {
    check(|| {
        let pool = Pool::new(1);
        pool.submit();
        pool.submit();
        pool.finish(2);
    });
}

/// tokio #8056: two quick submissions and one that is woken, at the cap of threads.
#[test]
fn two_submitters_at_the_cap() {
    check(|| {
        let pool = Pool::new(1);
        pool.submit();
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.submit())
        };
        pool.submit();
        other.join().expect("no panic");
        pool.finish(3);
    });
}

/// A searcher that finds a job hands over: the next may block for as long as that one.
#[test]
fn two_workers_and_two_jobs_that_wait_for_each_other() {
    check(|| {
        let pool = Arc::new(Pool { to_meet: 2, ..Pool::of(0, 2) });
        pool.submit();
        pool.submit();
        pool.end(2); // the retirement starts no worker: it hides no lost hand-over
    });
}

/// A new worker that is in its start hook, for long, against submissions that would count on it.
#[test]
fn workers_with_a_start_hook() {
    check(|| {
        let pool = Arc::new(Pool { hooked: 3, ..Pool::of(0, 2) });
        pool.submit();
        pool.submit();
        pool.submit();
        pool.finish(3);
    });
}

/// tokio #7922.
#[test]
fn a_retirement_against_workers_that_park() {
    check(|| {
        let pool = Pool::new(2);
        pool.submit();
        pool.submit();
        pool.end(2);
    });
}

/// tokio #1560: a worker whose keep-alive time is over against a submission that counts on it.
#[test]
fn a_worker_that_leaves_against_a_submission() {
    check(|| {
        let pool = Arc::new(Pool { impatient: true, ..Pool::of(0, 1) });
        pool.submit();
        pool.submit();
        pool.finish(2);
    });
}

/// It was taken off the stack, and is called: it must await the call, or take it for the next one.
#[test]
fn a_worker_whose_time_is_up_when_it_is_called() {
    check(|| {
        let pool = Arc::new(Pool { impatient: true, ..Pool::of(1, 1) });
        pool.submit();
        pool.submit();
        pool.submit();
        pool.finish(3);
    });
}

/// tokio #8406: threads that fail to start, with another submission under way.
#[test]
fn a_thread_that_fails_to_start_against_a_submission() {
    check(|| {
        let pool = Arc::new(Pool { given: 0, ..Pool::of(0, 2) });
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.submit())
        };
        pool.submit();
        other.join().expect("no panic");
        pool.finish(2);
    });
}

/// The one there is does all: it must be called each time.
#[test]
fn a_thread_that_fails_to_start_beside_one_that_works() {
    check(|| {
        let pool = Arc::new(Pool { given: 1, ..Pool::of(0, 2) });
        pool.submit();
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.submit())
        };
        pool.submit();
        other.join().expect("no panic");
        pool.finish(3);
    });
}

/// Rule 7: the only worker begins to wait for the job that is being submitted, and there is no other:
/// one of the two ends it. (Here this is done as by a worker.)
#[test]
fn the_last_worker_that_waits_against_a_submission() {
    check(|| {
        let pool = Arc::new(Pool { given: 0, ..Pool::of(0, 2) });
        pool.idle.starting();
        assert!(!pool.idle.announce() && !pool.idle.took(true), "it is at a job");
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.submit())
        };
        pool.idle.waits();
        if pool.idle.is_waited_for() {
            pool.wake();
        }
        other.join().expect("no panic");
        assert_eq!((*pool.done.lock(), pool.idle.counts().queued()), (1, 0));
        pool.idle.goes_on();
        assert_eq!((pool.idle.counts().total(), pool.idle.counts().searching()), (1, 0));
    });
}
