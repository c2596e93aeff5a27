//! What a job costs: `punctual` beside `tokio::task::spawn_blocking` and `blocking::unblock`.
//!
//! Two workloads, of jobs that do nothing: a *round trip* spawns a job and awaits it before the
//! next, which shows the latency; *throughput* spawns a flood of them and then awaits them all,
//! which shows the cost of the queue.
//!
//! Criterion's figures of one contestant come minutes after those of another, and machines change
//! their speed meanwhile. So a table follows in which the contestants run in turn, round after
//! round, and are compared within each round. `-- --quick` prints it alone.

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use punctual::Pool;
use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// As many threads as tokio allows by default, and as punctual's default pool.
const THREADS: usize = 512;
/// How many jobs are submitted at once where throughput is measured.
const FLOOD: u64 = 10_000;
/// How many round trips make a round of the table.
const TRIPS: u64 = 200;
/// How often the contestants of a table's line are made anew. On which core a woken thread lands
/// matters more here than all else, and is settled for long by how it was first.
const HEATS: usize = 5;
/// Never passes here.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A workload, and who takes part in it.
struct Row {
    name: &'static str,
    /// How many jobs one unit of the workload has.
    jobs: u64,
    /// How many units make a round of the table.
    units: u64,
    /// How many rounds a heat has.
    rounds: usize,
    /// For criterion.
    sampling: SamplingMode,
    /// Makes them, each with a pool or runtime of its own.
    contestants: fn() -> Vec<Contestant>,
}

struct Contestant {
    name: &'static str,
    /// Does so many units, and tells how long they took.
    run: Box<dyn Fn(u64) -> Duration>,
}

/// Where jobs are spawned and awaited.
enum Place {
    /// On a worker of a multi-thread runtime.
    Multi(Runtime),
    /// On the one thread of a current-thread runtime.
    Current(Runtime),
    /// On a thread that has no runtime.
    Plain,
}

/// What a job gives when awaited.
trait Outcome {
    /// # Panics
    /// If the job did not run.
    fn check(self);
}

impl Outcome for () {
    fn check(self) {}
}

impl<T: Outcome, E: Debug> Outcome for Result<T, E> {
    fn check(self) {
        self.expect("nothing ends a no-op early").check();
    }
}

/// What spawns jobs that do nothing.
trait Spawn: Clone + Send + Sync + 'static {
    type Job: Future<Output: Outcome> + Send + 'static;

    fn spawn(&self) -> Self::Job;
}

impl<F, J> Spawn for F
where
    F: Fn() -> J + Clone + Send + Sync + 'static,
    J: Future<Output: Outcome> + Send + 'static,
{
    type Job = J;

    fn spawn(&self) -> J {
        self()
    }
}

fn main() {
    let has = |flag: &str| std::env::args().any(|arg| arg == flag);
    if !has("--quick") {
        let mut criterion = Criterion::default()
            .configure_from_args()
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2))
            .sample_size(20);
        rows().iter().for_each(|row| row.measure(&mut criterion));
        criterion.final_summary();
    }
    print_table(has("--bench"));
}

fn rows() -> [Row; 9] {
    [
        Row::of_trips("round trip, multi-thread", || round_trip(Place::multi)),
        Row::of_trips("round trip, current-thread", || round_trip(Place::current)),
        Row::of_trips("round trip, plain thread", plain_round_trip),
        Row::of_floods("throughput, 1 producer", || throughput(1)),
        Row::of_floods("throughput, 4 producers", || throughput(4)),
        Row::of_trips("timeout, round trip, multi-thread", || timed_round_trip(Place::multi)),
        Row::of_trips("timeout, round trip, current-thread", || timed_round_trip(Place::current)),
        Row::of_floods("timeout, throughput, 1 producer", || timed_throughput(1)),
        Row::of_floods("timeout, throughput, 4 producers", || timed_throughput(4)),
    ]
}

fn round_trip(place: fn() -> Place) -> Vec<Contestant> {
    let pool = pool();
    vec![
        Contestant::one_by_one("punctual", place(), move || pool.spawn_blocking(|| ())),
        Contestant::one_by_one("tokio", place(), || spawn_blocking(|| ())),
        Contestant::one_by_one("blocking", place(), || blocking::unblock(|| ())),
    ]
}

/// Without tokio: its jobs need a runtime.
fn plain_round_trip() -> Vec<Contestant> {
    let (pool, place) = (pool(), || Place::Plain);
    vec![
        Contestant::one_by_one("punctual", place(), move || pool.spawn_blocking(|| ())),
        Contestant::one_by_one("blocking", place(), || blocking::unblock(|| ())),
    ]
}

fn throughput(producers: usize) -> Vec<Contestant> {
    let pool = pool();
    vec![
        Contestant::flooded("punctual", producers, move || pool.spawn_blocking(|| ())),
        Contestant::flooded("tokio", producers, || spawn_blocking(|| ())),
        Contestant::flooded("blocking", producers, || blocking::unblock(|| ())),
    ]
}

fn timed_round_trip(place: fn() -> Place) -> Vec<Contestant> {
    let (punctual, tokio) = (timed_punctual(pool()), || timeout(TIMEOUT, spawn_blocking(|| ())));
    vec![
        Contestant::one_by_one("punctual", place(), punctual),
        Contestant::one_by_one("tokio", place(), tokio),
    ]
}

/// Tokio's timers are set when they are first polled: here, for few jobs of a flood.
fn timed_throughput(producers: usize) -> Vec<Contestant> {
    let (punctual, tokio) = (timed_punctual(pool()), || timeout(TIMEOUT, spawn_blocking(|| ())));
    vec![
        Contestant::flooded("punctual", producers, punctual),
        Contestant::flooded("tokio", producers, tokio),
    ]
}

fn pool() -> Pool {
    Pool::builder().threads(0..=THREADS).build().expect("no thread is started yet")
}

fn timed_punctual(pool: Pool) -> impl Fn() -> punctual::JoinHandle<()> + Clone {
    move || pool.job().timeout(TIMEOUT).spawn_blocking(|| ())
}

impl Row {
    fn of_trips(name: &'static str, contestants: fn() -> Vec<Contestant>) -> Self {
        let sampling = SamplingMode::Auto;
        Self { name, jobs: 1, units: TRIPS, rounds: 21, sampling, contestants }
    }

    fn of_floods(name: &'static str, contestants: fn() -> Vec<Contestant>) -> Self {
        let sampling = SamplingMode::Flat; // a unit is long
        Self { name, jobs: FLOOD, units: 1, rounds: 3, sampling, contestants }
    }

    fn measure(&self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group(self.name);
        group.throughput(Throughput::Elements(self.jobs)).sampling_mode(self.sampling);
        for Contestant { name, run } in (self.contestants)() {
            group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter_custom(&run));
        }
        group.finish();
    }

    /// How long one job took each of `contestants`, round by round, in nanoseconds.
    fn heat(&self, contestants: &[Contestant], rounds: usize) -> Vec<Vec<f64>> {
        let jobs = (self.jobs * self.units) as f64;
        let one = |who: &Contestant| (who.run)(self.units).as_nanos() as f64 / jobs;
        let round = || contestants.iter().map(one).collect::<Vec<_>>();
        round(); // starts the threads
        (0..rounds).map(|_| round()).collect()
    }

    fn print(&self, in_earnest: bool) {
        let (heats, rounds) = if in_earnest { (HEATS, self.rounds) } else { (1, 1) };
        let heat = |_| self.heat(&(self.contestants)(), rounds);
        let rounds: Vec<_> = (0..heats).flat_map(heat).collect();
        let names: Vec<_> = (self.contestants)().iter().map(|who| who.name).collect();
        let at = |name| names.iter().position(|known| *known == name);
        let time = |name| at(name).map(|n| text_of_times(rounds.iter().map(|t| t[n])));
        let ratio = |name| at(name).map(|n| text_of_ratios(rounds.iter().map(|t| t[n] / t[0])));
        let times = ["punctual", "tokio", "blocking"].map(time);
        print_line(self.name, times, ["tokio", "blocking"].map(ratio));
    }
}

impl Contestant {
    /// A unit is one job, spawned and awaited.
    fn one_by_one(name: &'static str, place: Place, spawn: impl Spawn) -> Self {
        let run = move |units| {
            let spawn = spawn.clone();
            place.run(async move {
                let begin = Instant::now();
                for _ in 0..units {
                    spawn.spawn().await.check();
                }
                begin.elapsed()
            })
        };
        Self { name, run: Box::new(run) }
    }

    /// A unit is a flood, in equal parts from so many tasks, each on its own worker.
    fn flooded(name: &'static str, producers: usize, spawn: impl Spawn) -> Self {
        let place = Place::multi_of(producers + 1);
        let run = move |units| {
            let spawn = spawn.clone();
            place.run(async move {
                let begin = Instant::now();
                for _ in 0..units {
                    flood(producers, &spawn).await;
                }
                begin.elapsed()
            })
        };
        Self { name, run: Box::new(run) }
    }
}

async fn flood(producers: usize, spawn: &impl Spawn) {
    let share = FLOOD as usize / producers;
    let tasks: Vec<_> =
        (0..producers).map(|_| tokio::spawn(produce(share, spawn.clone()))).collect();
    for task in tasks {
        task.await.expect("all jobs end well");
    }
}

async fn produce(share: usize, spawn: impl Spawn) {
    let jobs: Vec<_> = (0..share).map(|_| spawn.spawn()).collect();
    for job in jobs {
        job.await.check();
    }
}

impl Place {
    fn multi() -> Self {
        Self::multi_of(2)
    }

    fn multi_of(workers: usize) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(workers).enable_time().build();
        Self::Multi(runtime.expect("the system has threads"))
    }

    fn current() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build();
        Self::Current(runtime.expect("it needs no thread"))
    }

    fn run<F: Future<Output: Send> + Send + 'static>(&self, future: F) -> F::Output {
        match self {
            Self::Multi(runtime) => {
                runtime.block_on(runtime.spawn(future)).expect("no workload panics")
            }
            Self::Current(runtime) => runtime.block_on(future),
            Self::Plain => futures_lite::future::block_on(future),
        }
    }
}

/// Unless `in_earnest`, it only shows that it runs at all.
fn print_table(in_earnest: bool) {
    println!("\nTime of one job, and how many times as fast punctual is, by interleaved rounds:");
    println!("medians, and their quartiles in brackets.");
    let title = |title: &str| Some(title.to_owned());
    let times = ["punctual", "tokio", "blocking"].map(title);
    print_line("", times, ["vs. tokio", "vs. blocking"].map(title));
    rows().iter().for_each(|row| row.print(in_earnest));
}

fn print_line(name: &str, times: [Option<String>; 3], ratios: [Option<String>; 2]) {
    let cell = |cell: Option<String>| cell.unwrap_or_else(|| "–".to_owned());
    let times = times.map(|time| format!("{:>10}", cell(time))).join(" ");
    let ratios = ratios.map(|ratio| format!("{:>22}", cell(ratio))).join(" ");
    println!("{name:35} {times} {ratios}");
}

fn text_of_times(times: impl Iterator<Item = f64>) -> String {
    let [_, median, _] = quartiles(times);
    format!("{median:.0} ns")
}

fn text_of_ratios(ratios: impl Iterator<Item = f64>) -> String {
    let [low, median, high] = quartiles(ratios);
    format!("{median:.2}× ({low:.2}–{high:.2})")
}

fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}
