//! Names. (How a resolver that does not answer is dealt with: the units of `src/io/resolve.rs`.)

use crate::support::{error, outcome, pool_of};
use punctual::{JobError, Phase};
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
