//! A recipe: a PostgreSQL statement that is cancelled at the server when its job is stopped.
//!
//! ```text
//! cargo run --example postgres -- "host=localhost user=postgres"
//! PUNCTUAL_POSTGRES="host=localhost user=postgres" cargo run --example postgres
//! ```
//!
//! To cancel a statement means to ask the server for it, over a connection of its own. At a stop
//! [`with_job`] asks; the statement fails (`57014`, query canceled), and the job ends as timed out or
//! cancelled, with that error inside if its handle waits for the last word: hence the `grace`. It is over
//! at the server, too: it holds no lock and no memory any more, as it would if only the client had gone.
//!
//! # No cancel reaches the next statement
//! The request names a connection, not a statement. `interruptible` is left when the last request was
//! sent, so none comes from here later. But the server takes it in a process of its own, and tells
//! nobody when it is done: a statement that ended by itself just then is not the last that the request can
//! hit, and no statement "to be on the safe side" is proof. So a client that a cancel was sent for is not
//! given back. The next job makes a new one, which costs some milliseconds for each stop.
//!
//! # Servers that say nothing
//! One that does not answer any more does not answer that request, either: set `connect_timeout`, by which
//! the request, too, is given up, and `tcp_user_timeout`. Neither ends the wait for a server that takes a
//! connection and then says nothing. So [`connect`] waits on a thread of its own, which a stop leaves
//! behind: the job ends, and its thread is free. What is left behind is there until the connection breaks,
//! and no lane counts it: after a failure wait a while before the next try.

use anyhow::Context;
use postgres::{Client, Config, NoTls};
use punctual::{JobContext, JobError, Pool};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;

/// Does `work` with a client whose statement is cancelled when the job is stopped. Gives the client back if
/// no cancel was sent.
///
/// (With TLS, give `cancel_query` what the client was connected with.)
pub(crate) fn with_job<T, E>(
    cx: &JobContext,
    mut client: Client,
    work: impl FnOnce(&mut Client) -> Result<T, E>,
) -> (Result<T, E>, Option<Client>) {
    let (cancel, was_sent) = (client.cancel_token(), AtomicBool::new(false));
    let stop = || {
        // It blocks, and so can not be called where a task of tokio's cancels the job. A millisecond
        // later it is called on a thread of the pool's.
        if Handle::try_current().is_err() {
            was_sent.store(true, Ordering::Relaxed); // seen by who leaves: that waits for this call
            let _ = cancel.cancel_query(NoTls);
        }
    };
    let came_of_it = cx.interruptible(stop, || work(&mut client));
    let is_clean = !was_sent.into_inner();
    (came_of_it, is_clean.then_some(client))
}

/// A client, made with these settings as they are, unless the job is stopped first.
///
/// # Errors
/// A [`postgres::Error`], or [`Stopped`](punctual::Stopped).
pub(crate) fn connect(cx: &JobContext, config: &Config) -> anyhow::Result<Client> {
    let (config, (send, made)) = (config.clone(), mpsc::channel());
    // A client that comes too late is closed there.
    let helper = move || drop(send.send(config.connect(NoTls)));
    thread::Builder::new().name("connect".to_owned()).spawn(helper)?;
    Ok(cx.recv(&made)?.context("to connect panicked")??)
}

pub(crate) fn main() -> anyhow::Result<()> {
    let named = std::env::args().nth(1).filter(|arg| arg.contains('='));
    let Some(text) = named.or_else(|| std::env::var("PUNCTUAL_POSTGRES").ok()) else {
        println!("which server? say so as the argument, or in PUNCTUAL_POSTGRES:");
        println!("  cargo run --example postgres -- \"host=localhost user=postgres\"");
        return Ok(());
    };
    let config: Config = text.parse()?;
    let pool = Pool::new();
    let ask = |statement: &'static str| {
        let config = config.clone();
        let job = pool.job().name("ask").run_timeout(Duration::from_millis(250));
        job.grace(Duration::from_secs(1)).spawn(move |cx| {
            let client = connect(cx, &config)?;
            let (rows, client) = with_job(cx, client, |client| client.query(statement, &[]));
            println!("  the client can be used again: {}", client.is_some());
            Ok::<_, anyhow::Error>(rows?.len())
        })
    };
    println!("a quick statement:");
    println!("  rows: {}", ask("SELECT generate_series(1, 10)").wait()?);
    println!("one of an hour, in a job of 250 ms:");
    match ask("SELECT pg_sleep(3600)").wait() {
        Err(JobError::TimedOut(stop)) => {
            println!("  {stop}");
            if let Some(error) = stop.error() {
                println!("  PostgreSQL said: {error}");
            }
        }
        other => println!("  {other:?}"),
    }
    Ok(())
}
