//! Names. (How a resolver that does not answer is dealt with: the units of `src/io/resolve.rs`.)

use crate::support::{error, outcome, pool_of};
use punctual::{JobError, Phase, Pool};
use std::io::ErrorKind;

#[test]
fn this_machines_name_for_itself_is_found_by_the_only_thread_there_is() {
    let pool = pool_of(1);
    let job = pool.spawn(|cx| cx.resolve("localhost:80"));
    let found = outcome(job).expect("every machine has it");
    assert!(!found.is_empty() && found.iter().all(|at| at.ip().is_loopback() && at.port() == 80));
}

#[test]
fn an_address_needs_no_job() {
    let pool = pool_of(1);
    let job = pool.spawn(|cx| cx.resolve("[::1]:80"));
    assert_eq!(outcome(job).expect("it is one"), ["[::1]:80".parse().expect("it is one")]);
    assert_eq!(pool.metrics().accepted, 1);
}

#[test]
fn what_is_no_name_is_an_error() {
    let pool = pool_of(1);
    for name in ["", "no port", "localhost:65536", "\0:80"] {
        let job = pool.spawn(move |cx| cx.resolve(name));
        let JobError::Failed(error) = error(job) else { panic!("{name:?} is an error") };
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}: {error}");
    }
}

#[test]
fn a_job_that_was_stopped_asks_nobody() {
    let pool = pool_of(1);
    let job = pool.spawn(|cx| {
        cx.token().cancel();
        cx.resolve("localhost:80")
    });
    assert_eq!(error(job).phase(), Some(Phase::Running));
    assert_eq!(pool.metrics().accepted, 1);
}

/// Whoever waits for the answer is the only one who could look it up.
#[test]
fn where_there_is_no_thread_for_it_a_name_is_not_waited_for() {
    let gate = |name: &str| match name.ends_with("-1") {
        true => Ok(()),
        false => Err(ErrorKind::WouldBlock.into()),
    };
    let pool = Pool::builder().threads(1..=1).spawn_gate(gate).build().expect("a thread");
    let job = pool.spawn(|cx| cx.resolve("localhost:80"));
    assert!(matches!(error(job), JobError::Failed(_)));
    assert_eq!(outcome(pool.spawn_blocking(|| 1)).expect("its worker is back"), 1);
}
