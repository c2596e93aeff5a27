//! The layer: it gives each request its limits, and hears when nobody waits for its response any more.

use super::asked::asked;
use super::body::{Body, Watch};
use super::limits::Limits;
use super::reply;
use crate::clock::Clock;
use crate::deadline::Deadline;
use bytes::Bytes;
use http::{Method, Request, Response};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

/// Gives each request its [`Limits`]: a deadline, and a token that is cancelled when its client is gone.
///
/// It sets no timer, and ends nothing itself. What awaits a job that has these limits
/// ([`Limits::job`], [`Blocking`](super::Blocking)) has its outcome by the deadline; what awaits something
/// else goes on for as long as that takes.
///
/// # The deadline
/// A client says how long it waits for its answer, in one of two headers. If there are both, the lesser
/// time counts.
///
/// | header | value |
/// |---|---|
/// | `grpc-timeout` | up to 8 digits, and a unit: `H` `M` `S` `m` `u` `n`, hours to nanoseconds; `250m` |
/// | `request-timeout` | seconds: up to 8 digits, and decimals if need be; `0.25` |
///
/// Zero is a time, too: the deadline is now. From the time that it asks for, a [margin](Self::margin) is
/// taken off; and none is longer than the layer's [limit](Self::limit). A client that asks for none has the
/// [default timeout](Self::default_timeout), or the limit, whichever is shorter; without these, no deadline.
/// All is counted from when the layer is called: for a server, when the request's head has come. Within
/// another such layer, the earlier deadline counts.
///
/// Anything else in these headers (a sign, an exponent, `NaN`, more digits, 33 characters or more, white
/// space, nothing, the header twice) is refused at once, and the service inside is not called: with status
/// 400 and a line of text that says what is wrong; a gRPC request, which is one whose content type begins
/// with `application/grpc`, with its status 3 (invalid argument). A large time that is well-formed is no
/// error: it is cut to the limit.
///
/// # The token
/// It is cancelled when
/// - the response's future is dropped before it is ready: for a server, the client hung up;
/// - the service inside fails, or panics;
/// - the response's body is dropped before its end: the client hung up while it was sent.
///
/// Once the whole response has been taken from the body it is not cancelled any more. An answer to `HEAD`,
/// and one that has no body, is whole when it is ready. The token of a layer within another one is a child
/// of that one's.
///
/// # Examples
///
/// ```
/// use http::{Request, Response};
/// use punctual::tower::{DeadlineLayer, Limits};
/// use std::convert::Infallible;
/// use std::time::Duration;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let layer = DeadlineLayer::new().limit(Duration::from_secs(10));
/// let service = layer.layer(service_fn(async |request: Request<String>| {
///     let left = Limits::of(request.extensions()).deadline().remaining().unwrap();
///     Ok::<_, Infallible>(Response::new(format!("{} s", left.as_secs_f64().ceil())))
/// }));
/// for (time, status) in [("3", 200), ("99999", 200), ("soon", 400)] {
///     let request = Request::get("/").header("request-timeout", time).body(String::new());
///     let response = service.clone().oneshot(request.unwrap()).await.unwrap();
///     assert_eq!(response.status().as_u16(), status);
/// }
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct DeadlineLayer {
    default_timeout: Option<Duration>,
    limit: Option<Duration>,
    margin: Duration,
    clock: Clock,
}

impl DeadlineLayer {
    /// A layer without a default timeout and a limit, and with a margin of 5 ms.
    ///
    /// ```
    /// # use punctual::tower::DeadlineLayer;
    /// # use std::time::Duration;
    /// let layer = DeadlineLayer::new().limit(Duration::from_secs(30));
    /// ```
    pub fn new() -> Self {
        Self {
            default_timeout: None,
            limit: None,
            margin: Duration::from_millis(5),
            clock: Clock::System,
        }
    }

    /// The time of requests that ask for none. No margin is taken off it; the [limit](Self::limit) counts.
    ///
    /// ```
    /// # use punctual::tower::DeadlineLayer;
    /// # use std::time::Duration;
    /// let layer = DeadlineLayer::new().default_timeout(Duration::from_secs(5));
    /// ```
    pub fn default_timeout(mut self, time: Duration) -> Self {
        self.default_timeout = Some(time);
        self
    }

    /// The longest time that a request is given, whatever it asks for, and if it asks for none.
    ///
    /// ```
    /// # use punctual::tower::DeadlineLayer;
    /// # use std::time::Duration;
    /// let layer = DeadlineLayer::new().limit(Duration::from_secs(30));
    /// ```
    pub fn limit(mut self, time: Duration) -> Self {
        self.limit = Some(time);
        self
    }

    /// How much sooner than the client asked the work must have ended, so that the answer, above all one
    /// that says that it did not succeed, still arrives. 5 ms without this: enough for a server and its way
    /// within one place; add what a far client's way takes. Never more than half of what was asked for.
    ///
    /// ```
    /// # use punctual::tower::DeadlineLayer;
    /// # use std::time::Duration;
    /// let layer = DeadlineLayer::new().margin(Duration::from_millis(50));
    /// ```
    pub fn margin(mut self, time: Duration) -> Self {
        self.margin = time;
        self
    }

    /// Has the layer count deadlines by this clock, as the [pool](crate::Builder::clock) of its jobs does.
    ///
    /// ```
    /// # use punctual::{Pool, testing::ManualClock, tower::DeadlineLayer};
    /// let clock = ManualClock::new();
    /// let pool = Pool::builder().clock(&clock).build().unwrap();
    /// let layer = DeadlineLayer::new().clock(&clock);
    /// ```
    #[cfg(feature = "testing")]
    pub fn clock(mut self, clock: &crate::testing::ManualClock) -> Self {
        self.clock = clock.into();
        self
    }

    /// By when a request that asks for so much time must be done.
    fn deadline(&self, asked: Option<Duration>) -> Deadline {
        let less = |asked: Duration| asked - self.margin.min(asked / 2);
        let own = asked.map(less).or(self.default_timeout);
        let time = own.into_iter().chain(self.limit).min();
        time.map_or(Deadline::NEVER, |time| self.clock.after(time))
    }
}

impl Default for DeadlineLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DeadlineLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineLayer")
            .field("default_timeout", &self.default_timeout)
            .field("limit", &self.limit)
            .field("margin", &self.margin)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> DeadlineService<S> {
        DeadlineService { inner, layer: self.clone() }
    }
}

/// A service with a [`DeadlineLayer`] around it.
///
/// # Examples
///
/// ```
/// use punctual::tower::{DeadlineLayer, DeadlineService};
/// use tower::Layer;
///
/// let service: DeadlineService<&str> = DeadlineLayer::new().layer("what is to be called");
/// ```
#[derive(Clone, Debug)]
pub struct DeadlineService<S> {
    inner: S,
    layer: DeadlineLayer,
}

impl<S, B, R> Service<Request<B>> for DeadlineService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: http_body::Body<Data = Bytes>,
{
    type Response = Response<Body<R>>;
    type Error = S::Error;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> DeadlineFuture<S::Future> {
        let asked = match asked(request.headers()) {
            Ok(asked) => asked,
            Err(why) => {
                let reply = reply::refuse(why, request.headers());
                return DeadlineFuture { state: State::Refused { reply: Some(reply) } };
            }
        };
        let limits = Limits::within(request.extensions().get(), self.layer.deadline(asked));
        let watch = Some(Watch::new(limits.token().clone()));
        let is_head = request.method() == Method::HEAD;
        request.extensions_mut().insert(limits);
        let future = self.inner.call(request);
        DeadlineFuture { state: State::Inner { future, is_head, watch } }
    }
}

pin_project! {
    /// The response of a [`DeadlineService`].
    ///
    /// # Cancel safety
    /// Dropping it before it is ready cancels the request's token.
    ///
    /// # Panics
    /// If it is polled again after it was ready.
    ///
    /// # Examples
    ///
    /// ```
    /// use http::{Request, Response};
    /// use punctual::tower::{DeadlineFuture, DeadlineLayer, Limits};
    /// use std::convert::Infallible;
    /// use tower::{Layer, Service, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (send, tokens) = std::sync::mpsc::channel();
    /// let mut service = DeadlineLayer::new().layer(service_fn(move |request: Request<String>| {
    ///     send.send(Limits::of(request.extensions()).token().clone()).unwrap();
    ///     std::future::pending::<Result<Response<String>, Infallible>>()
    /// }));
    /// let response: DeadlineFuture<_> = service.call(Request::new(String::new()));
    /// let token = tokens.recv().unwrap();
    /// assert!(!token.is_cancelled());
    /// drop(response); // the client is gone
    /// assert!(token.is_cancelled());
    /// # }
    /// ```
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct DeadlineFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateNow]
    #[derive(Debug)]
    enum State<F> {
        Inner { #[pin] future: F, is_head: bool, watch: Option<Watch> },
        Refused { reply: Option<Response<String>> },
    }
}

impl<F, R, E> Future for DeadlineFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: http_body::Body<Data = Bytes>,
{
    type Output = Result<Response<Body<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateNow::Inner { future, is_head, watch } => {
                let done = ready!(future.poll(cx));
                let Some(watch) = watch.take() else { panic!("polled after it was ready") };
                Poll::Ready(done.map(|response| Body::watched(response, *is_head, watch)))
            }
            StateNow::Refused { reply } => match reply.take() {
                Some(reply) => Poll::Ready(Ok(reply.map(Body::text))),
                None => panic!("polled after it was ready"),
            },
        }
    }
}
