//! `LaneMetrics`, and the spare threads that are lent.

use crate::support::{Busy, Gate, error, ms, news, outcome, pool_of, quiet_panic, until};
use punctual::{LaneMetrics, Pool, Priority, Rejection, WhenFull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn wide() -> Pool {
    Pool::builder().threads(0..=8).build().expect("no thread is started yet")
}

#[test]
fn the_high_water_mark_is_reached_and_never_passed() {
    let pool = wide();
    let lane = pool.lane("three").limit(3);
    assert_eq!((lane.metrics().limit, lane.metrics().most_running), (Some(3), Some(0)));
    outcome(lane.spawn_blocking(|| ())).expect("it returns");
    assert_eq!(lane.metrics().most_running, Some(1), "one after the other is one at a time");
    let gate = Gate::default();
    let jobs: Vec<_> = (0..10)
        .map(|_| {
            let gate = gate.clone();
            lane.spawn_blocking(move || gate.pass())
        })
        .collect();
    until("three run", || lane.metrics().running == 3);
    let now = lane.metrics();
    assert_eq!((now.queued, now.queued_normal, now.most_running), (7, 7, Some(3)));
    gate.open();
    jobs.into_iter().for_each(|job| outcome(job).expect("it returns"));
    let end = lane.metrics();
    assert_eq!((end.running, end.queued, end.most_running), (0, 0, Some(3)));
    assert_eq!((end.returned, end.queue_wait.count(), end.run_time.count()), (11, 11, 11));
    assert_eq!(end.name, "three");
    outcome(lane.spawn_blocking(|| ())).expect("it returns");
    assert_eq!(lane.metrics().most_running, Some(3), "it never falls");
}

#[test]
fn a_lane_within_a_lane_counts_for_itself_but_for_the_mark() {
    let pool = wide();
    let outer = pool.lane("outer").limit(2);
    let (inner, free) = (outer.lane("inner").limit(5), pool.lane("free"));
    outcome(inner.spawn_blocking(|| ())).expect("it returns");
    outcome(free.spawn_blocking(|| ())).expect("it returns");
    let (outer, inner, free) = (outer.metrics(), inner.metrics(), free.metrics());
    assert_eq!((outer.accepted, inner.accepted, free.accepted), (0, 1, 1));
    let marks = [outer.most_running, inner.most_running, free.most_running];
    assert_eq!((marks, free.limit), ([Some(1), Some(1), None], None));
    assert_eq!(pool.metrics().returned, 2);
}

/// The outcomes of a pool's jobs, or a lane's.
macro_rules! ends {
    ($of:expr) => {{
        let of = $of;
        let stopped = [of.cancelled_queued, of.cancelled_running];
        let late = [of.timed_out_queued, of.timed_out_running];
        ([of.rejected, of.returned, of.failed, of.panicked], stopped, late)
    }};
}

#[test]
fn what_becomes_of_a_lanes_jobs_is_counted_there_and_in_its_pool() {
    let pool = pool_of(1);
    let lane = pool.lane("all").limit(1).queue_limit(1).when_full(WhenFull::DropOldest);
    outcome(pool.spawn_blocking(|| ())).expect("it returns"); // not of the lane
    outcome(lane.spawn_blocking(|| ())).expect("it returns");
    error(lane.spawn(|_| -> Result<(), _> { Err(1) }));
    error(lane.spawn_blocking(|| quiet_panic("seen")));
    error(lane.job().run_timeout(ms(2)).spawn(|cx| cx.sleep(std::time::Duration::MAX)));
    let busy = Busy::all(&pool, 1);
    let high = |lane: &punctual::Lane| lane.job().priority(Priority::High).spawn_blocking(|| ());
    let let_through = high(&lane); // it has the lane's permit, and its place until it is started
    let waits = lane.job().queue_timeout(ms(2)).spawn_blocking(|| ());
    assert!(error(let_through).is_rejected(), "it was dropped for the next one");
    until("it is timed out", || waits.is_finished());
    lane.spawn_blocking(|| ()).cancel();
    let last = high(&lane);
    let now = lane.metrics();
    assert_eq!((now.queued, now.queued_high, now.queued_normal, now.running), (1, 1, 0, 0));
    assert_eq!((now.accepted, now.unresolved(), pool.metrics().unresolved()), (8, 1, 2));
    drop(busy);
    outcome(last).expect("it returns");
    let refused = lane.job().try_spawn(|_| Ok::<_, ()>(()));
    outcome(refused.expect("there is a place")).expect("it returns");
    pool.drain().wait();
    let refused = lane.job().try_spawn(|_| Ok::<_, ()>(())).expect_err("it is closed");
    assert_eq!(refused.why(), Rejection::ShutDown);
    let (in_all, of_lane) = (pool.metrics(), lane.metrics());
    assert_eq!(ends!(&of_lane), ([2, 3, 1, 1], [1, 0], [1, 1]));
    assert_eq!(ends!(&in_all), ([2, 5, 1, 1], [1, 0], [1, 1]), "two are not of the lane");
    assert_eq!((of_lane.accepted, in_all.accepted), (9, 11));
}

/// Laws 10 and 11, at every instant, for a lane as for its pool.
#[test]
fn every_snapshot_of_a_lane_adds_up_and_keeps_the_bounds() {
    const LIMIT: usize = 2;
    const QUEUE: usize = 8;
    for policy in [WhenFull::Reject, WhenFull::DropOldest, WhenFull::CallerRuns] {
        let pool = Pool::builder().threads(4..=4).build().expect("threads");
        let lane = pool.lane("narrow").limit(LIMIT).queue_limit(QUEUE).when_full(policy);
        let over = AtomicBool::new(false);
        thread::scope(|s| {
            let submit = || {
                for n in 0..5_000 {
                    let job = lane.spawn_blocking(|| ());
                    if n % 5 == 0 {
                        job.cancel();
                    }
                }
            };
            let look = || {
                let mut last = LaneMetrics::default();
                while !over.load(Ordering::Relaxed) {
                    let (now, all) = (lane.metrics(), pool.metrics());
                    assert!(now.resolved() <= now.accepted, "{now:?}");
                    assert!(all.resolved() <= all.accepted, "{all:?}");
                    assert!(now.running <= LIMIT && now.most_running <= Some(LIMIT), "{now:?}");
                    let beyond = if policy == WhenFull::CallerRuns { 2 } else { 0 };
                    assert!(now.queued <= QUEUE + beyond, "{now:?}");
                    assert!(now.most_running >= last.most_running, "{now:?}");
                    assert!(
                        now.accepted >= last.accepted && now.rejected >= last.rejected,
                        "{now:?}"
                    );
                    last = now;
                }
            };
            let looking = s.spawn(look);
            let submitting = [s.spawn(submit), s.spawn(submit)];
            submitting.into_iter().for_each(|thread| thread.join().expect("no panic"));
            over.store(true, Ordering::Relaxed);
            looking.join().expect("every snapshot is right");
        });
        pool.drain().wait();
        let (end, all) = (lane.metrics(), pool.metrics());
        assert_eq!((end.accepted, end.queued, end.running), (end.resolved(), 0, 0), "{policy:?}");
        assert_eq!(end.accepted + end.rejected - end.rejected_queued, 10_000, "{policy:?}");
        assert_eq!((end.accepted, end.rejected), (all.accepted, all.rejected), "{policy:?}");
        let never_ran = end.cancelled_queued + end.rejected_queued;
        assert_eq!(end.run_time.count(), end.accepted - never_ran, "{policy:?}");
    }
}

#[test]
fn the_lanes_of_a_pool_are_listed_as_they_came_and_while_they_are_there() {
    let pool = pool_of(1);
    assert!(pool.lanes().is_empty(), "the pool itself is none of them");
    let [first, second] = ["first", "second"].map(|name| pool.lane(name).limit(2));
    let (inner, twin) = (first.lane("inner"), pool.lane("second").queue_limit(1));
    outcome(second.spawn_blocking(|| ())).expect("it returns");
    outcome(pool.spawn_blocking(|| ())).expect("it returns");
    error(inner.spawn(|_| -> Result<(), _> { Err(1) }));
    let names = || pool.lanes().into_iter().map(|lane| lane.name).collect::<Vec<_>>();
    assert_eq!(names(), ["second", "inner"], "the others have had no job");
    let place = twin.try_reserve().expect("a place");
    assert!(error(twin.spawn_blocking(|| ())).is_rejected());
    drop(place);
    outcome(first.spawn_blocking(|| ())).expect("it returns");
    until("all are through", || pool.lanes().iter().all(|lane| lane.running == 0));
    let own = [&second, &inner, &twin, &first].map(|lane| lane.metrics());
    assert_eq!(pool.lanes(), own);
    assert_eq!(
        own.each_ref().map(|lane| (lane.returned, lane.failed, lane.rejected)),
        [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0)]
    );
    drop(inner);
    until("it is gone", || names() == ["second", "second", "first"]);
    assert_eq!(pool.metrics().failed, 1);
}

#[test]
fn spare_threads_that_are_lent_are_counted() {
    let pool = Pool::builder().threads(1..=1).spare_threads(2).build().expect("a thread");
    assert_eq!(pool.metrics().spare, 0);
    let gate = Gate::default();
    for lent in [1, 2, 2] {
        let deaf = gate.clone();
        let job = pool.job().run_timeout(ms(2)).spawn_blocking(move || deaf.pass());
        assert!(error(job).is_timed_out());
        assert_eq!(pool.metrics().spare, lent);
    }
    gate.open();
    until("they are back", || pool.metrics().spare == 0);
}

#[test]
fn who_waits_in_a_job_is_lent_a_spare_thread_too() {
    let pool = Pool::builder().threads(2..=2).spare_threads(1).build().expect("threads");
    let (gate, (started, starts)) = (Gate::default(), news());
    let held = gate.clone();
    let slow = pool.spawn_blocking(move || {
        started.send(()).expect("the test listens");
        held.pass();
    });
    starts.next();
    let waits = pool.spawn_blocking(move || slow.wait().is_ok());
    until("it waits", || pool.metrics().spare == 1);
    gate.open();
    assert!(outcome(waits).expect("it returns"));
    assert_eq!(pool.metrics().spare, 0);
}

#[test]
fn what_is_known_of_a_job_names_its_lane() {
    let pool = wide();
    let outer = pool.lane("outer").limit(2);
    let inner = outer.lane(String::from("inner"));
    let lane = |info: punctual::JobInfo| info.lane().map(str::to_owned);
    assert_eq!(lane(pool.spawn_blocking(|| ()).info()), None);
    assert_eq!(lane(outer.spawn_blocking(|| ()).info()).as_deref(), Some("outer"));
    let permit = inner.try_reserve().expect("no limit").spawn_blocking(|| ());
    assert_eq!(lane(permit.info()).as_deref(), Some("inner"));
    let child = inner.spawn(move |cx| cx.job().spawn(move |cx| Ok::<_, ()>(cx.job())).wait());
    let grandchild = outcome(child).expect("it returns").spawn_blocking(|| ());
    assert_eq!(lane(grandchild.info()).as_deref(), Some("inner"));
    let (gate, (started, starts)) = (Gate::default(), news());
    let still = thread::scope(|threads| {
        threads.spawn(|| {
            inner.scope(|s| {
                s.spawn_blocking(|| {
                    started.send(()).expect("the test listens");
                    gate.pass();
                });
            });
        });
        starts.next();
        let report = pool.shutdown().within(ms(1)).wait();
        gate.open();
        report.still_running
    });
    let still: Vec<_> = still.into_iter().map(lane).collect();
    assert_eq!(still, [Some("inner".to_owned())]);
}

#[test]
fn each_lane_names_its_own_overdue_jobs() {
    let pool = wide();
    let outer = pool.lane("outer").limit(3);
    let inner = outer.lane("inner");
    let twin = pool.lane("outer"); // of the same name
    let gate = Gate::default();
    let deaf = |job: punctual::Job| {
        let gate = gate.clone();
        let job = job.run_timeout(ms(2)).spawn_blocking(move || gate.pass());
        assert!(error(job).is_timed_out());
    };
    deaf(pool.job().name("pool's"));
    deaf(outer.job().name("outer's"));
    deaf(inner.job().name("inner's"));
    let names = |overdue: Vec<punctual::JobInfo>| {
        let names = overdue.iter().map(|job| job.name().unwrap_or("").to_owned());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let (overdue, counted) = inner.scope(|s| {
        let job = s.with(inner.job().name("scoped").run_timeout(ms(2)));
        assert!(job.spawn_blocking(|| gate.pass()).wait().is_err());
        let overdue = [outer.overdue(), inner.overdue(), twin.overdue(), pool.overdue()];
        let counted = inner.metrics().overdue;
        gate.open();
        (overdue.map(names), counted)
    });
    let [own, within, of_twin, all] = overdue;
    assert!(own.iter().eq(["outer's"]) && within.iter().eq(["inner's", "scoped"]));
    assert_eq!((of_twin.len(), all.len(), counted), (0, 4, 2));
    until("they are back", || pool.overdue().is_empty());
}
