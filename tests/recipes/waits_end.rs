//! Waits for a connection and for a condition, and work in steps.

use crate::blocked::{this_thread, until_it_sleeps};
use crate::checkout::{InMemory, checkout};
use crate::condvar::wait_while;
use crate::steps::{self, black, decode};
use crate::support::{error, ms, news, outcome, pool_of};
use punctual::testing::ManualClock;
use punctual::{JobError, JobHandle, Pool, Stopped};
use std::hint;
use std::io::Cursor;
use std::sync::{Arc, Condvar, Mutex};

fn one_connection() -> r2d2::Pool<InMemory> {
    r2d2::Pool::builder().max_size(1).build(InMemory).expect("memory")
}

#[test]
fn a_checkout_ends_with_its_job() {
    let (pool, connections) = (pool_of(1), one_connection());
    let held = connections.get().expect("it is free");
    let (started, starts) = news();
    let own = connections.clone();
    let job = pool.spawn(move |cx| {
        started.send(this_thread()).expect("the test listens");
        checkout(cx, &own).map(drop)
    });
    until_it_sleeps(&starts.next());
    job.cancel();
    assert!(error(job).is_cancelled());
    let own = connections.clone();
    let job = pool.job().run_timeout(ms(20)).spawn(move |cx| checkout(cx, &own).map(drop));
    job.wait_stopped();
    assert!(error(job).is_timed_out());
    drop(held);
    assert_eq!(connections.state().idle_connections, 1, "it was taken, and lost");
}

#[test]
fn a_checkout_has_the_connection_that_comes_back() {
    let (pool, connections) = (pool_of(1), one_connection());
    let held = connections.get().expect("it is free");
    let (started, starts) = news();
    let job = pool.spawn(move |cx| {
        started.send(this_thread()).expect("the test listens");
        checkout(cx, &connections).map(drop)
    });
    until_it_sleeps(&starts.next());
    drop(held);
    outcome(job).expect("it comes back");
}

/// Something to wait for.
type Place = Arc<(Mutex<u32>, Condvar)>;

/// Takes one, as soon as there is one.
fn take(pool: &Pool, place: &Place) -> (JobHandle<u32, Stopped>, String) {
    let (place, (started, starts)) = (Arc::clone(place), news());
    let job = pool.spawn(move |cx| {
        started.send(this_thread()).expect("the test listens");
        let mut left = wait_while(cx, &place.0, &place.1, |left| *left == 0)?;
        *left -= 1;
        Ok(*left)
    });
    (job, starts.next())
}

#[test]
fn of_two_that_wait_for_a_condition_a_stop_ends_its_own() {
    let (pool, place) = (pool_of(2), Place::default());
    let ((one, thread), (other, others)) = (take(&pool, &place), take(&pool, &place));
    until_it_sleeps(&thread);
    until_it_sleeps(&others);
    one.cancel();
    assert!(error(one).is_cancelled());
    assert!(!other.is_finished());
    *place.0.lock().expect("no panic under it") = 1;
    place.1.notify_one();
    assert_eq!(outcome(other).expect("nobody stops it"), 0);
}

/// Of two that wait, the first is stopped and was not told yet: nobody moves its pool's clock.
#[test]
fn who_is_stopped_passes_a_notification_on() {
    let clock = ManualClock::new();
    let builder = Pool::builder().threads(1..=1).clock(&clock);
    let (pool, place) = (builder.build().expect("a thread"), Place::default());
    let (own, (started, starts)) = (Arc::clone(&place), news());
    let first = pool.spawn(move |cx| {
        started.send(this_thread()).expect("the test listens");
        let wait = wait_while(cx, &own.0, &own.1, |left| {
            cx.token().cancel(); // after the look, before the wait
            *left == 0
        });
        wait.map(drop)
    });
    until_it_sleeps(&starts.next());
    let (second, thread) = take(&pool_of(1), &place);
    until_it_sleeps(&thread);
    *place.0.lock().expect("no panic under it") = 1;
    place.1.notify_one();
    assert_eq!(outcome(second).expect("nobody stops it"), 0);
    clock.advance(ms(100));
    assert!(error(first).is_cancelled());
}

/// One that comes between the look and the wait is said again.
#[test]
fn no_stop_of_a_wait_for_a_condition_is_missed() {
    let (pool, place) = (pool_of(1), Place::default());
    for round in 0..1_000 {
        let (job, _) = take(&pool, &place);
        (0..(round * 37) % 3_000).for_each(|_| hint::spin_loop());
        job.cancel();
        assert!(error(job).is_cancelled());
    }
}

#[test]
fn a_picture_is_decoded_row_by_row() {
    let picture = black(300, 200).expect("memory");
    let job = pool_of(1).spawn(move |cx| {
        let (mut rows, mut bytes) = (0, 0);
        decode(cx, Cursor::new(picture), |row| {
            rows += 1;
            bytes += row.len();
        })?;
        Ok::<_, steps::Error>((rows, bytes))
    });
    assert_eq!(outcome(job).expect("it is a picture"), (200, 300 * 200));
}

#[test]
fn no_row_is_decoded_after_the_stop() {
    let picture = black(300, 200).expect("memory");
    let (seen, rows) = news();
    let job = pool_of(1).spawn(move |cx| {
        let mut rows = 0;
        let decoded = decode(cx, Cursor::new(picture), |_| {
            rows += 1;
            if rows == 10 {
                cx.token().cancel();
            }
        });
        seen.send(rows).expect("the test listens");
        decoded
    });
    assert!(matches!(error(job), JobError::Cancelled(_)));
    assert_eq!(rows.next(), 10);
}

#[test]
fn what_is_no_picture_is_an_error() {
    let job = pool_of(1).spawn(|cx| decode(cx, Cursor::new(b"GIF89a"), |_| ()));
    assert!(matches!(error(job), JobError::Failed(steps::Error::Picture(_))));
}
