//! Jobs of all kinds: with any settings, whose bodies do anything.

use crate::gauge::Inside;
use crate::handling::{wait, wait_a_little};
use crate::ledger::{self, BOOKS, Capture, Record, Thing, raise};
use crate::rng::Rng;
use crate::site::{Site, Stand};
use crate::storm::{Kept, keep};
use crate::weather::Weather;
use punctual::{Deadline, Job, JobContext, JobHandle, Priority};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed, Ordering::Release};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A job that was submitted, and what is known of it.
pub(crate) struct Spawned {
    pub(crate) handle: JobHandle<Thing, Thing>,
    pub(crate) record: Record,
}

/// What a job takes along.
pub(crate) struct Luggage {
    pub(crate) weather: Weather,
    /// For bodies that use or drop their pool. Nobody waits for one that has this from another place.
    pub(crate) site: Option<Site>,
    /// Where it is.
    pub(crate) stand: Stand,
    pub(crate) token: Option<CancellationToken>,
    /// How many generations of children may follow.
    pub(crate) heirs: u32,
}

const fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

/// Waits that end soon, times that are over at once, and times that never come.
const TIMES: [Duration; 6] =
    [Duration::ZERO, us(20), us(300), us(2_000), Duration::from_secs(3600), Duration::MAX];

pub(crate) fn spawn(job: Job, rng: &mut Rng, luggage: Luggage) -> Spawned {
    let weather = luggage.weather;
    let record: Record = Arc::new(AtomicU32::new(0));
    let capture = Capture::new(&record, rng.one_in(weather.panics));
    let mut own = Rng::new(rng.next());
    let job = settings(job, rng, &luggage);
    BOOKS.submitted.fetch_add(1, Relaxed);
    let has_hook = rng.one_in(weather.deadlines);
    let hook = Hook { thing: Thing::new(has_hook && rng.one_in(weather.panics)), rng: own.clone() };
    let body = move |cx: &JobContext| run(cx, capture, &mut own, luggage);
    let handle = if has_hook {
        let late = move |value: Thing| hook.call(value, weather);
        job.on_late(late).spawn(body)
    } else {
        drop(hook);
        job.spawn(body)
    };
    BOOKS.spawned.fetch_add(1, Release); // for the watcher
    Spawned { handle, record }
}

/// What a hook for late values has captured.
struct Hook {
    thing: Thing,
    rng: Rng,
}

impl Hook {
    fn call(mut self, value: Thing, weather: Weather) {
        if self.rng.one_in(weather.panics) {
            raise(&mut self.rng);
        }
        drop(value);
        drop(self.thing);
    }
}

fn settings(mut job: Job, rng: &mut Rng, luggage: &Luggage) -> Job {
    if rng.one_in(8) {
        job = job.priority(rng.pick(&[Priority::High, Priority::Low]));
    }
    if let Some(token) = luggage.token.as_ref().filter(|_| rng.one_in(4)) {
        job = job.token(token);
    }
    if rng.one_in(16) {
        job = job.key(rng.pick(&["a mount", "a host"]));
    }
    if !rng.one_in(luggage.weather.deadlines) {
        return job;
    }
    if rng.one_in(2) {
        job = job.timeout(rng.pick(&TIMES));
    }
    if rng.one_in(4) {
        job = job.queue_timeout(rng.pick(&TIMES));
    }
    if rng.one_in(4) {
        job = job.run_timeout(rng.pick(&TIMES));
    }
    if rng.one_in(4) {
        job = job.grace(rng.pick(&TIMES));
    }
    match rng.below(12) {
        0 => job.deadline(Instant::now()),
        1 => job.deadline(Deadline::NEVER),
        2 => job.deadline(Instant::now() + us(200)),
        3 => job.name("a name"),
        4 => job.name(String::from("another")),
        _ => job,
    }
}

fn run(cx: &JobContext, capture: Capture, rng: &mut Rng, luggage: Luggage) -> Result<Thing, Thing> {
    let record = Arc::clone(&capture.record);
    ledger::starts(&record);
    if punctual::current().map(|own| own.id()) != Some(cx.id()) {
        BOOKS.wrong("a body runs as another job");
    }
    let inside = Inside::enter(&luggage.stand.way);
    if !luggage.stand.way.is_empty() && rng.one_in(32) {
        let _ = cx.sleep(us(50)); // while others come
    }
    let result = act(cx, &record, rng, luggage);
    drop(inside);
    drop(capture); // here, and not with the scope: a value that is being returned then would leak
    ledger::returns(&record, result.is_ok());
    result
}

fn act(cx: &JobContext, record: &Record, rng: &mut Rng, luggage: Luggage) -> Result<Thing, Thing> {
    let weather = luggage.weather;
    let value = Thing::new(rng.one_in(weather.panics));
    if rng.one_in(weather.panics) {
        ledger::panics(record);
        raise(rng);
    }
    if !rng.one_in(weather.antics) {
        return if rng.one_in(8) { Err(value) } else { Ok(value) };
    }
    match rng.below(16) {
        0 => cx.checkpoint(),
        1 => punctual::checkpoint(),
        2 => return if cx.check().is_err() { Err(value) } else { Ok(value) },
        3 => linger(cx, 200),
        4 => drop(cx.sleep(us(50))),
        5 => sleep_until_stopped(cx),
        6 | 7 => beget(cx, rng, luggage),
        8 => drop(luggage.site),
        9 => drop(luggage.site.map(|site| site.pool.metrics())),
        10 => listen(cx, rng, weather),
        11 => mind_tokens(cx, rng),
        12 => interruptible(cx, rng, weather),
        13 | 14 => wait_for_another(cx, rng, luggage),
        _ => drop((cx.deadline(), cx.remaining(), cx.name().map(str::to_owned), cx.cause())),
    }
    Ok(value)
}

/// Some microseconds. (To yield instead may take a second where the machine has more to do.)
fn linger(cx: &JobContext, looks: u32) {
    for _ in 0..looks {
        if cx.is_stopped() {
            break;
        }
        (0..20).for_each(|_| std::hint::spin_loop());
    }
}

/// Where a stop is sure to come, and soon.
fn sleep_until_stopped(cx: &JobContext) {
    let soon = cx.remaining().is_some_and(|left| left < us(10_000));
    let slept = cx.sleep(if soon { Duration::MAX } else { Duration::ZERO });
    if soon && slept.is_ok() {
        BOOKS.wrong("a sleep without an end ended by itself");
    }
}

fn beget(cx: &JobContext, rng: &mut Rng, luggage: Luggage) {
    let Luggage { weather, site, stand, token, heirs } = luggage;
    let Some(heirs) = heirs.checked_sub(1) else { return };
    for _ in 0..rng.below(3) {
        let (site, stand, token) = (site.clone(), stand.clone(), token.clone());
        let luggage = Luggage { weather, site, stand, token, heirs };
        let child = spawn(cx.job(), rng, luggage);
        match rng.below(4) {
            0 => keep(Kept::Job(child)),
            1 => {
                child.handle.cancel();
                let_go(child);
            }
            _ => let_go(child),
        }
    }
    if rng.one_in(2) {
        linger(cx, 50); // and may be stopped with them
        sleep_until_stopped(cx);
    }
}

/// Has another job done, and waits for it there (law 12).
fn wait_for_another(cx: &JobContext, rng: &mut Rng, luggage: Luggage) {
    let Luggage { weather, site, stand, token, heirs } = luggage;
    let Some(heirs) = heirs.checked_sub(1) else { return };
    let (job, stand) = match site.filter(|_| rng.one_in(2)) {
        Some(site) => {
            let there = site.beyond(&stand, rng);
            (site.job(&there), there)
        }
        None => (cx.job(), stand),
    };
    let another = spawn(job, rng, Luggage { weather, site: None, stand, token, heirs });
    if rng.one_in(4) { wait_a_little(another, rng) } else { wait(another) }
}

/// Drops a handle whose outcome nobody has seen.
pub(crate) fn let_go(job: Spawned) {
    BOOKS.unseen.fetch_add(1, Relaxed);
    drop(job.handle);
}

/// Has functions called at a stop: in time, late, never; some panic, some are never taken back.
fn listen(cx: &JobContext, rng: &mut Rng, weather: Weather) {
    for _ in 0..rng.below(4) {
        let mut own = Rng::new(rng.next());
        let thing = Thing::new(rng.one_in(weather.panics));
        let boom = rng.one_in(weather.panics);
        let again = cx.clone();
        let guard = cx.on_stop(move |cause| {
            if again.cause() != Some(cause) {
                BOOKS.wrong("a listener is told of another cause");
            }
            if boom {
                raise(&mut own);
            }
            drop(thing);
        });
        if rng.one_in(2) {
            keep(Kept::Guard(guard));
        } else {
            linger(cx, 3);
        }
    }
}

fn mind_tokens(cx: &JobContext, rng: &mut Rng) {
    let token = cx.token();
    if rng.one_in(4) {
        token.cancel();
        if cx.check().is_ok() {
            BOOKS.wrong("a job goes on whose own token is cancelled");
        }
    }
    if cx.is_stopped() && !cx.token().is_cancelled() && !token.is_cancelled() {
        linger(cx, 1); // who stopped it is about to tell the token
    }
}

fn interruptible(cx: &JobContext, rng: &mut Rng, weather: Weather) {
    let boom = rng.one_in(weather.panics);
    let stop = || {
        if boom {
            raise(&mut Rng::new(7));
        }
    };
    cx.interruptible(stop, || linger(cx, 50));
}
