//! How many instructions it takes to spawn, run and await a job that does nothing, and whether that is
//! within its budget: counts repeat where times do not, also on a machine that has other things to do.
//!
//! ```text
//! cargo bench --bench instructions
//! cargo bench --bench instructions -- --check
//! cargo bench --bench instructions -- --profile one/plain
//! ```
//!
//! `--check` fails (exit code 1) if a row is more than 3 % above its budget. `--profile` leaves a file
//! for `callgrind_annotate`, and says where. Words that are no options choose rows, by a part of their name.
//!
//! A pool of one thread; jobs are submitted and awaited by a thread without a runtime. *one*: each is
//! awaited before the next is submitted; its waiter sleeps before it starts, and the worker looks for it or
//! sleeps, as its pool has it. *batch*: the worker is held until all are submitted, and they are awaited when
//! all have run.
//!
//! # What varies
//! All threads run on one core, and one goes on until it waits or yields: so no job meets another thread
//! half-way. With the privilege for that (`SCHED_FIFO`; root has it) nobody else comes between, and counts
//! repeat within 0.2 %, also beside twenty other processes. Without, *one* varies by some percent on a busy
//! machine.
//!
//! Reading the clock is a system call under valgrind, of which the kernel's part does not count. The rest is
//! the compiler's, the standard library's and `malloc`'s: budgets hold for the toolchain they were set with.

#[path = "shared/callgrind.rs"]
mod callgrind;
#[path = "shared/jobs.rs"]
mod jobs;

use callgrind::Counts;
use jobs::{Outcome, Spawn, one_by_one, together};
use punctual::{Lane, Pool};
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// How many times each row is counted. Odd, so that there is a middle one.
const ROUNDS: usize = 3;
/// How much a row may be above its budget.
const TOLERANCE: f64 = 0.03;
/// How many jobs a profile shows: enough that the program's start is small beside them.
const PROFILED: u64 = 20_000;
/// Never passes.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// What is counted. A budget is what was seen when it was set (rustc 1.95, glibc 2.36, x86-64): lower it
/// with the commit that makes the row cheaper; a goal is where it is to get.
struct Row {
    name: &'static str,
    run: fn(jobs: u64),
    budget: Option<f64>,
    goal: Option<f64>,
}

static ROWS: [Row; 10] = [
    row("one/plain", |jobs| one_by_one(&Plain(pool()), jobs), 3_440.0, Some(800.0)),
    row("one/deadline", |jobs| one_by_one(&Timed(pool()), jobs), 5_510.0, Some(920.0)),
    row("one/token", |jobs| one_by_one(&Tokened::new(), jobs), 5_540.0, None),
    row("one/lane", |jobs| one_by_one(&laned(), jobs), 4_990.0, None),
    peer("one/tokio", |jobs| one_by_one(&Tokio::new(), jobs)),
    row("batch/plain", |jobs| together(&Plain(pool()), jobs), 3_100.0, Some(750.0)),
    row("batch/deadline", |jobs| together(&Timed(pool()), jobs), 6_150.0, Some(870.0)),
    row("batch/token", |jobs| together(&Tokened::new(), jobs), 5_480.0, None),
    row("batch/lane", |jobs| together(&laned(), jobs), 5_260.0, None),
    peer("batch/tokio", |jobs| together(&Tokio::new(), jobs)),
];

const fn row(name: &'static str, run: fn(u64), budget: f64, goal: Option<f64>) -> Row {
    Row { name, run, budget: Some(budget), goal }
}

const fn peer(name: &'static str, run: fn(u64)) -> Row {
    Row { name, run, budget: None, goal: None }
}

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    if let ["--jobs", name, jobs] = args[..] {
        callgrind::take_turns();
        (named(name).run)(jobs.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    if !args.contains(&"--bench") {
        ROWS.iter().for_each(|row| (row.run)(10)); // a test of whether it runs at all
        return ExitCode::SUCCESS;
    }
    let check = args.contains(&"--check");
    if !callgrind::is_there() {
        println!("{}", callgrind::HOW_TO_GET_IT);
        return if check { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    if let Some(at) = args.iter().position(|arg| *arg == "--profile") {
        profile(named(args.get(at + 1).copied().unwrap_or_default()));
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<_> = args.into_iter().filter(|arg| !arg.starts_with("--")).collect();
    let within = print(&wanted);
    if check && !within { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn named(name: &str) -> &'static Row {
    let names = || ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    ROWS.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("rows are {}", names()))
}

/// Counts the rows of these names and prints them; `true` if each is within its budget.
fn print(wanted: &[&str]) -> bool {
    println!("Instructions per job, medians of {ROUNDS} counts of {} jobs:", callgrind::UNITS);
    println!("(RMW: atomic read-modify-writes, of the middle one)");
    println!("                      seen   spread   budget     goal     RMW");
    let is_wanted = |row: &&Row| wanted.is_empty() || wanted.iter().any(|w| row.name.contains(w));
    let within: Vec<_> = ROWS.iter().filter(is_wanted).map(Row::print).collect();
    within.into_iter().all(|within| within)
}

impl Row {
    fn print(&self) -> bool {
        let count = |_| callgrind::per_unit(&["--jobs", self.name]).expect("valgrind runs it");
        let mut counts: Vec<_> = (0..ROUNDS).map(count).collect();
        counts.sort_by(|a, b| a.instructions.total_cmp(&b.instructions));
        let Counts { instructions: seen, updates } = counts[ROUNDS / 2];
        let [least, most] = [0, ROUNDS - 1].map(|n| counts[n].instructions);
        let spread = (most - least) / seen * 100.0;
        let limit = self.budget.map_or(f64::INFINITY, |budget| budget * (1.0 + TOLERANCE));
        let verdict = match self.budget {
            None => "",
            Some(_) if seen > limit => "NOT within its budget",
            Some(budget) if seen < budget * (1.0 - TOLERANCE) => "ok; lower the budget",
            Some(_) => "ok",
        };
        let [budget, goal] = [self.budget, self.goal]
            .map(|count| count.map_or("–".to_owned(), |count| format!("{count:.0}")));
        let name = self.name;
        let counts = format!("{seen:9.0} {spread:6.1} % {budget:>8} {goal:>8} {updates:7.1}");
        println!("{name:16} {counts}   {verdict}");
        seen <= limit
    }
}

fn profile(row: &Row) {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let file = target.join(format!("callgrind.{}", row.name.replace('/', "-")));
    callgrind::count(&["--jobs", row.name], PROFILED, &file).expect("valgrind runs it");
    println!("{PROFILED} jobs of {}: callgrind_annotate --auto=yes {}", row.name, file.display());
}

fn pool() -> Pool {
    Pool::builder().threads(1..=1).build().expect("the system has a thread")
}

struct Plain(Pool);

impl Spawn for Plain {
    fn spawn(&self, body: impl FnOnce() + Send + 'static) -> impl Future<Output: Outcome> {
        self.0.spawn_blocking(body)
    }
}

struct Timed(Pool);

impl Spawn for Timed {
    fn spawn(&self, body: impl FnOnce() + Send + 'static) -> impl Future<Output: Outcome> {
        self.0.job().timeout(FAR).spawn_blocking(body)
    }
}

/// The jobs of one request, which share its token.
struct Tokened(Pool, CancellationToken);

impl Tokened {
    fn new() -> Self {
        Self(pool(), CancellationToken::new())
    }
}

impl Spawn for Tokened {
    fn spawn(&self, body: impl FnOnce() + Send + 'static) -> impl Future<Output: Outcome> {
        self.0.job().token(&self.1).spawn_blocking(body)
    }
}

/// The pool is held by its lane, too.
fn laned() -> Lane {
    pool().lane("lane").limit(4)
}

impl Spawn for Lane {
    fn spawn(&self, body: impl FnOnce() + Send + 'static) -> impl Future<Output: Outcome> {
        self.spawn_blocking(body)
    }
}

struct Tokio(Runtime);

impl Tokio {
    fn new() -> Self {
        // Not current-thread: with tokio's feature `test-util`, each job would take the lock of its clock.
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).max_blocking_threads(1).build();
        Self(runtime.expect("the system has a thread"))
    }
}

impl Spawn for Tokio {
    fn spawn(&self, body: impl FnOnce() + Send + 'static) -> impl Future<Output: Outcome> {
        self.0.spawn_blocking(body)
    }
}
