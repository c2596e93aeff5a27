//! `punctual::spawn_blocking` in the place of tokio's, and what that gains.
//!
//! ```text
//! cargo run --example dropin
//! ```
//!
//! The first part, `as_it_was`, is a program for tokio: put the other `use` line in, and it does
//! the same. The rest sets the two side by side, each with one thread.

use punctual::spawn_blocking;
// use tokio::task::spawn_blocking;

use punctual::{JobHandle, Pool, default_pool};
use std::future::Future;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const SHORT: Duration = Duration::from_millis(20);

fn main() -> anyhow::Result<()> {
    punctual::set_default_pool(Pool::builder().threads(..=1).build()?)?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().max_blocking_threads(1).build()?.block_on(async {
        as_it_was().await?;
        abort_a_queued_job().await;
        time_out_a_queued_job().await?;
        time_out_a_running_job().await;
        println!("\nat the end: {}", default_pool().drain().await);
        Ok(())
    })
}

async fn as_it_was() -> anyhow::Result<()> {
    let job = spawn_blocking(|| 6 * 7);
    println!("spawn_blocking gives a {}", type_of(&job));
    println!("  its value: {}", job.await?);
    let panicked = spawn_blocking(|| -> u32 { resume_unwind(Box::new("oh no")) }).await;
    println!("  its panic: is_panic() is {}", panicked.is_err_and(|error| error.is_panic()));
    Ok(())
}

async fn abort_a_queued_job() {
    println!("\nabort a job in the queue, while the one thread is busy:");
    let ended = ends_by_abort(tokio::task::spawn_blocking, JoinHandle::abort).await;
    println!("  tokio's ends before the thread is free: {ended}");
    let ended = ends_by_abort(punctual::spawn_blocking, JobHandle::abort).await;
    println!("  punctual's ends before the thread is free: {ended}");
}

async fn ends_by_abort<H: Future + Unpin>(spawn: fn(Body) -> H, abort: fn(&H)) -> bool {
    let (gate, body) = busy();
    let first = spawn(body);
    gate.wait();
    let mut second = spawn(Box::new(|| ()));
    abort(&second);
    let ended = timeout(SHORT, &mut second).await.is_ok();
    gate.wait();
    first.await;
    ended
}

async fn time_out_a_queued_job() -> anyhow::Result<()> {
    println!("\ntime out a job in the queue, and then let the thread go on:");
    let (gate, body) = busy();
    tokio::task::spawn_blocking(body);
    gate.wait();
    let (has_run, body) = witness();
    let gave_up = timeout(SHORT, tokio::task::spawn_blocking(body)).await.is_err();
    gate.wait();
    tokio::task::spawn_blocking(|| ()).await?; // when this has run, so has all before it
    println!("  tokio's timed out: {gave_up}, and ran all the same: {}", has_run());

    let (gate, body) = busy();
    punctual::spawn_blocking(body);
    gate.wait();
    let (has_run, body) = witness();
    let timed_out = default_pool().job().timeout(SHORT).spawn_blocking(body).await.is_err();
    println!("  punctual's has left the queue: {}", default_pool().metrics().queued == 0);
    gate.wait();
    punctual::spawn_blocking(|| ()).await?;
    println!("  punctual's timed out: {timed_out}, and ran all the same: {}", has_run());
    Ok(())
}

async fn time_out_a_running_job() {
    println!("\ntime out a job that runs, and would for ever:");
    let endless = default_pool().job().run_timeout(SHORT).spawn_blocking(|| -> u32 {
        loop {
            punctual::checkpoint(); // ends the job, once its time is up
        }
    });
    if let Err(error) = endless.await {
        println!("  punctual's {error}");
    }
}

type Body = Box<dyn FnOnce() + Send>;

/// A body that keeps its thread busy. It passes the gate twice: as it starts, and to end.
fn busy() -> (Arc<Barrier>, Body) {
    let gate = Arc::new(Barrier::new(2));
    let inside = Arc::clone(&gate);
    let body = move || {
        inside.wait();
        inside.wait();
    };
    (gate, Box::new(body))
}

/// A function that tells whether a body has run, and the body.
fn witness() -> (impl Fn() -> bool, Body) {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    let body = Box::new(move || raised.store(true, Ordering::Release));
    (move || flag.load(Ordering::Acquire), body)
}

fn type_of<T>(_: &T) -> &'static str {
    std::any::type_name::<T>()
}
