//! How soon a blocked body returns when its job is stopped; and what `cx.io` costs where nobody stops it.
//!
//! ```text
//! cargo bench --bench interrupt [-- [--short] [--check] [WORD...]]
//!     --short  few rounds, for a look
//!     --check  exit status 1 if a goal is missed
//!     WORD     only the lines that have it
//! ```
//!
//! The first table: a job blocks in a call, which is seen at its thread, and some time later it is
//! cancelled. From just before `cancel()` to just after the call, in the body, is what is measured. The time
//! in between differs from round to round, so that each part of a step is met that a call waits in.
//!
//! The second: the same bytes through `cx.io` and through the bare stream, in turn, and compared within
//! each round: machines change their speed meanwhile.
//!
//! With PostgreSQL: `.ci/postgres cargo bench --bench interrupt`.

#[cfg(unix)]
mod calls;
#[cfg(unix)]
#[path = "../../examples/checkout.rs"]
#[allow(dead_code, reason = "its main")]
mod checkout;
#[cfg(unix)]
#[path = "../../examples/condvar.rs"]
#[allow(dead_code, reason = "its main")]
mod condvar;
#[cfg(unix)]
#[path = "../../examples/postgres.rs"]
#[allow(dead_code, reason = "its main")]
mod postgres;
#[cfg(unix)]
mod rounds;
#[cfg(unix)]
#[path = "../../examples/sqlite.rs"]
#[allow(dead_code, reason = "its main")]
mod sqlite;
#[cfg(unix)]
mod streams;

#[cfg(not(unix))]
fn main() {
    println!("what this measures is there on Unix");
}

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    use std::process::ExitCode;

    let args: Vec<_> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    // Without `--bench` this is a test of whether it runs at all.
    let size = match (has("--bench"), has("--short")) {
        (false, _) => rounds::Size { stops: 2, warm_up: 1, streams: 1, bytes: 1 << 20, trips: 50 },
        (_, true) => {
            rounds::Size { stops: 50, warm_up: 3, streams: 7, bytes: 16 << 20, trips: 500 }
        }
        _ => rounds::Size { stops: 300, warm_up: 5, streams: 31, bytes: 64 << 20, trips: 2_000 },
    };
    let words: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let is_wanted =
        |name: &str| words.is_empty() || words.iter().any(|w| name.contains(w.as_str()));

    let missed = calls::print(&size, is_wanted) + streams::print(&size, is_wanted);
    println!("\n{}", if missed == 0 { "all goals are met" } else { "GOALS ARE MISSED" });
    if missed > 0 && has("--check") { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
