//! What a request is given of the time that it asks for, and what its jobs are given.

use crate::support::{error, ms, outcome};
use crate::{echo, get, pool_by, run};
use http_body_util::BodyExt;
use punctual::testing::ManualClock;
use punctual::tower::{DeadlineLayer, Limits};
use punctual::{Checked, Deadline, JobError};
use std::time::Duration;
use tower::{Layer, ServiceExt};

/// The limits that these headers have by this layer.
fn limits(layer: &DeadlineLayer, headers: &[(&str, &str)]) -> Limits {
    let response = run(layer.layer(echo()).oneshot(get(headers))).expect("it can not fail");
    let limits = response.extensions().get::<Limits>().expect("it was called").clone();
    run(response.into_body().collect()).expect("it can not fail"); // to its end
    limits
}

#[test]
fn a_margin_is_taken_off_what_was_asked_for_and_the_limit_is_kept() {
    let clock = ManualClock::new();
    let plain = || DeadlineLayer::new().clock(&clock);
    let time = |layer: DeadlineLayer, asked: Option<&str>| {
        let headers: Vec<_> = asked.iter().map(|value| ("request-timeout", *value)).collect();
        limits(&layer, &headers).deadline().instant().map(|at| at - clock.now())
    };
    // No default, no limit.
    assert_eq!(time(plain(), None), None);
    assert_eq!(time(plain(), Some("1")), Some(ms(995)), "5 ms for the way");
    assert_eq!(time(plain(), Some("0.01")), Some(ms(5)), "never more than half");
    assert_eq!(time(plain(), Some("0.004")), Some(ms(2)));
    assert_eq!(time(plain(), Some("0")), Some(ms(0)));
    assert_eq!(time(plain().margin(ms(0)), Some("1")), Some(ms(1000)));
    assert_eq!(time(plain().margin(ms(100)), Some("1")), Some(ms(900)));
    assert_eq!(time(plain().margin(Duration::MAX), Some("1")), Some(ms(500)));
    // A default is what the server says: no margin is taken off it.
    assert_eq!(time(plain().default_timeout(ms(70)), None), Some(ms(70)));
    assert_eq!(time(plain().default_timeout(ms(70)), Some("1")), Some(ms(995)));
    assert_eq!(time(plain().default_timeout(Duration::MAX), None), None, "too far to count");
    // A limit is one for all; the client of a longer time waits for longer, so no margin is needed.
    assert_eq!(time(plain().limit(ms(300)), None), Some(ms(300)));
    assert_eq!(time(plain().limit(ms(300)), Some("99999999")), Some(ms(300)));
    assert_eq!(time(plain().limit(ms(300)), Some("0.302")), Some(ms(297)));
    assert_eq!(time(plain().limit(ms(300)), Some("0.1")), Some(ms(95)));
    assert_eq!(time(plain().limit(ms(300)).default_timeout(ms(900)), None), Some(ms(300)));
    assert_eq!(time(plain().limit(ms(300)).default_timeout(ms(100)), None), Some(ms(100)));
    assert_eq!(time(plain().limit(ms(300)).default_timeout(ms(100)), Some("0.2")), Some(ms(195)));
    assert_eq!(time(plain().limit(ms(0)), Some("1")), Some(ms(0)));
}

#[test]
fn a_layer_within_another_can_only_shorten() {
    let clock = ManualClock::new();
    let layer = |limit| DeadlineLayer::new().clock(&clock).limit(ms(limit));
    for (outer, inner) in [(200, 300), (300, 200)] {
        let service = layer(outer).layer(layer(inner).layer(echo()));
        let response = run(service.oneshot(get(&[]))).expect("it can not fail");
        let limits = response.extensions().get::<Limits>().expect("it was called");
        assert_eq!(limits.deadline().instant(), Some(clock.now() + ms(200)));
    }
}

#[test]
fn the_layer_sets_no_timer() {
    let clock = ManualClock::new();
    let layer = DeadlineLayer::new().clock(&clock);
    let limits = limits(&layer, &[("request-timeout", "1")]);
    clock.advance(ms(60_000));
    assert!(!limits.token().is_cancelled() && limits.deadline() < Deadline::at(clock.now()));
}

#[test]
fn a_job_has_the_deadline_of_its_request_and_ends_by_it() {
    let clock = ManualClock::new();
    let pool = pool_by(&clock);
    let limits = limits(&DeadlineLayer::new().clock(&clock), &[("request-timeout", "1")]);
    let seen = limits.job(&pool).spawn(|cx| -> Checked<_> { Ok(cx.deadline()) });
    assert_eq!(outcome(seen).expect("a value"), limits.deadline());
    let job = limits.job(&pool.lane("lookups")).spawn(|cx| cx.sleep(Duration::MAX));
    clock.advance(ms(994));
    assert!(!job.is_finished());
    clock.advance(ms(1));
    assert!(error(job).is_timed_out(), "5 ms before the client gives up");
}

#[test]
fn a_job_has_the_token_of_its_request() {
    let pool = pool_by(&ManualClock::new());
    let limits = limits(&DeadlineLayer::new(), &[]);
    let jobs = [limits.job(&pool), limits.apply(pool.job())];
    let jobs = jobs.map(|job| job.spawn(|cx| cx.sleep(Duration::MAX)));
    limits.token().cancel();
    for job in jobs {
        assert!(matches!(error(job), JobError::Cancelled(_)));
    }
}

#[test]
fn of_a_jobs_own_time_and_its_requests_the_earlier_counts() {
    let clock = ManualClock::new();
    let pool = pool_by(&clock);
    let lane = pool.lane("with a default").default_timeout(ms(400));
    let start = clock.now();
    let asked = limits(&DeadlineLayer::new().clock(&clock).limit(ms(300)), &[]);
    let none = limits(&DeadlineLayer::new().clock(&clock), &[]);
    for (job, time) in [
        (asked.apply(pool.job().timeout(ms(200))), 200),
        (asked.apply(pool.job().timeout(ms(900))), 300),
        (asked.apply(pool.job().deadline(start + ms(200))), 200),
        (asked.apply(pool.job().deadline(start + ms(900))), 300),
        (asked.apply(pool.job()).timeout(ms(200)), 200),
        (asked.job(&lane), 300),
        (none.job(&lane), 400),
        (none.apply(pool.job().deadline(start + ms(200))), 200),
    ] {
        let settings = format!("{job:?}");
        let deadline = outcome(job.spawn(|cx| -> Checked<_> { Ok(cx.deadline()) }));
        assert_eq!(deadline.expect("a value").instant(), Some(start + ms(time)), "{settings}");
    }
    let free = none.job(&pool).spawn(|cx| -> Checked<_> { Ok(cx.deadline()) });
    assert_eq!(outcome(free).expect("a value"), Deadline::NEVER);
}
