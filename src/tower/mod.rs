//! Deadlines of requests, for axum, tonic and all else that is made of `tower` services.
//!
//! [`DeadlineLayer`] reads how long a client waits for its answer, and hears of it when the client is gone.
//! It puts both into the request, as [`Limits`]. [`Blocking`] is a service that does a request's blocking
//! work as a job in a [`Lane`](crate::Lane), within its limits, and sheds what would come too late.
//! Handlers that spawn jobs themselves take the limits from the request, and [`reply`] or [`grpc_status`]
//! tells the client what became of them.
//!
//! # With axum
//!
//! ```
//! use axum::extract::Request;
//! use axum::response::{IntoResponse, Response};
//! use axum::routing::get;
//! use axum::{Extension, Router};
//! use punctual::tower::{Blocking, DeadlineLayer, Limits, reply};
//! use punctual::{Pool, Stopped};
//! use std::time::Duration;
//!
//! let pool = Pool::new();
//! let reports = pool.lane("reports").limit(2).queue_limit(50);
//! let lookups = pool.lane("lookups").limit(8).queue_limit(500);
//!
//! // The whole handler is a job: it is called on a thread of the pool, and may block.
//! let report = Blocking::new(reports, |cx, _: Request| {
//!     let mut sum = 0_u64;
//!     for row in 0..1000 {
//!         cx.check()?; // the client is gone, or its time is up
//!         sum += row;
//!     }
//!     Ok::<_, Stopped>(sum.to_string().into_response())
//! });
//!
//! // Or a handler spawns jobs, as many as it likes, with the limits of its request.
//! let lookup = async move |Extension(limits): Extension<Limits>| -> Response {
//!     let job = limits.job(&lookups).name("lookup").spawn_blocking(|| "42");
//!     match job.cancel_on_drop().await {
//!         Ok(found) => found.into_response(),
//!         Err(error) => reply(&error, lookups.load().predicted_wait).into_response(),
//!     }
//! };
//!
//! let limits = DeadlineLayer::new()
//!     .default_timeout(Duration::from_secs(5))
//!     .limit(Duration::from_secs(30));
//! let app = Router::new()
//!     .route_service("/report", report.name("report"))
//!     .route("/lookup", get(lookup))
//!     .layer(limits);
//! # use http_body_util::BodyExt;
//! # use tower::ServiceExt;
//! # let ask = |path: &str, time: &str| {
//! #     let request = axum::http::Request::get(path).header("request-timeout", time);
//! #     app.clone().oneshot(request.body(axum::body::Body::empty()).unwrap())
//! # };
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # for (path, time, status, text) in [
//! #     ("/report", "10", 200, "499500"),
//! #     ("/lookup", "10", 200, "42"),
//! #     ("/lookup", "0", 504, "the deadline passed before there was an answer"),
//! # ] {
//! #     let response = ask(path, time).await.unwrap();
//! #     assert_eq!(response.status().as_u16(), status);
//! #     let body = response.into_body().collect().await.unwrap().to_bytes();
//! #     assert_eq!(body, text);
//! # }
//! # assert_eq!(ask("/lookup", "-1").await.unwrap().status().as_u16(), 400);
//! # });
//! ```
//!
//! `axum::serve(listener, app)` serves it. A client that sends `request-timeout: 0.25` has its answer, or a
//! 504, within a quarter of a second, and the work for it has ended by then, if it looks at its context
//! or blocks in what ends with it. One that hangs up ends it at once.
//!
//! # With tonic
//! The layer goes to `tonic::transport::Server::builder().layer(…)`. A method finds its limits in the
//! extensions of its request:
//!
//! ```
//! use punctual::tower::{Limits, grpc_status};
//! use punctual::{Checked, Lane};
//! use tonic::{Request, Response, Status};
//!
//! async fn sum(lane: &Lane, request: Request<u64>) -> Result<Response<u64>, Status> {
//!     let limits = Limits::of(request.extensions());
//!     let rows = request.into_inner();
//!     let job = limits.job(lane).name("sum").spawn(move |cx| -> Checked<_> {
//!         let mut sum = 0;
//!         for row in 0..rows {
//!             cx.check()?;
//!             sum += row;
//!         }
//!         Ok(sum)
//!     });
//!     job.cancel_on_drop().await.map(Response::new).map_err(|error| {
//!         let (code, text) = grpc_status(&error);
//!         Status::new(code.into(), text)
//!     })
//! }
//! # let lane = punctual::Pool::new().lane("sums");
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # assert_eq!(runtime.block_on(sum(&lane, Request::new(4))).unwrap().into_inner(), 6);
//! ```
//!
//! tonic by itself drops a method's future when the time of `grpc-timeout` is over. With the layer the
//! jobs end a [margin](DeadlineLayer::margin) before that, so that their answer is still sent.

mod asked;
mod blocking;
mod body;
mod layer;
mod limits;
mod reply;

pub use blocking::{Blocking, BlockingFuture};
pub use body::Body;
pub use layer::{DeadlineFuture, DeadlineLayer, DeadlineService};
pub use limits::Limits;
pub use reply::{grpc_reply, grpc_status, reply};
