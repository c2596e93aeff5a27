//! A real server: axum on a loopback port, and clients of bytes that hang up when they like.

use crate::support::{Busy, PATIENCE, ms, news, pool_of, until};
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::{StreamExt, stream};
use punctual::tower::{Blocking, DeadlineLayer, Limits, reply};
use punctual::{Cause, JobContext, Stopped};
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// Serves until it is dropped.
struct Server {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    /// Of this app, with a layer around it.
    fn of(app: Router) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("threads are to be had");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let app = app.layer(DeadlineLayer::new().limit(PATIENCE * 10));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { address, runtime: Some(runtime) }
    }

    /// A connection on which this was asked for.
    fn ask(&self, path: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("it can be set");
        let request = format!("GET {path} HTTP/1.1\r\nhost: here\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        stream
    }

    /// All that comes back, once the server has closed the connection.
    fn answer(&self, path: &str, headers: &str) -> String {
        let mut text = String::new();
        let headers = format!("connection: close\r\n{headers}");
        self.ask(path, &headers).read_to_string(&mut text).expect("it is closed in the end");
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A handler that sleeps, says so, and says why it stopped.
fn sleeper(
    told: Sender<Option<Cause>>,
) -> impl Fn(&JobContext, Request) -> Result<Response, Stopped> {
    move |cx, _| {
        let _ = told.send(None); // the test may be over, if it does not care
        let slept = cx.sleep(Duration::MAX);
        let _ = told.send(cx.cause());
        slept.map(IntoResponse::into_response)
    }
}

fn is_of_client(cause: Option<Cause>) -> bool {
    matches!(cause, Some(Cause::Dropped | Cause::Token))
}

#[test]
fn a_client_that_asks_for_so_much_time_has_its_answer_then() {
    let (send, _told) = news();
    let lane = pool_of(1).lane("reports");
    let service = Blocking::new(lane.clone(), sleeper(send));
    let server = Server::of(Router::new().route_service("/", service));
    let start = Instant::now();
    let text = server.answer("/", "Request-Timeout: 0.05\r\n");
    assert!(text.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"), "{text}");
    assert!(text.ends_with("the deadline passed before there was an answer"), "{text}");
    assert!(start.elapsed() >= ms(45), "5 ms for the way");
    let metrics = lane.metrics(); // a slow machine may not have started it by then
    assert_eq!(metrics.timed_out_queued + metrics.timed_out_running, 1);
}

#[test]
fn a_client_that_asks_for_nonsense_is_told_so() {
    let server = Server::of(Router::new().route("/", get("it was called")));
    for (value, why) in [("-1", "is negative"), ("NaN", "is not a number"), ("", "is empty")] {
        let text = server.answer("/", &format!("request-timeout: {value}\r\n"));
        assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text}");
        assert!(text.contains(&format!("the header request-timeout {why}")), "{text}");
    }
    let text = server.answer("/", "request-timeout: 1\r\nrequest-timeout: 1\r\n");
    assert!(text.starts_with("HTTP/1.1 400") && text.contains("more than once"), "{text}");
    assert!(server.answer("/", "request-timeout:  7 \r\n").ends_with("it was called"));
}

#[test]
fn a_client_that_hangs_up_stops_its_jobs_queued_or_running() {
    let (send, told) = news();
    let pool = pool_of(1);
    let lane = pool.lane("reports").limit(1);
    let service = Blocking::new(lane.clone(), sleeper(send));
    let server = Server::of(Router::new().route_service("/", service));
    let running = server.ask("/", "");
    assert_eq!(told.next(), None);
    let queued = server.ask("/", "");
    until("it is in the queue", || lane.load().queued == 1);
    drop(queued);
    until("it has left the queue", || lane.load().queued == 0);
    assert!(told.so_far().is_empty(), "it never started, and the other one goes on");
    drop(running);
    assert!(is_of_client(told.next()));
    let cancelled = || [lane.metrics()].map(|now| (now.cancelled_queued, now.cancelled_running));
    until("both are counted", || cancelled() == [(1, 1)]);
}

#[test]
fn a_client_that_hangs_up_after_a_body_that_nobody_reads_is_heard_of() {
    let (send, told) = news();
    let lane = pool_of(1).lane("reports");
    let sleep = sleeper(send);
    let service = Blocking::new(lane, move |cx: &JobContext, request: Request| {
        drop(request); // with its body
        sleep(cx, Request::default())
    });
    let server = Server::of(Router::new().route_service("/", service));
    let mut client = server.ask("/", "content-length: 5\r\n");
    client.write_all(b"12345").expect("it reads");
    assert_eq!(told.next(), None);
    drop(client);
    assert!(is_of_client(told.next()));
}

#[test]
fn a_client_that_hangs_up_stops_what_its_handler_awaits() {
    let (send, told) = news();
    let lane = pool_of(1).lane("lookups");
    let lookup = move |Extension(limits): Extension<Limits>| {
        let (send, lane) = (send.clone(), lane.clone());
        // The handle is not made to cancel on drop: it is the token that stops the job.
        let job = limits.job(&lane).spawn(move |cx| {
            let _ = send.send(None); // the test may be over, if it does not care
            let slept = cx.sleep(Duration::MAX);
            let _ = send.send(cx.cause());
            slept
        });
        async move {
            let error = job.await.expect_err("it sleeps for ever");
            reply(&error, lane.load().predicted_wait)
        }
    };
    let server = Server::of(Router::new().route("/", get(lookup)));
    let client = server.ask("/", "");
    assert_eq!(told.next(), None);
    drop(client);
    assert_eq!(told.next(), Some(Cause::Token));
    let text = server.answer("/", "request-timeout: 0.02\r\n");
    assert!(text.starts_with("HTTP/1.1 504"), "{text}");
}

#[test]
fn overload_is_answered_at_once() {
    let pool = pool_of(1);
    let lane = pool.lane("reports").queue_limit(1);
    let service = Blocking::new(lane.clone(), |_: &JobContext, _: Request| {
        Ok::<_, Infallible>("done".into_response())
    });
    let server = Server::of(Router::new().route_service("/", service));
    let busy = Busy::all(&pool, 1);
    let queued = server.ask("/", "connection: close\r\n");
    until("it is in the queue", || lane.load().queued == 1);
    let text = server.answer("/", "");
    assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{text}");
    assert!(text.contains("\r\nretry-after: 1\r\n") && text.ends_with("the server is busy"));
    drop(busy);
    let mut text = String::new();
    { queued }.read_to_string(&mut text).expect("it is closed in the end");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("done"), "{text}");
}

/// Routes that give their request's token to the test: a text, and a body that never ends.
fn tokens(send: Sender<CancellationToken>) -> Router {
    let give = move |limits: &Limits| send.send(limits.token().clone()).expect("the test listens");
    let give_too = give.clone();
    let text = move |Extension(limits): Extension<Limits>| {
        give(&limits);
        std::future::ready("a text")
    };
    let endless = move |Extension(limits): Extension<Limits>| {
        give_too(&limits);
        let first = stream::iter([Ok::<_, Infallible>("the beginning")]);
        std::future::ready(Body::from_stream(first.chain(stream::pending())))
    };
    Router::new().route("/text", get(text)).route("/endless", get(endless))
}

#[test]
fn a_client_that_hangs_up_while_its_answer_is_sent_is_heard_of() {
    let (send, told) = news();
    let server = Server::of(tokens(send));
    let mut client = server.ask("/endless", "");
    let mut text = Vec::new();
    while !text.ends_with(b"the beginning\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("it is sent");
        text.extend(byte);
    }
    let token = told.next();
    assert!(!token.is_cancelled());
    drop(client);
    until("the token is cancelled", || token.is_cancelled());
}

#[test]
fn a_client_that_has_its_answer_may_hang_up() {
    let (send, told) = news();
    let server = Server::of(tokens(send));
    let mut client = server.ask("/text", "");
    let mut text = [0; 6];
    while text != *b"a text" {
        text.rotate_left(1);
        client.read_exact(&mut text[5..]).expect("it is sent");
    }
    let head = b"HEAD /text HTTP/1.1\r\nhost: here\r\n\r\n";
    let last = b"GET /text HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
    client.write_all(&[head.as_slice(), last].concat()).expect("it reads");
    let mut text = String::new();
    client.read_to_string(&mut text).expect("it is closed in the end");
    assert!(text.ends_with("a text"), "{text}");
    drop(client);
    for what in ["the first", "HEAD", "the last"] {
        assert!(!told.next().is_cancelled(), "{what}");
    }
}
