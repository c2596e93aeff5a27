//! Handles that are dropped, shared and polled, while their jobs end.

use crate::scenarios::books::{Books, Seen};
use crate::scenarios::scenarios;
use crate::scenarios::support::{OnDrop, Tally, builder, join, ms, poll};
use crate::sync::for_shuttle::chance;
use crate::sync::for_shuttle::thread::{spawn, yield_now};
use crate::testing::ManualClock;
use crate::{Checked, JobHandle};
use std::sync::Arc;
use std::task::Poll;

/// Law 5: a value that comes late goes to the hook, one that nobody takes is dropped, each once.
fn a_late_value_against_a_dropped_handle() {
    let clock = ManualClock::new();
    let pool = builder().clock(&clock).threads(1..=1).build().expect("a thread");
    let books = Books::default();
    let (entry, made, dropped, late) =
        (books.entry(), Tally::default(), Tally::default(), Tally::default());
    let hook = late.clone();
    let count = (made.clone(), dropped.clone());
    let job = pool.job().timeout(ms(5)).on_late(move |_| hook.add()).spawn(entry.body(move |_| {
        yield_now();
        count.0.add();
        Checked::Ok(OnDrop(move || count.1.add()))
    }));
    let mover = spawn(move || clock.advance(ms(5)));
    drop_somehow(job);
    join([mover]);
    books.close(pool.clone());
    let metrics = pool.metrics();
    assert_eq!(made.get(), dropped.get(), "a value is dropped once: {metrics:?}");
    assert_eq!(metrics.returned as usize + late.get(), made.get(), "late or not: {metrics:?}");
}

/// Drops a handle that was polled or not, and woken or not.
fn drop_somehow<T>(mut job: JobHandle<T, crate::Stopped>) {
    let woken = Tally::default();
    match chance(4) {
        0 => drop(job),
        1 => drop(poll(&mut job, &woken)),
        2 => drop(job.cancel_on_drop()),
        _ => drop(job.wait()),
    }
}

/// All that wait for one body's end see it, and then its outcome is there.
fn several_wait_for_the_end() {
    let clock = ManualClock::new();
    let pool = builder().clock(&clock).threads(1..=1).build().expect("a thread");
    let books = Books::default();
    let entry = books.entry();
    let settings = pool.job().timeout(ms(5));
    let late = chance(2) == 0;
    let body = entry.deaf(1);
    let job = if late { settings.on_late(|_| ()).spawn(body) } else { settings.spawn(body) };
    let job = Arc::new(job);
    let mover = spawn(move || clock.advance(ms(5)));
    let waiters = [(); 2].map(|()| {
        let (job, entry) = (Arc::clone(&job), entry.clone());
        spawn(move || {
            job.wait_stopped();
            assert!(job.is_finished(), "its end is seen, and its outcome is not there");
            assert_eq!(entry.was_called(), entry.has_returned(), "its end is seen before it");
        })
    });
    let woken = Tally::default();
    let mut ended = job.stopped();
    if poll(&mut ended, &woken).is_pending() && chance(2) == 0 {
        let _ = poll(&mut ended, &woken);
        crate::park::wait(&mut ended); // with another waker, in the place of the first
    }
    drop(ended);
    join(waiters);
    join([mover]);
    let job = Arc::into_inner(job).expect("no other is left");
    entry.enter(&job.wait());
    books.close(pool);
}

/// The last waker counts; it is woken though it came just when the outcome did.
fn wakers_replaced_against_the_outcome() {
    let pool = builder().threads(1..=1).build().expect("a thread");
    let books = Books::default();
    let entries = [books.entry(), books.entry()];
    for entry in &entries {
        let mut job = pool.spawn(entry.looks(1));
        let stopper = job.abort_handle();
        let canceller = spawn(move || stopper.abort());
        let woken = Tally::default();
        let outcome = match poll(&mut job, &woken) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => match poll(&mut job, &Tally::default()) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => job.wait(),
            },
        };
        entry.enter(&outcome);
        join([canceller]);
    }
    books.close(pool);
}

/// Law 17: a panic is shown by the handle, or else to the hook.
fn panics_against_dropped_handles() {
    let unseen = Tally::default();
    let hook = unseen.clone();
    let settings = builder().threads(1..=2).on_unseen_panic(move |_| hook.add());
    let pool = settings.build().expect("threads");
    let books = Books::default();
    let entries = [books.entry(), books.entry(), books.entry()];
    let jobs = entries.clone().map(|entry| pool.spawn(entry.panics()));
    let mut seen = 0;
    for (job, entry) in jobs.into_iter().zip(&entries) {
        match chance(3) {
            0 => drop(job),
            1 => seen += usize::from(poll(&mut { job }, &Tally::default()).is_ready()),
            _ => {
                assert_eq!(entry.enter(&job.wait()), Seen::Panicked);
                seen += 1;
            }
        }
    }
    books.close(pool.clone());
    let panicked = pool.metrics().panicked as usize;
    assert_eq!(panicked, 3);
    assert_eq!(seen + unseen.get(), panicked, "a panic is shown once");
}

scenarios! {
    a_late_value_against_a_dropped_handle
    several_wait_for_the_end
    wakers_replaced_against_the_outcome
    panics_against_dropped_handles
}
