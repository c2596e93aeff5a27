//! Whatever chance brings together: settings, bodies, handles' fates and ends.

use crate::scenarios::books::{Books, Entry};
use crate::scenarios::scenarios;
use crate::scenarios::support::{Tally, builder, join, ms, poll, wait_for_stop};
use crate::sync::for_shuttle::chance;
use crate::sync::for_shuttle::thread::{spawn, yield_now};
use crate::testing::ManualClock;
use crate::{
    Builder, Checked, Job, JobContext, JobHandle, Pool, Priority, ShutdownReport, Stopped,
};
use tokio_util::sync::CancellationToken;

fn toss() -> bool {
    chance(2) == 0
}

/// Settings of which each is made or not. Some deadline there is, so that every job ends.
fn settings(job: Job, token: &CancellationToken) -> Job {
    let time = |job: Job, set: fn(Job, std::time::Duration) -> Job| {
        if chance(3) == 0 { set(job, ms(5 * u64::from(chance(3)))) } else { job }
    };
    let job = if toss() { job.timeout(ms(10)) } else { job.run_timeout(ms(5)) };
    let job = time(job, Job::queue_timeout);
    let job = time(job, Job::grace);
    let job = if chance(3) == 0 { job.token(token) } else { job };
    job.priority([Priority::High, Priority::Normal, Priority::Low][chance(3) as usize])
}

fn body(entry: &Entry, books: &Books) -> impl FnOnce(&JobContext) -> Checked<u32> + Send + 'static {
    let (own, books, kind) = (entry.clone(), books.clone(), chance(6));
    entry.body(move |cx| {
        match kind {
            0 => (0..2).for_each(|_| yield_now()),
            1 => own.panic_on_purpose(),
            2 => cx.sleep(ms(5))?,
            3 => wait_for_stop(cx)?,
            4 => {
                let child = books.entry();
                fate(cx.job().spawn(child.looks(2)), &child);
            }
            _ => cx.checkpoint(),
        }
        cx.check().map(|()| kind)
    })
}

/// What its owner does with a handle.
fn fate(mut job: JobHandle<u32, Stopped>, entry: &Entry) {
    let woken = Tally::default();
    match chance(7) {
        0 => return drop(job),
        1 => return drop(poll(&mut job.cancel_on_drop(), &woken)),
        2 => {
            job.cancel();
            return; // and drops it
        }
        3 => {
            job.cancel();
        }
        4 => job.wait_stopped(),
        5 => {
            if let Some(outcome) = job.wait_timeout(ms(1)) {
                entry.enter(&outcome);
                return;
            }
        }
        _ => {}
    }
    entry.enter(&job.wait());
}

fn anything(builder: Builder) {
    let builder = builder.threads(chance(2) as usize..=2 + chance(3) as usize);
    let builder = if toss() { builder.queue_limit(2) } else { builder };
    let builder = builder.keep_alive(ms(3)).on_unseen_panic(|_| ());
    let pool = builder.build().expect("threads");
    let (books, token) = (Books::default(), CancellationToken::new());
    let submitters = [2, 2, 1].map(|jobs| {
        let (pool, books, token) = (pool.clone(), books.clone(), token.clone());
        spawn(move || {
            for _ in 0..jobs {
                let entry = books.entry();
                let job = settings(pool.job(), &token);
                let body = body(&entry, &books);
                fate(if toss() { job.on_late(drop).spawn(body) } else { job.spawn(body) }, &entry);
            }
        })
    });
    (0..chance(16)).for_each(|_| yield_now());
    if toss() {
        token.cancel();
    }
    let report = end(&pool);
    join(submitters);
    if let Some(ShutdownReport { finished, never_started, still_running, .. }) = report {
        let all = finished + (never_started.len() + still_running.len()) as u64;
        assert_eq!(all, pool.metrics().accepted, "{finished} finished");
    }
    books.close(pool);
}

/// Ends the pool in one of the ways there are, or leaves that to the books.
fn end(pool: &Pool) -> Option<ShutdownReport> {
    match chance(6) {
        0 => Some(pool.shutdown().wait()),
        1 => Some(pool.drain().wait()),
        2 => Some(pool.drain().within(ms(5)).wait()),
        3 => Some(pool.shutdown().within(ms(5)).wait()),
        4 => {
            drop(pool.shutdown());
            None
        }
        _ => None,
    }
}

fn anything_by_the_system_clock() {
    anything(builder());
}

fn anything_by_a_manual_clock() {
    let clock = ManualClock::new();
    let by_hand = builder().clock(&clock);
    let over = Tally::default();
    let is_over = over.clone();
    let mover = spawn(move || {
        while is_over.get() == 0 {
            clock.advance(ms(u64::from(chance(6))));
            yield_now();
        }
    });
    anything(by_hand);
    over.add();
    join([mover]);
}

scenarios! {
    anything_by_the_system_clock
    anything_by_a_manual_clock
}
