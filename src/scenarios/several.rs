//! Several jobs together: sets, maps and hedges, against those who end their jobs.

use crate::park;
use crate::scenarios::books::Books;
use crate::scenarios::scenarios;
use crate::scenarios::support::{Gate, Tally, builder, join, ms, poll};
use crate::sync::for_shuttle::chance;
use crate::sync::for_shuttle::thread::{spawn, yield_now};
use crate::testing::ManualClock;
use crate::{Checked, Hedge, JobSet, Pool, Stopped};
use std::future::poll_fn;
use std::pin::pin;

/// Every job comes out of a set once, be it ready when it is put in, or while somebody looks.
fn a_set_against_those_who_end_its_jobs() {
    let pool = builder().threads(1..=2).build().expect("threads");
    let books = Books::default();
    let entries = [books.entry(), books.entry(), books.entry()];
    let mut set = JobSet::on(&pool);
    let mut stoppers = vec![
        set.insert(pool.job().spawn(entries[0].looks(2))),
        set.spawn(entries[1].panics()),
        set.spawn(entries[2].deaf(1)),
    ];
    let stopper = stoppers[0].clone();
    let canceller = spawn(move || stopper.abort());
    let woken = Tally::default();
    while !set.is_empty() {
        if chance(2) == 0 {
            let _ = poll(&mut poll_fn(|cx| set.poll_join_next(cx).map(|_| ())), &woken);
            continue; // it may have taken one
        }
        let Some((id, outcome)) = park::wait(&mut pin!(set.join_next_with_id())) else { break };
        let at = stoppers.iter().position(|job| job.id() == id);
        let at = at.expect("it was put in, and did not come before");
        stoppers.remove(at);
        drop(outcome);
    }
    join([canceller]);
    books.close(pool);
}

/// However a set is left, its jobs end; after a shutdown none of them runs.
fn a_set_that_is_left_against_its_jobs() {
    let pool = builder().threads(1..=2).build().expect("threads");
    let books = Books::default();
    let entries = [books.entry(), books.entry(), books.entry()];
    let mut set = JobSet::on(&pool);
    for entry in &entries {
        set.spawn(entry.looks(2));
    }
    match chance(3) {
        0 => drop(set),
        1 => set.detach_all(),
        _ => {
            set.wait_shutdown();
            let at_rest = entries.iter().all(|entry| entry.was_called() == entry.has_returned());
            assert!(at_rest && set.is_empty(), "nothing of them runs");
        }
    }
    books.close(pool);
}

/// A map waits for its places in a full queue in line with others, and loses no input.
fn a_map_against_others_in_a_full_queue() {
    let pool = builder().threads(1..=2).queue_limit(1).build().expect("threads");
    let other = pool.clone();
    let others = spawn(move || {
        for _ in 0..2 {
            let permit = other.blocking_reserve().expect("it is open");
            permit.spawn_blocking(yield_now).wait().expect("it returns");
        }
    });
    let mut map =
        pool.map(0..4, |_, n| -> Checked<u32> { Ok(n) }).in_flight(1 + chance(3) as usize);
    let in_order = chance(2) == 0;
    if !in_order {
        map = map.unordered();
    }
    let mut all: Vec<_> = map.into_iter().map(|n| n.expect("it is never refused")).collect();
    if !in_order {
        all.sort_unstable();
    }
    assert_eq!(all, [0, 1, 2, 3]);
    join([others]);
    close(&pool);
}

/// A hedge whose first try is cancelled, or ends only when the second has begun: its alarm must not be
/// missed, whenever the clock is moved.
fn a_hedge_against_its_alarm() {
    let clock = ManualClock::new();
    let pool = builder().clock(&clock).threads(2..=2).build().expect("threads");
    let (tries, both, fails) = (Tally::default(), Gate::default(), chance(4) == 0);
    let count = tries.clone();
    let hedge: Hedge<usize, Stopped> = pool.hedge(ms(5), move |cx| {
        count.add();
        let number = count.get();
        if fails && number == 1 {
            cx.token().cancel();
            cx.check()?;
        }
        match number {
            1 => both.pass(),
            _ => both.open(),
        }
        Ok(number)
    });
    let mover = spawn(move || clock.advance(ms(5)));
    match hedge.wait() {
        Ok(number) => assert!(number <= tries.get() && tries.get() <= 2),
        Err(error) => assert!(fails && error.is_cancelled(), "{error:?}"),
    }
    assert_eq!(pool.metrics().timers, 0, "it leaves no alarm");
    join([mover]);
    close(&pool);
}

/// A hedge is dropped, polled or not, as its alarm rings; by the system's clock.
fn a_dropped_hedge_against_its_alarm() {
    let pool = builder().threads(1..=2).build().expect("threads");
    let mut hedge = pool.hedge(ms(1), |cx| cx.sleep(ms(50)));
    let woken = Tally::default();
    for _ in 0..chance(3) {
        if poll(&mut hedge, &woken).is_ready() {
            break;
        }
        yield_now();
    }
    drop(hedge);
    close(&pool);
}

/// Waits until the pool has ended: what was accepted has an outcome, and nothing is left.
fn close(pool: &Pool) {
    let report = pool.drain().wait();
    assert!(report.still_running.is_empty() && report.never_started.is_empty(), "{report:?}");
    while pool.metrics().timers > 0 {
        yield_now(); // a last alarm of the shutdown's own
    }
    let metrics = pool.metrics();
    let left = (metrics.queued, metrics.overdue, metrics.threads, metrics.unresolved());
    assert_eq!(left, (0, 0, 0, 0), "{metrics:?}");
}

scenarios! {
    a_set_against_those_who_end_its_jobs
    a_set_that_is_left_against_its_jobs
    a_map_against_others_in_a_full_queue
    a_hedge_against_its_alarm
    a_dropped_hedge_against_its_alarm
}
