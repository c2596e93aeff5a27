//! The feature `metrics`: what a recorder shows of a pool.

use crate::support::{Busy, error, ms, outcome, pool_of};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use punctual::{Metrics, Priority, Publisher};
use std::time::Duration;

/// Publishes these one after the other, and gives what Prometheus would read then.
fn shown(mut publisher: Publisher, snapshots: &[Metrics]) -> Vec<String> {
    read(|| snapshots.iter().for_each(|snapshot| publisher.publish(snapshot)))
}

/// What Prometheus would read then.
fn read(publish: impl FnOnce()) -> Vec<String> {
    let cut = Matcher::Suffix("_seconds".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(cut, &[0.5]).expect("a cut");
    let recorder = builder.build_recorder();
    let handle: PrometheusHandle = recorder.handle();
    metrics::with_local_recorder(&recorder, publish);
    handle.render().lines().map(str::to_owned).collect()
}

#[test]
fn what_is_published_is_the_last_snapshot() {
    let pool = pool_of(1);
    let first = pool.metrics();
    outcome(pool.spawn_blocking(|| ())).expect("it returns");
    let second = pool.metrics();
    error(pool.spawn(|_| -> Result<(), _> { Err(1) }));
    error(pool.job().run_timeout(ms(2)).spawn(|cx| cx.sleep(Duration::MAX)));
    let busy = Busy::all(&pool, 1);
    pool.spawn_blocking(|| ()).cancel();
    let waits = pool.job().priority(Priority::High).spawn_blocking(|| ());
    let third = pool.metrics();
    drop(busy);
    outcome(waits).expect("it returns");
    let lines = shown(Publisher::new("db").lane("reports"), &[first, second, third]);
    for line in [
        "punctual_jobs_accepted_total{pool=\"db\",lane=\"reports\"} 6",
        "punctual_jobs_rejected_total{pool=\"db\",lane=\"reports\"} 0",
        "punctual_jobs_ended_total{pool=\"db\",lane=\"reports\",outcome=\"returned\",phase=\"running\"} 1",
        "punctual_jobs_ended_total{pool=\"db\",lane=\"reports\",outcome=\"failed\",phase=\"running\"} 1",
        "punctual_jobs_ended_total{pool=\"db\",lane=\"reports\",outcome=\"cancelled\",phase=\"queued\"} 1",
        "punctual_jobs_ended_total{pool=\"db\",lane=\"reports\",outcome=\"timed_out\",phase=\"running\"} 1",
        "punctual_jobs_queued{pool=\"db\",lane=\"reports\",priority=\"high\"} 1",
        "punctual_jobs_queued{pool=\"db\",lane=\"reports\",priority=\"normal\"} 0",
        "punctual_jobs_running{pool=\"db\",lane=\"reports\"} 1",
        "punctual_jobs_overdue{pool=\"db\",lane=\"reports\"} 0",
        "punctual_threads{pool=\"db\",lane=\"reports\",state=\"busy\"} 1",
        "punctual_threads{pool=\"db\",lane=\"reports\",state=\"idle\"} 0",
        "punctual_queue_wait_seconds_count{pool=\"db\",lane=\"reports\"} 4",
        "punctual_run_time_seconds_count{pool=\"db\",lane=\"reports\"} 3",
        "# TYPE punctual_run_time_seconds histogram",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "no `{line}` in {lines:#?}");
    }
}

#[test]
fn a_lane_has_a_limit_and_a_mark_and_no_threads() {
    let pool = pool_of(1);
    let lane = pool.lane("reports").limit(4);
    outcome(lane.spawn_blocking(|| ())).expect("it returns");
    outcome(pool.spawn_blocking(|| ())).expect("it returns");
    let mut publishers = [Publisher::new("db").lane(lane.name()), Publisher::new("db")];
    let lines = read(|| {
        publishers[0].publish_lane(&lane.metrics());
        publishers[1].publish(&pool.metrics());
    });
    for line in [
        "punctual_lane_limit{pool=\"db\",lane=\"reports\"} 4",
        "punctual_lane_most_running{pool=\"db\",lane=\"reports\"} 1",
        "punctual_jobs_accepted_total{pool=\"db\",lane=\"reports\"} 1",
        "punctual_jobs_accepted_total{pool=\"db\"} 2",
        "punctual_run_time_seconds_count{pool=\"db\",lane=\"reports\"} 1",
        "punctual_spare_threads_lent{pool=\"db\"} 0",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "no `{line}` in {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.starts_with("punctual_threads{pool=\"db\",lane")));
}

#[test]
fn times_are_published_once_each() {
    let clock = punctual::testing::ManualClock::new();
    let pool = punctual::Pool::builder().threads(1..=1).clock(&clock).build().expect("a thread");
    let take = |time: Duration| {
        let clock = clock.clone();
        outcome(pool.spawn_blocking(move || clock.advance(time))).expect("it returns");
        pool.metrics()
    };
    let snapshots = [ms(400), ms(600), ms(800)].map(take);
    let lines = shown(Publisher::new("db"), &snapshots);
    let bar = |to: &str| format!("punctual_run_time_seconds_bucket{{pool=\"db\",le=\"{to}\"}} ");
    for line in [bar("0.5") + "1", bar("+Inf") + "3"] {
        assert!(lines.contains(&line), "no `{line}` in {lines:#?}");
    }
    let sum = lines.iter().find_map(|line| line.strip_prefix("punctual_run_time_seconds_sum"));
    let sum: f64 = sum.and_then(|rest| rest.split(' ').nth(1)).expect("a sum").parse().expect("it");
    assert!((sum - 1.8).abs() < 0.06, "{sum}");
}
