//! What becomes of jobs when the process ends: a guard in `main` loses none.
//!
//! Each test runs this program again as a child, which does one of the [`main`]s below.

use std::process::{Command, Output};
use std::sync::mpsc;
use std::time::Duration;

/// Runs the test of this name in a child process, as its `main`.
fn child(main: &str) -> Output {
    let this = std::env::current_exe().expect("it runs");
    let mut command = Command::new(this);
    command.args([main, "--exact", "--nocapture", "--test-threads=1"]).env("PUNCTUAL_CHILD", main);
    command.output().expect("it can be started")
}

fn is_child(main: &str) -> bool {
    std::env::var("PUNCTUAL_CHILD").is_ok_and(|child| child == main)
}

#[test]
fn a_guard_in_main_loses_no_job() {
    const NAME: &str = "a_guard_in_main_loses_no_job";
    if is_child(NAME) {
        let _drain = punctual::drain_on_exit();
        let (go, gate) = mpsc::channel::<()>();
        punctual::spawn_blocking(move || {
            assert!(gate.recv().is_err());
            println!("the job has run");
        });
        drop(go);
        return;
    }
    let output = child(NAME);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("the job has run"), "{output:?}");
}

#[test]
fn a_guard_with_a_time_names_what_it_leaves() {
    const NAME: &str = "a_guard_with_a_time_names_what_it_leaves";
    if is_child(NAME) {
        punctual::set_default_pool(one_thread()).expect("nothing has used it yet");
        let _drain = punctual::drain_on_exit().within(Duration::from_millis(10));
        let (started, starts) = mpsc::channel();
        let deaf = punctual::default_pool().job().name("deaf").spawn_blocking(move || {
            started.send(()).expect("the test listens");
            park_for_ever();
        });
        starts.recv().expect("it starts");
        drop((deaf, punctual::default_pool().job().name("waits").spawn_blocking(|| ())));
        return;
    }
    let output = child(NAME);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("punctual: never started at exit: job `waits`"), "{output:?}");
    assert!(said.contains("punctual: still running at exit: job `deaf`"), "{output:?}");
}

#[test]
fn without_a_guard_the_process_ends_at_once() {
    const NAME: &str = "without_a_guard_the_process_ends_at_once";
    if is_child(NAME) {
        drop(punctual::spawn_blocking(|| -> u8 { park_for_ever() }));
        return;
    }
    assert!(child(NAME).status.success());
}

#[test]
fn a_job_may_end_the_process() {
    const NAME: &str = "a_job_may_end_the_process";
    if is_child(NAME) {
        let _drain = punctual::drain_on_exit();
        let job = punctual::spawn_blocking(|| std::process::exit(7));
        drop(job.wait());
        return;
    }
    assert_eq!(child(NAME).status.code(), Some(7));
}

#[test]
fn an_unused_default_pool_needs_no_drain() {
    const NAME: &str = "an_unused_default_pool_needs_no_drain";
    if is_child(NAME) {
        drop(punctual::drain_on_exit());
        return;
    }
    assert!(child(NAME).status.success());
}

fn one_thread() -> punctual::Pool {
    punctual::Pool::builder().threads(1..=1).build().expect("a thread")
}

fn park_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}
