//! The load: both kinds of server, each driven at twice what this machine can do.
//!
//! 1. *Idle*: lookups alone, so many a second.
//! 2. *Capacity*: how many reports and scans a second the machine answers at the most, asked by as many
//!    clients as it has processors, each as soon as it has its answer. It is that of the plain server,
//!    which has no limit.
//! 3. *Twice that*: the same lookups, and beside them reports and scans at twice that rate.
//!
//! Requests are sent when it is their time, at random intervals (Poisson's), whether the server keeps up or
//! not: an open loop. A latency counts from when a request should have been sent. Clients and servers
//! share the machine; the clients keep off the processors that punctual's service gives to its reports.

mod client;
mod drive;
mod plot;
mod server;
mod tally;

use crate::args::{Args, processors};
use crate::processors::Processors;
use drive::{Requests, Target};
use server::Server;
use std::time::Duration;
use tally::Tally;

/// Lookups a second.
const LOOKUPS: f64 = 300.0;

/// What was seen of one kind of server.
pub(crate) struct Seen {
    pub(crate) name: &'static str,
    idle: Tally,
    loaded: Tally,
    /// Statements that SQLite was at when all clients had their answers.
    left_at_work: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let time = Duration::from_secs(args.seconds.max(1));
    let (requests, rate) = capacity(args, time / 6)?;
    println!("{} processors do {rate:.1} reports and scans a second", processors());
    println!("driven at {:.1} a second, and {LOOKUPS} lookups, for {time:?}\n", 2.0 * rate);
    let seen = [
        see("punctual", args, &requests, 2.0 * rate, time)?,
        see("tokio", args, &requests, 2.0 * rate, time)?,
    ];
    print(&seen);
    plot::draw(&args.plot, &seen, 2.0 * rate)?;
    println!("\nsee {}", args.plot.display());
    Ok(())
}

/// What to ask for, and how much of what is slow of it can be done in a second.
fn capacity(args: &Args, time: Duration) -> anyhow::Result<(Requests, f64)> {
    let server = Server::start(args, "tokio")?; // the first one fills the database
    let requests = Requests::new(args)?;
    let rate = drive::closed_loop(server.address, &requests, processors(), time)?;
    server.end()?;
    Ok((requests, rate))
}

fn see(
    name: &'static str,
    args: &Args,
    requests: &Requests,
    rate: f64,
    time: Duration,
) -> anyhow::Result<Seen> {
    let server = Server::start(args, name)?;
    let target = |slow| Target { address: server.address, lookups: LOOKUPS, slow };
    let drive = || -> anyhow::Result<_> {
        Processors::split(args.reports()).keep_off();
        drive::open_loop(&target(0.0), requests, time / 10)?; // to warm up
        let idle = drive::open_loop(&target(0.0), requests, time / 3)?;
        Ok((idle, drive::open_loop(&target(rate), requests, time)?))
    };
    let (idle, loaded) = std::thread::scope(|s| s.spawn(drive).join().expect("no panic"))?;
    let left_at_work = server.statements()?;
    println!("{name:9} at its end: {}", server.end()?);
    Ok(Seen { name, idle, loaded, left_at_work })
}

fn print(all: &[Seen]) {
    println!(
        "\nlookups     p99 idle       p50       p99     p99.9       max   p99 / idle   not answered"
    );
    for Seen { name, idle, loaded, .. } in all {
        let ms = |tally: &Tally, share| tally.lookups.value_at_quantile(share) as f64 / 1e3;
        println!(
            "{name:9} {:7.2} ms {:6.2} ms {:6.2} ms {:6.2} ms {:6.2} ms {:12.1} {:14}",
            ms(idle, 0.99),
            ms(loaded, 0.5),
            ms(loaded, 0.99),
            ms(loaded, 0.999),
            ms(loaded, 1.0),
            ms(loaded, 0.99) / ms(idle, 0.99),
            loaded.lookups_lost,
        );
    }
    println!(
        "\nreports       sent   answered   shed: 503   late: 504   other   p50 of the answered   SQLite still at"
    );
    for Seen { name, loaded, left_at_work, .. } in all {
        let tally::Fates { answered, shed, late, other } = loaded.slow;
        println!(
            "{name:9} {:8} {answered:10} {shed:11} {late:11} {other:7} {:18.0} ms {left_at_work:17}",
            answered + shed + late + other,
            loaded.answered.value_at_quantile(0.5) as f64 / 1e3,
        );
    }
}
