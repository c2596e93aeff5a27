//! `Pool::map`: one outcome for each input, so many at a time, none lost to a full queue.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use futures_util::{FutureExt, Stream, StreamExt};
use proptest::prelude::*;
use punctual::testing::ManualClock;
use punctual::{Cause, Checked, JobError, Map, MapIter, Phase, Pool, Rejection};
use static_assertions::{assert_impl_all, assert_not_impl_any};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;
use support::{Busy, Drops, Gate, OnDrop, PATIENCE, ms, news, pool_of, quiet_panic, until};

type Inputs = std::ops::Range<u8>;
assert_impl_all!(Map<Inputs, u8>: Send, Unpin, std::fmt::Debug, IntoIterator);
assert_impl_all!(MapIter<Inputs, u8>: Iterator, std::iter::FusedIterator, std::fmt::Debug);
assert_impl_all!(Map<Inputs, u8>: Stream<Item = Result<u8, JobError>>);
assert_impl_all!(Map<std::vec::IntoIter<std::marker::PhantomPinned>, u8>: Unpin);
assert_not_impl_any!(Map<Inputs, u8>: Iterator); // `next` would be ambiguous

/// The next outcome, which must come.
#[track_caller]
fn next<I, T, E>(map: &mut Map<I, T, E>) -> Result<T, JobError<E>>
where
    I: Iterator<Item: Send + 'static>,
    T: Send + 'static,
    E: Send + 'static,
{
    map.wait_next_timeout(PATIENCE).expect("an outcome comes")
}

/// A pool whose queue takes so many jobs.
fn bounded(threads: usize, limit: usize) -> Pool {
    Pool::builder().threads(threads..=threads).queue_limit(limit).build().expect("threads")
}

/// What becomes of the job of an input.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Returns,
    Dawdles,
    Fails,
    Panics,
}

#[derive(Clone, Copy, Debug)]
enum Take {
    Wait,
    /// A future that is polled once and dropped, as often as need be.
    Glance,
    Stream,
}

fn run(kind: Kind, n: usize) -> Result<usize, usize> {
    match kind {
        Kind::Returns => Ok(n),
        Kind::Dawdles => {
            (0..30).for_each(|_| std::thread::yield_now());
            Ok(n)
        }
        Kind::Fails => Err(n),
        Kind::Panics => std::panic::resume_unwind(Box::new(n)),
    }
}

/// The number of the input that an outcome comes from.
fn number(kinds: &[Kind], outcome: Result<usize, JobError<usize>>) -> usize {
    let (n, fits) = match outcome {
        Ok(n) => (n, matches!(kinds[n], Kind::Returns | Kind::Dawdles)),
        Err(JobError::Failed(n)) => (n, kinds[n] == Kind::Fails),
        Err(JobError::Panicked(panic)) => {
            let n = *panic.into_payload().downcast_ref().expect("a number");
            (n, kinds[n] == Kind::Panics)
        }
        Err(other) => panic!("neither of the body's: {other}"),
    };
    assert!(fits, "{n} is of another kind");
    n
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_input_gives_one_outcome_whatever_becomes_of_it(
        kinds in prop::collection::vec(
            prop::sample::select(vec![Kind::Returns, Kind::Dawdles, Kind::Fails, Kind::Panics]),
            0..40,
        ),
        take in prop::sample::select(vec![Take::Wait, Take::Glance, Take::Stream]),
        threads in 1..4_usize,
        limit in prop::option::of(1..4_usize),
        in_flight in 1..6_usize,
        unordered: bool,
    ) {
        let builder = Pool::builder().threads(threads..=threads);
        let builder = match limit {
            Some(limit) => builder.queue_limit(limit),
            None => builder,
        };
        let pool = builder.build().expect("threads");
        let pulled = Cell::new(0);
        let inputs = kinds.iter().copied().enumerate().inspect(|_| pulled.set(pulled.get() + 1));
        let mut map = pool.map(inputs, |_, (n, kind)| run(kind, n)).in_flight(in_flight);
        if unordered {
            map = map.unordered();
        }
        prop_assert_eq!(pulled.get(), 0, "nobody asked for any");
        let mut seen = Vec::new();
        loop {
            let outcome = match take {
                Take::Wait => map.wait_next(),
                Take::Glance => loop {
                    if let Some(outcome) = map.next().now_or_never() {
                        break outcome;
                    }
                    std::thread::yield_now();
                },
                Take::Stream => futures_lite::future::block_on(StreamExt::next(&mut map)),
            };
            let Some(outcome) = outcome else { break };
            seen.push(number(&kinds, outcome));
            prop_assert!(pulled.get() < seen.len() + in_flight, "more than there is room for");
            let waits = pulled.get() - seen.len() - map.out();
            prop_assert!(waits <= usize::from(limit.is_some()), "one may wait for a place");
        }
        if unordered {
            seen.sort_unstable();
        }
        prop_assert!(seen.into_iter().eq(0..kinds.len()));
        prop_assert!(map.wait_next().is_none() && map.out() == 0);
    }
}

#[test]
fn with_a_slow_head_no_more_are_pulled_than_there_is_room_for() {
    let pool = pool_of(2);
    let gate = Gate::default();
    let (done, dones) = news();
    let pulled = Rc::new(Cell::new(0)); // inputs need not be `Send`
    let count = Rc::clone(&pulled);
    let inputs = (0..).inspect(move |_| count.set(count.get() + 1));
    let pass = gate.clone();
    let body = move |_: &_, n| -> Checked<i32> {
        if n == 0 {
            pass.pass();
        } else {
            done.send(n).expect("the test listens");
        }
        Ok(n)
    };
    let mut map = pool.map(inputs, body).in_flight(4);
    assert!(map.next().now_or_never().is_none(), "the head is slow");
    let mut others = [dones.next(), dones.next(), dones.next()];
    others.sort_unstable();
    assert_eq!(others, [1, 2, 3], "the others are not");
    for _ in 0..3 {
        assert!(map.next().now_or_never().is_none());
        assert_eq!((pulled.get(), map.out()), (4, 4));
    }
    gate.open();
    assert!((0..100).all(|n| next(&mut map).is_ok_and(|came| came == n)));
    assert!(pulled.get() <= 104, "{}", pulled.get());
}

#[test]
fn unordered_a_slow_one_holds_nobody_up() {
    let pool = pool_of(2);
    let gate = Gate::default();
    let pass = gate.clone();
    let body = move |_: &_, n| -> Checked<i32> {
        if n == 0 {
            pass.pass();
        }
        Ok(n)
    };
    let mut map = pool.map(0..50, body).in_flight(3);
    assert!(map.next().now_or_never().is_none());
    map = map.unordered(); // also with jobs out
    let mut others: Vec<_> = (1..50).map(|_| next(&mut map).expect("it returns")).collect();
    others.sort_unstable();
    assert!(others.into_iter().eq(1..50));
    gate.open();
    assert_eq!(next(&mut map).expect("it returns"), 0);
    assert!(map.wait_next().is_none());
}

#[test]
fn without_a_bound_as_many_are_in_flight_as_there_may_be_threads() {
    let pool = Pool::builder().threads(0..=3).build().expect("no thread yet");
    let mut map = pool.map(0.., |_, n| -> Checked<i32> { Ok(n) });
    assert_eq!(next(&mut map).expect("it returns"), 0);
    assert_eq!((pool.metrics().accepted, map.out()), (3, 2));
    let mut one = pool.map(0.., |_, n| -> Checked<i32> { Ok(n) }).in_flight(0);
    assert!(next(&mut one).is_ok() && one.out() == 0);
}

#[test]
fn a_full_queue_loses_no_input() {
    let pool = bounded(1, 1);
    let busy = Busy::all(&pool, 1);
    let others = pool.spawn_blocking(|| ()); // the only place is taken
    let mut map = pool.map(0..10, |_, n| -> Checked<i32> { Ok(n) }).in_flight(4);
    for _ in 0..3 {
        assert!(map.next().now_or_never().is_none());
        assert_eq!(map.out(), 0, "it waits for a place");
    }
    drop(busy);
    for n in 0..10 {
        assert_eq!(next(&mut map).expect("it is never refused"), n);
    }
    assert!(map.wait_next().is_none());
    others.wait().expect("it returns");
    assert_eq!((pool.metrics().rejected, pool.metrics().accepted), (0, 12));
}

#[test]
fn a_map_keeps_no_place_from_others_while_its_consumer_is_busy() {
    let pool = bounded(1, 1);
    let gate = Gate::default();
    let pass = gate.clone();
    let body = move |_: &_, n| -> Checked<i32> {
        if n == 1 {
            pass.pass();
        }
        Ok(n)
    };
    let mut map = pool.map(0..10, body).in_flight(5);
    assert_eq!(next(&mut map).expect("it returns"), 0);
    // Whether it stood in line or not: now it does not.
    gate.open();
    until("the queue is empty", || pool.metrics().queued == 0);
    let permit = pool.try_reserve().expect("nobody else stands in line");
    drop(permit);
    assert!((1..10).all(|n| next(&mut map).is_ok_and(|came| came == n)));
}

#[test]
fn a_map_that_waits_for_a_place_still_gives_what_is_ready() {
    let pool = bounded(1, 1);
    let mut map = pool.map(0..4, |_, n| -> Checked<i32> { Ok(n) }).in_flight(3);
    assert_eq!(next(&mut map).expect("it returns"), 0);
    until("what is out has started", || pool.metrics().queued == 0);
    let busy = Busy::all(&pool, 1);
    let _queued = pool.spawn_blocking(|| ());
    let out = map.out();
    for n in 1..=out {
        assert_eq!(next(&mut map).expect("it returns"), n as i32);
    }
    drop(busy);
    assert_eq!(map.into_iter().count(), 3 - out);
}

#[test]
fn an_input_that_panics_passes_through_and_ends_the_inputs() {
    let pool = pool_of(1);
    let inputs = (0..).inspect(|n| {
        if *n == 2 {
            quiet_panic("no more of these");
        }
    });
    let mut map = pool.map(inputs, |_, n| -> Checked<i32> { Ok(n) }).in_flight(5);
    let caught = catch_unwind(AssertUnwindSafe(|| map.wait_next()));
    assert!(caught.is_err(), "it is the consumer's own code");
    assert_eq!(map.out(), 2);
    let out = map.into_iter().take(10).map(|n| n.expect("it returns"));
    assert_eq!(out.collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_cancelled_map_pulls_no_more_and_gives_what_is_out() {
    let pool = pool_of(1);
    let (on, is_on) = news();
    let (ran, runs) = news();
    let body = move |cx: &punctual::JobContext, n| {
        ran.send(n).expect("the test listens");
        on.send(()).expect("the test listens");
        cx.sleep(Duration::MAX)
    };
    let drops = Drops::default();
    let pulled = RefCell::new(0);
    let inputs = (0..).inspect(|_| *pulled.borrow_mut() += 1);
    let mut map = pool.map(inputs, body).in_flight(20);
    let guard = drops.value();
    assert!(map.next().now_or_never().is_none());
    is_on.next();
    map.cancel();
    map.cancel();
    let ends: Vec<_> = map.into_iter().map(|end| end.expect_err("it is cancelled")).collect();
    drop(guard);
    assert_eq!((ends.len(), *pulled.borrow()), (20, 20));
    assert!(ends.iter().all(JobError::is_cancelled));
    let queued = ends.iter().filter(|end| end.phase() == Some(Phase::Queued)).count();
    assert_eq!((queued, runs.next()), (19, 0));
    runs.assert_over();
}

#[test]
fn a_cancelled_map_drops_the_input_that_had_no_place() {
    let pool = bounded(1, 1);
    let busy = Busy::all(&pool, 1);
    let (send, dropped) = news();
    let inputs = (0..).map(move |n| {
        let send = send.clone();
        OnDrop(move || send.send(n).expect("the test listens"))
    });
    let mut map = pool.map(inputs, |_, input| -> Checked<()> {
        drop(input);
        Ok(())
    });
    map = map.in_flight(5);
    assert!(map.next().now_or_never().is_none());
    assert_eq!(map.out(), 1, "the other has no place");
    map.cancel();
    let mut gone = [dropped.next(), dropped.next()];
    gone.sort_unstable();
    assert_eq!(gone, [0, 1]);
    assert_eq!(map.into_iter().count(), 1);
    assert!(pool.try_reserve().is_ok(), "it stands in line no more");
    drop(busy);
}

#[test]
fn a_dropped_map_stops_what_is_out() {
    for unordered in [false, true] {
        let pool = pool_of(1);
        let (told, causes) = news();
        let (on, is_on) = news();
        let mut map = pool.map(0.., move |cx, _: u32| {
            let told = told.clone();
            let _guard = cx.on_stop(move |cause| told.send(cause).expect("the test listens"));
            on.send(()).expect("the test listens");
            cx.sleep(Duration::MAX)
        });
        map = if unordered { map.unordered() } else { map }.in_flight(5);
        assert!(map.next().now_or_never().is_none());
        is_on.next();
        drop(map);
        assert_eq!(causes.next(), Cause::Dropped);
        pool.drain().wait();
        let metrics = pool.metrics();
        assert_eq!((metrics.cancelled_running, metrics.cancelled_queued), (1, 4));
    }
}

#[test]
fn a_map_of_endless_inputs_ends_with_its_pool() {
    for limit in [None, Some(2)] {
        let builder = Pool::builder().threads(1..=1);
        let builder = match limit {
            Some(limit) => builder.queue_limit(limit),
            None => builder,
        };
        let pool = builder.build().expect("a thread");
        let gate = Gate::default();
        let pass = gate.clone();
        let mut map = pool.map(0.., move |_, n| -> Checked<u32> {
            pass.pass();
            Ok(n)
        });
        map = map.in_flight(10);
        assert!(map.next().now_or_never().is_none());
        let accepted = pool.metrics().accepted as usize;
        let closing = pool.drain();
        gate.open();
        let ends: Vec<_> = map.into_iter().take(accepted + 30).collect();
        assert!(ends[..accepted].iter().all(Result::is_ok), "what was accepted is done: {ends:?}");
        let rest = &ends[accepted..];
        assert!(matches!(rest, [Err(JobError::Rejected(Rejection::ShutDown))]), "{rest:?}");
        closing.wait();
    }
}

#[test]
fn each_job_has_the_settings() {
    let clock = ManualClock::new();
    let pool = Pool::builder().clock(&clock).threads(1..=1).build().expect("a thread");
    let (on, is_on) = news();
    let each = pool.job().name("each").timeout(ms(10));
    let line = line!() + 1;
    let mut map = each.map([1, 2], move |cx, _| {
        on.send(()).expect("the test listens");
        cx.sleep(Duration::MAX)
    });
    map = map.in_flight(1);
    for _ in 0..2 {
        assert!(map.next().now_or_never().is_none());
        is_on.next();
        clock.advance(ms(9));
        assert!(map.next().now_or_never().is_none(), "its own time is not up");
        clock.advance(ms(1));
        let error = next(&mut map).expect_err("its time is up");
        assert!(error.is_timed_out());
        let text = error.to_string();
        let place = format!("spawned at tests/map.rs:{line}:");
        assert!(text.starts_with("job `each` (") && text.contains(&place), "{text}");
    }
    assert!(map.wait_next().is_none());
    assert_eq!(pool.metrics().timers, 0);
}

#[test]
fn a_map_of_children_is_stopped_with_their_parent() {
    let pool = pool_of(4);
    let (on, is_on) = news();
    let parent = pool.spawn(move |cx| {
        let mut naps = cx.job().map([(); 3], move |cx, ()| {
            on.send(()).expect("the test listens");
            cx.sleep(Duration::MAX)
        });
        let causes = std::iter::from_fn(|| naps.wait_next()).map(|nap| match nap {
            Err(JobError::Cancelled(stop)) => stop.cause(),
            other => panic!("{other:?}"),
        });
        Checked::Ok(causes.collect::<Vec<_>>())
    });
    for _ in 0..3 {
        is_on.next();
    }
    assert_eq!(parent.cancel(), Some(Phase::Running));
    assert_eq!(support::outcome(parent).expect("it has the last word"), [Cause::Parent; 3]);
}

#[test]
fn hints_of_the_size_hold() {
    let pool = pool_of(1);
    let mut map = pool.map(0..5, |_, n| -> Checked<i32> { Ok(n) }).in_flight(2);
    assert_eq!(map.size_hint(), (0, Some(5)));
    assert_eq!(next(&mut map).expect("it returns"), 0);
    assert_eq!(map.size_hint(), (1, Some(4)));
    assert!(format!("{map:?}").contains("out: 1"));
    map.cancel();
    let iter = map.into_iter();
    assert_eq!(iter.size_hint(), (1, Some(1)));
    assert_eq!(iter.count(), 1);
    let endless = pool.map(0.., |_, n| -> Checked<i32> { Ok(n) });
    assert_eq!(endless.size_hint(), (0, None));
}

#[test]
fn a_map_outlives_its_pool() {
    let (done, dones) = mpsc::channel();
    let pool = pool_of(1);
    let map = pool.map(0..10, move |_, n| done.send(n));
    drop(pool);
    assert!(map.into_iter().all(|sent| sent.is_ok()));
    assert_eq!(dones.iter().count(), 10);
}

#[test]
fn a_lanes_map_keeps_to_the_lane_and_outlives_its_pool() {
    let pool = pool_of(4);
    let lane = pool.lane("two").limit(2).queue_limit(100);
    let mut map = lane.map(0.., |_, n| -> Checked<i32> { Ok(n) });
    assert_eq!(next(&mut map).ok(), Some(0));
    assert_eq!((lane.metrics().accepted, pool.metrics().accepted), (2, 2), "as its limit allows");
    let nested = lane.lane("nested").job().map(0.., |_, n| -> Checked<i32> { Ok(n) });
    assert!(format!("{nested:?}").contains("in_flight: 2"), "{nested:?}");
    let elastic = pool.lane("elastic").limit(7).elastic();
    let elastic = elastic.map(0.., |_, n| -> Checked<i32> { Ok(n) });
    assert!(format!("{elastic:?}").contains("in_flight: 7"), "{elastic:?}");
    drop((lane, pool, nested, elastic));
    assert!((1..50).all(|n| next(&mut map).ok() == Some(n)));
}
