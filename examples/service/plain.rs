//! The same on plain tokio, for comparison: `spawn_blocking`, and `timeout` around it.
//!
//! At its deadline a client has its answer here, too. But what it asked for goes on: nobody can stop
//! it, and what waits in tokio's queue is run for nobody. tokio keeps no books of that; so they are
//! kept here.

mod books;

use crate::db::{Database, Trouble};
use crate::engine::{Engine, Numbers, Slow, Started};
use crate::questions::Question;
use crate::reply;
use axum::Router;
use axum::extract::Extension;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use books::{Books, Entry};
use punctual::tower::Limits;
use punctual::{Deadline, Phase};
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

#[derive(Default)]
pub(crate) struct Plain {
    books: Arc<Books>,
}

impl Engine for Plain {
    fn name(&self) -> &'static str {
        "tokio"
    }

    fn route(&self, router: Router, question: Question, database: &Arc<Database>) -> Router {
        let (books, database) = (Arc::clone(&self.books), Arc::clone(database));
        let answer = move |Extension(limits): Extension<Limits>, uri: Uri| {
            let entry = books.enter(question.name);
            let database = Arc::clone(&database);
            let answer = entry.work(move || (question.answer)(&database, &uri));
            async move { reply_by(limits.deadline(), entry, spawn_blocking(answer)).await }
        };
        router.route(question.path, get(answer))
    }

    fn start(&self, slow: Slow) -> Option<Box<dyn Started>> {
        let entry = self.books.enter(slow.name);
        let mut job = spawn_blocking(entry.work(slow.work));
        let handle = job.abort_handle();
        let watch = entry.clone();
        let given_up = async move {
            if tokio::time::timeout(slow.time, &mut job).await.is_err() {
                watch.time_out();
            }
        };
        tokio::spawn(given_up);
        Some(Box::new(Cancel { handle, entry }))
    }

    fn numbers(&self) -> Numbers {
        self.books.numbers()
    }

    fn metrics(&self) -> String {
        let jobs = self.books.numbers().jobs;
        let [queued, running] = jobs.timed_out;
        format!(
            "blocking_accepted_total {}\nblocking_returned_total {}\n\
             blocking_timed_out_total{{phase=\"queued\"}} {queued}\n\
             blocking_timed_out_total{{phase=\"running\"}} {running}\n\
             blocking_queued {}\nblocking_running {}\nblocking_overdue {}\n",
            jobs.accepted, jobs.returned, jobs.queued, jobs.running, jobs.overdue,
        )
    }

    /// All it can do is to wait for what runs.
    fn drain(&self, within: Duration) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(async move {
            let _ = tokio::time::timeout(within, self.books.all_over()).await;
            let jobs = self.books.numbers().jobs;
            format!("{} accepted, {} left behind", jobs.accepted, jobs.queued + jobs.running)
        })
    }
}

async fn reply_by(
    deadline: Deadline,
    entry: Entry,
    job: JoinHandle<Result<Value, Trouble>>,
) -> Response {
    let leaving = entry.leave_on_drop(); // the client may hang up
    let answer = match deadline.instant() {
        Some(at) => timeout_at(Instant::from_std(at), job).await,
        None => Ok(job.await),
    };
    leaving.keep();
    match answer {
        Ok(Ok(answer)) => reply::of(answer),
        Ok(Err(error)) => reply::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(_) => {
            entry.time_out();
            reply::error(StatusCode::GATEWAY_TIMEOUT, "the time was up")
        }
    }
}

struct Cancel {
    handle: tokio::task::AbortHandle,
    entry: Entry,
}

impl Started for Cancel {
    fn is_over(&self) -> bool {
        self.handle.is_finished()
    }

    fn cancel(&self) -> Option<Phase> {
        self.handle.abort();
        self.entry.cancel()
    }
}
