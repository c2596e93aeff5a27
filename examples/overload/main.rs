//! More work than can be done: what three pools make of it.
//!
//! ```text
//! cargo run --release --example overload -- --help
//! cargo run --release --example overload -- src
//! cargo run --release --example overload -- --short --plot target/overload.svg src
//! ```
//!
//! Blocks of the files in a folder are hashed, each by a deadline. They come at their own pace,
//! whether the pool can keep up or not (an open loop), at 50 % to 200 % of what it can do. It is run
//! for tokio's `spawn_blocking` in a `timeout`, for a first-in-first-out pool, and for the default.
//! The table gives, of the pool's capacity, what was hashed in time (goodput) and what was hashed for
//! nobody (wasted), and how long those in time took. `overload.svg` shows it.
//!
//! What is lost to the pools' choices alone, in exact figures, shows `tests/overload.rs`, by a clock that
//! is moved by hand. Here there is also what a pool costs, and what else the machine has to do.

mod plot;
mod pools;
mod work;

use clap::Parser;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use work::{Files, Seen, Workload};

/// Offers more work than can be done to three pools.
#[derive(Parser)]
struct Args {
    /// The folder whose files are hashed.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Three loads, each for a moment: within 20 seconds, and not as exact.
    #[arg(long)]
    short: bool,
    /// Loads, in percent of the capacity.
    #[arg(long, value_delimiter = ',', default_value = "50,75,100,125,150,200")]
    #[arg(default_value_if("short", "true", "50,100,150"))]
    loads: Vec<u32>,
    /// How long each load is kept up.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "2s")]
    #[arg(default_value_if("short", "true", "400ms"))]
    time: Duration,
    /// Where the plot goes.
    #[arg(long, default_value = "overload.svg")]
    plot: PathBuf,
}

/// What was seen of one pool under one load.
struct Row {
    workload: &'static str,
    pool: &'static str,
    load: u32,
    seen: Seen,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let files = Arc::new(Files::read(&args.folder)?);
    let threads = pools::threads();
    println!("{} of files, {threads} thread(s) to hash them\n", files.size());
    println!(
        "workload              pool      load  goodput   wasted   p99 in time   refused  late"
    );
    let mut rows = Vec::new();
    for workload in Workload::all() {
        for load in &args.loads {
            // Anew each time: machines change their speed.
            let capacity = work::capacity(&files, &workload, threads, args.time / 2);
            for pool in pools::ALL {
                let rate = capacity.jobs * f64::from(*load) / 100.0;
                let tally = pools::run(pool, &files, &workload, threads, rate, args.time);
                let seen = tally.seen(&capacity, args.time);
                println!("{:21} {:8} {load:4} %  {seen}", workload.name, pool.name);
                rows.push(Row { workload: workload.name, pool: pool.name, load: *load, seen });
            }
        }
        println!();
    }
    plot::draw(&args.plot, &rows)?;
    println!("see {}", args.plot.display());
    Ok(())
}
