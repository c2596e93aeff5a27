//! The future of a body's end, which may be later than its job's outcome.

use crate::job::cell::Head;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The future of [`JobHandle::stopped`](crate::JobHandle::stopped).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let pool = punctual::Pool::new();
/// let job = pool.spawn_blocking(|| ());
/// let ended: punctual::Ended<'_> = job.stopped();
/// ended.await;
/// assert!(job.is_finished());
/// # }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Ended<'a> {
    head: &'a Head,
    /// Under which its waker is listed.
    number: Option<u64>,
}

impl<'a> Ended<'a> {
    pub(super) fn of(head: &'a Head) -> Self {
        Self { head, number: None }
    }
}

impl Future for Ended<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.head.state.has_ended() {
            self.number = Some(self.head.end_wakers().list(self.number, cx.waker()));
            if !self.head.state.watch_end() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.head.end_wakers().unlist(number);
        }
    }
}

impl fmt::Debug for Ended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ended").field("id", &self.head.id).finish_non_exhaustive()
    }
}
