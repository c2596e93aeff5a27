//! A lane never exceeds its limit, and its permit is held until the body really returns, overdue or not.
//! Threads ≤ max + spare.

use crate::support::{Busy, Gate, error, ms, news, outcome, pool_of, quiet_panic, until};
use punctual::{JobError, JobHandle, Lane, Order, Pool, Rejection};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn wide() -> Pool {
    Pool::builder().threads(0..=16).build().expect("no thread is started yet")
}

/// Jobs that are held at a gate once they have started.
fn held(lane: &Lane, count: usize) -> (Gate, Vec<JobHandle<()>>) {
    let gate = Gate::default();
    let hold = |_| {
        let gate = gate.clone();
        lane.spawn_blocking(move || gate.pass())
    };
    let jobs = (0..count).map(hold).collect();
    (gate, jobs)
}

#[test]
fn as_many_run_as_the_limit_allows_and_no_more() {
    let pool = wide();
    let lane = pool.lane("four").limit(4);
    let (gate, jobs) = held(&lane, 20);
    until("four run", || lane.load().running == 4);
    assert_eq!((lane.load().queued, pool.metrics().threads), (16, 4));
    assert_eq!(outcome(pool.spawn_blocking(|| 1)).ok(), Some(1), "others are not delayed");
    assert_eq!(outcome(pool.lane("other").limit(1).spawn_blocking(|| 2)).ok(), Some(2));
    assert_eq!(lane.load().queued, 16);
    gate.open();
    assert!(jobs.into_iter().all(|job| outcome(job).is_ok()));
    assert_eq!((lane.load().running, lane.load().queued), (0, 0));
}

/// Not one of the ten thousand has to end before another lane's job is started.
#[test]
fn a_lane_with_ten_thousand_jobs_delays_no_other() {
    for elastic in [false, true] {
        let pool = pool_of(if elastic { 1 } else { 5 });
        let lane = pool.lane("four").limit(4);
        let lane = if elastic { lane.elastic() } else { lane };
        let (gate, jobs) = held(&lane, 10_000);
        until("four run", || lane.load().running == 4);
        let other = pool.lane("other").limit(1);
        for n in 0..100 {
            assert_eq!(outcome(other.spawn_blocking(move || n)).ok(), Some(n));
            assert_eq!(outcome(pool.spawn_blocking(move || n)).ok(), Some(n));
        }
        assert_eq!((lane.load().running, lane.load().queued), (4, 9996));
        let end = pool.shutdown();
        gate.open();
        assert_eq!(end.wait().never_started.len(), 9996);
        assert!(jobs.iter().all(JobHandle::is_finished));
        assert_eq!(lane.metrics().most_running, Some(4));
    }
}

/// In whatever way its jobs end, a lane is at its limit at most, and at last free again.
#[test]
fn every_end_gives_its_permit_on() {
    for order in [Order::EarliestDeadline, Order::Fifo] {
        let pool = Pool::builder().threads(0..=8).order(order).on_unseen_panic(drop);
        let pool = pool.build().expect("no thread is started yet");
        let lane = pool.lane("three").limit(3);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs: Vec<JobHandle<()>> = (0..600_u64)
            .map(|n| {
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                let settings = lane.job().timeout(if n % 5 == 0 { ms(n % 7) } else { ms(60_000) });
                let job = settings.spawn_blocking(move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    (0..n % 50).for_each(|_| std::thread::yield_now());
                    now.fetch_sub(1, Ordering::SeqCst);
                    if n % 11 == 0 {
                        quiet_panic("on purpose");
                    }
                });
                if n % 3 == 0 {
                    job.cancel();
                }
                job
            })
            .collect();
        for job in jobs {
            let _ = outcome(job);
        }
        assert!(most.load(Ordering::SeqCst) <= 3, "{most:?}");
        until("all permits are back", || lane.load().running == 0);
        let (gate, jobs) = held(&lane, 3);
        until("three may run again", || lane.load().running == 3);
        gate.open();
        assert!(jobs.into_iter().all(|job| outcome(job).is_ok()));
    }
}

#[test]
fn an_overdue_body_keeps_its_permit() {
    let pool = wide();
    let lane = pool.lane("one").limit(1);
    let gate = Gate::default();
    let deaf = gate.clone();
    let mut job = lane.job().run_timeout(ms(5)).spawn_blocking(move || deaf.pass());
    assert!(job.wait_timeout(crate::support::PATIENCE).expect("in time").is_err());
    let next = lane.spawn_blocking(|| 2);
    assert_eq!(outcome(pool.spawn_blocking(|| 1)).ok(), Some(1));
    assert!(!next.is_finished(), "the body of the other is still at it");
    gate.open();
    assert_eq!(outcome(next).ok(), Some(2));
}

#[test]
fn what_waits_in_a_lane_ends_at_once() {
    let pool = wide();
    let lane = pool.lane("one").limit(1).queue_limit(2);
    let (gate, first) = held(&lane, 1);
    until("it runs", || lane.load().running == 1);
    let [late, cancelled] = [ms(5), Duration::from_secs(3600)]
        .map(|time| lane.job().timeout(time).spawn_blocking(|| ()));
    assert!(matches!(error(lane.spawn_blocking(|| ())), JobError::Rejected(Rejection::QueueFull)));
    assert_eq!(cancelled.cancel(), Some(punctual::Phase::Queued));
    assert!(error(cancelled).is_cancelled());
    assert!(error(late).is_timed_out());
    assert!(lane.try_reserve().is_ok(), "their places are free");
    gate.open();
    assert!(first.into_iter().all(|job| outcome(job).is_ok()));
}

#[test]
fn lanes_nest_and_each_limit_holds() {
    let pool = wide();
    let outer = pool.lane("outer").limit(3);
    let inner = outer.lane("inner").limit(2);
    let (gate, mut jobs) = held(&inner, 4);
    until("two of the inner run", || inner.load().running == 2);
    let (more, others) = held(&outer, 4);
    until("one of the outer runs", || outer.load().running == 1);
    assert_eq!(pool.metrics().threads, 3);
    jobs.pop().expect("one waits").cancel();
    gate.open();
    until("three of the outer run", || outer.load().running == 3);
    more.open();
    let ended = jobs.into_iter().chain(others).filter_map(|job| outcome(job).ok()).count();
    assert_eq!(ended, 7);
}

#[test]
fn a_shutdown_ends_what_waits_in_lanes() {
    let pool = wide();
    let outer = pool.lane("outer").limit(1);
    let (gate, jobs) = held(&outer.lane("inner").limit(1), 5_000);
    until("one runs", || pool.metrics().threads == 1);
    let end = pool.shutdown();
    gate.open();
    let report = end.wait();
    assert_eq!(report.finished + report.never_started.len() as u64, 5_000);
    assert!(report.never_started.len() >= 4_998, "{report}");
    let ended = jobs.into_iter().map(outcome).filter(Result::is_err).count();
    assert_eq!(ended, report.never_started.len());
}

#[test]
fn a_drain_does_what_waits_in_lanes() {
    let pool = wide();
    let lane = pool.lane("one").limit(1);
    let (gate, jobs) = held(&lane, 100);
    let end = pool.drain();
    assert!(error(lane.spawn_blocking(|| ())).is_cancelled());
    gate.open();
    assert_eq!(end.wait().finished, 100);
    assert!(jobs.into_iter().all(|job| outcome(job).is_ok()));
}

#[test]
fn an_elastic_lane_has_threads_of_its_own_and_takes_none_from_others() {
    let pool = Pool::builder().threads(2..=2).keep_alive(Duration::ZERO).build().expect("threads");
    let busy = Busy::all(&pool, 2);
    let lane = pool.lane("blocking").limit(3).elastic();
    let (gate, jobs) = held(&lane, 5);
    until("three run", || lane.load().running == 3);
    assert_eq!(pool.metrics().threads, 5);
    let waits = pool.spawn_blocking(|| ());
    drop(busy);
    outcome(waits).expect("the others' threads are theirs");
    let busy = Busy::all(&pool, 2);
    gate.open();
    assert!(jobs.into_iter().all(|job| outcome(job).is_ok()));
    until("its threads leave", || pool.metrics().threads == 2);
    drop(busy);
}

#[test]
fn a_job_that_waits_for_one_of_its_own_lane_lends_it_its_permit() {
    let pool = pool_of(1);
    let lane = pool.lane("one").limit(1);
    let inner = lane.clone();
    let waits = lane.spawn_blocking(move || {
        let innermost = inner.clone();
        let job = inner.spawn_blocking(move || innermost.spawn_blocking(|| 7).wait());
        job.wait().expect("it returns").expect("it returns")
    });
    assert_eq!(outcome(waits).ok(), Some(7));
    assert_eq!(outcome(lane.spawn_blocking(|| 8)).ok(), Some(8));
    assert_eq!(lane.load().running, 0);
}

#[test]
fn a_permit_that_was_lent_is_given_back_once() {
    let pool = wide();
    let lane = pool.lane("one").limit(1);
    let inner = lane.clone();
    let waits = lane.spawn_blocking(move || {
        inner.spawn_blocking(|| ()).wait().expect("it returns");
        let next = inner.spawn_blocking(|| ());
        let others = Busy::all(&Pool::new(), 1); // time for it to start, if it could
        drop(others);
        assert_eq!((inner.load().running, next.is_finished()), (1, false), "its permit is taken");
        next.cancel();
    });
    outcome(waits).expect("it returns");
}

#[test]
fn an_elastic_job_is_not_behind_those_whose_threads_are_taken() {
    let pool = pool_of(1);
    let busy = Busy::all(&pool, 1);
    let gate = Gate::default();
    let hold = |_| {
        let gate = gate.clone();
        pool.spawn_blocking(move || gate.pass())
    };
    let behind: Vec<_> = (0..10).map(hold).collect();
    let lane = pool.lane("blocking").limit(1).elastic();
    assert_eq!(outcome(lane.spawn_blocking(|| 1)).ok(), Some(1));
    gate.open();
    drop(busy);
    assert!(behind.into_iter().all(|job| outcome(job).is_ok()));
}

#[test]
fn a_spare_thread_takes_the_place_of_an_overdue_one() {
    let pool = Pool::builder().threads(1..=1).spare_threads(2).keep_alive(Duration::MAX);
    let pool = pool.build().expect("a thread");
    let gate = Gate::default();
    let deaf = |_| {
        let gate = gate.clone();
        pool.job().run_timeout(ms(5)).spawn_blocking(move || gate.pass())
    };
    for n in 1..=2 {
        assert!(error(deaf(n)).is_timed_out());
        assert_eq!(outcome(pool.spawn_blocking(move || n)).ok(), Some(n), "a spare one runs it");
    }
    assert!(error(deaf(3)).is_timed_out());
    assert_eq!((pool.metrics().threads, pool.overdue().len()), (3, 3));
    let waits = pool.spawn_blocking(|| 4);
    assert!(!waits.is_finished(), "all spare ones are used up");
    gate.open();
    assert_eq!(outcome(waits).ok(), Some(4));
    until("they are back", || pool.overdue().is_empty());
    let _busy = Busy::all(&pool, 1);
    until("they leave", || pool.metrics().threads == 1);
}

#[test]
fn what_a_leaving_thread_had_submitted_is_run_by_others() {
    let pool = Pool::builder().threads(1..=1).spare_threads(1).build().expect("a thread");
    let (gate, inner) = (Gate::default(), pool.clone());
    let (deaf, (send, jobs)) = (gate.clone(), news());
    let late = pool.job().run_timeout(ms(5)).spawn_blocking(move || {
        deaf.pass();
        for n in 0..100 {
            send.send(inner.spawn_blocking(move || n)).expect("the test listens");
        }
    });
    assert!(error(late).is_timed_out());
    let busy = Busy::all(&pool, 1); // on the spare thread: the other leaves when it is free
    gate.open();
    let jobs: Vec<_> = (0..100).map(|_| jobs.next()).collect();
    drop(busy);
    for (n, job) in (0..).zip(jobs) {
        assert_eq!(outcome(job).ok(), Some(n));
    }
}
