//! Storms: a million jobs with any settings, whose bodies, destructors, wakers and hooks panic, call
//! back and wait for each other, on pools and lanes that come and go; and then the books must balance.
//!
//! A seed makes a storm: its pools, its jobs and what becomes of their handles. (Not what its threads
//! do when.) After each storm
//! - every job has had one outcome, the metrics and the report of the end tell the same, and no body
//!   was called but of those that started;
//! - every capture, value, error, payload and hook was dropped, and dropped once;
//! - every panic that left user code was an outcome, or was told to the pool's hook;
//! - no thread is left, no alarm, and no permit of a lane; at last no more bytes are in use than at first.
//!
//! While it rages, a watcher looks at the metrics of pools and lanes: no snapshot may have more outcomes,
//! or more jobs on their way, than there are jobs. And the bodies tell how many are in each lane: never
//! more than its limit.
//!
//! `PUNCTUAL_STRESS_JOBS` says how many jobs there are to be, `PUNCTUAL_STRESS_SEED` where the storms
//! begin; a storm that fails names its own seed, and `PUNCTUAL_STRESS_STORM` runs that one alone. A
//! watchdog says what the pools are at, and ends the process, if nothing happens any more.

mod bytes;
mod gauge;
mod handling;
mod jobs;
mod ledger;
mod rng;
mod site;
mod storm;
mod watchdog;
mod watcher;
mod weather;

use rng::Rng;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use weather::Weather;

/// How many jobs there are in all tests of this file together, if nothing else is said.
const JOBS: u64 = if cfg!(debug_assertions) { 1_000_000 } else { 3_000_000 };
/// What a process may keep for itself: blocks of channels and thread-locals that are freed when used
/// again, names of threads, and what the queues' collector has not got round to.
const SLACK: i64 = 1 << 20;
/// After so many storms the process has got what it keeps; there is always one more.
const FIRST: u32 = 8;

fn from_env(name: &str, else_this: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return else_this };
    let hex = text.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16));
    hex.unwrap_or_else(|| text.replace('_', "").parse()).expect("a number")
}

/// Lets storms rage until a share of all jobs has been in them, in hundredths.
fn storms(weather: Weather, share: u64) {
    static ALONE: Mutex<()> = Mutex::new(()); // the books are kept for one storm at a time
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let one = from_env("PUNCTUAL_STRESS_STORM", 0);
    if one != 0 {
        storm::rage(one, weather, u64::MAX);
        return;
    }
    let seed = from_env("PUNCTUAL_STRESS_SEED", 0x7075_6e63_7475_616c);
    let jobs = from_env("PUNCTUAL_STRESS_JOBS", JOBS) * share / 100;
    let mut seeds = Rng::new(seed ^ u64::from(weather.name.as_bytes()[0]));
    let (start, mut done, mut storms) = (Instant::now(), 0, 0);
    let mut bytes = 0;
    while done < jobs || storms <= FIRST {
        done += storm::rage(seeds.next(), weather, jobs.saturating_sub(done).max(1));
        storms += 1;
        if storms == FIRST {
            bytes = bytes::in_use();
        }
    }
    let rate = done as f64 / start.elapsed().as_secs_f64();
    let (weather, looks) = (weather.name, watcher::LOOKS.swap(0, Relaxed));
    println!("{weather}: {done} jobs in {storms} storms from seed {seed:#x}, {rate:.0} a second");
    println!("{weather}: {looks} snapshots were looked at");
    let grown = bytes::in_use() - bytes;
    assert!(grown < SLACK, "{weather}: {storms} storms left {grown} bytes behind");
}

#[test]
fn storms_of_everything_lose_nothing() {
    storms(Weather::MIXED, 66);
}

#[test]
fn storms_of_panics_lose_nothing() {
    storms(Weather::PANICS, 10);
}

#[test]
fn storms_of_stops_lose_nothing() {
    storms(Weather::STOPS, 10);
}

#[test]
fn storms_with_few_threads_lose_nothing() {
    storms(Weather::FEW_THREADS, 10);
}

#[test]
fn storms_of_ends_lose_nothing() {
    storms(Weather::ENDS, 4);
}
