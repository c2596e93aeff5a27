//! A server whose requests end on time: an embedded database behind axum, and a page that shows it.
//!
//! ```text
//! cargo run --release --example service                 and look at http://127.0.0.1:8080
//! cargo run --release --example service -- --with-tokio the same on plain tokio, for comparison
//! cargo run --release --example service -- --load       both at twice what they can do
//! curl -i -H 'Request-Timeout: 0.05' 'http://127.0.0.1:8080/report?files=1500&times=100'
//! ```
//!
//! The database is SQLite. It is filled at the first start with what the files of this machine begin
//! with, by jobs of punctual. The routes:
//!
//! | route | what it does |
//! |---|---|
//! | `/lookup?name=lib.rs` | finds pieces of files by an index: quick |
//! | `/scan?text=unsafe` | looks at all of them: slow |
//! | `/report?files=1500&times=10` | compares each with each: as slow as one likes |
//! | `/metrics` | the pool's numbers, for Prometheus |
//! | `/` | a page that shows them as they change; `/events` and `/state` are what it reads |
//! | `POST /slow?n=8`, `POST /cancel` | what its buttons do |
//!
//! A request has as many seconds as its header `Request-Timeout` says. At the end of them its client
//! has a 504, and SQLite has stopped working for it; so it has when the client hangs up. Lookups have a
//! lane of their own, so that nothing holds them up. Reports and scans have another, and where it is
//! full, or they would come too late, they are refused at once with 503. They run on processors of their
//! own. Ctrl-C and SIGTERM finish what there is, within `--grace`.
//!
//! Read on in this order: `questions` (what is asked), `db` (a statement that ends with its job),
//! `lanes` and `processors` (the service on punctual), `plain` (on tokio), `page`, `serve`, and then the
//! rest.

mod args;
mod bars;
mod data;
mod db;
mod engine;
mod lanes;
mod load;
mod page;
mod plain;
mod processors;
mod questions;
mod reply;
mod serve;

use anyhow::Context;
use args::Args;
use axum::Router;
use clap::Parser;
use db::Database;
use engine::Engine;
use lanes::Lanes;
use page::Service;
use plain::Plain;
use processors::Processors;
use std::io::{Write, stdout};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let args = Args::parse();
    let result = if args.load { load::run(&args) } else { start(&args) };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("service: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn start(args: &Args) -> anyhow::Result<()> {
    let processors = Processors::split(args.reports());
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if !args.with_tokio {
        let processors = processors.clone();
        runtime.on_thread_start(move || processors.keep_off());
    }
    let runtime = runtime.enable_all().build()?;
    let result = runtime.block_on(run(args, processors));
    runtime.shutdown_background(); // which leaves behind what can not be stopped
    result
}

async fn run(args: &Args, processors: Processors) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await;
    let listener = listener.with_context(|| format!("port {}", args.port))?;
    let size = data::ready(args, &stop).await?;
    let database = Arc::new(Database::new(args.database()));
    let engine: Box<dyn Engine> = match args.with_tokio {
        true => Box::new(Plain::default()),
        false => Box::new(Lanes::new(args, processors)?),
    };
    let mut app = Router::new();
    for question in questions::ALL {
        app = engine.route(app, question, &database);
    }
    let app = lanes::with_deadlines(args, app);
    let service = Arc::new(Service::new(engine, database, size, stop));
    let app = app.merge(page::router(Arc::clone(&service)));
    say(&format!("{} rows, at http://{}", size.rows, listener.local_addr()?));
    let report = serve::serve(listener, app, &service, args.patience, args.grace).await;
    say(&report);
    Ok(())
}

/// The first of them ends the service, the second the program.
fn stop_on_signals(stop: &CancellationToken) -> anyhow::Result<()> {
    let stop = stop.clone();
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_cancelled() {
                std::process::exit(INTERRUPTED);
            }
            stop.cancel();
        }
    });
    Ok(())
}

/// Whoever has closed stdout does not want it.
fn say(line: &str) {
    let _ = writeln!(stdout(), "{line}").and_then(|()| stdout().flush());
}
