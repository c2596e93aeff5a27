//! A response's body, which knows whether somebody still waits for it.

use crate::unwind;
use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio_util::sync::CancellationToken;

pin_project! {
    /// The body of a response that came through [`DeadlineLayer`](super::DeadlineLayer) or
    /// [`Blocking`](super::Blocking): that of the response inside, or a short text in its place.
    ///
    /// Through the layer: if it is dropped before its end, the request's token is cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use http_body_util::BodyExt;
    /// use punctual::tower::{Blocking, Body};
    /// use tower::ServiceExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let lane = punctual::Pool::new().lane("answers");
    /// let answer = Blocking::new(lane, |_, request: http::Request<u32>| {
    ///     Ok::<_, std::convert::Infallible>(http::Response::new((request.into_body() * 7).to_string()))
    /// });
    /// let response: http::Response<Body<String>> = answer.oneshot(http::Request::new(6)).await.unwrap();
    /// assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "42");
    /// # }
    /// ```
    #[derive(Debug)]
    pub struct Body<B> {
        #[pin]
        kind: Kind<B>,
        watch: Option<Watch>,
    }
}

pin_project! {
    #[project = KindNow]
    #[derive(Debug)]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Text { text: Option<Bytes> },
    }
}

/// Cancels the token if it is dropped before the response was over.
#[derive(Debug)]
pub(super) struct Watch {
    token: Option<CancellationToken>,
    /// How many bytes are still to come, where that is known.
    left: Option<u64>,
}

impl Watch {
    pub(super) fn new(token: CancellationToken) -> Self {
        Self { token: Some(token), left: None }
    }

    fn is_over(&mut self) {
        self.token = None;
    }

    /// Notes a frame that was taken from the body, which is `at_end` now or not.
    fn saw(&mut self, frame: &Frame<Bytes>, at_end: bool) {
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.left = self.left.map(|left| left.saturating_sub(bytes));
        if at_end || frame.is_trailers() || self.left == Some(0) {
            self.is_over();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(token) = self.token.take() else { return };
        // It wakes whoever waits for it, which may be anybody's code.
        if let Err(payload) = unwind::catch(|| token.cancel()) {
            unwind::discard(payload);
        }
    }
}

impl<B> Body<B> {
    pub(super) fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body }, watch: None }
    }

    pub(super) fn text(text: String) -> Self {
        Self {
            kind: Kind::Text { text: Some(text.into()).filter(|text: &Bytes| !text.is_empty()) },
            watch: None,
        }
    }
}

/// One that is empty, for the layers that answer in a service's place.
impl<B> Default for Body<B> {
    fn default() -> Self {
        Self::text(String::new())
    }
}

impl<B: http_body::Body<Data = Bytes>> Body<B> {
    /// The response, watched until its end. Servers do not ask a body for its end where they know it: there
    /// is none in an answer to `HEAD`, nor after some status codes, and none is longer than was announced.
    pub(super) fn watched(
        response: Response<B>,
        is_head: bool,
        mut watch: Watch,
    ) -> Response<Self> {
        let announced = response.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        watch.left = announced.or_else(|| response.body().size_hint().exact());
        let status = response.status();
        let is_bare = is_head
            || status.is_informational()
            || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
        if is_bare || watch.left == Some(0) || response.body().is_end_stream() {
            watch.is_over();
        }
        response.map(|body| Self { kind: Kind::Inner { body }, watch: Some(watch) })
    }
}

impl<B: http_body::Body<Data = Bytes>> http_body::Body for Body<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let frame = match this.kind.as_mut().project() {
            KindNow::Inner { body } => ready!(body.poll_frame(cx)),
            KindNow::Text { text } => text.take().map(|text| Ok(Frame::data(text))),
        };
        match (this.watch, &frame) {
            (Some(watch), None) => watch.is_over(),
            (Some(watch), Some(Ok(frame))) => watch.saw(frame, this.kind.is_end_stream()),
            _ => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.kind.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Text { text } => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
        }
    }
}

impl<B: http_body::Body<Data = Bytes>> Kind<B> {
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Inner { body } => body.is_end_stream(),
            Self::Text { text } => text.is_none(),
        }
    }
}
