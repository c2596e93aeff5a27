//! The feature `serde`: metrics and reports as JSON.

use crate::support::{Gate, error, ms, news, outcome, pool_of};
use punctual::{Cause, LaneMetrics, Latencies, Metrics, Outcome, Phase, Priority};
use serde_json::{Value, from_str, from_value, json, to_string, to_value};
use std::time::Duration;

#[test]
fn metrics_are_read_back_as_they_were() {
    let pool = pool_of(1);
    for n in 0..20 {
        outcome(pool.spawn_blocking(move || (0..n * 1_000).sum::<u64>())).expect("it returns");
    }
    pool.drain().wait();
    let metrics = pool.metrics();
    let text = to_string(&metrics).expect("it can be written");
    let again: Metrics = from_str(&text).expect("it can be read");
    assert_eq!(again, metrics);
    assert_eq!(again.run_time.count(), 20);
}

#[test]
fn a_lanes_metrics_are_read_back_as_they_were() {
    let pool = pool_of(1);
    let (lane, free) = (pool.lane("reports").limit(2), pool.lane("free"));
    outcome(lane.spawn_blocking(|| ())).expect("it returns");
    for metrics in [lane.metrics(), free.metrics()] {
        let again: LaneMetrics = from_value(to_value(&metrics).expect("written")).expect("read");
        assert_eq!(again, metrics);
    }
    let written = to_value(lane.metrics()).expect("written");
    assert_eq!((&written["name"], &written["limit"]), (&json!("reports"), &json!(2)));
    assert_eq!((&written["most_running"], &written["returned"]), (&json!(1), &json!(1)));
    let old: LaneMetrics = from_str("{\"accepted\":3}").expect("it can be read");
    assert_eq!((old.accepted, old.most_running, old.name.as_str()), (3, None, ""));
}

#[test]
fn what_is_missing_is_zero_and_what_is_strange_harms_nobody() {
    let old: Metrics = from_str("{\"accepted\":3,\"no_longer\":true}").expect("it can be read");
    assert_eq!(old, from_value(json!({ "accepted": 3 })).expect("it can be read"));
    assert_eq!((old.accepted, old.run_time.count()), (3, 0));
    let strange = json!({
        "min_ns": u64::MAX,
        "max_ns": 5,
        "buckets": [[u64::MAX, u64::MAX], [3, 2], [1_000, 0], [0, 1], [u64::MAX, 7]],
    });
    let strange: Latencies = from_value(strange).expect("it can be read");
    assert_eq!(strange.count(), u64::MAX);
    for share in [0.0, 0.3, 1.0, f64::NAN] {
        assert!(strange.quantile(share) <= Duration::from_nanos(5));
    }
    assert!(strange.mean() <= strange.max() && strange.min() <= strange.max());
    assert!(from_value::<Latencies>(json!({ "buckets": 3 })).is_err());
}

#[test]
fn a_report_names_its_jobs() {
    let pool = pool_of(1);
    let gate = Gate::default();
    let (deaf, (started, starts)) = (gate.clone(), news());
    let overdue = pool.job().name("deaf").run_timeout(ms(2)).spawn_blocking(move || {
        started.send(()).expect("the test listens");
        deaf.pass();
    });
    starts.next();
    let id = overdue.id().get();
    assert!(error(overdue).is_timed_out());
    let lane = pool.lane("reports");
    let low = lane.job().priority(Priority::Low).spawn_blocking(|| ());
    let report = to_value(pool.shutdown().within(ms(10)).wait()).expect("it can be written");
    gate.open();
    let never = &report["never_started"][0];
    assert_eq!((&report["finished"], &never["name"]), (&json!(0), &Value::Null));
    assert_eq!(
        (&never["lane"], &report["still_running"][0]["lane"]),
        (&json!("reports"), &Value::Null)
    );
    assert_eq!((&never["priority"], &never["phase"]), (&json!("low"), &json!("queued")));
    let still = &report["still_running"][0];
    assert_eq!((&still["id"], &still["name"]), (&json!(id), &json!("deaf")));
    assert_eq!((&still["thread"], &still["phase"]), (&json!("punctual-1"), &json!("running")));
    let place = still["spawned_at"].as_str().expect("a text");
    assert!(place.starts_with("tests/seeing/serial.rs:"), "{place}");
    for time in ["queued_for", "ran_for", "overdue_by"] {
        let time: Result<Duration, _> = from_value(still[time].clone());
        assert!(time.is_ok(), "{still}");
    }
    drop(low);
}

#[test]
fn words_are_written_in_lower_case() {
    let word = |value: Value| value.as_str().map(str::to_owned);
    assert_eq!(to_value(Phase::Running).ok().and_then(word).as_deref(), Some("running"));
    assert_eq!(to_value(Priority::High).ok().and_then(word).as_deref(), Some("high"));
    assert_eq!(from_value::<Cause>(json!("shutdown")).ok(), Some(Cause::Shutdown));
    assert_eq!(from_value::<Priority>(json!("normal")).ok(), Some(Priority::Normal));
    assert_eq!(to_value(Outcome::TimedOut).ok().and_then(word).as_deref(), Some("timed_out"));
}
