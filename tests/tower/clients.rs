//! Whether a client is still there: the token of a request, by when its response is dropped.

use crate::{echo, get, run};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use punctual::tower::{Body, DeadlineLayer, DeadlineService, Limits};
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service, ServiceExt, service_fn};

type Frames = Vec<Result<Frame<Bytes>, &'static str>>;

/// A body of these frames, the last first; it knows as little of its end as a body can.
#[derive(Debug)]
struct Script {
    frames: Frames,
    knows_its_end: bool,
    size: Option<u64>,
}

impl http_body::Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(self.frames.pop())
    }

    fn is_end_stream(&self) -> bool {
        self.knows_its_end && self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.size.map_or(SizeHint::default(), SizeHint::with_exact)
    }
}

fn script(frames: impl IntoIterator<Item = Frame<Bytes>>) -> Script {
    let mut frames: Frames = frames.into_iter().map(Ok).collect();
    frames.reverse();
    Script { frames, knows_its_end: false, size: None }
}

fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

/// The response to a request, and the request's token.
fn answered(
    method: Method,
    response: Response<Script>,
) -> (Response<Body<Script>>, CancellationToken) {
    let mut response = Some(response);
    let mut service = DeadlineLayer::new().layer(service_fn(move |request: Request<String>| {
        let mut response = response.take().expect("it is called once");
        response.extensions_mut().insert(Limits::of(request.extensions()));
        async { Ok::<_, Infallible>(response) }
    }));
    let mut request = get(&[]);
    *request.method_mut() = method;
    let response = run(service.call(request)).expect("it can not fail");
    let token = response.extensions().get::<Limits>().expect("it was called").token().clone();
    (response, token)
}

/// So many frames are taken, then the body is dropped: whether the token is cancelled, before and after.
fn cancelled(taken: usize, response: Response<Script>) -> (bool, bool) {
    let (response, token) = answered(Method::GET, response);
    let mut body = response.into_body();
    run(async {
        for _ in 0..taken {
            let _ = body.frame().await;
        }
    });
    let before = token.is_cancelled();
    drop(body);
    (before, token.is_cancelled())
}

/// A service that never answers, and the tokens of its requests.
fn silent<E>() -> (
    DeadlineService<impl Service<Request<String>, Response = Response<String>, Error = E>>,
    mpsc::Receiver<CancellationToken>,
) {
    let (send, tokens) = mpsc::channel();
    let service = service_fn(move |request: Request<String>| {
        send.send(Limits::of(request.extensions()).token().clone()).expect("the test listens");
        std::future::pending()
    });
    (DeadlineLayer::new().layer(service), tokens)
}

#[test]
fn a_response_that_is_dropped_before_it_is_ready_cancels_the_token() {
    let (mut service, tokens) = silent::<Infallible>();
    let response = service.call(get(&[]));
    let token = tokens.recv().expect("it was called");
    assert!(!token.is_cancelled());
    drop(response); // never polled
    assert!(token.is_cancelled());

    let mut response = Box::pin(service.call(get(&[])));
    let token = tokens.recv().expect("it was called");
    assert!(response.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(!token.is_cancelled());
    drop(response);
    assert!(token.is_cancelled());
}

#[test]
fn each_request_has_a_token_of_its_own() {
    let (mut service, tokens) = silent::<Infallible>();
    let [first, second] = [service.call(get(&[])), service.call(get(&[]))];
    let [of_first, of_second] = [tokens.recv(), tokens.recv()].map(|token| token.expect("called"));
    drop(second);
    assert!(of_second.is_cancelled() && !of_first.is_cancelled());
    drop(first);
    assert!(of_first.is_cancelled());
}

#[test]
fn a_whole_response_leaves_the_token_alone() {
    let response = run(DeadlineLayer::new().layer(echo()).oneshot(get(&[])));
    let response = response.expect("it can not fail");
    let token = response.extensions().get::<Limits>().expect("it was called").token().clone();
    let body = run(response.into_body().collect()).expect("it can not fail");
    assert_eq!(body.to_bytes(), "GET");
    assert!(!token.is_cancelled());
}

#[test]
fn a_body_that_is_dropped_before_its_end_cancels_the_token() {
    let text = || Response::new(script([data("one"), data("two")]));
    assert_eq!(cancelled(0, text()), (false, true));
    assert_eq!(cancelled(1, text()), (false, true));
    assert_eq!(cancelled(2, text()), (false, true), "nobody has seen that it was the last");
    assert_eq!(cancelled(3, text()), (false, false));
}

#[test]
fn servers_do_not_ask_for_an_end_that_they_know() {
    let frames = || [data("one"), data("two")];
    let knowing = || Response::new(Script { knows_its_end: true, ..script(frames()) });
    assert_eq!(cancelled(1, knowing()), (false, true));
    assert_eq!(cancelled(2, knowing()), (false, false), "it says so itself");
    let sized = || Response::new(Script { size: Some(6), ..script(frames()) });
    assert_eq!(cancelled(1, sized()), (false, true));
    assert_eq!(cancelled(2, sized()), (false, false), "as long as it said");
    let announced = || {
        let response = Response::builder().header("content-length", "6");
        response.body(script(frames())).expect("a response")
    };
    assert_eq!(cancelled(1, announced()), (false, true));
    assert_eq!(cancelled(2, announced()), (false, false), "as long as was announced");
    let ended = || {
        let trailers = Frame::trailers(http::HeaderMap::new());
        Response::new(script([data("one"), trailers, data("never taken")]))
    };
    assert_eq!(cancelled(1, ended()), (false, true));
    assert_eq!(cancelled(2, ended()), (false, false), "nothing comes after trailers");
    let nothing = || Response::new(Script { knows_its_end: true, ..script([]) });
    assert_eq!(cancelled(0, nothing()), (false, false));
    let unknown = Response::builder().header("content-length", "six");
    assert_eq!(cancelled(2, unknown.body(script(frames())).expect("a response")), (false, true));
}

#[test]
fn an_answer_that_has_no_body_is_whole_when_it_is_there() {
    let (response, token) = answered(Method::HEAD, Response::new(script([data("one")])));
    drop(response);
    assert!(!token.is_cancelled(), "HEAD");
    for status in [101, 204, 304] {
        let mut response = Response::new(script([data("one")]));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        assert_eq!(cancelled(0, response), (false, false), "{status}");
    }
    let mut response = Response::new(script([data("one")]));
    *response.status_mut() = StatusCode::NOT_FOUND;
    assert_eq!(cancelled(0, response), (false, true));
}

#[test]
fn a_body_that_fails_is_not_whole() {
    let mut failing = script([data("one"), data("two")]);
    failing.frames.insert(1, Err("the disk is gone"));
    assert_eq!(cancelled(2, Response::new(failing)), (false, true));
}

#[test]
fn a_service_that_fails_or_panics_has_no_response() {
    for panics in [false, true] {
        let (send, tokens) = mpsc::channel();
        let service = DeadlineLayer::new().layer(service_fn(move |request: Request<String>| {
            send.send(Limits::of(request.extensions()).token().clone()).expect("the test listens");
            async move {
                if panics {
                    crate::support::quiet_panic("on purpose");
                }
                Err::<Response<Empty<Bytes>>, _>("it fails")
            }
        }));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            futures_lite::future::block_on(service.oneshot(get(&[]))).map(drop)
        }));
        assert_eq!(done.ok(), (!panics).then_some(Err("it fails")));
        assert!(tokens.recv().expect("it was called").is_cancelled());
    }
}

#[test]
fn a_token_within_another_hears_of_the_outer_one_and_not_the_other_way_round() {
    let (send, outer) = mpsc::channel();
    let (mut inner, tokens) = silent::<Infallible>();
    let between = service_fn(move |request: Request<String>| {
        send.send(Limits::of(request.extensions()).token().clone()).expect("the test listens");
        inner.call(request)
    });
    let response = DeadlineLayer::new().layer(between).call(get(&[]));
    let (outer, inner) = (outer.recv().expect("called"), tokens.recv().expect("called"));
    inner.cancel();
    assert!(!outer.is_cancelled());
    drop(response);
    assert!(outer.is_cancelled());
}

#[test]
fn a_waker_that_panics_does_not_reach_who_drops_the_response() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            crate::support::quiet_panic("a waker panics");
        }
    }
    let (mut service, tokens) = silent::<Infallible>();
    let response = service.call(get(&[]));
    let token = tokens.recv().expect("it was called");
    let mut waits = pin!(token.cancelled());
    let waker = Waker::from(Arc::new(Panics));
    assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(response);
    assert!(token.is_cancelled());
}
