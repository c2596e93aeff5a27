//! What a client is told of a job that gave no response.
//!
//! No text of the job's own is in it, nor where it failed: that is for who runs the server.

use super::asked::Malformed;
use crate::error::{JobError, Rejection};
use crate::stop::Cause;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use std::fmt::Write;
use std::time::Duration;

/// The longest that a client is told to stay away, in seconds.
const LONGEST: u64 = 3600;

/// What is said, in each protocol's words.
struct Answer {
    status: StatusCode,
    /// The number of a gRPC status code.
    grpc: i32,
    text: &'static str,
}

const INVALID_ARGUMENT: i32 = 3;

impl Answer {
    const fn new(status: StatusCode, grpc: i32, text: &'static str) -> Self {
        Self { status, grpc, text }
    }

    fn to<E>(error: &JobError<E>) -> Self {
        const BUSY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        match error {
            JobError::Failed(_) | JobError::Panicked(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, 13, "internal error")
            }
            JobError::TimedOut(_) => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                4,
                "the deadline passed before there was an answer",
            ),
            JobError::Cancelled(stop) if stop.cause() == Cause::Shutdown => {
                Self::new(BUSY, 14, "the server shuts down")
            }
            JobError::Cancelled(_) => Self::new(BUSY, 1, "the request was cancelled"),
            JobError::Rejected(Rejection::ShutDown) => Self::new(BUSY, 14, "the server shuts down"),
            JobError::Rejected(Rejection::Overdue) => {
                Self::new(BUSY, 14, "what the request needs does not respond")
            }
            JobError::Rejected(_) => Self::new(BUSY, 8, "the server is busy"),
        }
    }
}

/// The HTTP response to a request whose job gave no value.
///
/// | outcome | status |
/// |---|---|
/// | failed, panicked | 500 |
/// | timed out | 504 |
/// | cancelled, rejected | 503, with `Retry-After`: `wait` in whole seconds, at least 1 and at most 3600 |
///
/// `wait` is what there is to do, as [`load`](crate::Lane::load) of the job's lane says. The body is a short
/// text; it says nothing of the error itself.
///
/// # Examples
///
/// ```
/// use punctual::tower::reply;
/// use std::time::Duration;
///
/// let pool = punctual::Pool::new();
/// let lane = pool.lane("reports").queue_limit(1);
/// let place = lane.try_reserve().unwrap(); // the only one
/// let error = lane.spawn_blocking(|| 42).wait().unwrap_err();
/// let response = reply(&error, lane.load().predicted_wait);
/// assert_eq!(response.status(), http::StatusCode::SERVICE_UNAVAILABLE);
/// assert_eq!(response.headers()["retry-after"], "1");
/// assert_eq!(response.body(), "the server is busy");
/// # drop(place);
/// ```
#[must_use]
pub fn reply<E>(error: &JobError<E>, wait: Duration) -> Response<String> {
    let answer = Answer::to(error);
    let mut response = text(answer.status, answer.text.to_owned());
    if answer.status == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        response.headers_mut().insert(RETRY_AFTER, seconds.clamp(1, LONGEST).into());
    }
    response
}

/// The gRPC response to a call whose job gave no value, of headers alone; [`grpc_status`] says which code.
///
/// # Examples
///
/// ```
/// use punctual::tower::grpc_reply;
/// use std::time::Duration;
///
/// let pool = punctual::Pool::new();
/// let late = pool.job().timeout(Duration::ZERO).spawn_blocking(|| 42);
/// let response = grpc_reply(&late.wait().unwrap_err());
/// assert_eq!(response.status(), http::StatusCode::OK);
/// assert_eq!(response.headers()["grpc-status"], "4");
/// assert!(response.body().is_empty());
/// ```
#[must_use]
pub fn grpc_reply<E>(error: &JobError<E>) -> Response<String> {
    let (code, text) = grpc_status(error);
    trailers_only(HeaderValue::from_static("application/grpc"), code, text)
}

/// The same to a request of this [kind](grpc_kind).
pub(super) fn grpc_reply_in<E>(kind: HeaderValue, error: &JobError<E>) -> Response<String> {
    let (code, text) = grpc_status(error);
    trailers_only(kind, code, text)
}

/// The gRPC status of a call whose job gave no value: its code's number, and a short message that says
/// nothing of the error itself.
///
/// | outcome | code |
/// |---|---|
/// | failed, panicked | 13 (internal) |
/// | timed out | 4 (deadline exceeded) |
/// | cancelled | 1 (cancelled) |
/// | cancelled or rejected by a shutdown, or because a body of its key is overdue | 14 (unavailable) |
/// | rejected otherwise | 8 (resource exhausted) |
///
/// # Examples
///
/// ```
/// use punctual::tower::grpc_status;
///
/// let pool = punctual::Pool::new();
/// let job = pool.spawn(|_| "12x".parse::<u32>());
/// let (code, text) = grpc_status(&job.wait().unwrap_err());
/// let status = tonic::Status::new(code.into(), text);
/// assert_eq!(status.code(), tonic::Code::Internal);
/// assert_eq!(status.message(), "internal error");
/// ```
#[must_use]
pub fn grpc_status<E>(error: &JobError<E>) -> (i32, &'static str) {
    let answer = Answer::to(error);
    (answer.grpc, answer.text)
}

/// The response to a request whose headers are wrong.
pub(super) fn refuse(why: Malformed, headers: &HeaderMap) -> Response<String> {
    match grpc_kind(headers) {
        Some(kind) => trailers_only(kind, INVALID_ARGUMENT, &why.to_string()),
        None => text(StatusCode::BAD_REQUEST, why.to_string()),
    }
}

/// The content type, if who sent these headers wants its answer in the words of gRPC. The answer has the
/// same: gRPC-Web's is another than that of plain gRPC.
pub(super) fn grpc_kind(headers: &HeaderMap) -> Option<HeaderValue> {
    const GRPC: &[u8] = b"application/grpc";
    let kind = headers.get(CONTENT_TYPE)?;
    let start = kind.as_bytes().get(..GRPC.len())?;
    start.eq_ignore_ascii_case(GRPC).then(|| kind.clone())
}

fn text(status: StatusCode, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn trailers_only(kind: HeaderValue, code: i32, message: &str) -> Response<String> {
    let mut response = Response::new(String::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(HeaderName::from_static("grpc-status"), code.into());
    if let Ok(message) = HeaderValue::from_str(&percent_encoded(message)) {
        headers.insert(HeaderName::from_static("grpc-message"), message);
    }
    response
}

/// As "gRPC over HTTP2" has it for `grpc-message`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | ..b' ' | 0x7f.. => _ = write!(encoded, "%{byte:02X}"),
            _ => encoded.push(char::from(byte)),
        }
    }
    encoded
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_percent_encoded_where_it_must_be() {
        assert_eq!(percent_encoded("a b~"), "a b~");
        assert_eq!(percent_encoded("100 %\n\u{7f}é"), "100 %25%0A%7F%C3%A9");
        assert_eq!(percent_encoded(""), "");
    }
}
