//! What went wrong once by a clock that is moved by hand: each test fails without its fix.

#[path = "laws/support.rs"]
#[allow(dead_code)]
mod support;

use punctual::Pool;
use punctual::testing::ManualClock;
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
