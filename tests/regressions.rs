//! One test for each bug that was found and fixed: what went wrong, and that it does not any more.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use punctual::{Checked, JobContext, Phase, Pool};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use support::{
    Busy, Drops, Gate, OnDrop, PATIENCE, PanicsOnDrop, error, ms, news, outcome, pool_of,
    quiet_panic, until,
};

struct OnWake<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for OnWake<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>, call: impl Fn() + Send + Sync + 'static) -> bool {
    let waker = Waker::from(Arc::new(OnWake(call)));
    matches!(future.poll(&mut Context::from_waker(&waker)), Poll::Ready(_))
}

/// One thread, one place in the queue, and silence about panics.
fn narrow_pool() -> Pool {
    let builder = Pool::builder().threads(1..=1).queue_limit(1).on_unseen_panic(|_| ());
    builder.build().expect("a thread")
}

/// A handle that gave a running body up wrote the outcome over the body, if that had not been taken.
#[test]
fn a_body_given_up_before_it_is_taken_keeps_its_outcome() {
    let pool = narrow_pool();
    let busy = Busy::all(&pool, 1);
    let drops = Drops::default();
    let capture = drops.value();
    let job = pool.job().grace(Duration::ZERO).spawn_blocking(move || drop(capture));
    let mut reserve = Box::pin(pool.reserve());
    let (waking, is_waking) = news();
    let gate = Gate::default();
    let wait = gate.clone();
    // The worker has started the job and not taken its body when it frees its place in the queue.
    let wake = move || {
        waking.send(()).expect("the test listens");
        wait.pass();
    };
    assert!(!poll_once(reserve.as_mut(), wake));
    std::thread::scope(|s| {
        s.spawn(|| drop(busy));
        is_waking.next();
        assert_eq!(job.cancel(), Some(Phase::Running));
        assert!(job.is_finished());
        gate.open();
    });
    job.wait_stopped();
    assert!(error(job).is_cancelled());
    assert_eq!(drops.count(), 1);
}

/// A panicking waker of who waited for a place killed the worker that freed it.
#[test]
fn a_waker_of_a_reservation_that_panics_harms_nobody() {
    let pool = narrow_pool();
    let busy = Busy::all(&pool, 1);
    let started = pool.spawn_blocking(|| 1);
    let mut reserve = Box::pin(pool.reserve());
    assert!(!poll_once(reserve.as_mut(), || quiet_panic("waker")));
    drop(busy);
    assert_eq!(outcome(started).expect("it returns"), 1);
    drop(reserve);

    let _busy = Busy::all(&pool, 1);
    let cancelled = pool.spawn_blocking(|| 2);
    let mut reserve = Box::pin(pool.reserve());
    assert!(!poll_once(reserve.as_mut(), || quiet_panic("waker")));
    assert_eq!(cancelled.cancel(), Some(Phase::Queued));
    assert!(error(cancelled).is_cancelled());
    drop(reserve);

    let _queued = pool.spawn_blocking(|| 3);
    let mut reserve = Box::pin(pool.reserve());
    assert!(!poll_once(reserve.as_mut(), || quiet_panic("waker")));
    drop(pool.drain());
}

/// A hook for late values that panicked when dropped unused killed the worker.
#[test]
fn a_late_hook_that_panics_when_dropped_harms_nobody() {
    let (send, unseen) = news();
    let pool = Pool::builder()
        .threads(1..=1)
        .on_unseen_panic(move |panic| assert!(send.send(panic.message().to_owned()).is_ok()))
        .build()
        .expect("a thread");
    for late in [false, true] {
        let grenade = PanicsOnDrop;
        let hook = move |()| assert!(size_of_val(&grenade) == 0);
        let time = if late { ms(3) } else { PATIENCE };
        let mut job = pool.job().run_timeout(time).on_late(hook).spawn(move |cx| {
            let stopped = if late { cx.sleep(PATIENCE) } else { Ok(()) };
            if late { Err(stopped) } else { Ok(()) }
        });
        assert_eq!(job.wait_timeout(PATIENCE).expect("it resolves").is_err(), late);
        assert_eq!(unseen.next(), "a destructor panics");
        job.wait_stopped();
    }
    assert_eq!(outcome(pool.spawn_blocking(|| 1)).expect("it returns"), 1);
}

/// A job that a leaving worker's hook submitted went into that worker's deque, and was lost.
#[test]
fn a_job_submitted_by_a_leaving_worker_is_run() {
    let slot: Arc<Mutex<Option<Pool>>> = Arc::default();
    let (send, jobs) = mpsc::channel();
    let (own, sent) = (Arc::clone(&slot), AtomicUsize::new(0));
    let pool = Pool::builder()
        .threads(0..=1)
        .keep_alive(Duration::ZERO)
        .on_thread_stop(move || {
            let pool = own.lock().expect("no panic").clone();
            if let Some(pool) = pool.filter(|_| sent.fetch_add(1, Ordering::SeqCst) < 20) {
                send.send(pool.spawn_blocking(|| 1)).expect("the test listens");
            }
        })
        .build()
        .expect("no thread is needed");
    *slot.lock().expect("no panic") = Some(pool.clone());
    outcome(pool.spawn_blocking(|| ())).expect("it returns");
    for _ in 0..20 {
        let job = jobs.recv_timeout(PATIENCE).expect("a worker leaves");
        assert_eq!(outcome(job).expect("it returns"), 1);
    }
    *slot.lock().expect("no panic") = None;
}

/// A line of jobs, each the parent of the next, kept them all, and freed them by recursion.
#[test]
fn a_long_line_of_children_is_freed_as_it_goes() {
    fn next(cx: &JobContext, left: u32, done: Sender<()>) -> Checked<()> {
        if left == 0 {
            done.send(()).expect("the test listens");
        } else {
            drop(cx.job().spawn(move |cx| next(cx, left - 1, done)));
        }
        Ok(())
    }
    let pool = pool_of(1);
    let (done, is_done) = news();
    drop(pool.spawn(move |cx| next(cx, 300_000, done)));
    is_done.next(); // the stack of the thread would have overflowed after this
    assert_eq!(pool.drain().within(PATIENCE).wait().finished, 300_001);
}

/// Who waited for a shutdown inside a job was told only when no job at all was left.
#[test]
fn a_shutdown_inside_a_job_is_told_of_the_last_other_end() {
    let pool = pool_of(1);
    let own = pool.clone();
    let (gate, slow) = (Gate::default(), Gate::default());
    let (go, wait) = (gate.clone(), slow.clone());
    let closer = pool.spawn_blocking(move || {
        go.pass();
        own.shutdown().wait()
    });
    let (dropping, is_dropping) = news();
    let capture = OnDrop(move || {
        dropping.send(()).expect("the test listens");
        wait.pass();
    });
    let queued = pool.spawn_blocking(move || drop(capture));
    std::thread::scope(|s| {
        s.spawn(|| queued.cancel());
        is_dropping.next();
        gate.open();
        until("it waits", || pool.try_reserve().is_err());
        slow.open();
    });
    assert_eq!(outcome(closer).expect("it returns").still_running.len(), 1);
}

/// Two jobs that waited for their pool's end waited for each other.
#[test]
fn two_jobs_may_wait_for_their_pools_end() {
    let pool = pool_of(2);
    let closer = |_| {
        let own = pool.clone();
        pool.spawn_blocking(move || own.drain().wait())
    };
    for job in [0, 1].map(closer) {
        let _ = outcome(job); // the second may have come too late to be taken
    }
}

/// The timekeeper's threads stayed until the deadline of a job that had long ended.
#[cfg(target_os = "linux")]
#[test]
fn the_timekeepers_threads_leave_with_the_pool() {
    let timers = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("linux");
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
        tasks.flatten().filter_map(name).filter(|name| name.trim_end() == "gone-timer").count()
    };
    for _ in 0..20 {
        let pool = Pool::builder().name("gone").threads(0..=1).build().expect("no thread");
        let gate = Gate::default();
        let wait = gate.clone();
        let job = pool.job().timeout(PATIENCE * 100).spawn_blocking(move || wait.pass());
        let rings = pool.job().timeout(ms(1)).spawn_blocking(|| ());
        assert!(outcome(rings).is_err() || pool.metrics().returned > 0);
        drop(pool);
        gate.open();
        outcome(job).expect("in time");
    }
    until("they have left", || timers() == 0);
}

/// An alarm that a canceller set while the body returned stayed until the deadline.
#[test]
fn a_job_cancelled_as_it_ends_leaves_no_alarm() {
    let pool = pool_of(2);
    for round in 0..3_000_u32 {
        let go = Arc::new(AtomicBool::new(false));
        let gone = Arc::clone(&go);
        let job = pool.job().timeout(PATIENCE * 100).spawn_blocking(move || {
            while !gone.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
        });
        go.store(true, Ordering::Release);
        (0..round % 200).for_each(|_| std::hint::spin_loop());
        job.cancel();
        let _ = outcome(job);
    }
    until("no alarm is left", || pool.metrics().timers == 0);
}

/// The alarm for a job's grace time was replaced by a later one for its deadline.
#[test]
fn a_grace_time_counts_whatever_else_rings() {
    let pool = pool_of(2);
    for round in 0..2_000_u64 {
        let gate = Gate::default();
        let wait = gate.clone();
        let start = Instant::now();
        let job = pool
            .job()
            .queue_timeout(Duration::from_micros(300))
            .timeout(PATIENCE * 2)
            .grace(ms(1))
            .spawn_blocking(move || wait.pass());
        let at = Duration::from_micros(300) + Duration::from_nanos(round % 300 * 500);
        while start.elapsed() < at {
            std::hint::spin_loop();
        }
        job.cancel();
        let _ = outcome(job); // hangs until the deadline if the alarm is lost
        gate.open();
    }
}

/// A runtime's context that a body leaked made leaving the job's own panic, outside of any catch.
#[test]
fn a_leaked_runtime_context_does_not_kill_the_worker() {
    let runtimes = [(); 2].map(|()| tokio::runtime::Builder::new_current_thread().build());
    let [first, second] = runtimes.map(|runtime| runtime.expect("built"));
    let inner: &'static tokio::runtime::Handle = Box::leak(Box::new(second.handle().clone()));
    let pool = narrow_pool();
    let leaky = {
        let _context = first.enter();
        pool.spawn_blocking(|| std::mem::forget(inner.enter()))
    };
    let _ = outcome(leaky);
    assert_eq!(outcome(pool.spawn_blocking(|| 1)).expect("it returns"), 1);
}

/// `wait` missed threads that had left before it was called.
#[test]
fn a_waited_shutdown_waits_for_threads_that_left_before() {
    struct Local(Arc<AtomicUsize>, Gate);
    impl Drop for Local {
        fn drop(&mut self) {
            self.1.pass();
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    thread_local! {
        static LOCAL: std::cell::RefCell<Option<Local>> = const { std::cell::RefCell::new(None) };
    }
    let (alive, gate) = (Arc::new(AtomicUsize::new(1)), Gate::default());
    let pool = Pool::builder().threads(0..=1).build().expect("no thread is needed");
    let local = Local(Arc::clone(&alive), gate.clone());
    outcome(pool.spawn_blocking(move || LOCAL.set(Some(local)))).expect("it returns");
    let ending = pool.shutdown();
    until("the worker has left", || pool.metrics().threads == 0);
    std::thread::scope(|s| {
        let waiting = s.spawn(|| ending.wait());
        gate.open();
        waiting.join().expect("no panic");
    });
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

/// The destructors of what was queued were run before a drain's time was up.
#[test]
fn slow_destructors_do_not_hold_up_a_drain_whose_time_is_up() {
    let pool = pool_of(1);
    let _busy = Busy::all(&pool, 1);
    let gate = Gate::default();
    let slow = |_| {
        let gate = gate.clone();
        let capture = OnDrop(move || gate.pass());
        pool.spawn_blocking(move || drop(capture))
    };
    let jobs: Vec<_> = (0..10).map(slow).collect();
    let report = pool.drain().within(ms(5)).wait(); // hangs if it runs them
    assert_eq!((report.never_started.len(), report.still_running.len()), (10, 1));
    gate.open();
    for job in jobs {
        assert!(error(job).is_cancelled());
    }
}

/// A panic in the destructor of a value that nobody took was told to nobody.
#[test]
fn a_lost_value_that_panics_when_dropped_is_told() {
    let (send, unseen) = news();
    let pool = Pool::builder()
        .threads(1..=1)
        .on_unseen_panic(move |panic| assert!(send.send(panic.id()).is_ok()))
        .build()
        .expect("a thread");
    let job = pool.spawn_blocking(|| PanicsOnDrop);
    let id = job.id();
    drop(job);
    assert_eq!(unseen.next(), Some(id));
}

/// The waker of a dropped handle stayed with the job until that ended.
#[test]
fn a_dropped_handle_takes_its_waker_along() {
    let pool = pool_of(1);
    let _busy = Busy::all(&pool, 1);
    let drops = Drops::default();
    let held = drops.value();
    let mut job = pool.spawn_blocking(|| ());
    assert!(!poll_once(Pin::new(&mut job), move || assert!(size_of_val(&held) > 0)));
    assert_eq!(drops.count(), 0);
    drop(job);
    assert_eq!(drops.count(), 1);
}

/// Cancels raced with workers that found the entry dead before it was counted so.
#[test]
fn cancels_that_race_the_worker_count_rightly() {
    let pool = pool_of(2);
    for _ in 0..20_000 {
        pool.spawn_blocking(|| ()).cancel();
    }
    until("all have ended", || pool.metrics().unresolved() == 0);
    until("nothing is queued", || pool.metrics().queued == 0);
}

/// Who waited outside for a pool's end was told when only a job was left that waited for it inside.
#[test]
fn who_waits_outside_waits_for_those_inside() {
    let pool = pool_of(1);
    let own = pool.clone();
    let (started, starts) = news();
    let gate = Gate::default();
    let wait = gate.clone();
    let inside = pool.spawn_blocking(move || {
        let report = own.drain().wait();
        started.send(()).expect("the test listens");
        wait.pass();
        report
    });
    std::thread::scope(|s| {
        let outside = s.spawn(|| pool.drain().wait());
        starts.next();
        assert!(!outside.is_finished());
        gate.open();
        assert!(outside.join().expect("no panic").still_running.is_empty());
    });
    assert_eq!(outcome(inside).expect("it returns").still_running.len(), 1);
}
