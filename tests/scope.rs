//! What a scope does: its jobs borrow, are waited for, and stop each other as its policy says.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use punctual::testing::ManualClock;
use punctual::{
    Cause, Checked, JobContext, JobError, Phase, Pool, Rejection, Scope, ScopePolicy, ScopedHandle,
    Stopped,
};
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use support::{Busy, Gate, News, OnDrop, PATIENCE, ms, news, pool_of, quiet_panic, until};

type Sleeping<'scope> = ScopedHandle<'scope, (), Stopped>;

/// A job that sleeps until it is stopped, and has started.
fn sleeping<'scope>(s: &'scope Scope<'scope, '_>) -> Sleeping<'scope> {
    let (started, starts) = news();
    let job = s.spawn(move |cx| {
        started.send(()).expect("the test listens");
        cx.sleep(PATIENCE)
    });
    starts.next();
    job
}

#[track_caller]
fn stop_of<T: Debug, E: Debug>(job: ScopedHandle<'_, T, E>) -> (Cause, Phase) {
    match job.wait() {
        Err(JobError::Cancelled(stop) | JobError::TimedOut(stop)) => (stop.cause(), stop.phase()),
        other => panic!("not stopped: {other:?}"),
    }
}

/// A pool, and the messages of the panics that nobody saw.
fn pool_and_unseen(threads: usize) -> (Pool, News<String>) {
    let (told, unseen) = news();
    let told = Mutex::new(told);
    let hook = move |panic: punctual::Panic| {
        let told = told.lock().expect("no panic under it");
        told.send(panic.message().to_owned()).expect("the test listens");
    };
    let builder = Pool::builder().threads(threads..=threads).on_unseen_panic(hook);
    (builder.build().expect("threads are to be had"), unseen)
}

/// Sets a flag, but takes its time.
fn set_slowly(flag: &AtomicBool) {
    (0..1000).for_each(|_| thread::yield_now());
    flag.store(true, Ordering::SeqCst);
}

#[test]
fn jobs_borrow_and_have_ended_when_the_scope_returns() {
    let pool = pool_of(2);
    let mut numbers: Vec<u32> = (0..100).collect();
    let ended = AtomicUsize::new(0);
    let sum = pool.scope(|s| {
        for part in numbers.chunks_mut(7) {
            s.spawn_blocking(|| {
                part.iter_mut().for_each(|n| *n += 1);
                (0..100).for_each(|_| thread::yield_now());
                ended.fetch_add(1, Ordering::SeqCst);
            });
        }
        "what the function gives"
    });
    assert_eq!(ended.into_inner(), 15);
    assert!(numbers.into_iter().eq(1..=100));
    assert_eq!(sum, "what the function gives");
    until("the pool has counted them", || pool.metrics().returned == 15);
}

#[test]
fn a_handle_gives_the_value_or_the_error_and_both_may_borrow() {
    let pool = pool_of(1);
    let text = String::from("key=value");
    pool.scope(|s| {
        let value = s.spawn(|_| text.split_once('=').ok_or(text.as_str()));
        assert!(value.id() < s.spawn_blocking(|| ()).id());
        assert_eq!(value.wait().expect("there is one"), ("key", "value"));
        let error = s.spawn(|_| text.split_once(':').ok_or(text.as_str()));
        let Err(JobError::Failed(error)) = error.wait() else { panic!("it failed") };
        assert_eq!(error, "key=value");
        let panicked = s.spawn_blocking(|| -> &str { quiet_panic("it panicked") });
        let Err(JobError::Panicked(panic)) = panicked.wait() else { panic!("it panicked") };
        assert_eq!(panic.message(), "it panicked");
    });
}

#[test]
fn the_error_of_a_body_that_was_stopped_is_kept() {
    let pool = pool_of(1);
    let name = String::from("rolled back");
    pool.scope(|s| {
        let (started, starts) = news();
        let text = &name;
        let job = s.spawn(move |cx| {
            started.send(()).expect("the test listens");
            cx.sleep(PATIENCE).map_err(|_| text.as_str())
        });
        starts.next();
        assert_eq!(job.cancel(), Some(Phase::Running));
        let Err(JobError::Cancelled(stop)) = job.wait() else { panic!("it was cancelled") };
        assert_eq!((stop.cause(), stop.into_error()), (Cause::Caller, Some("rolled back")));
    });
}

#[test]
fn settings_are_kept_and_the_job_is_known_by_where_it_was_spawned() {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let other = pool_of(1);
    pool.scope(|s| {
        let (line, job) = (line!(), s.spawn(|cx| -> Checked<_> { Ok(cx.name().map(str::len)) }));
        assert_eq!(job.wait().expect("no stop"), None);
        let late = s.with(pool.job().name("late").timeout(ms(0))).spawn_blocking(move || line);
        let error = late.wait().expect_err("it had no time");
        assert!(error.to_string().starts_with("job `late` (#"), "{error}");
        assert!(error.to_string().contains(&format!("tests/scope.rs:{}:", line + 2)), "{error}");
        let permit = pool.try_reserve().expect("there is a place");
        assert!(s.spawn_blocking(|| ()).wait().is_err(), "and no other");
        assert!(s.with(permit.job()).spawn_blocking(|| ()).wait().is_ok());
        assert!(s.with(other.job()).spawn_blocking(|| ()).wait().is_ok());
    });
    assert_eq!((pool.metrics().accepted, other.metrics().accepted), (3, 1));
}

#[test]
fn bodies_spawn_siblings_and_wait_for_them() {
    fn count<'scope>(s: &'scope Scope<'scope, '_>, depth: u32, leaves: &'scope AtomicUsize) {
        if depth == 0 {
            set_slowly(&AtomicBool::new(false));
            leaves.fetch_add(1, Ordering::SeqCst);
            return;
        }
        for _ in 0..3 {
            s.spawn_blocking(move || count(s, depth - 1, leaves));
        }
    }
    let leaves = AtomicUsize::new(0);
    pool_of(2).scope(|s| count(s, 4, &leaves));
    assert_eq!(leaves.into_inner(), 81);
    let word = String::from("sibling");
    let length = pool_of(2).scope(|s| {
        let job = s.spawn(|_| s.spawn_blocking(|| word.len()).wait());
        job.wait().expect("two threads suffice")
    });
    assert_eq!(length, 7);
}

#[test]
fn a_scope_in_a_job_has_its_children() {
    let pool = pool_of(2);
    let (send, stops) = news();
    let (started, starts) = news();
    let inner = pool.clone();
    let parent = pool.job().timeout(PATIENCE).spawn(move |cx| {
        let own = cx.deadline();
        let ended = AtomicBool::new(false);
        inner.scope(|s| {
            let deadline = s.spawn(|cx| -> Checked<_> { Ok(cx.deadline()) });
            assert_eq!(deadline.wait().expect("no stop"), own, "it is inherited");
            let child = s.spawn(|cx| {
                started.send(()).expect("the test listens");
                let stopped = cx.sleep(PATIENCE);
                set_slowly(&ended);
                stopped
            });
            send.send(stop_of(child)).expect("the test listens");
        });
        assert!(ended.into_inner(), "it was waited for");
        cx.check()
    });
    starts.next();
    parent.cancel();
    assert_eq!(stops.next(), (Cause::Parent, Phase::Running));
    assert!(parent.wait().expect_err("it was stopped").is_cancelled());
}

#[test]
fn a_scope_on_another_pool_has_the_jobs_children_too() {
    let (pool, other) = (pool_of(1), pool_of(1));
    let (send, stops) = news();
    let (spawned, is_spawned) = news();
    let parent = pool.spawn(move |cx| {
        other.scope(|s| {
            let running = sleeping(s);
            spawned.send(()).expect("the test listens");
            send.send(stop_of(running)).expect("the test listens");
        });
        cx.check()
    });
    is_spawned.next();
    parent.cancel();
    assert_eq!(stops.next(), (Cause::Parent, Phase::Running));
    assert!(parent.wait().expect_err("it was stopped").is_cancelled());
}

#[test]
fn a_checkpoint_passes_through_a_scope() {
    let pool = pool_of(2);
    let (send, stops) = news();
    let (started, starts) = news();
    let inner = pool.clone();
    let parent = pool.spawn(move |cx| -> Checked<()> {
        inner.scope(|s| {
            let child = s.spawn(|cx| {
                started.send(()).expect("the test listens");
                let stopped = cx.sleep(PATIENCE).expect_err("nothing else ends it");
                send.send(stopped.cause()).expect("the test listens");
                Err::<(), _>(stopped)
            });
            until("the parent is stopped", || cx.is_stopped());
            drop(child);
            cx.checkpoint();
        });
        unreachable!("it unwinds")
    });
    starts.next();
    parent.cancel();
    assert_eq!(stops.next(), Cause::Parent);
    assert!(parent.wait().expect_err("it was stopped").is_cancelled());
}

#[test]
fn when_the_function_panics_its_jobs_are_stopped_and_waited_for() {
    let (pool, unseen) = pool_and_unseen(1);
    let (ended, called) = (AtomicBool::new(false), AtomicBool::new(false));
    let (send, causes) = channel();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        pool.scope(|s| {
            let (started, starts) = news();
            s.spawn(|cx| {
                let (started, send) = (started, send);
                started.send(()).expect("the test listens");
                send.send(cx.sleep(PATIENCE)).expect("the test listens");
                set_slowly(&ended);
                quiet_panic("nobody waits for this");
                #[allow(unreachable_code, reason = "it settles the type")]
                Checked::Ok(())
            });
            starts.next();
            s.spawn_blocking(|| called.store(true, Ordering::SeqCst));
            resume_unwind(Box::new("the function panics"))
        })
    }));
    assert!(ended.into_inner());
    assert_eq!(unwound.expect_err("it goes on").downcast_ref(), Some(&"the function panics"));
    let stopped = causes.recv().expect("it ran").expect_err("it was stopped");
    assert_eq!(stopped.cause(), Cause::Scope);
    assert!(!called.into_inner(), "it was queued");
    assert_eq!(unseen.so_far(), ["nobody waits for this"]);
}

#[test]
fn a_panic_that_nobody_waited_for_goes_on_in_the_scope() {
    let (pool, unseen) = pool_and_unseen(2);
    let others = AtomicUsize::new(0);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        pool.scope(|s| {
            let finished = s.spawn_blocking(|| quiet_panic("the first"));
            until("it has panicked", || finished.is_finished());
            drop(finished);
            let gate = Gate::default();
            let pass = gate.clone();
            let running = s.spawn_blocking(move || {
                pass.pass();
                quiet_panic("the second")
            });
            drop(running);
            gate.open();
            for _ in 0..20 {
                s.spawn_blocking(|| others.fetch_add(1, Ordering::SeqCst));
            }
        })
    }));
    assert_eq!(unwound.expect_err("it goes on").downcast_ref(), Some(&"the first"));
    assert_eq!(others.into_inner(), 20, "the others are not stopped for that");
    assert_eq!(unseen.so_far(), ["the second"]);
    pool.scope(|s| {
        let seen = s.spawn_blocking(|| quiet_panic("seen")).wait();
        assert!(seen.expect_err("it panicked").is_panic());
    });
    assert!(unseen.so_far().is_empty(), "it was waited for");
}

#[test]
fn a_panic_that_came_too_late_for_its_handle_goes_to_the_hook() {
    let clock = ManualClock::new();
    let (told, unseen) = news();
    let hook = Mutex::new(told);
    let builder = Pool::builder().threads(1..=1).clock(&clock).on_unseen_panic(move |panic| {
        let told = hook.lock().expect("no panic under it");
        told.send(panic.message().to_owned()).expect("the test listens");
    });
    let pool = builder.build().expect("a thread");
    pool.scope(|s| {
        let gate = Gate::default();
        let pass = gate.clone();
        let (started, starts) = news();
        let job = s.with(pool.job().timeout(ms(5))).spawn_blocking(move || {
            started.send(()).expect("the test listens");
            pass.pass();
            quiet_panic("too late")
        });
        starts.next();
        clock.advance(ms(5));
        assert!(job.wait().expect_err("its time is up").is_timed_out());
        gate.open();
    });
    assert_eq!(unseen.so_far(), ["too late"]);
}

#[test]
fn an_overdue_body_is_waited_for() {
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(1..=1).clock(&clock).build().expect("a thread");
    let ended = AtomicBool::new(false);
    let gate = Gate::default();
    pool.scope(|s| {
        let (started, starts) = news();
        let job = s.with(pool.job().timeout(ms(5))).spawn_blocking(|| {
            let started = started;
            started.send(()).expect("the test listens");
            gate.pass();
            set_slowly(&ended);
        });
        starts.next();
        clock.advance(ms(5));
        assert_eq!(stop_of(job), (Cause::Deadline, Phase::Running));
        assert!(!ended.load(Ordering::SeqCst), "the handle does not wait");
        gate.open();
    });
    assert!(ended.into_inner(), "the scope does");
}

#[test]
fn a_shutdown_in_the_middle_ends_the_scopes_jobs_and_the_scope() {
    let pool = pool_of(1);
    let (ended, called) = (AtomicBool::new(false), AtomicBool::new(false));
    pool.scope(|s| {
        let (started, starts) = news();
        let running = s.spawn(|cx| {
            let started = started;
            started.send(()).expect("the test listens");
            let stopped = cx.sleep(PATIENCE);
            set_slowly(&ended);
            stopped
        });
        starts.next();
        let queued = s.spawn_blocking(|| called.store(true, Ordering::SeqCst));
        drop(pool.shutdown());
        assert_eq!(stop_of(queued), (Cause::Shutdown, Phase::Queued));
        let refused = s.spawn_blocking(|| ()).wait();
        assert!(matches!(refused, Err(JobError::Rejected(Rejection::ShutDown))));
        assert_eq!(stop_of(running), (Cause::Shutdown, Phase::Running));
    });
    assert!(ended.into_inner() && !called.into_inner());
}

#[test]
fn the_scope_ends_although_jobs_are_refused() {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let text = String::from("borrowed");
    let busy = Busy::all(&pool, 1);
    pool.scope(|s| {
        let queued = s.spawn_blocking(|| text.len());
        let refused = s.spawn_blocking(|| text.len());
        assert!(matches!(refused.wait(), Err(JobError::Rejected(Rejection::QueueFull))));
        drop(busy);
        assert_eq!(queued.wait().expect("it has a place"), 8);
    });
    let none = Pool::builder().spawn_gate(|_| Err(io::ErrorKind::WouldBlock.into())).build();
    none.expect("no thread is needed yet").scope(|s| {
        let refused = s.spawn_blocking(|| text.len());
        assert!(matches!(refused.wait(), Err(JobError::Rejected(Rejection::NoThread))));
        s.spawn_blocking(|| text.len()); // nobody looks
    });
}

/// Has a job end so, under a policy, while one sleeps and one waits; what becomes of those two, and
/// of one that is spawned then.
fn stops(
    policy: ScopePolicy,
    ending: impl for<'scope> FnOnce(&Pool, &'scope Scope<'scope, '_>, Sender<()>),
) -> [(Cause, Phase); 3] {
    let pool = pool_of(2);
    let called = AtomicBool::new(false);
    let (over, is_over) = channel();
    let stops = pool.scope_with(policy, |s| {
        let running = sleeping(s);
        let busy = Busy::all(&pool, 1);
        let queued = s.spawn_blocking(|| called.store(true, Ordering::SeqCst));
        thread::scope(|threads| {
            // With both threads busy, the job under test needs one to be free.
            threads.spawn(move || drop((is_over.recv(), busy)));
            ending(&pool, s, over);
        });
        let [a, b] = [stop_of(running), stop_of(queued)];
        let late = s.spawn_blocking(|| called.store(true, Ordering::SeqCst));
        [a, b, stop_of(late)]
    });
    assert!(!called.into_inner(), "none that had not started starts");
    stops
}

const STOPPED: [(Cause, Phase); 3] =
    [(Cause::Scope, Phase::Running), (Cause::Scope, Phase::Queued), (Cause::Scope, Phase::Queued)];

#[test]
fn failing_fast_the_first_that_ends_badly_stops_the_others() {
    // It is stopped in the queue.
    let cancelled = stops(ScopePolicy::FailFast, |_, s, _over| {
        assert_eq!(s.spawn_blocking(|| ()).cancel(), Some(Phase::Queued));
    });
    assert_eq!(cancelled, STOPPED);
    // Its time is up.
    let timed_out = stops(ScopePolicy::FailFast, |pool, s, _over| {
        assert!(s.with(pool.job().timeout(ms(0))).spawn_blocking(|| ()).wait().is_err());
    });
    assert_eq!(timed_out, STOPPED);
    // The scope itself is told.
    assert_eq!(stops(ScopePolicy::WaitForAll, |_, s, _over| s.cancel()), STOPPED);
}

#[test]
fn failing_fast_a_body_that_fails_or_panics_stops_the_others() {
    for panics in [false, true] {
        let pool = pool_of(2);
        let called = AtomicUsize::new(0);
        pool.scope_with(ScopePolicy::FailFast, |s| {
            let running = sleeping(s);
            let gate = Gate::default();
            let pass = gate.clone();
            let failing = s.spawn(move |_| {
                pass.pass();
                if panics { quiet_panic("it fails") } else { Err::<(), _>("it fails") }
            });
            let queued =
                [(); 5].map(|()| s.spawn_blocking(|| called.fetch_add(1, Ordering::SeqCst)));
            gate.open();
            assert!(matches!(
                (failing.wait(), panics),
                (Err(JobError::Failed(_)), false) | (Err(JobError::Panicked(_)), true)
            ));
            assert_eq!(stop_of(running), (Cause::Scope, Phase::Running));
            assert!(queued.map(stop_of).iter().all(|stop| *stop == (Cause::Scope, Phase::Queued)));
            assert_eq!(stop_of(s.spawn_blocking(|| ())), (Cause::Scope, Phase::Queued));
        });
        assert_eq!(called.into_inner(), 0);
    }
}

#[test]
fn failing_fast_a_deadline_stops_the_others_though_its_body_runs_on() {
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(2..=2).clock(&clock).build().expect("threads");
    let gate = Gate::default();
    pool.scope_with(ScopePolicy::FailFast, |s| {
        let (started, starts) = news();
        s.with(pool.job().timeout(ms(5))).spawn_blocking(|| {
            let started = started;
            started.send(()).expect("the test listens");
            gate.pass();
        });
        starts.next();
        let other = sleeping(s);
        let _opener = OnDrop(|| gate.open()); // even if this fails
        clock.advance(ms(5));
        until("the other is stopped", || other.is_finished());
        assert_eq!(stop_of(other), (Cause::Scope, Phase::Running));
    });
}

#[test]
fn failing_fast_reaches_the_job_that_the_scope_waits_for() {
    let pool = pool_of(2);
    let cause = Mutex::new(None);
    pool.scope_with(ScopePolicy::FailFast, |s| {
        let gate = Gate::default();
        let pass = gate.clone();
        s.spawn(move |_| {
            pass.pass();
            Err::<(), _>("it fails")
        });
        // The last that was spawned, which is waited for first, opens the gate when it runs.
        s.spawn(|cx| {
            let opener = gate;
            let open = || opener.open();
            (0..1000).for_each(|_| thread::yield_now());
            open();
            let stopped = cx.sleep(PATIENCE);
            *cause.lock().expect("no panic under it") = cx.cause();
            stopped
        });
    });
    assert_eq!(cause.into_inner().expect("no panic under it"), Some(Cause::Scope));
}

/// Says, when it is woken, whether a job was asked to stop.
struct Looks(JobContext, Mutex<Sender<bool>>);

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        let send = self.1.lock().expect("no panic under it");
        send.send(self.0.is_stopped()).expect("the test listens");
    }
}

/// Otherwise a worker that is left by one that runs could take one that waits.
#[test]
fn failing_fast_those_that_wait_are_stopped_before_those_that_run() {
    let pool = Pool::builder().threads(2..=2).queue_limit(1).build().expect("threads");
    let (send, looked) = news();
    pool.scope_with(ScopePolicy::FailFast, |s| {
        let (started, starts) = news();
        s.spawn(move |cx| {
            started.send(cx.clone()).expect("the test listens");
            cx.sleep(PATIENCE)
        });
        let running = starts.next();
        let gate = Gate::default();
        let pass = gate.clone();
        let (started, starts) = news();
        s.spawn(move |_| {
            started.send(()).expect("the test listens");
            pass.pass();
            Err::<(), _>("it fails")
        });
        starts.next();
        s.spawn_blocking(|| unreachable!("it waits"));
        let mut place = Box::pin(pool.reserve());
        let waker = Waker::from(Arc::new(Looks(running, Mutex::new(send))));
        assert!(place.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        gate.open();
        assert!(!looked.next(), "when the one that waited gave its place back");
    });
}

#[test]
fn failing_fast_the_others_slow_destructors_hold_up_no_handle() {
    let pool = pool_of(1);
    pool.scope_with(ScopePolicy::FailFast, |s| {
        let (gate, slow) = (Gate::default(), Gate::default());
        let pass = gate.clone();
        let failing = s.spawn(move |_| {
            pass.pass();
            Err::<(), _>("it fails")
        });
        let (stuck, opener) = (slow.clone(), OnDrop(|| slow.open())); // even if this fails
        let capture = OnDrop(move || stuck.pass());
        s.spawn_blocking(move || drop(capture));
        gate.open();
        until("its handle resolves", || failing.is_finished());
        drop(opener);
    });
}

#[test]
fn a_first_success_stops_the_others_and_a_failure_none() {
    let pool = pool_of(3);
    let won = pool.scope_with(ScopePolicy::FirstSuccess, |s| {
        let slow = sleeping(s);
        assert!(s.spawn(|_| Err::<(), _>("no luck")).wait().is_err());
        assert!(s.spawn_blocking(|| quiet_panic("no luck")).wait().is_err());
        assert!(!slow.is_finished(), "these are no success");
        let quick = s.spawn_blocking(|| "quick");
        let stop = stop_of(slow);
        assert_eq!(stop, (Cause::Scope, Phase::Running));
        assert_eq!(stop_of(s.spawn_blocking(|| ())), (Cause::Scope, Phase::Queued));
        quick.wait()
    });
    assert_eq!(won.expect("it is the first"), "quick");
}

#[test]
fn waiting_for_all_no_end_stops_another() {
    pool_of(2).scope(|s| {
        let slow = sleeping(s);
        assert!(s.spawn(|_| Err::<(), _>("no luck")).wait().is_err());
        assert!(s.spawn_blocking(|| ()).wait().is_ok());
        assert!(!slow.is_finished());
        assert_eq!(slow.cancel(), Some(Phase::Running));
        assert!(slow.wait().is_err());
        assert!(s.spawn_blocking(|| ()).wait().is_ok());
    });
}

#[test]
fn scopes_nest() {
    let pool = pool_of(3);
    let words = [String::from("a"), String::from("bc")];
    let lengths = pool.scope(|outer| {
        let job = outer.spawn_blocking(|| {
            let extra = String::from("def");
            pool.scope(|inner| {
                let borrowed = inner.spawn_blocking(|| extra.len());
                let siblings = words.each_ref().map(|word| outer.spawn_blocking(|| word.len()));
                let siblings = siblings.map(|job| job.wait().expect("no stop"));
                (siblings, borrowed.wait().expect("no stop"))
            })
        });
        job.wait().expect("no stop")
    });
    assert_eq!(lengths, ([1, 2], 3));
}

#[test]
fn a_lanes_scope_keeps_to_the_lane() {
    let pool = pool_of(4);
    let lane = pool.lane("two").limit(2);
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    lane.scope(|s| {
        for _ in 0..20 {
            s.spawn_blocking(|| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
            });
        }
        let elsewhere = s.with(pool.job()).spawn(|cx| -> Checked<_> { Ok(cx.job()) });
        assert!(elsewhere.wait().is_ok());
    });
    assert!(most.into_inner() <= 2);
    assert_eq!((lane.metrics().returned, pool.metrics().returned), (20, 21));
    let fails = lane.scope_with(ScopePolicy::FailFast, |s| {
        let asleep = sleeping(s);
        assert!(s.spawn(|_| Err::<(), _>("wrong")).wait().is_err());
        stop_of(asleep)
    });
    assert_eq!(fails, (Cause::Scope, Phase::Running));
}

/// The job that waits has the lane's only permit: what it waits for is run on that (law 12).
#[test]
fn a_scope_of_its_own_lane_in_a_job_at_the_limit_ends() {
    let pool = pool_of(2);
    let lane = pool.lane("one").limit(1);
    let own = lane.clone();
    let mut job = lane.spawn_blocking(move || {
        let sum = AtomicUsize::new(0);
        own.scope(|s| {
            for n in 1..=4 {
                let sum = &sum;
                s.spawn_blocking(move || sum.fetch_add(n, Ordering::SeqCst));
            }
        });
        sum.into_inner()
    });
    let sum = job.wait_timeout(PATIENCE).expect("it does not wait for itself");
    assert_eq!(sum.ok(), Some(10));
    assert_eq!(lane.metrics().most_running, Some(1));
}
