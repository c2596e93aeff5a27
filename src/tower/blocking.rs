//! A service whose handler may block: each request is a job.

use super::body::Body;
use super::limits::Limits;
use super::reply;
use crate::error::{JobError, Panic, Rejection};
use crate::job::{CancelOnDrop, JobContext};
use crate::lane::Lane;
use crate::submit::Job;
use crate::unwind;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

type Handler<B, R, E> =
    Arc<dyn Fn(&JobContext, Request<B>) -> Result<Response<R>, E> + Send + Sync>;
type Hook<R, E> = Arc<dyn Fn(&JobError<E>) -> Option<Response<R>> + Send + Sync>;

/// A service that has each request handled by a job in a lane, and is always ready.
///
/// The job has the [`Limits`] of its request, if a [`DeadlineLayer`](super::DeadlineLayer) gave it any:
/// what is queued at its deadline is never started, what runs is told. So it is when nobody waits for the
/// response any more: dropping the future stops the job.
///
/// # Shedding
/// Nothing waits for a place. A request that the lane refuses (give it a
/// [`queue_limit`](crate::Lane::queue_limit)) is answered at once; so is one that has less time left than
/// the lane's [`predicted_wait`](crate::Load::predicted_wait), which counts as rejected, as
/// [`TooLate`](Rejection::TooLate). A lane that has its [caller run](crate::WhenFull::CallerRuns) what finds
/// it full is not for this: the caller is the server's task.
///
/// # What is answered
/// What the handler returns; or, where there is none, what [`reply`](super::reply) says, with the lane's
/// predicted wait: 503 and `Retry-After` for what was shed, 504 at the deadline, 500 if the handler failed or
/// panicked. For gRPC requests, which are those whose content type begins with `application/grpc`, it is
/// what [`grpc_reply`](super::grpc_reply) says, with that content type. An error's own text is not sent,
/// and not shown anywhere: see [`on_error`](Self::on_error). Without that, panics go to the pool's
/// [`on_unseen_panic`](crate::Builder::on_unseen_panic).
///
/// # The body of a request
/// It is the handler's, as it came. To read one that is still being sent holds the thread, and the lane's
/// permit, for as long as the client takes. Where clients are not trusted let an async handler read it, and
/// spawn the job then, with [`Limits::job`].
///
/// Until a body has been read or dropped, a server of HTTP/1 may not look whether the client is still there
/// (hyper does not). So a handler that has no use for it should drop it before it blocks. Nor does it look
/// where a client has sent its next request before it had the answer to this one: then the deadline counts.
///
/// # Examples
///
/// ```
/// use http::{Request, Response};
/// use punctual::tower::Blocking;
/// use std::time::Duration;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let pool = punctual::Pool::new();
/// let lane = pool.lane("files").limit(4).queue_limit(100);
/// let files = Blocking::new(lane, |_cx, request: Request<String>| {
///     std::fs::read_to_string(request.uri().path().trim_start_matches('/')).map(Response::new)
/// });
/// let found = files.clone().oneshot(Request::get("/Cargo.toml").body(String::new()).unwrap());
/// assert_eq!(found.await.unwrap().status().as_u16(), 200);
/// let failed = files.oneshot(Request::get("/nothing").body(String::new()).unwrap());
/// assert_eq!(failed.await.unwrap().status().as_u16(), 500);
/// # }
/// ```
#[must_use = "a service does nothing until it is called"]
pub struct Blocking<B, R, E> {
    lane: Lane,
    name: Option<Cow<'static, str>>,
    location: &'static Location<'static>,
    handler: Handler<B, R, E>,
    on_error: Option<Hook<R, E>>,
}

impl<B, R, E> Blocking<B, R, E> {
    /// A service that calls `handler` for each request, on a thread of the lane's pool.
    ///
    /// ```
    /// # use http::{Request, Response};
    /// # use punctual::{Stopped, tower::Blocking};
    /// let lane = punctual::Pool::new().lane("reports").limit(2).queue_limit(50);
    /// let service = Blocking::new(lane, |cx, request: Request<String>| -> Result<_, Stopped> {
    ///     cx.check()?;
    ///     Ok(Response::new(request.into_body()))
    /// });
    /// ```
    #[track_caller]
    pub fn new(
        lane: Lane,
        handler: impl Fn(&JobContext, Request<B>) -> Result<Response<R>, E> + Send + Sync + 'static,
    ) -> Self {
        let (location, handler) = (Location::caller(), Arc::new(handler));
        Self { lane, name: None, location, handler, on_error: None }
    }

    /// The name of its jobs, for errors, reports and metrics. Without it they have none.
    ///
    /// ```
    /// # use http::{Request, Response};
    /// # use punctual::{Stopped, tower::Blocking};
    /// # use tower::ServiceExt;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let lane = punctual::Pool::new().lane("reports");
    /// let service = Blocking::new(lane, |cx, _: Request<String>| -> Result<_, Stopped> {
    ///     Ok(Response::new(cx.name().unwrap_or("?").to_owned()))
    /// });
    /// let response = service.name("report").oneshot(Request::new(String::new())).await.unwrap();
    /// # use http_body_util::BodyExt;
    /// assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "report");
    /// # }
    /// ```
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// A function that is told why a request's job gave no response, and may give the answer in its place.
    /// If it gives `None`, or panics, the answer is the usual one. It is called on the task of the
    /// request, and must not block.
    ///
    /// A panic of the job is told to nobody else, unless this function panics: then both panics go to
    /// the pool's [`on_unseen_panic`](crate::Builder::on_unseen_panic).
    ///
    /// It is not called where nobody waits for an answer: when the future was dropped.
    ///
    /// ```
    /// # use http::{Request, Response};
    /// # use punctual::{JobError, tower::Blocking};
    /// # use std::io::ErrorKind;
    /// # use tower::ServiceExt;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let lane = punctual::Pool::new().lane("files");
    /// let files = Blocking::new(lane, |_cx, request: Request<String>| {
    ///     std::fs::read_to_string(request.into_body()).map(Response::new)
    /// });
    /// let files = files.on_error(|error| match error {
    ///     JobError::Failed(error) if error.kind() == ErrorKind::NotFound => {
    ///         let mut response = Response::new("no such file".to_owned());
    ///         *response.status_mut() = http::StatusCode::NOT_FOUND;
    ///         Some(response)
    ///     }
    ///     other => {
    ///         eprintln!("{other}"); // or a log
    ///         None
    ///     }
    /// });
    /// let response = files.oneshot(Request::new("nothing".to_owned())).await.unwrap();
    /// assert_eq!(response.status().as_u16(), 404);
    /// # }
    /// ```
    pub fn on_error(
        mut self,
        hook: impl Fn(&JobError<E>) -> Option<Response<R>> + Send + Sync + 'static,
    ) -> Self {
        self.on_error = Some(Arc::new(hook));
        self
    }

    /// Whether a job with these settings, which begins now, would not be started in time.
    fn is_hopeless(&self, job: &mut Job) -> bool {
        let now = job.core().clock().now();
        let Some(deadline) = job.begin(now).instant() else { return false };
        let left = deadline.saturating_duration_since(now);
        !left.is_zero() && self.lane.load().predicted_wait > left // else it times out
    }
}

impl<B, R, E> Service<Request<B>> for Blocking<B, R, E>
where
    B: Send + 'static,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    E: Send + 'static,
{
    type Response = Response<Body<R>>;
    type Error = Infallible;
    type Future = BlockingFuture<R, E>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> BlockingFuture<R, E> {
        let grpc = reply::grpc_kind(request.headers());
        let mut job = Limits::of(request.extensions()).job(&self.lane);
        if let Some(name) = &self.name {
            job = job.name(name.clone());
        }
        let shed = self.is_hopeless(&mut job).then_some(Rejection::TooLate);
        let job = if let Some(why) = shed {
            job.refuse_at(self.location, why);
            None
        } else {
            let handler = Arc::clone(&self.handler);
            let body = move |cx: &JobContext| handler(cx, request);
            Some(job.spawn_at(self.location, body).cancel_on_drop())
        };
        let (lane, on_error) = (self.lane.clone(), self.on_error.clone());
        BlockingFuture { job, shed, lane, on_error, grpc }
    }
}

impl<B, R, E> Clone for Blocking<B, R, E> {
    fn clone(&self) -> Self {
        Self {
            lane: self.lane.clone(),
            name: self.name.clone(),
            location: self.location,
            handler: Arc::clone(&self.handler),
            on_error: self.on_error.clone(),
        }
    }
}

impl<B, R, E> fmt::Debug for Blocking<B, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking")
            .field("lane", &self.lane.name())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The response of a [`Blocking`] service.
///
/// # Cancel safety
/// Dropping it stops the job: one that is queued ends at once, one that runs is told.
///
/// # Panics
/// If it is polled again after it was ready.
///
/// # Examples
///
/// ```
/// use http::{Request, Response};
/// use punctual::tower::{Blocking, BlockingFuture};
/// use tower::Service;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let lane = punctual::Pool::new().lane("answers");
/// let mut service = Blocking::new(lane, |_, _: Request<()>| {
///     "42".parse::<u8>().map(|answer| Response::new(answer.to_string()))
/// });
/// let response: BlockingFuture<_, _> = service.call(Request::new(()));
/// assert_eq!(response.await.unwrap().status().as_u16(), 200);
/// # }
/// ```
#[must_use = "dropping it stops the job"]
pub struct BlockingFuture<R, E> {
    /// None of a request that was shed, or answered.
    job: Option<CancelOnDrop<Response<R>, E>>,
    /// Why it was shed, until it is answered.
    shed: Option<Rejection>,
    lane: Lane,
    on_error: Option<Hook<R, E>>,
    /// The content type of a gRPC request.
    grpc: Option<HeaderValue>,
}

impl<R, E> BlockingFuture<R, E> {
    fn answer(&self, error: JobError<E>) -> Response<Body<R>> {
        let told = self.on_error.as_ref().map(|hook| unwind::catch(|| hook(&error)));
        if let Some(Ok(Some(response))) = told {
            return response.map(Body::inner);
        }
        let answer = match &self.grpc {
            Some(kind) => reply::grpc_reply_in(kind.clone(), &error),
            None => reply::reply(&error, self.lane.load().predicted_wait),
        };
        let was_told = matches!(told, Some(Ok(_)));
        if let Some(Err(payload)) = told {
            self.unseen(Panic::new(payload, None));
        }
        match error {
            JobError::Panicked(panic) if !was_told => self.unseen(panic),
            _ => {}
        }
        answer.map(Body::text)
    }

    fn unseen(&self, panic: Panic) {
        self.lane.share().core.unseen_panic(panic);
    }
}

impl<R, E> Future for BlockingFuture<R, E> {
    type Output = Result<Response<Body<R>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.job {
            Some(job) => std::task::ready!(Pin::new(job).poll(cx)),
            None => match self.shed.take() {
                Some(why) => Err(JobError::Rejected(why)),
                None => panic!("a `BlockingFuture` was polled after it was ready"),
            },
        };
        self.job = None;
        Poll::Ready(Ok(match outcome {
            Ok(response) => response.map(Body::inner),
            Err(error) => self.answer(error),
        }))
    }
}

impl<R, E> fmt::Debug for BlockingFuture<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingFuture").field("job", &self.job).finish_non_exhaustive()
    }
}
