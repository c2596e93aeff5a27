//! What went wrong once with waits inside jobs, where threads or places are few.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use punctual::testing::ManualClock;
use punctual::{
    Builder, Deadline, JobContext, JobError, JobSet, Permit, Pool, Rejection, WhenFull,
};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use support::{Busy, Gate, OnDrop, PATIENCE, PanicsOnDrop, ms, news, until};

/// So many workers can be started; it counts how often one more was asked for.
fn supply(workers: usize) -> (Builder, Arc<AtomicUsize>) {
    let (asked, refused) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&refused);
    let builder = Pool::builder().spawn_gate(move |name| {
        if name.ends_with("-timer") || asked.fetch_add(1, Ordering::SeqCst) < workers {
            return Ok(());
        }
        count.fetch_add(1, Ordering::SeqCst);
        Err(io::ErrorKind::WouldBlock.into())
    });
    (builder, refused)
}

/// What `work` gives, on a thread of its own; it must end.
fn in_time<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    result.recv_timeout(PATIENCE).expect("it hangs")
}

/// What `work` gives in a job of a pool of one thread, where there is no other.
fn in_the_only_thread<R: Send + 'static>(work: impl FnOnce(&Pool) -> R + Send + 'static) -> R {
    in_time(move || {
        let pool = supply(1).0.threads(1..=1).build().expect("a thread");
        let inside = pool.clone();
        pool.spawn_blocking(move || work(&inside)).wait().expect("it returns")
    })
}

#[test]
fn a_hedge_that_is_waited_for_in_the_only_thread_does_not_hang() {
    let given = in_the_only_thread(|pool| pool.hedge(ms(20), |_| Ok::<_, ()>(1)).wait());
    assert!(matches!(given, Err(JobError::Rejected(Rejection::NoThread))), "{given:?}");
}

#[test]
fn a_wait_until_a_deadline_that_never_comes_is_one_without() {
    let given = in_the_only_thread(|pool| {
        let job = pool.spawn_blocking(|| 1).wait_deadline(Deadline::NEVER);
        let mut set = JobSet::on(pool);
        set.spawn_blocking(|| 2);
        let next = set.wait_next_timeout(Duration::MAX);
        let mut map = pool.map([3], |_, n| Ok::<_, ()>(n));
        let third = map.wait_next_deadline(Deadline::NEVER);
        (job.map(Result::unwrap), next.map(Result::unwrap), third.map(Result::unwrap))
    });
    assert_eq!(given, (Some(1), Some(2), Some(3)));
}

/// The outer map stood in line for a place, was given it, and could not take it while it ran what
/// waited for one.
#[test]
fn a_map_within_a_map_has_a_place_where_there_is_one() {
    for threads in [1, 4] {
        let sum = in_time(move || {
            let pool = Pool::builder().threads(1..=threads).queue_limit(1).build().expect("built");
            let (outer, inner) = (pool.clone(), pool.clone());
            let row = move |_: &JobContext, n: i32| {
                let cells = inner.map([1, 2], |_, n| Ok::<_, ()>(n));
                Ok::<_, ()>(n * cells.into_iter().map(Result::unwrap).sum::<i32>())
            };
            let rows = move || outer.map([1, 2, 3], row).in_flight(2).into_iter();
            pool.spawn_blocking(move || rows().map(Result::unwrap).sum::<i32>()).wait()
        });
        assert_eq!(sum.expect("it returns"), 18);
    }
}

#[test]
fn a_map_that_nobody_waits_for_any_more_keeps_no_place() {
    let pool = Pool::builder().threads(1..=2).queue_limit(1).build().expect("built");
    let permit = pool.try_reserve().expect("a place");
    let mut map = pool.map([1], |_, n| Ok::<_, ()>(n));
    assert!(map.wait_next_timeout(ms(5)).is_none());
    drop(permit);
    assert!(pool.try_reserve().is_ok());
    assert_eq!(map.wait_next().expect("one").expect("it returns"), 1);
}

/// How many wait for a place in the pool's queue.
fn in_line(pool: &Pool) -> usize {
    let shown = format!("{pool:?}");
    let number = shown.split("waiting: ").nth(1).and_then(|rest| rest.split(',').next());
    number.and_then(|number| number.parse().ok()).expect("a number")
}

/// A counted twice, for its own wait and for the one in its map's inputs, and B once: as many as there
/// are workers. But C was at a job.
#[test]
fn a_wait_within_a_wait_counts_once() {
    let (builder, refused) = supply(3);
    let builder = builder.threads(1..=3).spare_threads(3).queue_limit(1);
    let pool = builder.build().expect("a thread");
    let (go, gate) = mpsc::channel::<()>();
    let (on_c, on_b, b_waits) = (Gate::default(), Gate::default(), Gate::default());
    let started = on_c.clone();
    let long = pool.spawn_blocking(move || {
        started.open();
        gate.recv().ok();
    });
    on_c.pass();
    let (give, given) = mpsc::channel::<Permit>();
    let (on_a, in_b, waits) = (pool.clone(), pool.clone(), b_waits.clone());
    let a = pool.spawn_blocking(move || {
        let (mut n, mut long, started, places) = (0, Some(long), on_b.clone(), on_a.clone());
        let inputs = std::iter::from_fn(move || {
            n += 1;
            if n == 2 {
                started.pass();
                give.send(places.try_reserve().expect("a place")).expect("the test listens");
            }
            if n == 3 {
                long.take()?.wait().ok();
                return None;
            }
            Some(n)
        });
        let call = move |_: &JobContext, n: i32| {
            if n == 1 {
                on_b.open();
                waits.pass();
                drop(in_b.blocking_reserve());
            }
            Ok::<_, ()>(n)
        };
        on_a.map(inputs, call).in_flight(3).into_iter().all(|outcome| outcome.is_ok())
    });
    let permit = given.recv_timeout(PATIENCE).expect("the only place");
    let who_wait = |number| until("they wait for the place", || in_line(&pool) == number);
    who_wait(1); // A
    b_waits.open();
    who_wait(2); // and B, after it
    let before = refused.load(Ordering::SeqCst);
    drop(permit);
    // A submits the next job, and waits for C within its wait.
    until("both ask for a thread", || refused.load(Ordering::SeqCst) >= before + 2);
    drop(go);
    assert!(a.wait().expect("it returns"));
    assert_eq!(pool.metrics().rejected, 0);
}

/// A job that was stopped before its caller could run it left its lane one dead entry too many, and
/// the pool one too few.
#[test]
fn what_is_stopped_before_its_caller_runs_it_leaves_the_counts_as_they_were() {
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(1..=1).clock(&clock).build().expect("a thread");
    let lane = pool.lane("x").limit(1).queue_limit(1).when_full(WhenFull::CallerRuns);
    let own = clock.clone();
    lane.spawn_blocking(move || own.advance(ms(20))).wait().expect("it returns");
    let (go, gate) = mpsc::channel::<()>();
    let started = Gate::default();
    let starts = started.clone();
    let busy = lane.spawn_blocking(move || {
        starts.open();
        gate.recv().ok();
    });
    started.pass();
    let waits = lane.spawn_blocking(|| ());
    let before = lane.load();
    for _ in 0..10 {
        let refused = pool.scope(|s| {
            s.cancel();
            s.with(lane.job()).spawn_blocking(|| ()).wait().is_err()
        });
        assert!(refused);
    }
    assert_eq!(lane.load(), before, "one still waits there");
    let queued: Vec<_> = (0..10).map(|_| pool.spawn_blocking(|| ())).collect();
    queued.iter().for_each(|job| job.abort());
    assert_eq!(pool.load().predicted_wait * 2, before.predicted_wait, "none waits for a thread");
    drop(go);
    assert!(busy.wait().is_ok() && waits.wait().is_ok());
}

/// One thread with three jobs, each inside another, was taken for three.
#[test]
fn no_wait_is_foreseen_while_threads_are_idle() {
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(2..=2).clock(&clock).build().expect("threads");
    let own = clock.clone();
    pool.spawn_blocking(move || own.advance(ms(20))).wait().expect("it returns");
    let busy = Busy::all(&pool, 1);
    let (inside, gate, (send, starts)) = (pool.clone(), Gate::default(), news());
    let held = gate.clone();
    let outer = pool.spawn_blocking(move || {
        let within = inside.clone();
        let middle = inside.spawn_blocking(move || {
            let inner = within.spawn_blocking(move || {
                send.send(()).expect("the test listens");
                held.pass();
            });
            inner.wait()
        });
        middle.wait()
    });
    starts.next();
    drop(busy);
    until("the other thread is idle", || pool.metrics().idle == 1);
    let load = pool.load();
    assert_eq!((load.running, load.predicted_wait), (3, Duration::ZERO), "{load:?}");
    gate.open();
    assert!(outer.wait().expect("it returns").expect("it returns").is_ok());
}

/// What panics in a destructor of ours does not take the body along that is to be handed back.
#[test]
fn a_late_hook_that_panics_when_dropped_keeps_no_body_back() {
    let pool = Pool::builder().queue_limit(1).on_unseen_panic(|_| ()).build().expect("built");
    let permit = pool.try_reserve().expect("the only place");
    let bad = PanicsOnDrop;
    let job = pool.job().on_late(move |_: i32| drop(bad));
    let refused = job.try_spawn_blocking(|| 1).expect_err("there is no place");
    assert_eq!(refused.into_body()(), 1);
    drop(permit);
}

/// The second try was queued by a thread that had begun to wait for the first, and gave its place to
/// nobody.
#[test]
fn the_second_try_of_a_hedge_has_a_thread_in_a_job() {
    let after_refusal = in_time(|| {
        let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
        let inside = pool.clone();
        let job = pool.spawn_blocking(move || {
            let permit = inside.try_reserve().expect("the only place");
            let hedge = inside.hedge(PATIENCE * 100, |_| Ok::<_, ()>(1));
            drop(permit);
            hedge.wait()
        });
        job.wait().expect("it returns")
    });
    assert_eq!(after_refusal.ok(), Some(1));
    let beside_another = in_time(|| {
        let pool = Pool::builder().threads(2..=2).build().expect("threads");
        let (inside, tries) = (pool.clone(), Arc::new(AtomicUsize::new(0)));
        let job = pool.spawn_blocking(move || {
            let begun = Arc::clone(&tries);
            let body = move |cx: &JobContext| match begun.fetch_add(1, Ordering::SeqCst) {
                0 => cx.sleep(Duration::MAX).map(|()| 1),
                _ => Ok(2),
            };
            let hedge = inside.hedge(ms(20), body);
            until("the first runs", || tries.load(Ordering::SeqCst) == 1);
            hedge.wait()
        });
        job.wait().expect("it returns")
    });
    assert_eq!(beside_another.ok(), Some(2));
}

/// The wait was for the first that waits, which was none of the pool's own.
#[test]
fn a_set_with_another_pools_job_runs_its_own_inside() {
    let next = in_time(|| {
        let one = || Pool::builder().threads(1..=1).build().expect("a thread");
        let (pool, other) = (one(), one());
        let (go, gate) = mpsc::channel::<()>();
        let (started, inside) = (Gate::default(), pool.clone());
        let starts = started.clone();
        let busy = other.spawn_blocking(move || {
            starts.open();
            gate.recv().ok();
        });
        started.pass();
        let job = pool.spawn_blocking(move || {
            let mut set = JobSet::on(&inside);
            set.insert(other.spawn_blocking(|| 1));
            set.spawn_blocking(|| 2);
            let next = set.wait_next().expect("there are two");
            set.detach_all();
            next
        });
        let next = job.wait().expect("it returns");
        drop(go);
        busy.wait().expect("it returns");
        next
    });
    assert_eq!(next.ok(), Some(2));
}

/// It was counted as resolved while what it had captured was dropped.
#[test]
fn what_is_refused_in_the_queue_is_resolved_when_its_handle_is() {
    let builder = Pool::builder().threads(1..=1).queue_limit(1);
    let pool = builder.when_full(WhenFull::DropOldest).build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let (dropping, slow) = (Gate::default(), Gate::default());
    let (begins, goes_on) = (dropping.clone(), slow.clone());
    let capture = OnDrop(move || {
        begins.open();
        goes_on.pass();
    });
    let oldest = pool.spawn_blocking(move || drop(capture));
    let youngest = pool.spawn_blocking(|| ());
    dropping.pass();
    let (metrics, is_finished) = (pool.metrics(), oldest.is_finished());
    slow.open();
    drop(busy);
    assert_eq!((metrics.rejected, metrics.rejected_queued, metrics.unresolved()), (0, 0, 3));
    assert!(!is_finished && oldest.wait().is_err());
    assert!(youngest.wait().is_ok());
    let metrics = pool.metrics();
    assert_eq!((metrics.rejected, metrics.rejected_queued, metrics.unresolved()), (1, 1, 0));
}
