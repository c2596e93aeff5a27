//! What a call does when no descriptor is to be had. (A binary of its own: it takes all of them.)
#![cfg(target_os = "linux")]

#[path = "laws/support.rs"]
#[allow(dead_code, reason = "shared with others, who use the rest")]
mod support;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::io;
use std::process::{Command, Stdio};
use support::{outcome, pool_of};

#[test]
fn a_child_is_waited_for_and_not_killed_where_there_are_too_few_descriptors() {
    let few = Rlimit { current: Some(100), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, few).expect("it is less than there were");
    let job = pool_of(1).spawn(|cx| -> io::Result<_> {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let _all: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        cx.wait_child(&mut child) // its input is closed, and leaves room for one
    });
    assert!(outcome(job).expect("it is waited for").success());
}
