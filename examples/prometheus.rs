//! A pool's numbers as Prometheus reads them, and those of a lane beside them: some jobs of every fate,
//! and then the text that a server would answer with.
//!
//! `cargo run --example prometheus --features metrics`

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use punctual::{Checked, Lane, Pool, Priority, Publisher};
use std::collections::HashMap;
use std::time::Duration;

/// Where the bars of the two histograms are cut, in seconds.
const CUTS: [f64; 5] = [0.000_1, 0.001, 0.01, 0.1, 1.0];

fn main() -> Result<(), BuildError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let prometheus = PrometheusBuilder::new().set_buckets_for_metric(seconds, &CUTS)?;
    let prometheus = prometheus.install_recorder()?;

    let pool = Pool::builder().name("db").threads(2..=2).build().expect("two threads");
    let reports = pool.lane("reports").limit(1);
    let mut published = Published { pool: Publisher::new("db"), lanes: HashMap::new() };
    published.renew(&pool); // on a timer, or whenever the server is asked
    run_some_jobs(&pool, &reports);
    pool.drain().wait();
    published.renew(&pool);

    let text = prometheus.render();
    print!("{text}");
    for line in [
        "punctual_jobs_accepted_total{pool=\"db\"} 24",
        "punctual_jobs_ended_total{pool=\"db\",outcome=\"returned\",phase=\"running\"} 20",
        "punctual_jobs_ended_total{pool=\"db\",outcome=\"timed_out\",phase=\"running\"} 2",
        "punctual_run_time_seconds_count{pool=\"db\"} 23",
        "punctual_jobs_accepted_total{pool=\"db\",lane=\"reports\"} 2",
        "punctual_lane_most_running{pool=\"db\",lane=\"reports\"} 1",
    ] {
        assert!(text.lines().any(|shown| shown == line), "there is no line `{line}`");
    }
    Ok(())
}

/// What is shown: a pool, and those of its lanes that have had a job, each under its own label.
struct Published {
    pool: Publisher,
    lanes: HashMap<String, Publisher>,
}

impl Published {
    fn renew(&mut self, pool: &Pool) {
        self.pool.publish(&pool.metrics());
        for lane in pool.lanes() {
            let new = || Publisher::new("db").lane(&lane.name);
            self.lanes.entry(lane.name.clone()).or_insert_with(new).publish_lane(&lane);
        }
    }
}

/// Twenty that return, two reports that are too slow, one that fails, one that never starts.
fn run_some_jobs(pool: &Pool, reports: &Lane) {
    let quick = (0..20).map(|n| pool.job().name("quick").spawn_blocking(move || n * n));
    let quick: Vec<_> = quick.collect();
    for job in quick {
        assert!(job.wait().is_ok());
    }
    let slow = || {
        let slow = reports.job().name("slow").run_timeout(Duration::from_millis(20));
        slow.spawn(|cx| -> Checked<()> { cx.sleep(Duration::MAX) })
    };
    let slow = [slow(), slow()];
    let never = pool.job().priority(Priority::Low).timeout(Duration::ZERO).spawn_blocking(|| ());
    assert!(never.wait().is_err_and(|error| error.is_timed_out()));
    assert!(slow.into_iter().all(|job| job.wait().is_err_and(|error| error.is_timed_out())));
    assert!(pool.spawn(|_| "12x".parse::<u32>()).wait().is_err());
}
