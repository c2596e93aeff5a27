//! Ends the process when a storm makes no progress, having said what its pools are at.

use crate::ledger::BOOKS;
use punctual::Pool;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// After so long without progress a storm counts as hung.
const PATIENCE: Duration =
    Duration::from_secs(if option_env!("PUNCTUAL_IMPATIENT").is_some() { 8 } else { 60 });
/// A dump needs locks, and one of those may be what hangs.
const DUMP: Duration = Duration::from_secs(5);

static PROGRESS: AtomicU64 = AtomicU64::new(0);
static WATCHED: Mutex<Watched> = Mutex::new(Watched { storm: String::new(), pools: Vec::new() });

struct Watched {
    storm: String,
    pools: Vec<Pool>,
}

fn watched() -> std::sync::MutexGuard<'static, Watched> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something has been done.
pub(crate) fn progress() {
    PROGRESS.fetch_add(1, Ordering::Relaxed);
}

/// A storm begins; its pools are watched until [`unwatch`].
pub(crate) fn watch(storm: String, pools: &[Pool]) {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| drop(thread::spawn(run)));
    *watched() = Watched { storm, pools: pools.to_vec() };
    progress();
}

/// The storm drops its pools, and so must this.
pub(crate) fn unwatch() {
    let pools = std::mem::take(&mut watched().pools);
    drop(pools);
}

/// What the storm is at, for who looks at a hung one.
pub(crate) fn stage(stage: &str) {
    let mut watched = watched();
    watched.storm.push_str("; ");
    watched.storm.push_str(stage);
}

fn run() {
    let (_never, tick) = mpsc::channel::<()>();
    let mut seen = 0;
    loop {
        let _ = tick.recv_timeout(PATIENCE);
        let now = PROGRESS.load(Ordering::Relaxed);
        if now == seen {
            bark();
        }
        seen = now;
    }
}

fn bark() -> ! {
    let (done, is_done) = mpsc::channel();
    let _ = thread::Builder::new().spawn(move || {
        // Not by `eprintln!`: what that prints is kept by the test that hangs.
        let mut out = std::io::stderr();
        let (storm, pools) = {
            let watched = watched();
            (watched.storm.clone(), watched.pools.clone())
        };
        let _ = writeln!(out, "\nno progress for {PATIENCE:?} in {storm}");
        let _ = writeln!(out, "{:?}", BOOKS.faults(None));
        for pool in pools {
            let _ = writeln!(out, "{pool:#?}");
        }
        let _ = done.send(());
    });
    let _ = is_done.recv_timeout(DUMP);
    std::process::abort()
}
