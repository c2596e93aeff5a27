//! The feature `tower`: requests that have deadlines, clients that hang up, and blocking work on a lane.

mod blocking;
mod clients;
mod deadlines;
mod grpc;
mod headers;
mod server;
#[path = "../laws/support.rs"]
#[allow(dead_code, reason = "shared with others, who use the rest")]
mod support;

use crate::support::PATIENCE;
use http::{Request, Response};
use http_body_util::BodyExt;
use punctual::Pool;
use punctual::testing::ManualClock;
use punctual::tower::{
    Blocking, BlockingFuture, Body, DeadlineFuture, DeadlineLayer, DeadlineService, Limits,
};
use static_assertions::assert_impl_all;
use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Future, Ready};
use tower::{Service, service_fn};

assert_impl_all!(DeadlineLayer: Send, Sync, Unpin, Clone, Debug, Default);
assert_impl_all!(DeadlineService<Cell<u8>>: Send, Unpin, Clone, Debug);
assert_impl_all!(DeadlineFuture<Ready<u8>>: Send, Sync, Unpin, Debug);
assert_impl_all!(Limits: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(Body<Cell<u8>>: Send, Unpin, Debug, Default);
assert_impl_all!(Blocking<Cell<u8>, Cell<u8>, Cell<u8>>: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(BlockingFuture<Cell<u8>, Cell<u8>>: Send, Sync, Unpin, Debug);

/// Runs the future to its end, which must come.
#[track_caller]
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("threads are to be had");
    let done = runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await });
    runtime.shutdown_background();
    done.expect("it comes to its end")
}

pub(crate) fn get(headers: &[(&str, &str)]) -> Request<String> {
    let request = headers
        .iter()
        .fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
    request.body(String::new()).expect("a request")
}

/// A service that does nothing, and gives its request's limits back with the response.
pub(crate) fn echo()
-> impl Service<Request<String>, Response = Response<String>, Error = Infallible, Future: Send> + Clone
{
    service_fn(|request: Request<String>| {
        let mut response = Response::new(request.method().to_string());
        response.extensions_mut().insert(Limits::of(request.extensions()));
        std::future::ready(Ok(response))
    })
}

/// The status, the value of that header if it is there, and the whole body.
pub(crate) async fn told<B>(response: Response<B>, header: &str) -> (u16, String, String)
where
    B: http_body::Body<Data = bytes::Bytes, Error: Debug>,
{
    let value = response.headers().get(header).map(|value| value.to_str().expect("text"));
    let (status, value) = (response.status().as_u16(), value.unwrap_or_default().to_owned());
    let body = response.into_body().collect().await.expect("it does not fail").to_bytes();
    (status, value, String::from_utf8(body.into()).expect("text"))
}

/// A pool of one thread, by a clock that is moved by hand.
pub(crate) fn pool_by(clock: &ManualClock) -> Pool {
    Pool::builder().threads(1..=1).clock(clock).build().expect("threads are to be had")
}

#[test]
fn everything_shows_what_it_is() {
    let layer = DeadlineLayer::default().limit(std::time::Duration::from_secs(1));
    assert_eq!(
        format!("{layer:?}"),
        "DeadlineLayer { default_timeout: None, limit: Some(1s), margin: 5ms, .. }"
    );
    let handler =
        |_: &punctual::JobContext, _: Request<String>| Ok::<_, Infallible>(Response::new(1));
    let blocking = Blocking::new(Pool::new().lane("shown"), handler).name("show");
    assert_eq!(format!("{blocking:?}"), r#"Blocking { lane: "shown", name: Some("show"), .. }"#);
    let limits = format!("{:?}", Limits::of(&http::Extensions::new()));
    assert!(limits.starts_with("Limits { deadline: Deadline(None), token: "), "{limits}");
}
