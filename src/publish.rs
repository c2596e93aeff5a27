//! The feature `metrics`: a pool's numbers through the facade of the crate of that name.
//!
//! What is published are snapshots, now and then: jobs cost nothing more for it.

use crate::histogram::Latencies;
use crate::metrics::{LaneMetrics, Metrics};
use ::metrics::{Label, Unit};
use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Publishes the numbers of a pool, or of one of its lanes, through the crate `metrics`.
///
/// Each [`publish`](Self::publish) brings what the program's recorder shows up to a snapshot. Call it
/// on a timer, or before the recorder is asked.
///
/// | name | kind | labels besides `pool` and `lane` |
/// |---|---|---|
/// | `punctual_jobs_accepted_total`, `punctual_jobs_rejected_total` | counter | |
/// | `punctual_jobs_ended_total` | counter | `outcome`: `returned`, `failed`, `panicked`, `cancelled`, `timed_out`, `rejected`; `phase`: `queued`, `running` |
/// | `punctual_jobs_queued` | gauge | `priority`: `high`, `normal`, `low` |
/// | `punctual_jobs_running`, `punctual_jobs_overdue` | gauge | |
/// | `punctual_threads` | gauge | `state`: `busy`, `idle`, `looking` |
/// | `punctual_spare_threads_lent`, `punctual_timers` | gauge | |
/// | `punctual_lane_limit`, `punctual_lane_most_running` | gauge, of a lane with a limit | |
/// | `punctual_queue_wait_seconds`, `punctual_run_time_seconds` | histogram | |
///
/// # Examples
///
/// ```
/// use punctual::{Pool, Publisher};
///
/// let pool = Pool::builder().name("db").build().unwrap();
/// let mut publisher = Publisher::new("db");
/// pool.spawn_blocking(|| ()).wait().unwrap();
/// publisher.publish(&pool.metrics()); // to the recorder that the program has installed, if any
/// ```
#[derive(Clone, Debug)]
pub struct Publisher {
    labels: Vec<Label>,
    /// What was published last; none before the first.
    last: Option<Metrics>,
}

impl Publisher {
    /// For the pool of this name: it is the label `pool`.
    ///
    /// ```
    /// let publisher = punctual::Publisher::new("db");
    /// # drop(publisher);
    /// ```
    #[must_use]
    pub fn new(pool: impl Into<String>) -> Self {
        Self { labels: vec![Label::new("pool", pool.into())], last: None }
    }

    /// For a lane of this name, which is the label `lane`; then [`publish_lane`](Self::publish_lane). A
    /// lane's jobs are among its pool's: the pool's numbers are those without that label. (The example
    /// `prometheus` has one for each of [`Pool::lanes`](crate::Pool::lanes).)
    ///
    /// ```
    /// let publisher = punctual::Publisher::new("db").lane("reports");
    /// # drop(publisher);
    /// ```
    #[must_use]
    pub fn lane(mut self, lane: impl Into<String>) -> Self {
        self.labels.push(Label::new("lane", lane.into()));
        self
    }

    /// Brings what the recorder shows up to this snapshot, which must be a later one than the last.
    ///
    /// Durations are published as they are in the snapshot: at most 5 % off.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let mut publisher = punctual::Publisher::new("punctual");
    /// publisher.publish(&pool.metrics());
    /// ```
    pub fn publish(&mut self, now: &Metrics) {
        self.publish_jobs(now);
        self.publish_threads(now);
    }

    /// As [`publish`](Self::publish), of a lane.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("reports").limit(4);
    /// let mut publisher = punctual::Publisher::new("punctual").lane(lane.name());
    /// publisher.publish_lane(&lane.metrics());
    /// ```
    pub fn publish_lane(&mut self, now: &LaneMetrics) {
        self.publish_jobs(&now.jobs());
        for (name, value) in
            [("punctual_lane_limit", now.limit), ("punctual_lane_most_running", now.most_running)]
        {
            if let Some(value) = value {
                gauge!(name, self.labels.clone()).set(value as f64);
            }
        }
    }

    fn publish_jobs(&mut self, now: &Metrics) {
        let last = self.last.replace(now.clone()).unwrap_or_else(|| {
            describe();
            Metrics::default()
        });
        self.publish_counters(now);
        self.publish_places(now);
        self.times("punctual_queue_wait_seconds", &now.queue_wait.since(&last.queue_wait));
        self.times("punctual_run_time_seconds", &now.run_time.since(&last.run_time));
    }

    fn publish_counters(&self, now: &Metrics) {
        counter!("punctual_jobs_accepted_total", self.labels.clone()).absolute(now.accepted);
        counter!("punctual_jobs_rejected_total", self.labels.clone()).absolute(now.rejected);
        for (outcome, phase, count) in [
            ("returned", "running", now.returned),
            ("failed", "running", now.failed),
            ("panicked", "running", now.panicked),
            ("cancelled", "queued", now.cancelled_queued),
            ("cancelled", "running", now.cancelled_running),
            ("timed_out", "queued", now.timed_out_queued),
            ("timed_out", "running", now.timed_out_running),
            ("rejected", "queued", now.rejected_queued),
        ] {
            let labels = self.and(&[("outcome", outcome), ("phase", phase)]);
            counter!("punctual_jobs_ended_total", labels).absolute(count);
        }
    }

    fn publish_threads(&self, now: &Metrics) {
        let looking = now.threads.saturating_sub(now.busy + now.idle);
        for (state, threads) in [("busy", now.busy), ("idle", now.idle), ("looking", looking)] {
            gauge!("punctual_threads", self.and(&[("state", state)])).set(threads as f64);
        }
        gauge!("punctual_spare_threads_lent", self.labels.clone()).set(now.spare as f64);
        gauge!("punctual_timers", self.labels.clone()).set(now.timers as f64);
    }

    fn publish_places(&self, now: &Metrics) {
        for (priority, jobs) in
            [("high", now.queued_high), ("normal", now.queued_normal), ("low", now.queued_low)]
        {
            gauge!("punctual_jobs_queued", self.and(&[("priority", priority)])).set(jobs as f64);
        }
        gauge!("punctual_jobs_running", self.labels.clone()).set(now.running as f64);
        gauge!("punctual_jobs_overdue", self.labels.clone()).set(now.overdue as f64);
    }

    fn times(&self, name: &'static str, new: &Latencies) {
        let times = histogram!(name, self.labels.clone());
        for (time, count) in new.typical_times() {
            times.record_many(time.as_secs_f64(), usize::try_from(count).unwrap_or(usize::MAX));
        }
    }

    fn and(&self, more: &[(&'static str, &'static str)]) -> Vec<Label> {
        let more = more.iter().map(|(key, value)| Label::from_static_parts(key, value));
        self.labels.iter().cloned().chain(more).collect()
    }
}

fn describe() {
    use Unit::{Count, Seconds};
    describe_counter!("punctual_jobs_accepted_total", Count, "Jobs that were accepted.");
    describe_counter!("punctual_jobs_rejected_total", Count, "Jobs that were refused.");
    describe_counter!("punctual_jobs_ended_total", Count, "Jobs that have their outcome.");
    describe_gauge!("punctual_jobs_queued", Count, "Jobs that wait for a thread.");
    describe_gauge!("punctual_jobs_running", Count, "Jobs whose body is being called.");
    let overdue = "Jobs whose body goes on after their handle has resolved.";
    describe_gauge!("punctual_jobs_overdue", Count, overdue);
    describe_gauge!("punctual_threads", Count, "Threads there are.");
    let spare = "Spare threads in the place of others that are stuck or wait.";
    describe_gauge!("punctual_spare_threads_lent", Count, spare);
    describe_gauge!("punctual_lane_limit", Count, "Jobs of a lane that may run at a time.");
    let most = "The most jobs that a lane ever let through at a time.";
    describe_gauge!("punctual_lane_most_running", Count, most);
    describe_gauge!("punctual_timers", Count, "Alarms that the timekeeper watches.");
    let waited = "How long the jobs that were started had waited.";
    describe_histogram!("punctual_queue_wait_seconds", Seconds, waited);
    let ran = "How long each body ran that has returned.";
    describe_histogram!("punctual_run_time_seconds", Seconds, ran);
}
