//! What went wrong once by a clock that is moved by hand: each test fails without its fix.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use punctual::testing::ManualClock;
use punctual::{Phase, Pool};
use std::process::Command;
use std::time::Duration;
use support::outcome;

/// What was past by the pool's clock was waited for by the system's.
#[test]
fn a_sleep_that_is_over_ends_at_once_by_a_clock_that_was_moved_ahead() {
    let clock = ManualClock::new();
    let pool = Pool::builder().clock(&clock).threads(1..=1).build().expect("a thread");
    clock.advance(Duration::from_secs(3600));
    outcome(pool.spawn(|cx| cx.sleep(Duration::ZERO))).expect("it ends");
}

/// What time it is was counted from the first moment that any pool of the process had asked for: if that
/// was by a clock that had been moved ahead, times by the system's were before that, and all the same.
#[test]
fn a_clock_that_was_moved_ahead_does_not_stop_the_systems() {
    const NAME: &str = "a_clock_that_was_moved_ahead_does_not_stop_the_systems";
    const CHILD: &str = "PUNCTUAL_CHILD";
    if std::env::var_os(CHILD).is_none() {
        let this = std::env::current_exe().expect("it runs"); // where no other test has asked before
        let mut child = Command::new(this);
        child.args([NAME, "--exact", "--nocapture"]).env(CHILD, NAME);
        let output = child.output().expect("it can be started");
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let clock = ManualClock::new();
    clock.advance(Duration::from_secs(86_400));
    let ahead = Pool::builder().clock(&clock).threads(1..=1).build().expect("a thread");
    outcome(ahead.spawn_blocking(|| ())).expect("nothing is in its way");
    let pool = Pool::new();
    let job = pool.job().run_timeout(Duration::from_millis(1));
    let error = outcome(job.spawn(|cx| cx.sleep(Duration::MAX))).expect_err("it is stopped");
    assert_eq!((error.is_timed_out(), error.phase()), (true, Some(Phase::Running)));
}
