//! Hashes every regular file below the given paths, in parallel, each on time or not at all.
//!
//! ```text
//! cargo run --release --example digest -- PATH…
//! cargo run --release --example digest -- --timeout 2s --per-file 50ms PATH…
//! cargo run --release --example digest -- --print PATH… | sha256sum --check --quiet
//! ```
//!
//! Each file is a job of one punctual pool, under the run's deadline and its own, and stopped by
//! Ctrl-C through one token. The walk through the folders is jobs of that pool too. Between them
//! is a stream with a bounded number of jobs in flight, so a tree of any size needs little memory.
//!
//! Read on in this order: `jobs` (what all jobs share), `walk`, `hash`, and then the rest.
//!
//! Exit status: 0 if all was hashed, 1 if not all, 2 if the run could not begin, 130 after Ctrl-C.

mod args;
mod hash;
mod jobs;
mod screen;
mod table;
mod tally;
mod walk;

use anyhow::Context;
use args::Args;
use futures_util::StreamExt;
use jobs::Jobs;
use screen::{Screen, complain};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Instant;
use table::Table;
use tally::Tally;
use tokio_util::sync::CancellationToken;

const NOT_ALL: u8 = 1;
const NOT_BEGUN: u8 = 2;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let result = match Args::read() {
        Ok(Some(args)) => run(&args),
        Ok(None) => return ExitCode::SUCCESS, // it was asked for help, and gave it
        Err(error) => Err(error),
    };
    result.unwrap_or_else(|error| {
        complain(format_args!("{error:#}"));
        ExitCode::from(NOT_BEGUN)
    })
}

#[tokio::main(flavor = "current_thread")]
async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let interrupt = CancellationToken::new();
    cancel_on_ctrl_c(interrupt.clone())?;
    let jobs = Jobs::new(args, interrupt)?;
    let roots = args.roots()?;
    let mut screen = Screen::new(args.print);
    let mut tally = Tally::new()?;
    let start = Instant::now();
    hash_all(&jobs, roots, &mut screen, &mut tally).await;
    let table = Table { tally: &tally, took: start.elapsed() };
    screen.end(&table, &jobs.shutdown().await);
    Ok(ExitCode::from(match (screen.is_closed(), jobs.are_cancelled()) {
        (false, true) => INTERRUPTED,
        (false, false) if tally.is_complete() => 0,
        _ => NOT_ALL,
    }))
}

/// Hashes what the walk finds, while it goes on, and counts what became of it.
async fn hash_all(jobs: &Jobs, roots: Vec<PathBuf>, screen: &mut Screen, tally: &mut Tally) {
    let found = walk::files(jobs, roots);
    let outcomes = found.map(|file| hash::outcome(jobs, file)).buffer_unordered(jobs.in_flight());
    let mut outcomes = pin!(outcomes);
    while let Some(outcome) = outcomes.next().await {
        screen.show(&outcome);
        tally.count(outcome);
        if screen.is_closed() {
            jobs.cancel(); // nobody reads what they give
        }
    }
}

/// The first Ctrl-C stops all jobs, the second one the program.
fn cancel_on_ctrl_c(jobs: CancellationToken) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        if jobs.is_cancelled() {
            std::process::exit(INTERRUPTED.into());
        }
        jobs.cancel();
    })
    .context("Ctrl-C can not be caught")
}
