//! `Pool::hedge`: a second try when the first takes too long or fails; the first value wins.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use futures_util::FutureExt;
use punctual::testing::ManualClock;
use punctual::{Builder, Cause, Checked, Hedge, JobContext, JobError, Phase, Pool, Rejection};
use static_assertions::assert_impl_all;
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};
use support::{Busy, News, PATIENCE, ms, news, pool_of, quiet_panic, until};
use tokio_util::sync::CancellationToken;

assert_impl_all!(Hedge<Cell<u8>, Cell<u8>>: Send, Unpin, std::fmt::Debug, Future<Output = Result<Cell<u8>, JobError<Cell<u8>>>>);
assert_impl_all!(Hedge<u8>: Send, Sync, Unpin);

const HOUR: Duration = Duration::from_secs(3600);

/// How a try ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Value,
    Fails,
    Panics,
}

/// A try that has begun: it ends as it is told, or when it is stopped.
struct Begun(Sender<Result<End, Cause>>);

impl Begun {
    fn end(&self, end: End) {
        self.0.send(Ok(end)).expect("it waits for this");
    }
}

type Tries = News<Begun>;
type Body = Box<dyn Fn(&JobContext) -> Result<usize, usize> + Send + Sync>;

/// A body whose tries tell of themselves, and of what they were stopped for.
fn told() -> (Body, Tries, News<(usize, Cause)>) {
    let (begun, tries) = news();
    let (stopped, stops) = news();
    let count = AtomicUsize::new(0);
    let body = move |cx: &JobContext| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let (send, orders): (_, Receiver<Result<End, Cause>>) = channel();
        let stop = send.clone();
        let _guard = cx.on_stop(move |cause| stop.send(Err(cause)).expect("it waits for this"));
        begun.send(Begun(send)).expect("the test listens");
        match orders.recv().expect("the guard keeps a sender") {
            Ok(End::Value) => Ok(number),
            Ok(End::Fails) => Err(number),
            Ok(End::Panics) => std::panic::resume_unwind(Box::new(format!("try {number}"))),
            Err(cause) => {
                stopped.send((number, cause)).expect("the test listens");
                Err(number)
            }
        }
    };
    (Box::new(body), tries, stops)
}

/// A pool with a clock that is moved by hand, and what it says of unseen panics.
fn by_hand(threads: usize) -> (Builder, ManualClock, News<String>) {
    let clock = ManualClock::new();
    let (send, unseen) = news();
    let tell =
        move |panic: punctual::Panic| send.send(panic.to_string()).expect("the test listens");
    let builder = Pool::builder().clock(&clock).threads(threads..=threads).on_unseen_panic(tell);
    (builder, clock, unseen)
}

/// What the hedge gives, which must come.
#[track_caller]
fn outcome<T, E>(mut hedge: Hedge<T, E>) -> Result<T, JobError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let start = Instant::now();
    loop {
        if let Some(outcome) = (&mut hedge).now_or_never() {
            return outcome;
        }
        assert!(start.elapsed() < PATIENCE, "no outcome: {hedge:?}");
        std::thread::yield_now();
    }
}

#[track_caller]
fn assert_pending<T: Send + 'static, E: Send + 'static>(hedge: &mut Hedge<T, E>) {
    for _ in 0..20 {
        assert!((&mut *hedge).now_or_never().is_none());
        std::thread::yield_now();
    }
}

/// Polls until another try has begun.
fn another<T: Send + 'static, E: Send + 'static>(hedge: &mut Hedge<T, E>, tries: &Tries) -> Begun {
    let begun = Mutex::new(None);
    let hedge = Mutex::new(hedge);
    until("another try begins", || {
        assert!((&mut **hedge.lock().expect("no panic")).now_or_never().is_none());
        let mut begun = begun.lock().expect("no panic");
        *begun = tries.so_far().pop();
        begun.is_some()
    });
    begun.into_inner().expect("no panic").expect("it has begun")
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    /// The first's, before the second is due.
    Early,
    /// The first's, when both run.
    First,
    /// The second's.
    Second,
}

#[test]
fn the_first_value_wins_whatever_becomes_of_the_other_try() {
    use {End::*, Order::*};
    for (first, second) in
        [Value, Fails, Panics].iter().flat_map(|a| [(a, Value), (a, Fails), (a, Panics)])
    {
        for order in [Early, First, Second] {
            one_of_all(*first, second, order);
        }
    }
}

/// Law 1 of a hedge: what it gives, how many tries there are, who is stopped, what is told.
fn one_of_all(first: End, second: End, order: Order) {
    let case = format!("{first:?}, {second:?}, {order:?}");
    let (builder, clock, unseen) = by_hand(2);
    let pool = builder.build().expect("threads");
    let (body, tries, stops) = told();
    let mut hedge = pool.hedge(HOUR, body);
    let one = tries.next();
    assert_pending(&mut hedge);
    assert_eq!(pool.metrics().timers, 1, "{case}");
    let mut ends = vec![(one, first)];
    if order == Order::Early {
        ends[0].0.end(first);
        if first != End::Value {
            ends = vec![(another(&mut hedge, &tries), second)];
            assert_eq!(pool.metrics().timers, 0, "{case}: the second needs no alarm");
        }
    } else {
        clock.advance(HOUR);
        ends.push((another(&mut hedge, &tries), second));
        assert_eq!(pool.metrics().timers, 0, "{case}");
        if order == Order::Second {
            ends.reverse();
        }
        ends[0].0.end(ends[0].1);
        if ends[0].1 != End::Value {
            let gone = || pool.metrics().failed + pool.metrics().panicked == 1;
            until("the one try ends", gone);
            assert_pending(&mut hedge);
        }
    }
    if ends[0].1 != End::Value || (order == Order::Early && first != End::Value) {
        let last = ends.last().expect("one is left");
        last.0.end(last.1);
    }
    let given = outcome(hedge);
    let one_try = order == Order::Early && first == End::Value;
    assert_eq!(pool.metrics().accepted, if one_try { 1 } else { 2 }, "{case}");
    assert_eq!(pool.metrics().timers, 0, "{case}");
    // By number of the try: who ends when.
    let both = match order {
        Order::Second => [(2, second), (1, first)],
        _ => [(1, first), (2, second)],
    };
    let winner = both.iter().find(|(_, end)| *end == End::Value).copied();
    let (number, end) = winner.unwrap_or(both[1]);
    match given {
        Ok(n) => assert!(end == End::Value && n == number, "{case}: {n}"),
        Err(JobError::Failed(n)) => assert!(end == End::Fails && n == number, "{case}: {n}"),
        Err(JobError::Panicked(panic)) => {
            assert!(end == End::Panics, "{case}");
            assert!(panic.to_string().contains(&format!("try {number}")), "{case}: {panic}");
        }
        Err(other) => panic!("{case}: {other:?}"),
    }
    let stopped = order != Order::Early && ends[0].1 == End::Value;
    if stopped {
        assert_eq!(stops.next(), (3 - number, Cause::Dropped), "{case}");
    }
    // Law 17: what it passed over was told.
    pool.drain().wait();
    let panicked = usize::from(both[0].1 == End::Panics && number != both[0].0);
    assert_eq!(unseen.so_far().len(), panicked, "{case}");
}

#[test]
fn a_try_that_waits_in_the_queue_is_hedged_too() {
    let (builder, clock, _) = by_hand(1);
    let pool = builder.build().expect("a thread");
    let busy = Busy::all(&pool, 1);
    let mut hedge = pool.hedge(HOUR, |cx| -> Checked<_> { Ok(cx.id()) });
    assert_pending(&mut hedge);
    assert_eq!(pool.metrics().queued, 1);
    clock.advance(HOUR - ms(1));
    assert_pending(&mut hedge);
    assert_eq!(pool.metrics().queued, 1, "not yet");
    clock.advance(ms(1));
    assert_pending(&mut hedge);
    assert_eq!((pool.metrics().queued, pool.metrics().timers), (2, 0));
    drop(busy);
    outcome(hedge).expect("it returns");
    pool.drain().wait();
}

#[test]
fn who_waits_is_woken_when_the_second_try_is_due() {
    let (builder, clock, _) = by_hand(2);
    let pool = builder.build().expect("threads");
    let (body, tries, stops) = told();
    let hedge = pool.hedge(HOUR, body);
    let waits = std::thread::spawn(move || hedge.wait());
    let _first = tries.next();
    until("the alarm is set", || pool.metrics().timers == 1);
    clock.advance(HOUR);
    tries.next().end(End::Value);
    assert_eq!(waits.join().expect("no panic").expect("it returns"), 2);
    assert_eq!(stops.next(), (1, Cause::Dropped));
}

#[tokio::test]
async fn the_systems_clock_starts_the_second_try_and_any_executor_may_poll() {
    let pool = pool_of(2);
    let (body, tries, _stops) = told();
    let begun = std::thread::spawn(move || {
        let _first = tries.next();
        tries.next().end(End::Value);
        tries
    });
    let hedge = tokio::time::timeout(PATIENCE, pool.hedge(ms(2), body));
    assert_eq!(hedge.await.expect("it does not hang").expect("it returns"), 2);
    begun.join().expect("no panic");
    assert_eq!(pool.metrics().timers, 0);
}

#[test]
fn a_dropped_hedge_stops_both_tries_and_leaves_no_alarm() {
    let (builder, clock, _) = by_hand(2);
    let pool = builder.build().expect("threads");
    for (polled, due) in [(false, false), (true, false), (true, true)] {
        let (body, tries, stops) = told();
        let mut hedge = pool.hedge(HOUR, body);
        let _first = tries.next();
        if polled {
            assert_pending(&mut hedge);
        }
        if due {
            clock.advance(HOUR);
            another(&mut hedge, &tries);
        }
        drop(hedge);
        assert_eq!(pool.metrics().timers, 0);
        assert_eq!(stops.next().1, Cause::Dropped);
        if due {
            assert_eq!(stops.next().1, Cause::Dropped);
        }
        clock.advance(HOUR);
        tries.assert_over();
    }
}

#[test]
fn a_panic_is_told_when_the_hedge_is_dropped_before_the_second_try_has_ended() {
    let (builder, _, unseen) = by_hand(1);
    let pool = builder.build().expect("a thread");
    let (body, tries, _stops) = told();
    let mut hedge = pool.hedge(HOUR, body);
    tries.next().end(End::Panics);
    another(&mut hedge, &tries);
    assert!(unseen.so_far().is_empty(), "it may be given yet");
    drop(hedge);
    assert!(unseen.next().contains("try 1"));
}

#[test]
fn the_timeout_is_for_both_tries_together() {
    let (builder, clock, _) = by_hand(2);
    let pool = builder.build().expect("threads");
    let (body, tries, stops) = told();
    let mut hedge = pool.job().timeout(ms(10)).hedge(ms(6), body);
    let _first = tries.next();
    assert_pending(&mut hedge);
    clock.advance(ms(6));
    let _second = another(&mut hedge, &tries);
    clock.advance(ms(3));
    assert_pending(&mut hedge);
    clock.advance(ms(1));
    let error = outcome(hedge).expect_err("the time is up");
    assert!(error.is_timed_out() && error.phase() == Some(Phase::Running), "{error:?}");
    assert_eq!([stops.next().1, stops.next().1], [Cause::Deadline; 2]);
    assert_eq!((pool.metrics().accepted, pool.metrics().timers), (2, 0));
}

#[test]
fn no_second_try_is_made_when_the_time_for_both_is_up() {
    for default in [false, true] {
        let (builder, clock, _) = by_hand(2);
        let builder = if default { builder.default_timeout(ms(10)) } else { builder };
        let pool = builder.build().expect("threads");
        let (body, tries, _stops) = told();
        let settings = if default { pool.job() } else { pool.job().timeout(ms(10)) };
        let mut hedge = settings.hedge(ms(10), body);
        let _first = tries.next();
        assert_pending(&mut hedge);
        assert_eq!(pool.metrics().timers, 1, "the deadline's alone");
        clock.advance(ms(10));
        let error = outcome(hedge).expect_err("the time is up");
        assert!(error.is_timed_out() && error.phase() == Some(Phase::Running), "{error:?}");
        assert_eq!((pool.metrics().accepted, pool.metrics().timers), (1, 0));
    }
}

#[test]
fn a_try_that_used_up_its_own_time_is_followed_by_another() {
    let (builder, clock, _) = by_hand(2);
    let pool = builder.build().expect("threads");
    let (body, tries, _stops) = told();
    let mut hedge = pool.job().run_timeout(ms(5)).hedge(HOUR, body);
    let _first = tries.next();
    assert_pending(&mut hedge);
    clock.advance(ms(5));
    another(&mut hedge, &tries).end(End::Value);
    assert_eq!(outcome(hedge).expect("it returns"), 2);
}

#[test]
fn a_cancelled_try_is_followed_by_none() {
    let (builder, _, _) = by_hand(2);
    let pool = builder.build().expect("threads");
    let (body, tries, _stops) = told();
    let token = CancellationToken::new();
    let hedge = pool.job().token(&token).hedge(HOUR, body);
    let _first = tries.next();
    token.cancel();
    let error = outcome(hedge).expect_err("it is cancelled");
    assert!(matches!(error, JobError::Cancelled(stop) if stop.cause() == Cause::Token));
    pool.shutdown().wait();
    let refused = pool.hedge(HOUR, |_| Err::<(), _>("it never runs"));
    assert!(matches!(outcome(refused), Err(JobError::Rejected(Rejection::ShutDown))));
    assert_eq!((pool.metrics().accepted, pool.metrics().timers), (1, 0));
}

#[test]
fn what_an_error_says_of_the_phase_is_true_of_both_tries() {
    let (builder, clock, _) = by_hand(1);
    let pool = builder.queue_limit(1).build().expect("a thread");
    let (body, tries, _stops) = told();
    let mut hedge = pool.hedge(HOUR, body);
    let first = tries.next();
    assert_pending(&mut hedge);
    let _queued = pool.spawn_blocking(|| ());
    clock.advance(HOUR);
    assert_pending(&mut hedge);
    assert_eq!(pool.metrics().rejected, 1, "the second try has no place");
    first.end(End::Fails);
    assert!(matches!(outcome(hedge), Err(JobError::Failed(1))), "that is not `Rejected`");
}

#[test]
fn an_error_of_a_try_that_ran_outlives_that_of_one_that_never_did() {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let (body, tries, _stops) = told();
    let mut hedge = pool.hedge(HOUR, body);
    let first = tries.next();
    assert_pending(&mut hedge);
    let gate = support::Gate::default();
    let pass = gate.clone();
    let _next = pool.spawn_blocking(move || pass.pass());
    first.end(End::Fails);
    until("the worker is at the next", || pool.metrics().queued == 0);
    let _queued = pool.spawn_blocking(|| ());
    assert!(matches!(outcome(hedge), Err(JobError::Failed(1))), "the later one is `Rejected`");
    assert_eq!(pool.metrics().rejected, 1);
    let refused = pool.hedge(HOUR, |_| Err::<(), _>("it never runs"));
    assert!(matches!(outcome(refused), Err(JobError::Rejected(Rejection::QueueFull))));
    gate.open();
}

#[test]
fn no_time_is_too_short_or_too_long() {
    let (builder, clock, _) = by_hand(2);
    let pool = builder.build().expect("threads");
    let (body, tries, _stops) = told();
    let mut never = pool.hedge(Duration::MAX, body);
    let first = tries.next();
    assert_pending(&mut never);
    assert_eq!(pool.metrics().timers, 0);
    clock.advance(HOUR);
    assert_pending(&mut never);
    first.end(End::Value);
    assert_eq!(outcome(never).expect("it returns"), 1);
    let (body, tries, _stops) = told();
    let mut at_once = pool.hedge(Duration::ZERO, body);
    let _first = tries.next();
    another(&mut at_once, &tries).end(End::Value);
    assert!(outcome(at_once).is_ok());
}

#[test]
fn without_a_thread_for_the_alarm_a_failure_still_brings_the_second_try() {
    let pool = Pool::builder().threads(2..=2).spawn_gate(|name| {
        if name.ends_with("-timer") { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    let pool = pool.build().expect("threads");
    let (body, tries, _stops) = told();
    let mut hedge = pool.hedge(HOUR, body);
    let first = tries.next();
    assert_pending(&mut hedge);
    first.end(End::Fails);
    another(&mut hedge, &tries).end(End::Value);
    assert_eq!(outcome(hedge).expect("it returns"), 2);
}

#[test]
fn both_tries_are_children_with_the_same_name_and_place() {
    let pool = pool_of(3);
    let (on, is_on) = news();
    let line = line!() + 5;
    let parent = pool.spawn(move |cx| {
        let child = cx.job().name("child");
        // Both fail once they are stopped with their parent.
        let on = Mutex::new(on);
        let hedge = child.hedge(Duration::ZERO, move |cx| {
            on.lock().expect("no panic").send(cx.name().map(str::to_owned)).expect("heard");
            cx.sleep(Duration::MAX)
        });
        Checked::Ok(hedge.wait().expect_err("it is cancelled").to_string())
    });
    assert_eq!([is_on.next(), is_on.next()], [Some("child".into()), Some("child".into())]);
    parent.cancel();
    let text = support::outcome(parent).expect("it has the last word");
    let place = format!("spawned at tests/hedge.rs:{line}:");
    assert!(text.contains(&place) && text.contains("its parent was stopped"), "{text}");
}

#[test]
#[cfg(feature = "tokio")]
fn both_tries_run_in_the_runtime_context_of_who_asked_for_them() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
    let runtime = runtime.expect("a runtime");
    let pool = pool_of(1);
    let count = AtomicUsize::new(0);
    let inside = runtime.enter();
    let hedge = pool.hedge(HOUR, move |_| {
        let inside = tokio::runtime::Handle::try_current().is_ok();
        if count.fetch_add(1, Ordering::SeqCst) == 0 { Err(inside) } else { Ok(inside) }
    });
    drop(inside);
    assert!(hedge.wait().expect("the second try returns"), "although it was spawned outside");
}

#[test]
#[cfg(feature = "tokio")]
fn a_hedge_that_nobody_polls_holds_no_paused_clock_once_its_try_has_ended() {
    let (done, is_done) = news();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(async {
            tokio::time::pause();
            let hedge = pool_of(1).hedge(HOUR, |_| -> Checked<_> { Ok(1) });
            tokio::time::sleep(HOUR).await; // runs ahead
            done.send(hedge.await.expect("it returns")).expect("the test listens");
        });
    });
    assert_eq!(is_done.next(), 1);
}

#[test]
fn a_hedge_that_is_used_twice_panics() {
    let mut hedge = pool_of(1).hedge(HOUR, |_| -> Checked<_> { Ok(1) });
    until("it ends", || format!("{hedge:?}").contains("is_finished: true"));
    assert!(matches!((&mut hedge).now_or_never(), Some(Ok(1))));
    let again = catch_unwind(AssertUnwindSafe(|| (&mut hedge).now_or_never()));
    assert!(again.is_err());
}

/// A waker that panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        quiet_panic("a waker panics");
    }
}

#[test]
fn a_waker_that_panics_is_told_and_harms_nobody() {
    let (builder, clock, unseen) = by_hand(2);
    let pool = builder.build().expect("threads");
    let (body, tries, _stops) = told();
    let mut hedge = pool.hedge(HOUR, body);
    let _first = tries.next();
    let waker = Waker::from(Arc::new(Panics));
    assert!(hedge.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
    clock.advance(HOUR);
    assert!(unseen.next().contains("a waker panics"));
    another(&mut hedge, &tries).end(End::Value);
    assert_eq!(outcome(hedge).expect("it returns"), 2);
}

#[test]
fn both_tries_of_a_lanes_hedge_are_of_the_lane() {
    let pool = pool_of(4);
    let lane = pool.lane("two").limit(2);
    let (body, tries, _stops) = told();
    let hedge = lane.hedge(Duration::ZERO, body);
    let waiter = std::thread::spawn(move || hedge.wait());
    let [first, second] = [tries.next(), tries.next()];
    assert_eq!((lane.load().running, lane.metrics().accepted), (2, 2));
    second.end(End::Value);
    assert!(waiter.join().expect("no panic").is_ok());
    drop(first);
}
