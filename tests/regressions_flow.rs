//! What went wrong once with lanes, full queues and waits inside jobs.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use punctual::{Checked, JobError, JobSet, Lane, Pool, Rejection, WhenFull};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use support::{Busy, Gate, PATIENCE, error, ms, news, outcome, pool_of, quiet_panic, until};

fn one_place(policy: WhenFull, places: usize) -> Pool {
    let pool = Pool::builder().threads(1..=1).queue_limit(places).when_full(policy);
    pool.build().expect("a thread")
}

/// A lane none of whose own jobs had come was not looked at: its inner lanes' jobs hung.
#[test]
fn a_shutdown_finds_what_waits_in_an_outer_lane() {
    for inner_limit in [None, Some(2)] {
        let pool = pool_of(4);
        let outer = pool.lane("outer").limit(1);
        let inner = outer.lane("inner");
        let inner = inner_limit.map_or(inner.clone(), |limit| inner.limit(limit));
        let gate = Gate::default();
        let deaf = gate.clone();
        let runs = inner.spawn_blocking(move || deaf.pass());
        until("it runs", || inner.load().running == 1);
        let waits = inner.spawn_blocking(|| ());
        let end = pool.shutdown();
        assert!(error(waits).is_cancelled());
        gate.open();
        assert_eq!(end.wait().never_started.len(), 1);
        assert!(outcome(runs).is_ok());
    }
}

/// The only worker waited for a job behind another of its lane, which only it could have run.
#[test]
fn a_wait_for_a_job_behind_another_of_its_lane() {
    let pool = pool_of(1);
    let lane = pool.lane("one").limit(1);
    let waits = pool.spawn_blocking(move || {
        let first = lane.spawn_blocking(|| 1);
        lane.spawn_blocking(|| 2).wait().ok().zip(first.wait().ok())
    });
    assert_eq!(outcome(waits).ok(), Some(Some((2, 1))));
}

/// The same, in `spawn` itself.
#[test]
fn a_caller_in_a_job_waits_for_a_lane_at_its_limit() {
    let pool = pool_of(1);
    let lane = pool.lane("one").limit(1).queue_limit(1).when_full(WhenFull::CallerRuns);
    let waits = pool.spawn_blocking(move || {
        let first = lane.spawn_blocking(|| 1);
        lane.spawn_blocking(|| 2).wait().ok().zip(first.wait().ok())
    });
    assert_eq!(outcome(waits).ok(), Some(Some((2, 1))));
}

/// It came to the next lane's limit just as it was to be run here, on the permit of the one that waits:
/// and that one, which held the other lane's only permit, waited for ever.
#[test]
fn a_wait_for_a_job_that_comes_further_meanwhile() {
    let pool = Pool::builder().threads(0..=4).build().expect("no thread is started yet");
    for n in 0..5_000_u32 {
        let outer = pool.lane("outer").limit(1);
        let inner = outer.lane("inner").limit(2);
        let (send, stoppers) = news();
        let waits = inner.clone().spawn_blocking(move || {
            let before = inner.spawn_blocking(|| ()); // waits for the outer lane's permit
            let behind = inner.spawn_blocking(|| 7);
            send.send(before.abort_handle()).expect("the test listens");
            (0..n % 61 * 4).for_each(|_| std::hint::spin_loop());
            behind.wait().ok()
        });
        let stopper = stoppers.next();
        (0..n % 47 * 4).for_each(|_| std::hint::spin_loop());
        stopper.abort(); // the other goes on
        assert_eq!(outcome(waits).ok(), Some(Some(7)), "in try {n}");
    }
}

/// Only a handle's own wait ran the job.
#[test]
fn sets_maps_and_hedges_are_waited_for_inside_a_job() {
    let pool = pool_of(1);
    let inner = pool.clone();
    let waits = pool.spawn_blocking(move || {
        let mut set = JobSet::on(&inner);
        (0..3).for_each(|n| drop(set.spawn_blocking(move || n)));
        let set: u32 = set.wait_all().into_iter().filter_map(Result::ok).sum();
        let double = |_: &_, n: u32| Ok::<_, std::io::Error>(2 * n);
        let map: u32 = inner.map(0..10, double).in_flight(3).into_iter().flatten().sum();
        let unordered = inner.map(0..10, double).unordered().into_iter().flatten().sum::<u32>();
        let hedge = inner.hedge(PATIENCE, |_| Ok::<_, std::io::Error>(7)).wait();
        let mut late = inner.spawn_blocking(|| 1);
        let late = late.wait_timeout(PATIENCE).and_then(Result::ok);
        (set, map, unordered, hedge.ok(), late)
    });
    assert_eq!(outcome(waits).ok(), Some((3, 90, 90, Some(7), Some(1))));
}

/// The spare thread of one that was back stayed unused, though another was stuck.
#[test]
fn a_spare_thread_passes_on_to_the_next_that_is_stuck() {
    let pool = Pool::builder().threads(1..=1).spare_threads(1).build().expect("a thread");
    let gates = [Gate::default(), Gate::default()];
    for gate in &gates {
        let deaf = gate.clone();
        let job = pool.job().run_timeout(ms(5)).spawn_blocking(move || deaf.pass());
        assert!(error(job).is_timed_out());
    }
    let waits = pool.spawn_blocking(|| 1);
    assert_eq!(pool.metrics().threads, 2);
    gates[0].open();
    assert_eq!(outcome(waits).ok(), Some(1), "one of the two threads goes on");
    assert_eq!(outcome(pool.spawn_blocking(|| 2)).ok(), Some(2));
    gates[1].open();
    until("it is back", || pool.overdue().is_empty());
    assert_eq!(outcome(pool.spawn_blocking(|| 3)).ok(), Some(3));
}

/// The thread in its place was started before the overdue job's outcome was told.
#[test]
fn a_spare_thread_that_is_slow_to_start_holds_up_no_handle() {
    let gate = Gate::default();
    let (closed, opened) = (gate.clone(), gate.clone());
    let second = move |name: &str| {
        if name.ends_with("-2") {
            closed.pass();
        }
        Ok(())
    };
    let pool = Pool::builder().threads(1..=1).spare_threads(1).spawn_gate(second);
    let pool = pool.build().expect("a thread");
    let (body, inside) = (Gate::default(), pool.clone());
    let deaf = body.clone();
    let (send, queued) = news();
    let late = pool.job().run_timeout(ms(20)).spawn_blocking(move || {
        send.send(inside.spawn_blocking(|| 1)).expect("the test listens"); // somebody is to come for it
        deaf.pass();
    });
    let queued = queued.next();
    assert!(error(late).is_timed_out());
    opened.open();
    assert_eq!(outcome(queued).ok(), Some(1));
    body.open();
}

/// Who waited for the end of an overdue body took no spare thread: its outcome was there.
#[test]
fn a_wait_for_the_end_of_an_overdue_body_lends_its_place() {
    let pool = Pool::builder().threads(1..=1).spare_threads(2).build().expect("a thread");
    let gate = Gate::default();
    let deaf = gate.clone();
    let mut late = pool.job().run_timeout(ms(5)).spawn_blocking(move || deaf.pass());
    assert!(late.wait_timeout(PATIENCE).expect("in time").is_err());
    let (started, is_started) = news();
    let waits = pool.spawn_blocking(move || {
        started.send(()).expect("the test listens");
        late.wait_stopped();
    });
    is_started.next();
    outcome(pool.spawn_blocking(move || gate.open())).expect("there is a thread for it");
    outcome(waits).expect("the body has ended");
}

/// One job of a full pool run by a worker of another: that worker was not known as such any more.
#[test]
fn a_job_of_one_pool_run_by_a_worker_of_another_waits_for_a_third() {
    let (one, full) = (pool_of(1), one_place(WhenFull::CallerRuns, 1));
    let busy = Busy::all(&full, 1);
    let _fills = full.spawn_blocking(|| ());
    let inner = (one.clone(), full.clone());
    let waits = one.spawn_blocking(move || {
        let (one, full) = inner;
        full.spawn_blocking(move || one.spawn_blocking(|| 7).wait().ok()).wait().ok()
    });
    assert_eq!(outcome(waits).ok(), Some(Some(Some(7))));
    drop(busy);
}

/// Those in line for a place were given those of all that were dropped, one after the other.
#[test]
fn one_job_makes_room_for_one_beside_those_who_wait_for_a_place() {
    let pool = one_place(WhenFull::DropOldest, 5);
    let busy = Busy::all(&pool, 1);
    let old: Vec<_> = (0..5).map(|n| pool.spawn_blocking(move || n)).collect();
    let mut cx = Context::from_waker(Waker::noop());
    let (mut first, mut second) = (pin!(pool.reserve()), pin!(pool.reserve()));
    assert!(
        first.as_mut().poll(&mut cx).is_pending() && second.as_mut().poll(&mut cx).is_pending()
    );
    let new = pool.spawn_blocking(|| 9);
    assert!(first.as_mut().poll(&mut cx).is_pending(), "they wait on");
    drop(busy);
    let ends: Vec<_> = old.into_iter().map(|job| outcome(job).ok()).collect();
    assert_eq!(ends, [None, Some(1), Some(2), Some(3), Some(4)]);
    assert_eq!(outcome(new).ok(), Some(9));
}

/// One whose destructor spawns another, so many times.
struct SpawnsAgain(Lane, usize);

impl Drop for SpawnsAgain {
    fn drop(&mut self) {
        if let Some(left) = self.1.checked_sub(1) {
            let again = Self(self.0.clone(), left);
            drop(self.0.spawn_blocking(move || std::mem::forget(again)));
        }
    }
}

/// Its destructor took the place that its end made free, time and again.
#[test]
fn a_dropped_job_whose_destructor_spawns_another_is_dropped_once() {
    let pool = pool_of(1);
    let lane = pool.lane("short").queue_limit(1).when_full(WhenFull::DropOldest);
    let busy = Busy::all(&pool, 1);
    let again = SpawnsAgain(lane.clone(), 200);
    drop(lane.spawn_blocking(move || std::mem::forget(again)));
    let new = lane.spawn_blocking(|| 1);
    let refused = pool.metrics().rejected;
    assert!(refused < 200, "{refused} are dropped for one");
    drop((busy, new));
}

/// The destructor of what makes room was run by who spawned.
#[test]
fn a_slow_destructor_of_the_oldest_holds_up_no_spawn() {
    let pool = one_place(WhenFull::DropOldest, 1);
    let busy = Busy::all(&pool, 1);
    let gate = Gate::default();
    let closed = gate.clone();
    let slow = support::OnDrop(move || closed.pass());
    let old = pool.spawn_blocking(move || drop(slow));
    let new = pool.spawn_blocking(|| 1); // hangs if it waits for that
    gate.open();
    assert!(matches!(error(old), JobError::Rejected(Rejection::QueueFull)));
    drop(busy);
    assert_eq!(outcome(new).ok(), Some(1));
}

/// It killed the timekeeper's thread.
#[test]
fn a_panicking_waker_of_a_reservation_whose_time_is_up_is_told() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            quiet_panic("a waker panics");
        }
    }
    let (send, unseen) = news();
    let hook = move |panic: punctual::Panic| assert!(send.send(panic.message().to_owned()).is_ok());
    let pool = Pool::builder().threads(..=1).queue_limit(1).on_unseen_panic(hook);
    let pool = pool.build().expect("no thread is needed");
    let _permit = pool.try_reserve().expect("it is free");
    let mut reserve = pin!(pool.reserve().within(ms(5)));
    let waker = Waker::from(Arc::new(Panics));
    assert!(reserve.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(unseen.next(), "a waker panics");
}

/// Jobs that waited for an outer lane had brought their threads already, which others used.
#[test]
fn an_elastic_job_brings_its_thread_when_it_may_run() {
    let pool = pool_of(1);
    let outer = pool.lane("outer").limit(1);
    let inner = outer.lane("inner").limit(3).elastic();
    let gates = [Gate::default(), Gate::default()];
    let hold = |gate: &Gate| {
        let gate = gate.clone();
        move || gate.pass()
    };
    let first = inner.spawn_blocking(hold(&gates[0]));
    until("it runs", || inner.load().running == 1);
    let second = inner.spawn_blocking(hold(&gates[0]));
    let normal: Vec<_> = (0..3).map(|_| pool.spawn_blocking(hold(&gates[1]))).collect();
    until("one of the others runs", || pool.load().running == 2);
    assert_eq!(pool.metrics().threads, 2, "room for one elastic job");
    gates[0].open();
    assert!(outcome(first).is_ok() && outcome(second).is_ok(), "each has a thread");
    gates[1].open();
    assert!(normal.into_iter().all(|job| outcome(job).is_ok()));
}

/// What always takes longer than it may taught nothing, and was started again and again.
#[test]
fn bodies_that_return_too_late_teach_how_long_they_take() {
    let clock = punctual::testing::ManualClock::new();
    let pool = Pool::builder().threads(1..=1).clock(&clock).build().expect("a thread");
    let mut refused = 0;
    for _ in 0..20 {
        let own = clock.clone();
        let deaf = pool.job().name("slow").timeout(ms(10));
        let job = deaf.spawn(move |_| -> Checked<()> {
            own.advance(ms(15));
            Ok(())
        });
        let is_too_late = |end| matches!(end, JobError::Rejected(Rejection::TooLate));
        refused += usize::from(is_too_late(error(job)));
        until("its body has returned", || pool.load().running == 0);
    }
    assert_eq!(refused, 12, "after eight it is known");
    assert_eq!(pool.metrics().timers, 0);
}

/// All threads waited for a place that only they could have made.
#[test]
fn a_wait_for_a_place_inside_a_job_of_the_same_pool_ends() {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let (inside, (send, queued)) = (pool.clone(), news());
    let outer = pool.spawn_blocking(move || {
        send.send(inside.spawn_blocking(|| 1)).expect("the test listens"); // has the only place
        let permit = inside.blocking_reserve().expect("a place");
        let next = permit.spawn_blocking(|| 2);
        let lane = inside.lane("short").limit(1).queue_limit(1);
        let place = lane.try_reserve().expect("a place");
        drop(inside.spawn_blocking(move || drop(place)));
        let mapped = lane.job().map([3], |_, n| -> Checked<_> { Ok(n) }).wait_next();
        outcome(next).expect("it returns") + mapped.expect("one").expect("it returns")
    });
    assert_eq!(outcome(queued.next()).ok(), Some(1));
    assert_eq!(outcome(outer).ok(), Some(5));
    until("the thread that was lent is gone", || pool.metrics().spare == 0);
}
