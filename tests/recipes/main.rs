//! The recipes of `examples/`: each runs as it is, and keeps what it promises.
//!
//! That of PostgreSQL needs a server: `.ci/postgres cargo test --test recipes`.
#![cfg(unix)]

#[path = "../io/blocked.rs"]
#[allow(dead_code, reason = "shared with others, who use the rest")]
mod blocked;
mod postgres_ends;
mod sqlite_ends;
#[path = "../laws/support.rs"]
#[allow(dead_code, reason = "shared with others, who use the rest")]
mod support;
mod waits_end;

#[path = "../../examples/checkout.rs"]
mod checkout;
#[path = "../../examples/condvar.rs"]
mod condvar;
#[path = "../../examples/postgres.rs"]
mod postgres;
#[path = "../../examples/sqlite.rs"]
mod sqlite;
#[path = "../../examples/steps.rs"]
mod steps;

#[test]
fn each_runs_as_it_is() {
    let all = [checkout::main, condvar::main, postgres::main, sqlite::main, steps::main];
    for (number, main) in all.into_iter().enumerate() {
        main().unwrap_or_else(|error| panic!("recipe {number}: {error:#}"));
    }
}
