//! The live page, and what its two buttons do.

use crate::data::Size;
use crate::db::Database;
use crate::engine::{Engine, Slow, Started};
use crate::questions;
use crate::reply;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{Stream, StreamExt, stream};
use punctual::Phase;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

/// How often the page is told.
const PERIOD: Duration = Duration::from_millis(250);
/// A slow query compares so many pairs of files, in some seconds, if its time is not up before.
const PAIRS: u32 = 150_000_000;
const SLOW: Duration = Duration::from_secs(30);
/// The same of one that hears no stop.
const DEAF_PAIRS: u32 = 50_000_000;
const DEAF: Duration = Duration::from_millis(500);
/// No more are started by one click.
const MOST: u32 = 100;

pub(crate) struct Service {
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) database: Arc<Database>,
    size: Size,
    pub(crate) since: Instant,
    /// Cancelled when the service is to end.
    pub(crate) stop: CancellationToken,
    slow: Mutex<Vec<Box<dyn Started>>>,
}

impl Service {
    pub(crate) fn new(
        engine: Box<dyn Engine>,
        database: Arc<Database>,
        size: Size,
        stop: CancellationToken,
    ) -> Self {
        Self { engine, database, size, since: Instant::now(), stop, slow: Mutex::default() }
    }

    fn state(&self) -> Value {
        let (statements, instructions) = self.database.work();
        let mut state = self.engine.numbers().json();
        state["engine"] = self.engine.name().into();
        state["draining"] = self.stop.is_cancelled().into();
        state["up_s"] = self.since.elapsed().as_secs_f64().into();
        state["rows"] = self.size.rows.into();
        state["sqlite"] = json!({ "statements": statements, "instructions": instructions });
        state
    }

    /// How many of so many were started; the others found no room.
    fn start_slow(&self, count: u32, is_deaf: bool) -> usize {
        let started: Vec<_> =
            (0..count).filter_map(|_| self.engine.start(self.slow(is_deaf))).collect();
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow.retain(|started| !started.is_over());
        let count = started.len();
        slow.extend(started);
        count
    }

    fn slow(&self, is_deaf: bool) -> Slow {
        let database = Arc::clone(&self.database);
        let files = self.size.files.clamp(1, questions::FILES);
        let times = move |pairs: u32| pairs.div_ceil(files * files);
        if is_deaf {
            let ask = move |c: &_| questions::pairs(c, files, times(DEAF_PAIRS));
            let work = Box::new(move || database.query_to_the_end(ask));
            return Slow { name: "deaf", time: DEAF, work };
        }
        let ask = move |c: &_| questions::pairs(c, files, times(PAIRS));
        Slow { name: "slow", time: SLOW, work: Box::new(move || database.query(ask)) }
    }

    /// How many were cancelled in the queue, and how many while they ran.
    fn cancel_slow(&self) -> [usize; 2] {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let all = std::mem::take(&mut *slow);
        drop(slow);
        let hit: Vec<_> = all.iter().filter_map(|started| started.cancel()).collect();
        let running = hit.iter().filter(|phase| **phase == Phase::Running).count();
        [hit.len() - running, running]
    }
}

pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/state", get(state))
        .route("/events", get(events))
        .route("/metrics", get(metrics))
        .route("/slow", post(start_slow))
        .route("/cancel", post(cancel_slow))
        .with_state(service)
}

async fn state(State(service): State<Arc<Service>>) -> Json<Value> {
    Json(service.state())
}

/// The state, again and again, until the service ends.
async fn events(
    State(service): State<Arc<Service>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let end = service.stop.clone().cancelled_owned();
    let ticks = stream::unfold(interval(PERIOD), |mut interval| async {
        interval.tick().await;
        Some(((), interval))
    });
    Sse::new(
        ticks.take_until(end).map(move |()| Ok(Event::default().data(service.state().to_string()))),
    )
}

async fn metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, service.engine.metrics())
}

/// `?n=8`, and `&deaf=1` for such as hear no stop.
async fn start_slow(State(service): State<Arc<Service>>, uri: Uri) -> Response {
    let count = questions::number(&uri, "n", 1, MOST);
    match (count, questions::number(&uri, "deaf", 1, 1)) {
        (Ok(count), Ok(_)) => {
            let is_deaf = uri.query().is_some_and(|query| query.contains("deaf"));
            let started = service.start_slow(count, is_deaf);
            Json(json!({ "started": started, "refused": count as usize - started })).into_response()
        }
        (Err(why), _) | (_, Err(why)) => reply::error(StatusCode::BAD_REQUEST, &why.to_string()),
    }
}

async fn cancel_slow(State(service): State<Arc<Service>>) -> Json<Value> {
    let [queued, running] = service.cancel_slow();
    Json(json!({ "queued": queued, "running": running }))
}
