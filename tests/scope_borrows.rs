//! Nothing borrowed is touched after the scope: every way a job can end, with what touches it late.
//! (Run under Miri or a sanitizer, these find more than their assertions.)

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use punctual::testing::ManualClock;
use punctual::{Cause, Checked, JobContext, JobError, Phase, Pool, ScopePolicy};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use support::{Busy, Gate, PanicsOnDrop, ms, news, pool_of, quiet_panic, until};

/// Stands on the caller's stack.
#[derive(Debug, Default)]
struct Borrowed(AtomicUsize);

impl Borrowed {
    fn touch(&self) {
        (0..200).for_each(|_| thread::yield_now());
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// A value that touches this when it is dropped, and takes its time.
    fn late(&self) -> Late<'_> {
        Late(self)
    }

    fn touches(self) -> usize {
        self.0.into_inner()
    }
}

#[derive(Debug)]
struct Late<'a>(&'a Borrowed);

impl Drop for Late<'_> {
    fn drop(&mut self) {
        self.0.touch();
    }
}

#[test]
fn captures_of_a_job_that_was_stopped_in_the_queue() {
    let pool = pool_of(1);
    for policy in [ScopePolicy::WaitForAll, ScopePolicy::FailFast] {
        let borrowed = Borrowed::default();
        pool.scope_with(policy, |s| {
            let _busy = Busy::all(&pool, 1);
            let late = [(); 3].map(|()| borrowed.late());
            let [first, ..] = late.map(|late| s.spawn_blocking(move || drop(late)));
            assert_eq!(first.cancel(), Some(Phase::Queued));
            s.cancel();
        });
        assert_eq!(borrowed.touches(), 3);
    }
}

#[test]
fn captures_that_are_dropped_aside() {
    let pool = pool_of(1);
    let borrowed = Borrowed::default();
    pool.scope_with(ScopePolicy::FailFast, |s| {
        let gate = Gate::default();
        let pass = gate.clone();
        s.spawn(move |_| {
            pass.pass();
            Err::<(), _>("it fails")
        });
        for _ in 0..5 {
            let late = borrowed.late();
            s.spawn_blocking(move || drop(late));
        }
        gate.open();
    });
    assert_eq!(borrowed.touches(), 5);
}

#[test]
fn captures_of_a_job_whose_time_is_up_and_of_one_that_is_refused() {
    let clock = ManualClock::new();
    let limited = Pool::builder().threads(1..=1).queue_limit(1).clock(&clock);
    let pool = limited.build().expect("a thread");
    let borrowed = Borrowed::default();
    pool.scope(|s| {
        let busy = Busy::all(&pool, 1);
        let (late, refused) = (borrowed.late(), borrowed.late());
        s.with(pool.job().timeout(ms(5))).spawn_blocking(move || drop(late));
        s.spawn_blocking(move || drop(refused));
        clock.advance(ms(5));
        drop(busy);
    });
    assert_eq!(borrowed.0.load(Ordering::SeqCst), 2);
    drop(pool.shutdown());
    pool.scope(|s| {
        let late = borrowed.late();
        s.spawn_blocking(move || drop(late));
    });
    assert_eq!(borrowed.touches(), 3);
}

#[test]
fn captures_when_a_shutdown_comes_from_elsewhere() {
    let pool = pool_of(1);
    let borrowed = Borrowed::default();
    let (send, spawned) = news();
    let shutting = pool.clone();
    let other = thread::spawn(move || {
        spawned.next();
        drop(shutting.shutdown());
    });
    pool.scope(|s| {
        let (started, starts) = news();
        let running = borrowed.late();
        s.spawn(move |cx| {
            let _running = running;
            started.send(()).expect("the test listens");
            cx.sleep(support::PATIENCE)
        });
        starts.next();
        for _ in 0..5 {
            let late = borrowed.late();
            s.spawn_blocking(move || drop(late));
        }
        send.send(()).expect("the other listens");
    });
    assert_eq!(borrowed.touches(), 6);
    other.join().expect("no panic");
}

#[test]
fn captures_of_a_body_that_panics() {
    let pool = pool_of(2);
    let borrowed = Borrowed::default();
    pool.scope(|s| {
        let (gone, waited) = (borrowed.late(), borrowed.late());
        let job = s.spawn_blocking(move || {
            let _waited = waited;
            quiet_panic("waited for")
        });
        assert!(job.wait().is_err());
        mem::forget(s.spawn_blocking(move || {
            let _gone = gone;
            quiet_panic("forgotten")
        }));
    });
    assert_eq!(borrowed.touches(), 2);
}

#[test]
fn values_and_errors_whose_handle_is_dropped_before_or_after() {
    let pool = pool_of(1);
    let borrowed = Borrowed::default();
    pool.scope(|s| {
        let before = Gate::default();
        let pass = before.clone();
        drop(s.spawn_blocking(|| {
            let pass = pass;
            pass.pass();
            borrowed.late()
        }));
        before.open();
        let after = s.spawn(|_| Err::<(), _>(borrowed.late()));
        until("the error is there", || after.is_finished());
        drop(after);
        assert_eq!(borrowed.0.load(Ordering::SeqCst), 2, "it is dropped with its handle");
        s.spawn_blocking(|| borrowed.late()); // just when it may be either
    });
    assert_eq!(borrowed.touches(), 3);
}

#[test]
fn handles_that_other_jobs_own() {
    let pool = pool_of(2);
    let borrowed = Borrowed::default();
    pool.scope(|s| {
        let inner = s.spawn_blocking(|| borrowed.late());
        s.spawn_blocking(move || drop(inner));
        let inner = s.spawn_blocking(|| borrowed.late());
        s.spawn_blocking(move || inner.wait().map(drop));
        let inner = s.spawn_blocking(|| borrowed.late());
        let never = s.spawn_blocking(move || drop(inner));
        never.cancel();
    });
    assert_eq!(borrowed.touches(), 3);
}

#[test]
fn a_forgotten_handle_leaks_the_value_and_nothing_waits_for_it() {
    let pool = pool_of(1);
    let borrowed = Borrowed::default();
    pool.scope(|s| mem::forget(s.spawn_blocking(|| borrowed.late())));
    assert_eq!(borrowed.touches(), 0);
    let mut number = 1;
    pool.scope(|s| {
        mem::forget(s.spawn_blocking(|| {
            (0..200).for_each(|_| thread::yield_now());
            number += 1;
        }));
    });
    assert_eq!(number, 2);
}

#[test]
fn a_value_that_comes_too_late() {
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(1..=1).clock(&clock).build().expect("a thread");
    let borrowed = Borrowed::default();
    for waits in [true, false] {
        pool.scope(|s| {
            let gate = Gate::default();
            let pass = gate.clone();
            let (started, starts) = news();
            let job = s.with(pool.job().timeout(ms(5))).spawn_blocking(|| {
                let (started, pass) = (started, pass);
                started.send(()).expect("the test listens");
                pass.pass();
                borrowed.late()
            });
            starts.next();
            clock.advance(ms(5));
            assert!(job.is_finished(), "without its value");
            if waits {
                assert!(job.wait().expect_err("its time is up").is_timed_out());
                gate.open();
            } else {
                gate.open();
                until("the value is there", || pool.overdue().is_empty());
                assert!(job.wait().expect_err("its time was up").is_timed_out());
            }
        });
    }
    assert_eq!(borrowed.touches(), 2);
}

#[test]
fn contexts_and_abort_handles_may_stay() {
    let pool = pool_of(1);
    let borrowed = Borrowed::default();
    let kept: Mutex<Vec<JobContext>> = Mutex::default();
    let stoppers = pool.scope(|s| {
        let late = borrowed.late();
        let ran = s.spawn(|cx| -> Checked<()> {
            let _late = late;
            kept.lock().expect("no panic under it").push(cx.clone());
            cx.token().cancel();
            Ok(())
        });
        until("it has ended", || ran.is_finished());
        let _busy = Busy::all(&pool, 1);
        let late = borrowed.late();
        let queued = s.spawn_blocking(move || drop(late));
        queued.cancel();
        [ran.abort_handle(), queued.abort_handle()]
    });
    assert_eq!(borrowed.touches(), 2);
    let kept = kept.into_inner().expect("no panic under it");
    assert_eq!((kept.len(), kept[0].cause()), (1, Some(Cause::Token)));
    assert!(stoppers.iter().all(|stopper| stopper.is_finished() && stopper.cancel().is_none()));
}

#[test]
fn destructors_that_panic_harm_nobody() {
    let (told, unseen) = news();
    let told = Mutex::new(told);
    let builder = Pool::builder().threads(1..=1).on_unseen_panic(move |panic| {
        let told = told.lock().expect("no panic under it");
        told.send(panic.message().to_owned()).expect("the test listens");
    });
    let pool = builder.build().expect("a thread");
    let borrowed = Borrowed::default();
    pool.scope(|s| {
        let busy = Busy::all(&pool, 1);
        let captures = (PanicsOnDrop, borrowed.late());
        s.spawn_blocking(move || drop(captures)).cancel(); // in the queue
        drop(busy);
        let dropped = s.spawn_blocking(|| (PanicsOnDrop, borrowed.late()));
        until("its value is there", || dropped.is_finished());
        drop(dropped);
        s.spawn_blocking(|| (PanicsOnDrop, borrowed.late())); // nobody wants its value
    });
    assert_eq!(borrowed.touches(), 3);
    assert_eq!(unseen.so_far().len(), 3);
    let borrowed = Borrowed::default();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        pool.scope(|s| {
            s.spawn_blocking(|| quiet_panic("the job's"));
            (PanicsOnDrop, borrowed.late())
        });
    }));
    assert_eq!(unwound.expect_err("it goes on").downcast_ref(), Some(&"the job's"));
    assert_eq!((borrowed.touches(), unseen.so_far().len()), (1, 1));
}

#[test]
fn destructors_that_spawn_in_the_scope_are_waited_for() {
    struct Spawns<F: FnMut()>(F);
    impl<F: FnMut()> Drop for Spawns<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    let pool = pool_of(1);
    let borrowed = Borrowed::default();
    pool.scope(|s| {
        let spawn = || {
            s.spawn_blocking(|| borrowed.touch());
        };
        let (capture, value) = (Spawns(spawn), Spawns(spawn));
        let busy = Busy::all(&pool, 1);
        s.spawn_blocking(move || drop(capture)).cancel(); // in the queue
        drop(busy);
        s.spawn_blocking(move || value); // nobody wants it
    });
    assert_eq!(borrowed.touches(), 2);
}

#[test]
fn many_short_jobs_and_as_many_borrows() {
    let pool = pool_of(2);
    let jobs = if cfg!(miri) { 30 } else { 3000 };
    let borrowed = Borrowed::default();
    let mut numbers = vec![0; jobs];
    pool.scope(|s| {
        for (n, number) in numbers.iter_mut().enumerate() {
            let count = &borrowed.0;
            let job = s.spawn(move |_| -> Result<_, JobError> {
                *number = n;
                count.fetch_add(1, Ordering::Relaxed);
                Ok(number)
            });
            match n % 3 {
                0 => drop(job),
                1 => assert_eq!(job.wait().ok(), Some(&mut n.clone())),
                _ => mem::forget(job),
            }
        }
    });
    assert!(numbers.into_iter().eq(0..jobs));
    assert_eq!(borrowed.touches(), jobs);
}
