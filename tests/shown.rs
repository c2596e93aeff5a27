//! What every public type shows of itself, and the small conveniences beside the great verbs.

use punctual::testing::ManualClock;
use punctual::{JobError, Phase, Pool, set_default_pool};
use std::fmt::Debug;
use std::ops::Bound;
use std::panic::{catch_unwind, resume_unwind};
use std::time::Duration;

/// What it shows begins with the name of its type, says this, and is one short line.
#[track_caller]
fn shows(what: &impl Debug, said: &str) {
    let type_name = std::any::type_name_of_val(what);
    let path = type_name.split('<').next().expect("a name");
    let name = path.rsplit("::").next().expect("a name");
    let shown = format!("{what:?}");
    assert!(shown.starts_with(name) && shown.contains(said), "{shown}");
    assert!(shown.len() < 1000 && !shown.contains('\n'), "{shown}");
}

#[test]
fn everything_shows_what_it_is() {
    let clock = ManualClock::default();
    let builder = Pool::builder().name("shown").threads(1..=1).queue_limit(7).clock(&clock);
    shows(&builder, "queue_limit: Some(7)");
    let pool = builder.build().expect("a thread");
    shows(&pool, "threads: 1");
    shows(&clock, "tv_nsec");
    shows(&pool.try_reserve().expect("a place"), "..");
    shows(&pool.metrics(), "accepted: ");
    shows(&pool.job().name("report").timeout(Duration::from_secs(1)), "\"report\"");
    shows(&pool.job().name("late").on_late(|_: u32| ()), "\"late\"");
    let job = pool.spawn_blocking(|| format!("{:?}", punctual::current()));
    shows(&job, "is_finished: ");
    shows(&job.abort_handle(), "is_finished: ");
    shows(&job.stopped(), "id: ");
    shows(&job.info(), "priority: Normal");
    assert!(job.wait().expect("it runs").starts_with("Some(JobContext { id: "));
    shows(&pool.spawn_blocking(|| ()).cancel_on_drop(), "id: ");
    shows(&pool.drain(), "limit: ");
    let report = pool.shutdown().wait();
    let said = report.to_string();
    assert!(said.ends_with(" jobs finished, 0 never started, 0 still running"), "{said}");
}

#[test]
fn errors_show_what_is_known_of_the_job() {
    let pool = Pool::builder().threads(1..=1).build().expect("a thread");
    let late = pool.job().name("report").timeout(Duration::ZERO).spawn_blocking(|| ());
    let Err(JobError::TimedOut(stop)) = late.wait() else { panic!("it is too late") };
    shows(&stop, "name: Some(\"report\"), phase: Queued, cause: Deadline");
    let panics = pool.spawn_blocking(|| resume_unwind(Box::new("no sum")));
    let Err(JobError::Panicked(panic)) = panics.wait() else { panic!("it panics") };
    shows(&panic, "message: \"no sum\"");
    let payload = catch_unwind(|| panic.resume()).expect_err("it goes on");
    assert_eq!(payload.downcast_ref(), Some(&"no sum"));
}

#[test]
fn a_second_default_pool_is_given_back() {
    let _ = punctual::default_pool();
    let own = Pool::builder().name("own").build().expect("no thread is needed");
    let in_use = set_default_pool(own).expect_err("there is one");
    shows(&in_use, "Pool");
    assert_eq!(in_use.into_pool().spawn_blocking(|| 7).wait().ok(), Some(7));
}

#[test]
fn a_reserved_place_is_used_in_three_ways() {
    let pool = Pool::builder().threads(1..=1).queue_limit(1).build().expect("a thread");
    let reserve = || pool.blocking_reserve().expect("the pool is open");
    assert_eq!(reserve().spawn_blocking(|| 1).wait().ok(), Some(1));
    assert_eq!(reserve().spawn(|_| "2".parse::<u32>()).wait().ok(), Some(2));
    let named = reserve().job().name("three").spawn(|cx| "3".parse::<u32>().map(|n| (n, cx.id())));
    let id = named.id();
    assert_eq!(named.wait().ok(), Some((3, id)));
}

#[test]
fn threads_can_be_bounded_in_every_way_that_a_range_can() {
    let threads = |range: (Bound<usize>, Bound<usize>)| {
        let builder = Pool::builder().threads(range);
        let shown = format!("{builder:?}");
        let (_, rest) = shown.split_once("threads: ").expect("it is shown");
        rest.split(',').next().expect("the range").to_owned()
    };
    use Bound::{Excluded, Included, Unbounded};
    assert_eq!(threads((Included(2), Included(4))), "2..=4");
    assert_eq!(threads((Excluded(2), Excluded(4))), "3..=3");
    assert_eq!(threads((Unbounded, Included(4))), "0..=4");
    assert_eq!(threads((Included(4000), Unbounded)), "4000..=4000");
}

#[tokio::test]
async fn a_future_that_cancels_on_drop_gives_the_outcome_before_that() {
    let clock = ManualClock::new();
    let before = clock.now();
    clock.advance(Duration::from_secs(1));
    assert_eq!(clock.now() - before, Duration::from_secs(1));
    let pool = Pool::default();
    assert_eq!(pool.spawn_blocking(|| 7).cancel_on_drop().await.ok(), Some(7));
    let failed = pool.spawn(|_| "x".parse::<u32>()).cancel_on_drop().await;
    assert_eq!(failed.expect_err("no number").phase(), Some(Phase::Running));
}
