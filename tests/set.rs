//! `JobSet`: every job that is put in comes out once, whatever becomes of it.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use futures_util::{FutureExt, Stream, StreamExt};
use proptest::prelude::*;
use punctual::testing::ManualClock;
use punctual::{
    Cause, Checked, Deadline, JobContext, JobError, JobHandle, JobId, JobSet, Phase, Pool,
};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use support::{Busy, Drops, Gate, PATIENCE, ms, news, pool_of, quiet_panic, until};

/// The next outcome, which must come.
#[track_caller]
fn next<T, E>(set: &mut JobSet<T, E>) -> Result<T, JobError<E>> {
    set.wait_next_timeout(PATIENCE).expect("an outcome comes")
}

/// The next outcome, as a future gives it that is woken. (When the time is up it is polled, too.)
async fn soon<T, E>(set: &mut JobSet<T, E>) -> Option<Result<T, JobError<E>>> {
    let start = Instant::now();
    let next = tokio::time::timeout(PATIENCE, set.join_next()).await;
    assert!(start.elapsed() < PATIENCE, "nobody wakes it");
    next.expect("it does not hang")
}

/// What becomes of a job, and how it is put into a set.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Returns,
    Fails,
    Panics,
    /// Cancelled, wherever that hits it.
    Cancelled,
    /// It has no time.
    Late,
    /// Ended when it is put in.
    Ended,
    /// Polled by another before it is put in.
    Polled,
    /// Dropped in the set while it runs: it is detached.
    Slow,
}

/// How outcomes are taken.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put(Kind),
    Try,
    Wait,
    /// A future that is polled once and dropped.
    Glance,
    Stream,
}

fn kind() -> impl Strategy<Value = Kind> {
    use Kind::*;
    prop::sample::select(vec![Returns, Fails, Panics, Cancelled, Late, Ended, Polled, Slow])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => kind().prop_map(Step::Put),
        1 => Just(Step::Try),
        1 => Just(Step::Wait),
        1 => Just(Step::Glance),
        1 => Just(Step::Stream),
    ]
}

fn job_of(pool: &Pool, kind: Kind) -> JobHandle<Kind, &'static str> {
    let job = match kind {
        Kind::Late => pool.job().timeout(Duration::ZERO),
        _ => pool.job(),
    };
    let mut handle = job.spawn(move |_| match kind {
        Kind::Fails => Err("it fails"),
        Kind::Panics => quiet_panic("it panics"),
        Kind::Slow => {
            (0..50).for_each(|_| std::thread::yield_now());
            Ok(kind)
        }
        _ => Ok(kind),
    });
    match kind {
        Kind::Cancelled => drop(handle.cancel()),
        Kind::Ended => handle.wait_stopped(),
        Kind::Polled => {
            let waker = Waker::from(Arc::new(Forgets));
            // It gives the outcome if it is ready: so it is polled before it can be.
            if !handle.is_finished()
                && handle.poll_unpin(&mut Context::from_waker(&waker)).is_ready()
            {
                return job_of(pool, Kind::Returns);
            }
        }
        _ => {}
    }
    handle
}

/// A waker that wakes nobody.
struct Forgets;

impl Wake for Forgets {
    fn wake(self: Arc<Self>) {}
}

/// Whether a job of this kind can end so.
fn fits(kind: Kind, outcome: &Result<Kind, JobError<&'static str>>) -> bool {
    match kind {
        Kind::Fails => matches!(outcome, Err(JobError::Failed("it fails"))),
        Kind::Panics => matches!(outcome, Err(JobError::Panicked(_))),
        Kind::Late => outcome.as_ref().is_err_and(JobError::is_timed_out),
        Kind::Cancelled => outcome.is_ok() || outcome.as_ref().is_err_and(JobError::is_cancelled),
        _ => outcome.is_ok(),
    }
}

/// Puts in and takes out as the steps say; gives what went in and what came out.
fn play(pool: &Pool, steps: &[Step]) -> (Vec<(JobId, Kind)>, Vec<JobId>) {
    let mut set = JobSet::on(pool);
    let (mut put, mut out) = (Vec::new(), Vec::new());
    let waker = Waker::from(Arc::new(Forgets));
    let mut cx = Context::from_waker(&waker);
    for step in steps {
        let before = set.len();
        let came = match step {
            Step::Put(kind) => {
                let job = job_of(pool, *kind);
                put.push((job.id(), *kind));
                assert_eq!(set.insert(job).id(), put.last().expect("just put").0);
                continue;
            }
            Step::Try => set.try_join_next().is_some(),
            Step::Wait => set.wait_next_timeout(PATIENCE).is_some(),
            Step::Glance => match pin!(set.join_next()).poll_unpin(&mut cx) {
                Poll::Ready(outcome) => outcome.is_some(),
                Poll::Pending => false,
            },
            Step::Stream => set.next().now_or_never().flatten().is_some(),
        };
        assert_eq!(set.len(), before - usize::from(came), "{step:?}");
        assert!(came || before == 0 || !matches!(step, Step::Wait), "a wait gives one");
        out.extend(came.then_some(None::<JobId>));
    }
    let taken = out.len();
    let mut ids = Vec::new();
    while let Some((id, outcome)) = futures_lite::future::block_on(set.join_next_with_id()) {
        let kind = put.iter().find(|(put, _)| *put == id).expect("it was put in").1;
        assert!(fits(kind, &outcome), "{kind:?}: {outcome:?}");
        ids.push(id);
    }
    assert_eq!(taken + ids.len(), put.len(), "as many come out as went in");
    assert!(set.is_empty() && set.try_join_next().is_none());
    (put, ids)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_job_comes_out_once_whatever_becomes_of_it(steps in prop::collection::vec(step(), 0..60)) {
        let pool = Pool::builder().threads(2..=2).on_unseen_panic(drop).build().expect("threads");
        let (put, ids) = play(&pool, &steps);
        let distinct: BTreeSet<_> = ids.iter().collect();
        prop_assert_eq!(distinct.len(), ids.len(), "none comes twice");
        pool.drain().wait();
        let metrics = pool.metrics();
        prop_assert!(metrics.accepted as usize >= put.len());
    }
}

#[test]
fn a_dropped_join_loses_nothing() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let mut set = JobSet::on(&pool);
    for n in 0..3 {
        let gate = gate.clone();
        set.spawn_blocking(move || {
            gate.pass();
            n
        });
    }
    for _ in 0..5 {
        assert!(set.join_next().now_or_never().is_none(), "the gate is shut");
        assert!(set.next().now_or_never().is_none());
        assert!(set.wait_next_timeout(ms(1)).is_none());
        assert!(set.wait_next_deadline(Deadline::after(ms(1))).is_none());
    }
    assert_eq!(set.len(), 3);
    gate.open();
    let all: Vec<_> = set.wait_all().into_iter().map(|n| n.expect("it returns")).collect();
    assert_eq!(all, [0, 1, 2], "in the order in which they were ready");
}

#[test]
fn outcomes_come_in_the_order_in_which_they_were_ready() {
    let pool = pool_of(3);
    let busy = Busy::all(&pool, 3);
    let mut set: JobSet<()> = JobSet::on(&pool);
    let stoppers: Vec<_> = (0..20).map(|_| set.spawn_blocking(|| ())).collect();
    let order = [7, 3, 19, 0, 11];
    for n in order {
        assert_eq!(stoppers[n].cancel(), Some(Phase::Queued));
    }
    for n in order {
        let (id, outcome) = set.join_next_with_id().now_or_never().flatten().expect("it is ready");
        assert!(id == stoppers[n].id() && outcome.is_err_and(|error| error.is_cancelled()));
    }
    assert!(set.try_join_next().is_none());
    drop(busy);
}

#[tokio::test]
async fn a_panic_a_failure_and_a_refusal_come_out_like_any_other() {
    let pool = pool_of(1);
    let mut set: JobSet<u32, &str> = JobSet::on(&pool);
    set.spawn(|_| Ok(1));
    set.spawn(|_| Err("no luck"));
    set.spawn(|_| quiet_panic("on purpose"));
    assert_eq!(soon(&mut set).await.expect("one").expect("it returns"), 1);
    assert!(matches!(soon(&mut set).await, Some(Err(JobError::Failed("no luck")))));
    let panicked = soon(&mut set).await.expect("one").expect_err("it panicked");
    assert!(panicked.is_panic() && panicked.to_string().contains("spawned at tests/set.rs:"));
    pool.shutdown().await;
    set.spawn(|_| Ok(2));
    assert!(soon(&mut set).await.expect("one").expect_err("it is refused").is_rejected());
    assert!(soon(&mut set).await.is_none() && set.next().await.is_none());
}

#[tokio::test]
async fn a_join_that_waits_is_woken_by_each_job() {
    let pool = pool_of(2);
    let mut set = JobSet::on(&pool);
    let (send, receive) = std::sync::mpsc::channel::<u32>();
    let receive = Arc::new(Mutex::new(receive));
    for _ in 0..100 {
        let receive = Arc::clone(&receive);
        set.spawn_blocking(move || receive.lock().expect("no panic").recv().unwrap_or(0));
    }
    let mut seen = 0;
    assert!(set.next().now_or_never().is_none());
    for n in 0..100 {
        send.send(n).expect("somebody receives");
        seen += soon(&mut set).await.expect("one").expect("it returns");
    }
    assert_eq!((seen, set.len()), (4950, 0));
}

#[test]
fn dropping_a_set_stops_what_is_in_it() {
    let pool = pool_of(2);
    let busy = Busy::all(&pool, 1);
    let (told, causes) = news();
    let (on, is_on) = news();
    let drops = Drops::default();
    let mut set = JobSet::on(&pool);
    set.spawn(move |cx| {
        let _guard = cx.on_stop(move |cause| told.send(cause).expect("the test listens"));
        on.send(()).expect("the test listens");
        cx.sleep(Duration::MAX)
    });
    is_on.next();
    for _ in 0..10 {
        let capture = drops.value();
        set.spawn(move |_| {
            drop(capture);
            unreachable!("no worker is left for it");
        });
    }
    drop(set);
    assert_eq!(causes.next(), Cause::Dropped);
    assert_eq!(drops.count(), 10, "what waited is gone, captures and all");
    drop(busy);
    pool.drain().wait();
    let metrics = pool.metrics();
    assert_eq!((metrics.cancelled_queued, metrics.cancelled_running), (10, 1));
}

#[test]
fn what_is_stopped_together_leaves_no_room_for_each_other() {
    let pool = pool_of(1);
    let mut set = JobSet::on(&pool);
    let (on, is_on) = news();
    let (ran, runs) = news();
    let first = on.clone();
    set.spawn(move |cx| {
        first.send(()).expect("the test listens");
        cx.sleep(Duration::MAX)
    });
    is_on.next();
    for _ in 0..200 {
        let ran = ran.clone();
        set.spawn(move |_| -> Checked<()> {
            ran.send(()).expect("the test listens");
            Ok(())
        });
    }
    drop(ran);
    set.abort_all();
    assert_eq!(set.len(), 201, "they stay in the set");
    let all = set.wait_all();
    assert!(all.iter().all(|one| one.as_ref().is_err_and(JobError::is_cancelled)));
    assert_eq!(all.iter().filter(|one| phase(one) == Some(Phase::Queued)).count(), 200);
    runs.assert_over();
}

fn phase<T, E>(outcome: &Result<T, JobError<E>>) -> Option<Phase> {
    outcome.as_ref().err().and_then(JobError::phase)
}

#[test]
fn what_is_detached_goes_on_and_its_panic_is_told() {
    let (send, unseen) = news();
    let tell =
        move |panic: punctual::Panic| send.send(panic.to_string()).expect("the test listens");
    let pool = Pool::builder().threads(1..=1).on_unseen_panic(tell).build().expect("a thread");
    let gate = Gate::default();
    let (done, is_done) = news();
    let mut set = JobSet::on(&pool);
    let pass = gate.clone();
    set.spawn_blocking(move || {
        pass.pass();
        done.send(()).expect("the test listens");
    });
    set.spawn_blocking(|| quiet_panic("nobody sees it"));
    set.detach_all();
    assert!(set.is_empty() && set.wait_next().is_none());
    gate.open();
    is_done.next();
    assert!(unseen.next().contains("nobody sees it"));
    drop(set);
    pool.drain().wait();
    assert_eq!((pool.metrics().returned, pool.metrics().panicked), (1, 1));
}

#[test]
fn a_shutdown_waits_for_the_real_end_of_bodies_whose_time_is_up() {
    let clock = ManualClock::new();
    let pool = Pool::builder().clock(&clock).threads(2..=2).build().expect("threads");
    let gate = Gate::default();
    let (on, is_on) = news();
    let mut set = JobSet::new();
    let deaf = pool.job().timeout(ms(5)).spawn({
        let gate = gate.clone();
        move |_| {
            on.send(()).expect("the test listens");
            gate.pass();
            Checked::Ok(())
        }
    });
    let deaf = set.insert(deaf);
    set.insert(pool.spawn(|cx| cx.sleep(Duration::MAX)));
    is_on.next();
    clock.advance(ms(5));
    assert!(deaf.is_finished(), "its handle is punctual");
    assert_eq!(pool.metrics().overdue, 1);
    let waker = Waker::from(Arc::new(Forgets));
    let mut cx = Context::from_waker(&waker);
    for _ in 0..3 {
        assert!(pin!(set.shutdown()).poll_unpin(&mut cx).is_pending(), "its body is not");
        assert!(!set.is_empty(), "a dropped shutdown loses none");
    }
    gate.open();
    futures_lite::future::block_on(set.shutdown());
    assert!(set.is_empty() && set.try_join_next().is_none());
    assert_eq!(pool.metrics().overdue, 0);
    set.insert(pool.spawn(|cx| cx.sleep(Duration::MAX)));
    set.wait_shutdown();
    assert!(set.is_empty());
}

#[test]
fn a_panic_that_a_shutdown_passes_over_is_told() {
    let (send, unseen) = news();
    let tell =
        move |panic: punctual::Panic| send.send(panic.to_string()).expect("the test listens");
    let pool = Pool::builder().threads(1..=1).on_unseen_panic(tell).build().expect("a thread");
    let mut set: JobSet<()> = JobSet::on(&pool);
    let stopper = set.spawn_blocking(|| quiet_panic("nobody sees it"));
    until("it panics", || stopper.is_finished());
    set.wait_shutdown();
    assert!(unseen.next().contains("nobody sees it"));
}

#[test]
fn a_hundred_thousand_are_drained_at_once() {
    const MANY: usize = 100_000;
    let pool = pool_of(1);
    let busy = Busy::all(&pool, 1);
    let mut set: JobSet<()> = JobSet::on(&pool);
    for _ in 0..MANY {
        set.spawn_blocking(|| ());
    }
    drop(busy);
    pool.drain().wait();
    let start = Instant::now();
    let mut joined = 0;
    while set.join_next().now_or_never().flatten().is_some() {
        joined += 1;
    }
    let took = start.elapsed();
    assert_eq!(joined, MANY);
    assert!(took < PATIENCE, "{took:?}"); // a tenth of a second, in a debug build
}

/// A waker that panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        quiet_panic("a waker panics");
    }
}

#[test]
fn a_waker_that_panics_loses_no_outcome_and_is_told() {
    let (send, unseen) = news();
    let tell =
        move |panic: punctual::Panic| send.send(panic.to_string()).expect("the test listens");
    let pool = Pool::builder().threads(1..=1).on_unseen_panic(tell).build().expect("a thread");
    let gate = Gate::default();
    let mut set = JobSet::on(&pool);
    let pass = gate.clone();
    set.spawn_blocking(move || pass.pass());
    set.spawn_blocking(|| ());
    let waker = Waker::from(Arc::new(Panics));
    assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
    let ended = pool.job().timeout(Duration::ZERO).spawn_blocking(|| ());
    set.insert(ended); // ready when it is put in: the waker is woken here
    assert!(unseen.next().contains("a waker panics"));
    gate.open();
    let ends: Vec<_> = (0..3).map(|_| next(&mut set)).collect();
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 2);
    assert!(set.is_empty());
}

/// A waker that spawns a job and puts it into a set of its own, and takes what is there.
struct Joins(Mutex<JobSet<u32>>, std::sync::mpsc::Sender<u32>);

impl Wake for Joins {
    fn wake(self: Arc<Self>) {
        let mut set = self.0.lock().expect("no panic under it");
        while let Some(n) = set.try_join_next() {
            self.1.send(n.expect("it returns")).expect("the test listens");
        }
        set.spawn_blocking(|| 9).cancel();
    }
}

#[test]
fn a_waker_may_use_the_jobs_of_its_set() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let mut set = JobSet::on(&pool);
    let pass = gate.clone();
    set.spawn_blocking(move || {
        pass.pass();
        7
    });
    let (send, numbers) = news();
    let joins = Arc::new(Joins(Mutex::new(JobSet::new()), send));
    let waker = Waker::from(Arc::clone(&joins));
    assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
    *joins.0.lock().expect("no panic under it") = set; // now its own waker takes from it
    gate.open();
    assert_eq!(numbers.next(), 7);
}

#[test]
fn jobs_end_while_a_join_looks_and_none_is_missed() {
    let pool = pool_of(2);
    for _ in 0..200 {
        let mut set = JobSet::on(&pool);
        for n in 0..4_u64 {
            set.spawn_blocking(move || n);
        }
        let sum = futures_lite::future::block_on(async {
            let mut sum = 0;
            while let Some(n) = poll_fn(|cx| set.poll_join_next(cx)).await {
                sum += n.expect("it returns");
            }
            sum
        });
        assert_eq!(sum, 6);
    }
}

#[test]
fn a_set_may_be_made_of_handles_and_taken_to_other_threads() {
    let pool = pool_of(2);
    let mut set: JobSet<u32> = (0..10).map(|n| pool.spawn_blocking(move || n)).collect();
    set.extend((10..20).map(|n| pool.spawn_blocking(move || n)));
    assert_eq!((set.size_hint(), format!("{set:?}").contains("20")), ((20, Some(20)), true));
    let sum = std::thread::spawn(move || {
        futures_lite::future::block_on(set.join_all()).into_iter().map(Result::unwrap).sum::<u32>()
    });
    assert_eq!(sum.join().expect("no panic"), 190);
}

#[test]
fn what_is_noted_of_jobs_that_left_in_another_way_is_passed_over() {
    let pool = pool_of(1);
    let mut set: JobSet<u32> = JobSet::on(&pool);
    for round in 0..50 {
        set.spawn_blocking(|| 0);
        set.detach_all();
        set.spawn_blocking(move || round);
        assert_eq!(next(&mut set).expect("it returns"), round);
        assert!(set.is_empty() && set.try_join_next().is_none());
    }
}

#[test]
fn a_set_spawns_where_it_is_told_to_and_keeps_that_open() {
    static SHARED: LazyLock<Pool> = LazyLock::new(|| pool_of(1));
    let pool = pool_of(2);
    let (outer, deref) = (pool.lane("outer").limit(1), Arc::new(pool.lane("deref").limit(1)));
    let mut sets = [
        JobSet::on(&pool),
        JobSet::on(&outer),
        JobSet::on(&outer.lane("inner")),
        JobSet::on(&deref), // as everything that points to one
        JobSet::on(&*SHARED),
        JobSet::on(&SHARED),
        JobSet::new(),
    ];
    drop((pool, outer, deref));
    let lanes = sets.each_mut().map(|set| {
        let lane =
            |cx: &JobContext| cx.job().spawn_blocking(|| ()).info().lane().map(str::to_owned);
        set.spawn(move |cx| Ok::<_, ()>(lane(cx)));
        next(set).expect("it returns")
    });
    let lanes = lanes.each_ref().map(Option::as_deref);
    assert_eq!(lanes, [None, Some("outer"), Some("inner"), Some("deref"), None, None, None]);
}

#[test]
fn what_is_ready_says_which_job_it_was() {
    let pool = pool_of(1);
    let (gate, mut set) = (Gate::default(), JobSet::on(&pool));
    let mut ids = BTreeSet::new();
    for n in 0..3 {
        let gate = gate.clone();
        let spawned = set.spawn_blocking(move || {
            gate.pass();
            n
        });
        ids.insert(spawned.id());
    }
    assert!(set.try_join_next_with_id().is_none() && set.len() == 3);
    gate.open();
    pool.drain().wait();
    let joined: Vec<_> = std::iter::from_fn(|| set.try_join_next_with_id()).collect();
    assert!(joined.iter().map(|(id, _)| *id).eq(ids));
    assert!(joined.into_iter().map(|(_, outcome)| outcome.ok()).eq((0..3).map(Some)));
    assert!(set.is_empty());
}
