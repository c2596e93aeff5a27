//! One storm: pools, threads that submit to them, an end, and the books.

use crate::handling::{Errand, Hand};
use crate::jobs::{Luggage, Spawned, let_go, spawn};
use crate::ledger::{self, BOOKS, Thing, raise, saw};
use crate::rng::Rng;
use crate::site::{Site, when_full};
use crate::watchdog;
use crate::watcher::Watcher;
use crate::weather::Weather;
use punctual::{Builder, Metrics, Order, Pool, Shutdown, StopGuard};
use std::future::Future;
use std::io;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::Release};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;
use std::thread;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);
/// What the pools' threads are named by.
const NAME: &str = "storm";

/// What was forgotten: nobody drops it before the pools are gone. (To forget it for good would be a
/// leak, of the job's record.)
static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

pub(crate) enum Kept {
    Job(Spawned),
    Guard(StopGuard),
}

pub(crate) fn keep(this: Kept) {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(this);
}

/// How a storm ends for its pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Drain,
    Shutdown,
    /// In no time at all.
    Cut,
    /// By a job of the pool.
    Inside,
    /// While jobs are submitted.
    Middle,
    /// All let go of the pool, and that is it.
    Dropped,
}

const ENDS: [End; 6] =
    [End::Drain, End::Shutdown, End::Cut, End::Inside, End::Middle, End::Dropped];

struct Storm {
    weather: Weather,
    jobs: u64,
    end: End,
    sites: Vec<Site>,
    token: Mutex<CancellationToken>,
    /// How many threads still submit.
    submitting: AtomicU64,
}

/// Lets a storm rage, and gives the number of jobs in it. Panics with all that is wrong after it.
pub(crate) fn rage(seed: u64, weather: Weather, most: u64) -> u64 {
    let mut rng = Rng::new(seed);
    BOOKS.clear();
    let jobs = rng.pick(if weather.short { &[1, 40, 300, 2_000] } else { &[300, 4_000, 20_000] });
    let jobs = jobs.min(most);
    let end = rng.pick(&ENDS);
    let pools: Vec<_> = (0..=rng.below(2)).map(|_| pool(&mut rng, weather)).collect();
    let name = format!("storm {seed:#x} ({}, {jobs} jobs, {end:?})", weather.name);
    watchdog::watch(name.clone(), &pools);
    let sites: Vec<_> = pools.into_iter().map(|pool| Site::new(pool, &mut rng)).collect();
    let token = Mutex::new(CancellationToken::new());
    let watcher = Watcher::start(&sites, seed);
    let submitters = rng.pick(&[1, 2, 2, 3]);
    let storm = Storm { weather, jobs, end, sites, token, submitting: submitters.into() };
    thread::scope(|s| {
        let (errands, orders) = mpsc::channel();
        for n in 0..submitters {
            let (errands, rng) = (errands.clone(), Rng::new(seed ^ (n + 1)));
            let storm = &storm;
            let share = storm.jobs / submitters;
            s.spawn(move || {
                calmly("a submitter", || storm.submit(share, rng, &errands));
                storm.submitting.fetch_sub(1, Relaxed);
            });
        }
        drop(errands);
        let (storm, mut rng) = (&storm, Rng::new(!seed));
        s.spawn(move || {
            let hand = Hand { weather, pool: &storm.sites[0].pool, stranger: None };
            for errand in orders {
                calmly("a stranger", || hand.run(errand, &mut rng));
            }
        });
        if end == End::Middle {
            s.spawn(move || storm.end_in_the_middle(seed));
        }
    });
    watchdog::stage("all is submitted");
    let wrong = storm.finish(&mut rng, watcher);
    assert!(wrong.is_empty(), "after {name}:\n{}", wrong.join("\n"));
    BOOKS.submitted.load(Relaxed)
}

impl Storm {
    fn submit(&self, mut left: u64, mut rng: Rng, stranger: &Sender<Errand>) {
        let weather = self.weather;
        while left > 0 {
            let site = &self.sites[rng.below(self.sites.len() as u64) as usize];
            let batch = rng.pick(&[1, 8, 32, 128, 512]).min(left);
            left -= batch;
            let token = self.token.lock().expect("no panic under it").clone();
            let jobs: Vec<_> = (0..batch)
                .filter_map(|_| {
                    let stand = site.anywhere(&mut rng);
                    let job = site.reserved_job(&stand, &mut rng)?;
                    let own = rng.one_in(4).then(|| site.clone());
                    let token = rng.one_in(8).then(|| token.clone());
                    let luggage = Luggage { weather, site: own, stand, token, heirs: 2 };
                    Some(spawn(job, &mut rng, luggage))
                })
                .collect();
            if rng.one_in(4) {
                let old = std::mem::take(&mut *self.token.lock().expect("no panic under it"));
                old.cancel();
            }
            let hand = Hand { weather, pool: &site.pool, stranger: Some(stranger) };
            jobs.into_iter().for_each(|job| hand.deal_with(job, &mut rng));
            watchdog::progress();
        }
    }

    fn end_in_the_middle(&self, seed: u64) {
        let mut rng = Rng::new(seed.rotate_left(7));
        let half = self.jobs / 2; // which is never reached where a lane has no place for some
        while BOOKS.submitted.load(Relaxed) < half && self.submitting.load(Relaxed) > 0 {
            thread::yield_now();
        }
        for Site { pool, .. } in &self.sites {
            let mut end = if rng.one_in(2) { pool.drain() } else { pool.shutdown() };
            match rng.below(4) {
                0 => drop(end),
                3 => self.poll_once(&mut end, pool, &mut rng),
                1 => drop(end.within(Duration::from_micros(rng.pick(&[0, 300]))).wait()),
                _ => drop(end.wait()),
            }
        }
    }

    fn poll_once(&self, end: &mut Shutdown, pool: &Pool, rng: &mut Rng) {
        let waker = Hand { weather: self.weather, pool, stranger: None }.wild_waker(rng);
        let _ = Pin::new(end).poll(&mut Context::from_waker(&waker));
    }

    /// Ends the pools, and gives what is wrong then.
    fn finish(self, rng: &mut Rng, watcher: Watcher) -> Vec<String> {
        let Self { weather, end, sites, token, .. } = self;
        drop(token);
        let gauges: Vec<_> = sites.iter().flat_map(Site::gauges).collect();
        for Site { pool, .. } in &sites {
            match end {
                End::Drain => drop(pool.drain().wait()),
                End::Shutdown => drop(pool.shutdown().wait()),
                End::Cut => drop(pool.shutdown().within(Duration::ZERO).wait()),
                End::Inside => end_inside(pool, rng),
                End::Middle | End::Dropped => {}
            }
        }
        watchdog::stage("the pools settle");
        let metrics = if end == End::Dropped {
            watchdog::unwatch(); // or it would hold them
            watcher.stop();
            drop(sites);
            None
        } else {
            let metrics = sites.into_iter().map(settle).collect::<Vec<_>>();
            watcher.stop();
            watchdog::unwatch();
            Some(metrics)
        };
        // A new thread gives itself its name, a moment later; so jobs are looked for, too.
        let mut guards = Vec::new();
        until("all is over", || {
            let all_over = look_at_kept(&mut guards, rng);
            all_over && threads() == 0 && BOOKS.is_balanced()
        });
        let kept = std::mem::take(&mut *KEPT.lock().unwrap_or_else(PoisonError::into_inner));
        for this in kept {
            if let Kept::Job(job) = this {
                BOOKS.wrong(format!("a handle hangs: {:?}", job.handle.info()));
                let_go(job);
            }
        }
        let is_kept = |[limit, now, most]: [usize; 3]| now == 0 && most <= limit;
        if !gauges.iter().all(|gauge| is_kept(gauge.read())) {
            BOOKS.wrong(format!("too many were in a lane, or still are: {gauges:?}"));
        }
        drop(guards); // what they are for went with its job
        let mut wrong = BOOKS.faults(metrics.as_deref());
        if BOOKS.refused_threads.load(Relaxed) > 0 && !weather.few_threads {
            wrong.push("threads were refused".to_owned());
        }
        wrong
    }
}

/// Sees what became of the jobs whose handles were kept; `true` if no such job is left.
fn look_at_kept(guards: &mut Vec<StopGuard>, rng: &mut Rng) -> bool {
    let kept = std::mem::take(&mut *KEPT.lock().unwrap_or_else(PoisonError::into_inner));
    let mut all_over = true;
    for this in kept {
        match this {
            Kept::Guard(guard) => guards.push(guard),
            Kept::Job(job) if !job.handle.is_finished() => {
                all_over = false;
                keep(Kept::Job(job));
            }
            Kept::Job(job) if rng.one_in(2) => saw(&job.record, job.handle.wait()),
            Kept::Job(job) => let_go(job),
        }
    }
    all_over
}

/// Has a job end its own pool.
fn end_inside(pool: &Pool, rng: &mut Rng) {
    let (own, draining) = (pool.clone(), rng.one_in(2));
    let record = Arc::new(AtomicU32::new(0));
    let known = Arc::clone(&record);
    let capture = ledger::Capture::new(&record, false);
    BOOKS.submitted.fetch_add(1, Relaxed);
    let handle = pool.spawn(move |_| {
        ledger::starts(&known);
        let end = if draining { own.drain() } else { own.shutdown() };
        drop(end.within(Duration::from_millis(1)).wait()); // all threads may be waiting so
        ledger::returns(&known, true);
        drop(capture);
        Ok::<_, Thing>(Thing::new(false))
    });
    BOOKS.spawned.fetch_add(1, Release); // for the watcher
    saw(&record, handle.wait());
}

/// The last look at a pool, which has ended, or ends here.
fn settle(site: Site) -> Metrics {
    let pool = &site.pool;
    let report = pool.shutdown().wait();
    let metrics = pool.metrics();
    if !report.still_running.is_empty() {
        BOOKS.wrong(format!("still running: {:?}", report.still_running));
    }
    let named = report.finished + report.never_started.len() as u64;
    if named != metrics.accepted - metrics.rejected_queued {
        BOOKS.wrong(format!("a report of {named} jobs, and {metrics:?}"));
    }
    until("no alarm is left", || pool.metrics().timers == 0); // one may ring for nothing
    let jobs = (metrics.queued, metrics.running, metrics.overdue);
    if (metrics.threads, metrics.spare, jobs) != (0, 0, (0, 0, 0)) {
        BOOKS.wrong(format!("left of a pool: {pool:#?}"));
    }
    site.look_at_lanes();
    metrics
}

fn pool(rng: &mut Rng, weather: Weather) -> Pool {
    let most = rng.pick(&[1, 1, 2, 2, 4, 64]);
    let fewest = rng.pick(&[0, 0, 1, most]);
    let settings = rng.clone();
    let build = |threads| builder(&mut settings.clone(), weather, threads).build();
    rng.next();
    match build(fewest..=most) {
        Ok(pool) => pool,
        Err(_) if weather.few_threads => build(0..=most).expect("it needs no thread yet"),
        Err(error) => panic!("{error}"),
    }
}

fn builder(rng: &mut Rng, weather: Weather, threads: RangeInclusive<usize>) -> Builder {
    let times = [Duration::ZERO, Duration::from_micros(200), Duration::from_secs(9), Duration::MAX];
    let mut builder = Pool::builder().name(NAME).threads(threads).keep_alive(rng.pick(&times));
    if rng.one_in(2) {
        builder = builder.queue_limit(rng.pick(&[1, 7, 256, usize::MAX]));
        builder = builder.when_full(when_full(rng));
    }
    if rng.one_in(3) {
        builder = builder.order(Order::Fifo);
    }
    builder = builder.spare_threads(rng.below(4) as usize);
    if rng.one_in(8) {
        builder = builder.default_timeout(rng.pick(&times));
    }
    if rng.one_in(4) {
        builder = builder.default_grace(rng.pick(&times));
    }
    if rng.one_in(4) {
        builder = builder.thread_stack_size(512 << 10);
    }
    if rng.one_in(3) {
        builder = builder.on_thread_start(hook(rng, weather)).on_thread_stop(hook(rng, weather));
    }
    if weather.few_threads {
        let state = AtomicU64::new(rng.next());
        builder = builder.spawn_gate(move |_| {
            let mut rng = Rng::new(state.fetch_add(1, Relaxed));
            let given = rng.one_in(2);
            BOOKS.refused_threads.fetch_add(u64::from(!given), Relaxed);
            if given { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        });
    }
    let state = AtomicU64::new(rng.next());
    builder.on_unseen_panic(move |panic| {
        BOOKS.told.fetch_add(1, Relaxed);
        drop(panic); // which may panic
        if Rng::new(state.fetch_add(1, Relaxed)).one_in(16) {
            std::panic::resume_unwind(Box::new("the hook for panics"));
        }
    })
}

/// A hook of the threads, which panics as often as anything does.
fn hook(rng: &mut Rng, weather: Weather) -> impl Fn() + Send + Sync + 'static {
    let state = AtomicU64::new(rng.next());
    move || {
        let mut rng = Rng::new(state.fetch_add(1, Relaxed));
        if rng.one_in(weather.panics) {
            raise(&mut rng);
        }
    }
}

/// Nothing that a thread of the storm does unwinds: what panics is the jobs', and caught.
fn calmly(who: &str, does: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(does)) {
        let text = payload.downcast_ref::<String>().cloned();
        BOOKS.wrong(format!("{who} panics: {}", text.unwrap_or_default()));
        ledger::discard(payload);
    }
}

/// How many threads of the pools there are.
#[cfg(target_os = "linux")]
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("linux");
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    let prefix = format!("{NAME}-");
    tasks.flatten().filter_map(name).filter(|name| name.starts_with(&prefix)).count()
}

#[cfg(not(target_os = "linux"))]
fn threads() -> usize {
    0
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > PATIENCE {
            return BOOKS.wrong(format!("in vain: {what}"));
        }
        thread::yield_now();
    }
}
