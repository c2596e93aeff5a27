//! The service on punctual: two lanes, so that what is slow never holds up what is quick.

use crate::args::Args;
use crate::db::{Database, Trouble};
use crate::engine::{Engine, Jobs, Late, Numbers, Slow, Started};
use crate::processors::Processors;
use crate::questions::Question;
use crate::reply;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::get_service;
use axum::{Json, Router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use punctual::tower::{Blocking, DeadlineLayer};
use punctual::{
    AbortHandle, JobContext, JobError, Lane, LaneMetrics, Metrics, Phase, Pool, Priority, Publisher,
};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Lookups that run at a time. They are over in less than a millisecond.
const LOOKUPS: usize = 8;
const LOOKUPS_WAITING: usize = 256;
/// Where Prometheus's bars are cut, in seconds.
const CUTS: [f64; 7] = [0.000_1, 0.001, 0.01, 0.1, 0.5, 1.0, 5.0];

pub(crate) struct Lanes {
    pool: Pool,
    most_threads: usize,
    processors: Processors,
    lookups: Lane,
    reports: Lane,
    published: Mutex<Published>,
}

/// What Prometheus is shown: the pool, and each lane.
struct Published {
    recorder: PrometheusHandle,
    pool: Publisher,
    lanes: HashMap<String, Publisher>,
}

impl Lanes {
    /// This thread, too, leaves the reports' processors to them.
    pub(crate) fn new(args: &Args, processors: Processors) -> anyhow::Result<Self> {
        let most_threads = LOOKUPS + args.reports(); // room for both lanes
        let pool = Pool::builder().name("service").threads(..=most_threads);
        processors.keep_off();
        let off = processors.clone();
        let pool = pool.on_thread_start(move || off.keep_off()).build()?;
        let lookups = pool.lane("lookups").limit(LOOKUPS).queue_limit(LOOKUPS_WAITING);
        let reports = pool.lane("reports").limit(args.reports()).queue_limit(args.waiting.get());
        let seconds = Matcher::Suffix("_seconds".to_owned());
        let prometheus = PrometheusBuilder::new().set_buckets_for_metric(seconds, &CUTS)?;
        let published = Published {
            recorder: prometheus.install_recorder()?,
            pool: Publisher::new("service"),
            lanes: HashMap::new(),
        };
        Ok(Self {
            most_threads,
            processors,
            lookups: lookups.priority(Priority::High),
            reports,
            pool,
            published: Mutex::new(published),
        })
    }
}

impl Engine for Lanes {
    fn name(&self) -> &'static str {
        "punctual"
    }

    fn route(&self, router: Router, question: Question, database: &Arc<Database>) -> Router {
        let lane = if question.is_quick { &self.lookups } else { &self.reports };
        let (database, processors) = (Arc::clone(database), self.processors.clone());
        let answer = move |_: &JobContext, request: Request| {
            let _moved = (!question.is_quick).then(|| processors.for_a_report());
            (question.answer)(&database, request.uri()).map(|answer| Json(answer).into_response())
        };
        let service = Blocking::new(lane.clone(), answer).name(question.name).on_error(in_words);
        router.route(question.path, get_service(service))
    }

    fn start(&self, slow: Slow) -> Option<Box<dyn Started>> {
        let Slow { name, time, work } = slow;
        let processors = self.processors.clone();
        let job = self.reports.job().name(name).timeout(time).try_spawn(move |_| {
            let _moved = processors.for_a_report();
            work()
        });
        Some(Box::new(job.ok()?.abort_handle()))
    }

    fn numbers(&self) -> Numbers {
        let now = self.pool.metrics();
        let lanes = self.pool.lanes().into_iter();
        Numbers {
            threads: now.threads,
            busy: now.busy,
            most_threads: self.most_threads,
            jobs: (&now).into(),
            lanes: lanes.map(|lane| (lane.name.clone(), lane.limit, (&lane).into())).collect(),
            wait: (&now.queue_wait).into(),
            run: (&now.run_time).into(),
            overdue: self.pool.overdue().iter().map(Late::from).collect(),
        }
    }

    fn metrics(&self) -> String {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let Published { recorder, pool, lanes } = &mut *published;
        pool.publish(&self.pool.metrics());
        for lane in self.pool.lanes() {
            let new = || Publisher::new("service").lane(&lane.name);
            lanes.entry(lane.name.clone()).or_insert_with(new).publish_lane(&lane);
        }
        recorder.render()
    }

    fn drain(&self, within: Duration) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        let drained = self.pool.drain().within(within);
        Box::pin(async {
            let report = drained.await;
            let left = report.never_started.iter().chain(&report.still_running);
            let left: String = left.map(|job| format!("\n  {job}")).collect();
            format!("{report}{left}")
        })
    }
}

/// What went wrong, for the client; `None` where that is said anyhow: what was shed, and what was stopped.
fn in_words(error: &JobError<Trouble>) -> Option<Response> {
    match error {
        JobError::Failed(trouble) => Some(reply::trouble(trouble)),
        _ => None,
    }
}

/// How long a request of each question may take.
pub(crate) fn with_deadlines(args: &Args, router: Router) -> Router {
    router.layer(DeadlineLayer::new().default_timeout(args.timeout).limit(args.limit))
}

impl From<&Metrics> for Jobs {
    fn from(now: &Metrics) -> Self {
        Self {
            queued: now.queued,
            running: now.running,
            overdue: now.overdue,
            accepted: now.accepted,
            rejected: now.rejected,
            returned: now.returned,
            failed: now.failed,
            panicked: now.panicked,
            timed_out: [now.timed_out_queued, now.timed_out_running],
            cancelled: [now.cancelled_queued, now.cancelled_running],
        }
    }
}

impl From<&LaneMetrics> for Jobs {
    fn from(now: &LaneMetrics) -> Self {
        Self {
            queued: now.queued,
            running: now.running,
            overdue: now.overdue,
            accepted: now.accepted,
            rejected: now.rejected,
            returned: now.returned,
            failed: now.failed,
            panicked: now.panicked,
            timed_out: [now.timed_out_queued, now.timed_out_running],
            cancelled: [now.cancelled_queued, now.cancelled_running],
        }
    }
}

impl Started for AbortHandle {
    fn is_over(&self) -> bool {
        self.is_finished()
    }

    fn cancel(&self) -> Option<Phase> {
        Self::cancel(self)
    }
}
