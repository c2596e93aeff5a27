//! A real gRPC server: tonic on a loopback port, with a service made by hand, and tonic's own client.

use crate::pool_by;
use crate::support::{News, news, pool_of};
use axum::Router;
use axum::response::Response as AnyResponse;
use bytes::{Buf, BufMut};
use http::uri::PathAndQuery;
use punctual::testing::ManualClock;
use punctual::tower::{Blocking, DeadlineLayer, Limits, grpc_status};
use punctual::{Cause, JobContext, Lane, Stopped};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tower::{Service, service_fn};

const LATE: &str = "the deadline passed before there was an answer";
const TIMEOUT: Duration = Duration::from_secs(30);

/// Messages of plain text.
#[derive(Clone, Copy)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        String::from_utf8(bytes.into()).map(Some).map_err(|_| Status::internal("no text"))
    }
}

/// A service with one method, whose job answers how much time there was, or sleeps.
#[derive(Clone)]
struct Sleeper {
    lane: Lane,
    clock: ManualClock,
    told: Sender<Option<Cause>>,
}

impl Sleeper {
    async fn sleep(self, request: Request<String>) -> Result<Response<String>, Status> {
        let limits = Limits::of(request.extensions());
        let text = request.into_inner();
        let job = limits.job(&self.lane).spawn(move |cx| -> Result<_, Stopped> {
            if text == "how long?" {
                let left = cx.deadline().instant().map(|at| at - self.clock.now());
                return Ok(format!("{left:?}"));
            }
            self.told.send(None).expect("the test listens");
            let slept = cx.sleep(Duration::MAX);
            self.told.send(cx.cause()).expect("the test listens");
            slept.map(|()| String::new())
        });
        job.cancel_on_drop().await.map(Response::new).map_err(|error| {
            let (code, text) = grpc_status(&error);
            Status::new(code.into(), text)
        })
    }
}

impl NamedService for Sleeper {
    const NAME: &'static str = "test.Sleeper";
}

impl Service<http::Request<Body>> for Sleeper {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let own = self.clone();
        let method = service_fn(move |request| own.clone().sleep(request));
        Box::pin(async { Ok(tonic::server::Grpc::new(Text).unary(method, request).await) })
    }
}

/// Serves until the runtime ends. Gives a client.
async fn serve(routes: Routes, layer: DeadlineLayer) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let server = Server::builder().layer(layer).add_routes(routes);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("it listens")
}

/// A server of the sleeper by a clock, a client of it, and what its jobs tell.
async fn sleeper(clock: &ManualClock) -> (Channel, News<Option<Cause>>) {
    let (told, news) = news();
    let lane = pool_by(clock).lane("calls");
    let routes = Routes::new(Sleeper { lane, clock: clock.clone(), told });
    (serve(routes, DeadlineLayer::new().clock(clock)).await, news)
}

async fn call(client: Channel, request: Request<String>) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(client);
    client.ready().await.expect("it is connected");
    let path = PathAndQuery::from_static("/test.Sleeper/Sleep");
    client.unary(request, path, Text).await.map(Response::into_inner)
}

fn request(text: &str, timeout: Option<Duration>) -> Request<String> {
    let mut request = Request::new(text.to_owned());
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    request
}

#[test]
fn a_call_has_the_time_that_its_client_waits_for_it_less_a_margin() {
    crate::run(async {
        let (client, _told) = sleeper(&ManualClock::new()).await;
        let left = call(client.clone(), request("how long?", Some(TIMEOUT))).await;
        assert_eq!(left.expect("an answer"), "Some(29.995s)");
        let left = call(client, request("how long?", None)).await;
        assert_eq!(left.expect("an answer"), "None");
    });
}

#[test]
fn a_call_ends_at_its_deadline_and_its_client_hears_of_it() {
    crate::run(async {
        let clock = ManualClock::new();
        let (client, told) = sleeper(&clock).await;
        let answer = tokio::spawn(call(client, request("sleep", Some(TIMEOUT))));
        assert_eq!(told.next(), None);
        clock.advance(TIMEOUT); // tonic's own clock has hardly moved: it is our answer that comes
        let status = answer.await.expect("no panic").expect_err("it is late");
        assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, LATE));
        assert_eq!(told.next(), Some(Cause::Deadline));
    });
}

#[test]
fn a_client_that_drops_its_call_stops_the_job() {
    crate::run(async {
        let (client, told) = sleeper(&ManualClock::new()).await;
        let answer = tokio::spawn(call(client, request("sleep", None)));
        assert_eq!(told.next(), None);
        answer.abort();
        assert!(matches!(told.next(), Some(Cause::Dropped | Cause::Token)));
    });
}

#[test]
fn a_timeout_that_is_none_is_an_invalid_argument() {
    crate::run(async {
        let (client, told) = sleeper(&ManualClock::new()).await;
        let mut request = request("sleep", None);
        request.metadata_mut().insert("grpc-timeout", "later".parse().expect("ASCII"));
        let status = call(client, request).await.expect_err("it is refused");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with("the header grpc-timeout has no unit"), "{status}");
        assert!(told.so_far().is_empty());
    });
}

#[test]
fn a_blocking_handler_among_tonics_routes_sheds_in_the_words_of_grpc() {
    crate::run(async {
        let lane = pool_of(1).lane("short").queue_limit(1);
        let handler = |_: &JobContext, _: axum::extract::Request| -> Result<AnyResponse, Stopped> {
            unreachable!("it is called")
        };
        let service = Blocking::new(lane.clone(), handler);
        let router = Router::new().route_service("/test.Sleeper/Sleep", service);
        let client = serve(Routes::from(router), DeadlineLayer::new()).await;
        let place = lane.try_reserve().expect("the only place");
        let status = call(client, request("", None)).await.expect_err("it is shed");
        let busy = (Code::ResourceExhausted, "the server is busy");
        assert_eq!((status.code(), status.message()), busy);
        drop(place);
    });
}
