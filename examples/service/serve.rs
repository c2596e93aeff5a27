//! The server: connections whose clients must say what they want in time, until it is told to end.

use crate::page::Service;
use crate::reply;
use axum::Router;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// So many at a time; others wait to be accepted.
const MOST_CONNECTIONS: usize = 400;
/// The most bytes of a request's head.
const HEAD: usize = 16 * 1024;
/// How long it pauses when a connection can not be accepted: for want of descriptors, say.
const PAUSE: Duration = Duration::from_millis(50);
/// How long replies may take that are ready when all work is done.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serves until the service's token says stop; then finishes what there is, as long as it may take,
/// and says what became of it.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    service: &Service,
    patience: Duration,
    grace: Duration,
) -> String {
    let app = app.layer(middleware::from_fn(without_body));
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(HEAD);
    let accepting = async {
        loop {
            let Ok(place) = Arc::clone(&connections).acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                sleep(PAUSE).await;
                continue;
            };
            let app = TowerToHyperService::new(app.clone());
            let connection = http.serve_connection(TokioIo::new(stream), app).into_owned();
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                let _ = connection.await; // a client's fault is its own
                drop(place);
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = service.stop.cancelled() => {}
    }
    drop(listener);
    let drained = service.engine.drain(grace);
    let closing = tokio::spawn(graceful.shutdown());
    let report = drained.await;
    let _ = timeout(LAST_WORDS, closing).await; // who has not said all, or reads nothing, is cut off
    report
}

/// No route takes a body: one that is announced is refused before it is sent.
async fn without_body(request: Request, next: Next) -> Response {
    if request.body().size_hint().exact() == Some(0) {
        next.run(request).await
    } else {
        reply::error(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here")
    }
}
