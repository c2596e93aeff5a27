//! How much a pool takes on: order by deadlines, refusals in time, full queues, stuck resources.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use punctual::testing::ManualClock;
use punctual::{JobError, JobHandle, Lane, Order, Pool, Priority, Rejection, WhenFull};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;
use support::{Busy, Drops, Gate, OnDrop, PATIENCE, error, ms, news, outcome, pool_of, until};

const HOUR: Duration = Duration::from_secs(3600);

fn is_refused<T>(job: JobHandle<T>, why: Rejection) -> bool
where
    T: std::fmt::Debug,
{
    matches!(error(job), JobError::Rejected(reason) if reason == why)
}

/// Whether it was refused for that reason; else it gives a value.
fn is_refused_or_done(job: JobHandle<()>, why: Rejection) -> bool {
    match outcome(job) {
        Ok(()) => false,
        Err(JobError::Rejected(reason)) if reason == why => true,
        Err(other) => panic!("{other}"),
    }
}

/// A pool by a clock that is moved by hand, with one worker.
fn by_hand(order: Order) -> (ManualClock, Pool) {
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(1..=1).clock(&clock).order(order).build();
    (clock, pool.expect("a thread"))
}

/// Runs so many jobs of this name, each of which takes so long.
fn teach(clock: &ManualClock, pool: &Pool, name: &'static str, count: usize, time: Duration) {
    for _ in 0..count {
        let own = clock.clone();
        let job = pool.job().name(name).timeout(HOUR).spawn_blocking(move || own.advance(time));
        outcome(job).expect("it returns");
    }
}

/// The order in which jobs with these timeouts (none: without one) are run, in milliseconds.
fn order_of(pool: &Pool, timeouts: &[Option<u64>]) -> Vec<Option<u64>> {
    let busy = Busy::all(pool, 1);
    let (send, ran) = mpsc::channel();
    let spawn = |timeout: &Option<u64>| {
        let (send, timeout) = (send.clone(), *timeout);
        let job = pool.job();
        let job = match timeout {
            Some(time) => job.timeout(ms(time)),
            None => job,
        };
        job.spawn_blocking(move || send.send(timeout).expect("the test listens"))
    };
    let jobs: Vec<_> = timeouts.iter().map(spawn).collect();
    drop(busy);
    jobs.into_iter().for_each(|job| outcome(job).expect("it returns"));
    ran.try_iter().collect()
}

#[test]
fn the_earliest_deadline_comes_first() {
    let (_clock, pool) = by_hand(Order::EarliestDeadline);
    let asked = [50, 10, 40, 20, 30, 10, 50].map(Some);
    assert_eq!(order_of(&pool, &asked), [10, 10, 20, 30, 40, 50, 50].map(Some));
    let fifo = by_hand(Order::Fifo).1;
    assert_eq!(order_of(&fifo, &asked), asked);
}

#[test]
fn a_time_to_start_by_counts_as_one() {
    let (_clock, pool) = by_hand(Order::EarliestDeadline);
    let busy = Busy::all(&pool, 1);
    let (send, ran) = mpsc::channel();
    let spawn = |(n, job): (u32, punctual::Job)| {
        let send = send.clone();
        job.spawn_blocking(move || send.send(n).expect("the test listens"))
    };
    let settings =
        [pool.job().timeout(ms(20)), pool.job().queue_timeout(ms(10)), pool.job().timeout(ms(5))];
    let jobs: Vec<_> = (0..).zip(settings).map(spawn).collect();
    drop(busy);
    jobs.into_iter().for_each(|job| outcome(job).expect("it returns"));
    assert!(ran.try_iter().eq([2, 1, 0]));
}

#[test]
fn those_without_a_deadline_are_not_starved() {
    let (_clock, pool) = by_hand(Order::EarliestDeadline);
    let asked: Vec<_> = (0..40).map(|n| (n % 2 == 0).then_some(1000)).collect();
    let order = order_of(&pool, &asked);
    for (n, pair) in order.chunks(2).enumerate() {
        assert_ne!(pair[0], pair[1], "pair {n}");
    }
    let many = [vec![Some(1000); 200], vec![None; 1]].concat();
    let place = order_of(&pool, &many).iter().position(Option::is_none);
    assert!(place.is_some_and(|place| place < 3), "{place:?}");
}

#[test]
fn priorities_come_before_deadlines() {
    let (_clock, pool) = by_hand(Order::EarliestDeadline);
    let busy = Busy::all(&pool, 1);
    let (send, ran) = mpsc::channel();
    let spawn = |(class, time)| {
        let send = send.clone();
        let job = pool.job().priority(class).timeout(time);
        job.spawn_blocking(move || send.send(class).expect("the test listens"))
    };
    let classes = [(Priority::Low, ms(1)), (Priority::Normal, ms(2)), (Priority::High, HOUR)];
    let jobs: Vec<_> = classes.into_iter().map(spawn).collect();
    drop(busy);
    jobs.into_iter().for_each(|job| outcome(job).expect("it returns"));
    assert!(ran.try_iter().eq([Priority::High, Priority::Normal, Priority::Low]));
}

/// Who has a permit keeps it, though the thread that it waits for comes to others first.
#[test]
fn a_lanes_priorities_hold_among_those_that_wait_for_a_permit() {
    let pool = pool_of(1);
    let lane = pool.lane("two").limit(2);
    let busy = Busy::all(&pool, 1);
    let (send, ran) = mpsc::channel();
    let spawn = |(what, job): (&'static str, punctual::Job)| {
        let send = send.clone();
        job.spawn_blocking(move || send.send(what).expect("the test listens"))
    };
    let of = |class| lane.job().priority(class);
    let jobs = [
        ("low, with a permit", of(Priority::Low)),
        ("low, with the other permit", of(Priority::Low)),
        ("normal, without", of(Priority::Normal)),
        ("high, without", of(Priority::High)),
        ("normal, of the pool", pool.job()),
    ];
    let jobs = jobs.map(spawn);
    drop(busy);
    jobs.into_iter().for_each(|job| outcome(job).expect("it returns"));
    let order: Vec<_> = ran.try_iter().collect();
    let permits = ["low, with a permit", "high, without"];
    let others = ["normal, without", "low, with the other permit"];
    assert_eq!(order, [&["normal, of the pool"][..], &permits, &others].concat());
}

#[test]
fn a_lane_has_the_defaults_of_what_it_is_within_but_for_its_own() {
    let clock = ManualClock::new();
    let builder = Pool::builder().threads(2..=2).default_timeout(HOUR).default_grace(HOUR);
    let pool = builder.clock(&clock).build().expect("threads");
    let hasty = pool.lane("hasty").default_grace(Duration::ZERO).default_timeout(ms(2));
    let patient = hasty.lane("patient").default_grace(HOUR);
    let last_word = |job: punctual::Job| {
        let (send, started) = news();
        let job = job.spawn(move |cx| -> punctual::Checked<_> {
            send.send(()).expect("the test listens");
            Ok(cx.sleep(HOUR).is_err())
        });
        started.next();
        clock.advance(ms(2));
        outcome(job).ok()
    };
    let its_own = last_word(patient.job());
    assert_eq!(its_own, Some(true), "its own grace, and the outer lane's timeout");
    let gate = Gate::default();
    for lane in [&hasty, &hasty.lane("too")] {
        let (deaf, (send, started)) = (gate.clone(), news());
        let job = lane.spawn_blocking(move || {
            send.send(()).expect("the test listens");
            deaf.pass();
        });
        started.next();
        clock.advance(ms(2));
        assert!(error(job).is_timed_out(), "with no grace");
    }
    gate.open();
    let plain = pool.lane("plain").job().run_timeout(ms(2));
    assert_eq!(last_word(plain), Some(true), "the pool's grace");
}

/// A lane without places of its own has its pool's; one with its own has those alone.
#[test]
fn a_lane_without_a_queue_limit_shares_the_places_of_its_pool() {
    let pool = pool_of_places(2);
    let (shares, own) = (pool.lane("shares").limit(1), pool.lane("own").queue_limit(1));
    let places = (shares.try_reserve().expect("a place"), own.try_reserve().expect("a place"));
    assert!(shares.lane("inner").try_reserve().is_ok());
    let last = pool.try_reserve().expect("the other place");
    assert!(is_refused(shares.spawn_blocking(|| ()), Rejection::QueueFull));
    assert!(is_refused(own.spawn_blocking(|| ()), Rejection::QueueFull));
    drop((places.1, last));
    assert!(own.try_reserve().is_ok() && pool.try_reserve().is_ok());
}

#[test]
fn what_surely_would_be_too_late_is_refused_at_submission() {
    let (clock, pool) = by_hand(Order::EarliestDeadline);
    let ask = |time| pool.job().name("report").timeout(time).spawn_blocking(|| ());
    teach(&clock, &pool, "report", 7, ms(50));
    assert!(outcome(ask(ms(10))).is_ok(), "seven are not enough to know");
    teach(&clock, &pool, "report", 60, ms(50));
    assert!(is_refused(ask(ms(10)), Rejection::TooLate));
    let busy = Busy::all(&pool, 1);
    let refused = ask(ms(10));
    assert!(refused.is_finished(), "it needs no worker for that");
    drop(busy);
    assert!(is_refused(refused, Rejection::TooLate));
    assert!(outcome(ask(ms(60))).is_ok());
    teach(&clock, &pool, "report", 60, ms(50));
    let grace = pool.job().name("report").timeout(ms(10)).grace(ms(100)).spawn_blocking(|| ());
    assert!(outcome(grace).is_ok(), "its handle waits as long");
    assert!(outcome(pool.job().name("other").timeout(ms(10)).spawn_blocking(|| ())).is_ok());
    assert!(outcome(pool.job().name("report").spawn_blocking(|| ())).is_ok(), "no deadline");
    let metrics = pool.metrics();
    assert_eq!((metrics.rejected, metrics.unresolved()), (2, 0));
}

#[test]
fn what_was_long_ago_does_not_count() {
    let (clock, pool) = by_hand(Order::EarliestDeadline);
    teach(&clock, &pool, "report", 20, ms(50));
    let ask = || pool.job().name("report").timeout(ms(10)).spawn_blocking(|| ());
    assert!(is_refused(ask(), Rejection::TooLate));
    clock.advance(ms(1100));
    assert!(outcome(ask()).is_ok());
}

/// Who is refused teaches nothing: so one is tried now and then.
#[test]
fn long_jobs_of_a_kind_do_not_lock_the_short_ones_out() {
    let (clock, pool) = by_hand(Order::EarliestDeadline);
    let query = |takes: Duration, limit: Duration| {
        let own = clock.clone();
        pool.job().name("query").timeout(limit).spawn_blocking(move || own.advance(takes))
    };
    for round in 0..5 {
        let long = |_| outcome(query(ms(100), ms(10_000))).expect("it has the time");
        (0..50).for_each(long);
        assert!(is_refused(query(ms(1), ms(50)), Rejection::TooLate));
        (0..9).for_each(long);
        assert!(outcome(query(ms(1), ms(50))).is_ok(), "round {round}");
        assert!(outcome(query(ms(1), ms(50))).is_ok(), "it is known to be quick, in round {round}");
    }
    teach(&clock, &pool, "slow", 50, ms(100));
    let runs = |_: &u32| {
        let slow = |limit| {
            let own = clock.clone();
            pool.job().name("slow").timeout(limit).spawn_blocking(move || own.advance(ms(100)))
        };
        outcome(slow(ms(10_000))).expect("it has the time");
        !is_refused(slow(ms(50)), Rejection::TooLate)
    };
    let tried = (0..100_u32).filter(runs).count();
    assert!((5..=15).contains(&tried), "{tried} were tried in some ten seconds");
}

#[test]
fn what_has_become_too_late_in_the_queue_is_never_run() {
    let (clock, pool) = by_hand(Order::EarliestDeadline);
    teach(&clock, &pool, "report", 20, ms(50));
    let busy = Busy::all(&pool, 1);
    let never = || -> u32 { unreachable!("it would be too late") };
    let late = pool.job().name("report").timeout(ms(60)).spawn_blocking(never);
    let in_time = pool.job().name("report").timeout(ms(200)).spawn_blocking(|| 1);
    clock.advance(ms(20));
    drop(busy);
    assert!(is_refused(late, Rejection::TooLate));
    assert_eq!(outcome(in_time).ok(), Some(1));
    let metrics = pool.metrics();
    assert_eq!((metrics.rejected, metrics.rejected_queued), (1, 1));
    assert_eq!((metrics.accepted, metrics.resolved()), (23, 23));
}

/// One that was held up for long says nothing of the others: all were refused for a second.
#[test]
fn after_a_pause_of_the_machine_nothing_is_refused() {
    let (clock, pool) = by_hand(Order::EarliestDeadline);
    teach(&clock, &pool, "report", 20, ms(1));
    teach(&clock, &pool, "report", 1, ms(1000));
    assert!(outcome(pool.job().name("report").timeout(ms(20)).spawn_blocking(|| ())).is_ok());
}

/// One of these took much longer than the others: so may this one, and then it is done for nobody.
#[test]
fn what_might_be_too_late_makes_room_where_enough_others_wait() {
    let (clock, pool) = by_hand(Order::EarliestDeadline);
    for (others, makes_room) in [(1, false), (10, true)] {
        teach(&clock, &pool, "report", 20, ms(10));
        teach(&clock, &pool, "report", 1, ms(50));
        teach(&clock, &pool, "report", 60, ms(10));
        let busy = Busy::all(&pool, 1);
        let job = |time| pool.job().name("report").timeout(time).spawn_blocking(|| ());
        let tight = job(ms(200));
        let others: Vec<_> = (0..others).map(|_| job(HOUR)).collect();
        clock.advance(ms(160));
        drop(busy);
        assert_eq!(is_refused_or_done(tight, Rejection::TooLate), makes_room);
        assert!(others.into_iter().all(|job| outcome(job).is_ok()));
    }
}

#[test]
fn a_first_in_first_out_pool_refuses_nothing_as_too_late() {
    let (clock, pool) = by_hand(Order::Fifo);
    teach(&clock, &pool, "report", 20, ms(50));
    assert!(outcome(pool.job().name("report").timeout(ms(10)).spawn_blocking(|| ())).is_ok());
}

#[test]
fn a_lanes_jobs_are_of_one_kind() {
    let (clock, pool) = by_hand(Order::EarliestDeadline);
    let lane = pool.lane("reports").limit(1);
    for _ in 0..20 {
        let own = clock.clone();
        outcome(lane.spawn_blocking(move || own.advance(ms(50)))).expect("it returns");
    }
    let refused = lane.job().timeout(ms(10)).spawn_blocking(|| ());
    assert!(is_refused(refused, Rejection::TooLate));
}

#[test]
fn a_job_that_uses_all_its_time_teaches_nothing() {
    let (clock, pool) = by_hand(Order::EarliestDeadline);
    for _ in 0..20 {
        let own = clock.clone();
        let job = pool.job().name("as long as it may").timeout(ms(50)).grace(HOUR);
        let job = job.spawn(move |cx| -> punctual::Checked<_> {
            own.advance(ms(50));
            Ok(cx.is_stopped())
        });
        assert_eq!(outcome(job).ok(), Some(true));
    }
}

#[test]
fn the_oldest_makes_room() {
    let pool = Pool::builder().threads(1..=1).queue_limit(3).when_full(WhenFull::DropOldest);
    let pool = pool.build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let classes = [Priority::Normal, Priority::Low, Priority::High];
    let jobs: Vec<_> = (0..300)
        .map(|n| pool.job().priority(classes[n % 3]).timeout(HOUR).spawn_blocking(move || n))
        .collect();
    assert_eq!(pool.metrics().queued, 3);
    drop(busy);
    let ends: Vec<_> = jobs.into_iter().map(outcome).collect();
    let (dropped, kept) = ends.split_at(297);
    let full =
        |end: &Result<_, JobError>| matches!(end, Err(JobError::Rejected(Rejection::QueueFull)));
    assert!(dropped.iter().all(full));
    assert!(kept.iter().map(|end| end.as_ref().ok().copied()).eq((297..300).map(Some)));
}

#[test]
fn where_all_places_are_reserved_nothing_is_dropped() {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).when_full(WhenFull::DropOldest);
    let pool = pool.build().expect("a thread");
    let permit = pool.try_reserve().expect("it is free");
    assert!(is_refused(pool.spawn_blocking(|| ()), Rejection::QueueFull));
    assert!(outcome(permit.spawn_blocking(|| ())).is_ok());
}

#[test]
fn the_caller_runs_what_finds_no_place() {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).when_full(WhenFull::CallerRuns);
    let pool = pool.build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let queued = pool.spawn_blocking(|| thread::current().id());
    let here = pool.spawn_blocking(|| thread::current().id());
    assert!(here.is_finished());
    assert_eq!(outcome(here).ok(), Some(thread::current().id()));
    let (own, (report, reports)) = (pool.clone(), news());
    let cut = pool.spawn_blocking(move || {
        let nested = own.spawn_blocking(|| thread::current().id()).wait();
        assert_eq!(nested.ok(), Some(thread::current().id()));
        let end = own.drain().within(ms(1)).wait(); // of its own pool: it is named
        report.send(end).expect("the test listens");
    });
    let report = reports.next();
    assert_eq!((report.still_running.len(), report.never_started.len()), (2, 1), "{report}");
    assert_eq!(report.finished, 2);
    assert!(error(cut).is_cancelled());
    drop((busy, queued));
}

/// What a body that its caller runs spawns is run within it.
#[test]
fn callers_run_within_each_other_as_deep_as_they_spawn() {
    fn dive(pool: &Pool, depth: usize) -> usize {
        let (own, here) = (pool.clone(), thread::current().id());
        let job = pool.spawn_blocking(move || {
            assert_eq!(thread::current().id(), here);
            1 + if depth == 0 { 0 } else { dive(&own, depth - 1) }
        });
        assert!(job.is_finished());
        outcome(job).expect("it returns")
    }
    let pool = Pool::builder().threads(1..=1).queue_limit(1).when_full(WhenFull::CallerRuns);
    let pool = pool.build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let queued = pool.spawn_blocking(|| ());
    assert_eq!(dive(&pool, 99), 100);
    drop((busy, queued));
}

/// Who drops the oldest has not to wait for its destructor.
#[test]
fn what_the_oldest_captured_is_dropped_elsewhere() {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).when_full(WhenFull::DropOldest);
    let pool = pool.build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let (send, dropped) = news();
    let capture = OnDrop(move || send.send(thread::current().id()).expect("the test listens"));
    let oldest = pool.spawn_blocking(move || drop(capture));
    let gate = Gate::default();
    let capture = gate.slow_capture();
    let next = pool.spawn_blocking(move || drop(capture));
    assert_ne!(dropped.next(), thread::current().id());
    let last = pool.spawn_blocking(|| ()); // and comes back, though that one's destructor hangs
    gate.open();
    assert!(is_refused(oldest, Rejection::QueueFull) && is_refused(next, Rejection::QueueFull));
    drop(busy);
    assert!(outcome(last).is_ok());
}

#[test]
fn a_lane_at_its_limit_is_not_exceeded_by_its_callers() {
    let pool = Pool::builder().threads(0..=4).build().expect("no thread is needed yet");
    let lane = pool.lane("one").limit(1).queue_limit(1).when_full(WhenFull::CallerRuns);
    let (now, gate) = (Arc::new(AtomicUsize::new(0)), Gate::default());
    let body = || {
        let (now, gate) = (Arc::clone(&now), gate.clone());
        move || {
            assert_eq!(now.fetch_add(1, Ordering::SeqCst), 0);
            gate.pass();
            now.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let first = lane.spawn_blocking(body());
    until("it runs", || lane.load().running == 1);
    let second = lane.spawn_blocking(body());
    thread::scope(|s| {
        let (own, third) = (lane.clone(), body());
        let caller = s.spawn(move || own.spawn_blocking(third));
        until("its caller waits", || lane.load().queued == 2);
        gate.open();
        let third = caller.join().expect("no panic");
        assert!(third.is_finished());
        assert!([first, second, third].into_iter().all(|job| outcome(job).is_ok()));
    });
}

#[test]
fn a_refusal_hands_the_body_back() {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let permit = pool.try_reserve().expect("it is free");
    let body = vec![1, 2, 3];
    let refused = pool.job().try_spawn(move |_| Ok::<_, std::io::Error>(body)).unwrap_err();
    assert_eq!((refused.why(), pool.metrics().rejected), (Rejection::QueueFull, 1));
    assert!(refused.to_string().contains("full") && format!("{refused:?}").contains("QueueFull"));
    let job = permit.spawn(refused.into_body());
    assert_eq!(job.wait().expect("it returns"), [1, 2, 3]);
    pool.shutdown().wait();
    let refused = pool.job().try_spawn(|_| Ok::<_, std::io::Error>(())).unwrap_err();
    assert_eq!(refused.why(), Rejection::ShutDown);
}

/// The body comes back from wherever it is refused, in one piece, and is not counted as lost.
#[test]
fn every_door_hands_a_refused_body_back() {
    let pool = pool_of_places(1);
    let lane = pool.lane("lane").queue_limit(1);
    let permits = (pool.try_reserve().expect("a place"), lane.try_reserve().expect("a place"));
    let drops = Drops::default();
    let plain = || {
        let own = drops.value();
        move || std::mem::size_of_val(&own)
    };
    let failing = || {
        let body = plain();
        move |_: &punctual::JobContext| Ok::<_, ()>(body())
    };
    let refused = [pool.try_spawn(failing()), lane.try_spawn(failing())];
    let bodies = refused.map(|refused| {
        let refused = refused.expect_err("it is full");
        assert_eq!(refused.why(), Rejection::QueueFull);
        refused.into_body()
    });
    let job = |pool: &Pool| pool.job().on_late(|_: usize| ());
    let refused = [
        pool.try_spawn_blocking(plain()),
        lane.try_spawn_blocking(plain()),
        pool.job().try_spawn_blocking(plain()),
        job(&pool).try_spawn_blocking(plain()),
    ];
    let plains = refused.map(|refused| refused.expect_err("it is full").into_body());
    assert_eq!((drops.count(), pool.metrics().rejected, lane.metrics().rejected), (0, 6, 2));
    let [first, second] = bodies;
    assert!(outcome(permits.0.try_spawn(first).expect("its place is kept")).is_ok());
    assert_eq!(plains.map(|body| body()).len(), 4);
    pool.shutdown().wait();
    let refused = permits.1.try_spawn_blocking(move || drop(second)).expect_err("it is shut down");
    assert_eq!((refused.why(), drops.count()), (Rejection::ShutDown, 5));
    drop(refused);
    assert_eq!((drops.count(), pool.metrics().unresolved()), (6, 0));
}

#[test]
fn a_reservation_waits_no_longer_than_it_may() {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let permit = pool.try_reserve().expect("it is free");
    for in_vain in [pool.reserve().within(ms(5)).wait(), pool.blocking_reserve_timeout(ms(5))] {
        assert!(matches!(in_vain, Err(Rejection::QueueFull)));
    }
    assert_eq!(pool.metrics().timers, 0);
    thread::scope(|s| {
        let waiter = s.spawn(|| pool.reserve().within(PATIENCE).wait());
        drop(permit);
        assert!(waiter.join().expect("no panic").is_ok());
    });
    let lane = pool.lane("other").queue_limit(1);
    let permit = lane.blocking_reserve_timeout(ms(0)).expect("it has its own");
    assert!(lane.reserve().within(Duration::ZERO).wait().is_err());
    let waiting = thread::scope(|s| {
        let waiter = s.spawn(|| lane.reserve().wait().map(drop));
        drop(pool.shutdown());
        waiter.join().expect("no panic")
    });
    assert_eq!(waiting, Err(Rejection::ShutDown));
    drop(permit);
}

/// Whichever way and moment a reservation is dropped at, no place is lost.
#[test]
fn a_reservation_that_is_dropped_leaves_no_place_behind() {
    let pool = pool_of_places(3);
    let lane = pool.lane("lane").queue_limit(2);
    let places = |count: usize| {
        let all: Vec<_> = std::iter::from_fn(|| lane.try_reserve().ok()).collect();
        assert_eq!(all.len(), count);
    };
    let mut cx = Context::from_waker(Waker::noop());
    for n in 0..20_000_u32 {
        let held: Vec<_> = (0..n % 3).map(|_| lane.try_reserve()).collect();
        let mut first = pin!(lane.reserve());
        let mut second = pin!(lane.reserve().within(HOUR));
        if n & 4 != 0 {
            let _ = first.as_mut().poll(&mut cx);
        }
        if n & 8 != 0 {
            let _ = second.as_mut().poll(&mut cx);
        }
        if n & 16 != 0 {
            drop(held);
        }
        if n & 32 != 0 {
            let _ = second.as_mut().poll(&mut cx);
        }
    }
    places(2);
    assert_eq!((pool.metrics().timers, pool.try_reserve().is_ok()), (0, true));
}

fn pool_of_places(places: usize) -> Pool {
    Pool::builder().threads(1..=1).queue_limit(places).build().expect("a thread")
}

#[test]
fn jobs_of_a_key_whose_body_is_stuck_are_refused_until_it_returns() {
    let pool = pool_of(2);
    let gate = Gate::default();
    let deaf = gate.clone();
    let (started, is_started) = news();
    let stuck = pool.job().key("mount:/nfs").run_timeout(ms(20)).spawn_blocking(move || {
        started.send(()).expect("the test listens");
        deaf.pass();
    });
    is_started.next();
    let busy = Busy::all(&pool, 1);
    let never = || unreachable!("its key is stuck");
    let queued = pool.job().key("mount:/nfs").spawn_blocking(never);
    assert!(error(stuck).is_timed_out());
    assert!(is_refused(pool.job().key("mount:/nfs").spawn_blocking(never), Rejection::Overdue));
    drop(busy);
    assert!(is_refused(queued, Rejection::Overdue));
    assert!(outcome(pool.job().key("mount:/home").spawn_blocking(|| ())).is_ok());
    gate.open();
    until("it returns", || pool.overdue().is_empty());
    assert!(outcome(pool.job().key("mount:/nfs").spawn_blocking(|| ())).is_ok());
}

#[test]
fn the_load_says_how_long_a_job_would_wait() {
    let (clock, pool) = by_hand(Order::EarliestDeadline);
    for _ in 0..100 {
        let own = clock.clone();
        outcome(pool.spawn_blocking(move || own.advance(ms(10)))).expect("it returns");
    }
    until("the last is over", || pool.load().running == 0);
    assert_eq!((pool.load().limit, pool.load().predicted_wait), (1, Duration::ZERO));
    let busy = Busy::all(&pool, 1);
    let jobs: Vec<_> = (0..9).map(|_| pool.spawn_blocking(|| ())).collect();
    let load = pool.load();
    assert_eq!((load.queued, load.running), (9, 1));
    let wait = load.predicted_wait;
    assert!(wait > ms(90) && wait < ms(110), "{wait:?}");
    drop((busy, jobs));
}

#[test]
fn the_load_of_a_lane_sees_who_has_the_threads_and_not_what_others_hold_back() {
    let (clock, pool) = by_hand(Order::EarliestDeadline);
    let (busy_one, other) = (pool.lane("busy").limit(1), pool.lane("other").limit(4));
    let teach = |lane: &Lane| {
        let own = clock.clone();
        outcome(lane.spawn_blocking(move || own.advance(ms(10)))).expect("it returns");
    };
    (0..100).for_each(|n| teach(if n % 2 == 0 { &busy_one } else { &other }));
    let gate = Gate::default();
    let hold = || {
        let gate = gate.clone();
        busy_one.spawn_blocking(move || gate.pass())
    };
    let held = [(); 30].map(|()| hold());
    until("one runs", || pool.load().running == 1);
    let [of_busy, of_other] = [&busy_one, &other].map(Lane::load);
    assert_eq!((of_busy.queued, of_other.queued, pool.load().queued), (29, 0, 29));
    assert!(of_busy.predicted_wait > ms(270), "{of_busy:?}");
    for other in [of_other, pool.load()] {
        let wait = other.predicted_wait;
        assert!(
            wait > ms(8) && wait < ms(30),
            "for one thread, not for all that is held back: {wait:?}"
        );
    }
    gate.open();
    assert!(held.into_iter().all(|job| outcome(job).is_ok()));
}

/// Neither before any has returned, nor where all hang of which so far none did.
#[test]
fn the_load_foresees_what_hangs() {
    let (clock, pool) = by_hand(Order::EarliestDeadline);
    let wait = || pool.load().predicted_wait;
    let busy = Busy::all(&pool, 1);
    let queued = [(); 2].map(|()| pool.spawn_blocking(|| ()));
    assert_eq!(wait(), Duration::ZERO, "nothing is known");
    for hung in [10, 20] {
        clock.advance(ms(10));
        assert_eq!(wait(), ms(3 * hung), "it takes as long again, and so do the others");
    }
    drop(busy);
    queued.into_iter().for_each(|job| outcome(job).expect("it returns"));
    for _ in 0..100 {
        let own = clock.clone();
        outcome(pool.spawn_blocking(move || own.advance(ms(10)))).expect("it returns");
    }
    let busy = Busy::all(&pool, 1);
    let queued = [(); 9].map(|()| pool.spawn_blocking(|| ()));
    clock.advance(ms(5));
    assert!(wait() > ms(90) && wait() < ms(110), "as long as others took: {:?}", wait());
    clock.advance(ms(995));
    assert!(wait() > ms(1_080) && wait() < ms(1_100), "the others do not hang: {:?}", wait());
    drop((busy, queued));
}

#[test]
fn the_load_of_a_lane_foresees_what_hangs_in_it() {
    let clock = ManualClock::new();
    let pool = Pool::builder().clock(&clock).threads(2..=2).build().expect("threads");
    let lane = pool.lane("narrow").limit(1);
    let gate = Gate::default();
    let (held, (started, starts)) = (gate.clone(), news());
    let hung = lane.spawn_blocking(move || {
        started.send(()).expect("the test listens");
        held.pass();
    });
    starts.next();
    clock.advance(ms(10));
    assert_eq!(lane.load().predicted_wait, ms(10));
    let queued = lane.spawn_blocking(|| ());
    assert_eq!(lane.load().predicted_wait, ms(20));
    assert_eq!(pool.load().predicted_wait, Duration::ZERO, "a thread is free");
    gate.open();
    [hung, queued].into_iter().for_each(|job| outcome(job).expect("it returns"));

    clock.advance(HOUR); // in which nothing is started, because nothing is to be done
    let busy = Busy::all(&pool, 2);
    let let_through = lane.spawn_blocking(|| ()); // and waits for a thread
    assert!(lane.load().predicted_wait < ms(100), "{:?}", lane.load());
    drop(busy);
    outcome(let_through).expect("it returns");
}

/// A lane's own jobs say nothing of those that it waits for in the lanes that it is within.
#[test]
fn the_load_of_a_lane_is_by_the_pace_of_each_lane_that_it_is_within() {
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(2..=2).clock(&clock).build().expect("threads");
    let outer = pool.lane("outer").limit(1);
    let (inner, untried) = (outer.lane("inner").limit(2), outer.lane("untried").limit(4));
    let own = clock.clone();
    outcome(inner.spawn_blocking(move || own.advance(ms(10)))).expect("it returns");
    let gate = Gate::default();
    let (held, (started, starts)) = (gate.clone(), news());
    let holds = inner.spawn_blocking(move || {
        started.send(()).expect("the test listens");
        held.pass();
    });
    starts.next();
    let waits = || [&outer, &inner, &untried].map(|lane| lane.load().predicted_wait);
    assert_eq!(waits(), [ms(10); 3], "for the one that has the outer lane's permit");
    let queued = [(); 2].map(|()| untried.spawn_blocking(|| ()));
    assert_eq!(waits(), [ms(30); 3]);
    clock.advance(ms(40));
    assert_eq!(waits(), [ms(60); 3], "that one hangs");
    assert_eq!(pool.load().predicted_wait, Duration::ZERO, "a thread is free");
    gate.open();
    [holds].into_iter().chain(queued).for_each(|job| outcome(job).expect("it returns"));
    until("the last is over", || waits() == [Duration::ZERO; 3]);
}

/// Nor of those that have the threads.
#[test]
fn what_may_take_too_long_makes_room_in_a_lane_whose_own_jobs_are_unknown() {
    let (clock, pool) = by_hand(Order::EarliestDeadline);
    teach(&clock, &pool, "report", 1, ms(20));
    teach(&clock, &pool, "report", 8, ms(1));
    let lane = pool.lane("untried");
    let busy = Busy::all(&pool, 1);
    let others = [(); 90].map(|()| pool.spawn_blocking(|| ()));
    let report = lane.job().name("report").timeout(ms(15)).spawn_blocking(|| ());
    clock.advance(ms(9));
    drop(busy);
    assert!(is_refused(report, Rejection::TooLate), "6 ms are not enough for 20, and others wait");
    others.into_iter().for_each(|job| outcome(job).expect("it returns"));
}

/// Threads that an elastic lane brings are no help to its pool's own jobs.
#[test]
fn the_load_is_by_the_threads_that_serve_it() {
    let (clock, pool) = by_hand(Order::EarliestDeadline);
    let limit = |lane: &Lane| lane.load().limit;
    let plain = pool.lane("plain").limit(4);
    let elastic = pool.lane("elastic").limit(4).elastic();
    let (inner, tight) = (elastic.lane("inner"), elastic.lane("tight").limit(2));
    let limits = || [&plain, &elastic, &inner, &tight].map(limit);
    assert_eq!((limits(), pool.load().limit), ([1, 4, 4, 2], 1), "idle");
    for _ in 0..20 {
        let own = clock.clone();
        outcome(pool.spawn_blocking(move || own.advance(ms(10)))).expect("it returns");
    }
    let busy = Busy::all(&pool, 1);
    let gate = Gate::default();
    let jobs = [(); 3].map(|()| {
        let gate = gate.clone();
        elastic.spawn_blocking(move || gate.pass())
    });
    until("they have threads", || elastic.load().running == 3);
    assert_eq!((limits(), pool.load().limit), ([1, 4, 4, 2], 1), "busy");
    let wait = pool.load().predicted_wait;
    assert!(wait > ms(8) && wait < ms(12), "{wait:?}");
    gate.open();
    jobs.into_iter().for_each(|job| outcome(job).expect("it returns"));
    drop(busy);
}

/// Who only ever tried to reserve is on no list that a shutdown looks through.
#[test]
fn who_begins_to_wait_for_a_place_after_the_end_is_refused() {
    let pool = Pool::builder().threads(..=1).queue_limit(1).build().expect("no thread yet");
    let lane = pool.lane("short").queue_limit(1);
    let places = (pool.try_reserve().expect("a place"), lane.try_reserve().expect("a place"));
    drop(pool.drain());
    for reserve in [pool.reserve(), lane.reserve()] {
        let refused = reserve.within(Duration::from_secs(60)).wait();
        assert_eq!(refused.map(drop), Err(Rejection::ShutDown));
    }
    drop(places);
}
