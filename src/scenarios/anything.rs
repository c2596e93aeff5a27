//! Whatever chance brings together: settings, lanes, bodies, handles' fates and ends.

use crate::scenarios::books::{Books, Entry, kept};
use crate::scenarios::scenarios;
use crate::scenarios::support::{OnDrop, Tally, builder, join, ms, poll, wait_for_stop};
use crate::sync::for_shuttle::chance;
use crate::sync::for_shuttle::thread::{spawn, yield_now};
use crate::testing::ManualClock;
use crate::{
    Builder, Checked, Job, JobContext, JobHandle, Lane, Pool, Priority, ShutdownReport, Stopped,
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

/// A lane, and how many have come into it and gone out of it.
#[derive(Clone)]
struct Narrow {
    lane: Lane,
    limit: usize,
    came: Tally,
    went: Tally,
}

impl Narrow {
    /// One of a pool's, within another in half of them.
    fn new(pool: &Pool) -> Self {
        let limit = 1 + chance(2) as usize;
        let outer = toss().then(|| pool.lane("outer").limit(1 + chance(2) as usize));
        let lane = outer.map_or_else(|| pool.lane("narrow"), |outer| outer.lane("inner"));
        let lane = lane.limit(limit);
        let lane = if toss() { lane.queue_limit(1) } else { lane };
        let lane = if chance(3) == 0 { lane.elastic() } else { lane };
        Self { lane, limit, came: Tally::default(), went: Tally::default() }
    }

    fn during<R>(&self, does: impl FnOnce() -> R) -> R {
        self.came.add();
        assert!(self.came.get() - self.went.get() <= self.limit, "too many are in the lane");
        let went = self.went.clone();
        let _goes = OnDrop(|| went.add());
        does()
    }
}

/// What a body does. One that waits for a child lends that its lane's permit, and is not counted there.
fn body(
    entry: &Entry,
    books: &Books,
    narrow: Option<Narrow>,
) -> impl FnOnce(&JobContext) -> Checked<u32> + Send + 'static {
    let (own, books, kind) = (entry.clone(), books.clone(), chance(6));
    let narrow = narrow.filter(|_| kind != 4);
    let does = move |cx: &JobContext| {
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
    };
    entry.body(move |cx| match narrow {
        Some(narrow) => narrow.during(|| does(cx)),
        None => does(cx),
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
    let builder = builder.spare_threads(chance(2) as usize);
    let builder = builder.keep_alive(ms(3)).on_unseen_panic(|_| ());
    let pool = builder.build().expect("threads");
    let (books, token) = (Books::default(), CancellationToken::new());
    let narrow = Narrow::new(&pool);
    let submitters = [2, 2, 1].map(|jobs| {
        let (pool, books, token) = (pool.clone(), books.clone(), token.clone());
        let narrow = narrow.clone();
        spawn(move || {
            for _ in 0..jobs {
                let entry = books.entry();
                let narrow = toss().then(|| narrow.clone());
                let job = narrow.as_ref().map_or_else(|| pool.job(), |narrow| narrow.lane.job());
                let job = settings(job, &token);
                let body = body(&entry, &books, narrow);
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
        assert_eq!(all, kept(&pool), "{finished} finished");
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
