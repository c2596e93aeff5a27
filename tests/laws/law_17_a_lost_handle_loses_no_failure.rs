//! Dropping a handle detaches; a panic nobody can see any more reaches the pool's `on_unseen_panic`
//! hook.

use crate::support::{Gate, News, PATIENCE, error, ms, news, outcome, quiet_panic, until};
use punctual::{JobId, Pool};

type Seen = (Option<JobId>, Option<String>, String);

fn told_pool() -> (Pool, News<Seen>) {
    let (send, unseen) = news();
    let pool = Pool::builder()
        .threads(1..=1)
        .on_unseen_panic(move |panic| {
            let name = panic.name().map(str::to_owned);
            send.send((panic.id(), name, panic.message().to_owned())).expect("the test listens");
        })
        .build()
        .expect("a thread");
    (pool, unseen)
}

#[test]
fn a_handle_dropped_before_the_panic() {
    let (pool, unseen) = told_pool();
    let gate = Gate::default();
    let wait = gate.clone();
    let job = pool.job().name("lost").spawn_blocking(move || {
        wait.pass();
        quiet_panic("boom")
    });
    let id = job.id();
    drop::<punctual::JobHandle<()>>(job);
    gate.open();
    assert_eq!(unseen.next(), (Some(id), Some("lost".to_owned()), "boom".to_owned()));
}

#[test]
fn a_handle_dropped_after_the_panic() {
    let (pool, unseen) = told_pool();
    let job = pool.spawn_blocking(|| quiet_panic("boom"));
    until("it is finished", || job.is_finished());
    drop::<punctual::JobHandle<()>>(job);
    assert_eq!(unseen.next().2, "boom");
}

#[test]
fn a_panic_after_the_handle_resolved() {
    let (pool, unseen) = told_pool();
    let gate = Gate::default();
    let wait = gate.clone();
    let job = pool.job().run_timeout(ms(3)).spawn_blocking(move || {
        wait.pass();
        quiet_panic("late")
    });
    assert!(error::<(), _>(job).is_timed_out());
    gate.open();
    assert_eq!(unseen.next().2, "late");
}

#[test]
fn a_panic_that_is_seen_is_not_told() {
    let (pool, unseen) = told_pool();
    assert!(error(pool.spawn_blocking(|| quiet_panic("seen"))).is_panic());
    pool.drain().within(PATIENCE).wait();
    drop(pool);
    unseen.assert_over();
}

#[test]
fn a_detached_job_runs_on() {
    let (pool, _unseen) = told_pool();
    let (send, ran) = news();
    drop(pool.spawn_blocking(move || send.send(1).expect("the test listens")));
    assert_eq!(ran.next(), 1);
}

#[test]
fn a_checkpoint_of_a_detached_job_is_no_failure() {
    let (pool, unseen) = told_pool();
    let job = pool.spawn_blocking(|| {
        loop {
            punctual::checkpoint();
            std::thread::yield_now();
        }
    });
    let stopper = job.abort_handle();
    drop::<punctual::JobHandle<()>>(job);
    stopper.cancel();
    pool.drain().within(PATIENCE).wait();
    assert_eq!(pool.metrics().panicked, 0);
    assert!(unseen.so_far().is_empty());
}

#[test]
fn a_forgotten_handle_keeps_the_pool_from_nothing() {
    let (pool, _unseen) = told_pool();
    std::mem::forget(pool.spawn_blocking(|| 1));
    assert_eq!(outcome(pool.spawn_blocking(|| 2)).expect("it returns"), 2);
    assert_eq!(pool.drain().within(PATIENCE).wait().finished, 2);
}
