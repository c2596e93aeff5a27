//! How many threads there are, when they come and when they go.

use punctual::{BuildError, Pool};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PATIENCE: Duration =
    Duration::from_secs(if option_env!("PUNCTUAL_IMPATIENT").is_some() { 5 } else { 30 });

/// Makes the pool grow to so many threads.
fn grow(pool: &Pool, threads: usize) {
    let (gates, jobs): (Vec<_>, Vec<_>) = (0..threads)
        .map(|_| {
            let (go, gate) = mpsc::channel::<()>();
            (go, pool.spawn_blocking(move || gate.recv().is_err()))
        })
        .unzip();
    until("all run at once", || pool.metrics().threads == threads && pool.metrics().queued == 0);
    drop(gates);
    for job in jobs {
        assert!(job.wait().expect("it returns"));
    }
}

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn idle_threads_leave_under_a_trickle() {
    let pool = Pool::builder()
        .threads(2..=16)
        .keep_alive(Duration::from_millis(150))
        .build()
        .expect("threads");
    grow(&pool, 16);
    let start = Instant::now();
    let trickle = Pool::builder().threads(1..=1).build().expect("a thread");
    while pool.metrics().threads > 2 {
        assert!(start.elapsed() < PATIENCE, "{:?}", pool.metrics());
        pool.spawn_blocking(|| ()).wait().expect("it returns");
        trickle // one job per 5 ms: the trickle is what is tested
            .spawn(|cx| cx.sleep(Duration::from_millis(5)))
            .wait()
            .expect("it sleeps");
    }
    assert_eq!(pool.metrics().threads, 2, "and no further");
}

#[test]
fn a_pool_without_work_has_its_fewest_threads() {
    let pool = Pool::builder().threads(..=8).keep_alive(Duration::ZERO).build().expect("no thread");
    assert_eq!(pool.metrics().threads, 0);
    grow(&pool, 8);
    until("all have left", || pool.metrics().threads == 0);
    grow(&pool, 3);
    let pool = Pool::builder().threads(3..).build().expect("threads");
    assert_eq!(pool.metrics().threads, 3);
}

#[test]
fn a_burst_is_met_with_as_many_threads_as_it_needs_and_no_more() {
    let pool = Pool::builder().threads(0..=64).build().expect("no thread");
    grow(&pool, 40);
    assert_eq!(pool.metrics().threads, 40);
    grow(&pool, 40);
    assert_eq!(pool.metrics().threads, 40, "those there are do it again");
}

#[test]
fn threads_are_named_and_hooked() {
    let (send, hooks) = mpsc::channel();
    let (start, stop) = (send.clone(), send);
    let name = || std::thread::current().name().unwrap_or_default().to_owned();
    let pool = Pool::builder()
        .name("db")
        .threads(1..=1)
        .on_thread_start(move || start.send(format!("{} starts", name())).expect("heard"))
        .on_thread_stop(move || stop.send(format!("{} stops", name())).expect("heard"))
        .build()
        .expect("a thread");
    assert_eq!(pool.spawn_blocking(name).wait().expect("it returns"), "db-1");
    pool.shutdown().wait();
    drop(pool);
    assert_eq!(hooks.iter().collect::<Vec<_>>(), ["db-1 starts", "db-1 stops"]);
    let default = punctual::spawn_blocking(name).wait().expect("it returns");
    assert!(default.starts_with("punctual-"), "{default}");
}

#[test]
fn after_a_waited_shutdown_the_threads_and_their_thread_locals_are_gone() {
    struct Local(mpsc::Sender<()>);
    impl Drop for Local {
        fn drop(&mut self) {
            self.0.send(()).expect("the test listens");
        }
    }
    thread_local! {
        static LOCAL: std::cell::RefCell<Option<Local>> = const { std::cell::RefCell::new(None) };
    }
    let pool = Pool::builder().threads(1..=1).build().expect("a thread");
    let (send, dropped) = mpsc::channel();
    let job = pool.spawn_blocking(move || LOCAL.set(Some(Local(send))));
    job.wait().expect("it returns");
    pool.shutdown().wait();
    assert!(dropped.try_recv().is_ok());
    assert_eq!(pool.metrics().threads, 0);
}

#[test]
fn settings_that_can_not_be_are_refused() {
    let build = |builder: punctual::Builder| builder.build().expect_err("it can not be");
    assert!(matches!(build(Pool::builder().threads(0..=0)), BuildError::NoThreads));
    assert!(matches!(build(Pool::builder().threads(0..0)), BuildError::NoThreads));
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    let reversed = build(Pool::builder().threads(5..=2));
    assert!(matches!(reversed, BuildError::EmptyRange { min: 5, max: 2 }), "{reversed}");
    let many = build(Pool::builder().threads(..=1_000_000));
    assert!(matches!(many, BuildError::TooManyThreads { asked: 1_000_000, .. }), "{many}");
    assert!(matches!(
        build(Pool::builder().threads(usize::MAX..)),
        BuildError::TooManyThreads { .. }
    ));
    assert!(matches!(build(Pool::builder().queue_limit(0)), BuildError::NoQueue));
    assert!(matches!(build(Pool::builder().name("a\0b")), BuildError::Name(_)));
}
