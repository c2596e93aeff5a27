//! Taking the outcomes of a map, in every way: awaited, polled, blocked for, iterated over.

use crate::deadline::Deadline;
use crate::error::{JobError, Rejection};
use crate::job::How;
use crate::map::Map;
use crate::park;
use crate::places::Place;
use futures_core::Stream;
use std::convert::Infallible;
use std::future::poll_fn;
use std::iter::FusedIterator;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

impl<I, T, E> Map<I, T, E>
where
    I: Iterator,
    I::Item: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    /// Waits for the next outcome; `None` after the last.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let pool = punctual::Pool::new();
    /// let mut numbers = pool.map(["1", "x"], |_, text| text.parse::<u32>());
    /// assert_eq!(numbers.next().await.unwrap().unwrap(), 1);
    /// assert!(numbers.next().await.unwrap().is_err());
    /// assert!(numbers.next().await.is_none());
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<Result<T, JobError<E>>> {
        poll_fn(|cx| self.poll_outcome(cx)).await
    }

    /// Blocks this thread until the next outcome is ready; `None` after the last. Needs no runtime.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let mut numbers = pool.map(["1", "2"], |_, text| text.parse::<u32>());
    /// assert_eq!(numbers.wait_next().unwrap().unwrap(), 1);
    /// ```
    pub fn wait_next(&mut self) -> Option<Result<T, JobError<E>>> {
        let mut at_once = Context::from_waker(Waker::noop());
        if let Poll::Ready(outcome) = self.poll_outcome(&mut at_once) {
            return outcome;
        }
        if self.out.len() == 0 {
            let waits = self.job.share.thread_waits(true);
            let place = park::wait(&mut poll_fn(|cx| self.poll_place(cx)));
            drop(waits); // the job may be run right here
            self.spawn(place);
        }
        self.line = None; // what is run here may need the place
        let _waiting = self.out.begin_to_wait(How::OrRun);
        park::wait(&mut poll_fn(|cx| self.poll_outcome(cx)))
    }

    /// Blocks this thread until the next outcome is ready, or for so long; `None` then, and after the
    /// last.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let mut naps = pool.map([Duration::MAX], |cx, nap| cx.sleep(nap));
    /// assert!(naps.wait_next_timeout(Duration::from_millis(1)).is_none());
    /// assert_eq!(naps.out(), 1); // it goes on
    /// ```
    pub fn wait_next_timeout(&mut self, time: Duration) -> Option<Result<T, JobError<E>>> {
        self.wait_next_deadline(Deadline::after(time))
    }

    /// Blocks this thread until the next outcome is ready, or until the deadline (an
    /// [`Instant`](std::time::Instant) or a [`Deadline`]); `None` then, and after the last.
    ///
    /// ```
    /// # use punctual::Deadline;
    /// # let pool = punctual::Pool::new();
    /// let mut numbers = pool.map(["1"], |_, text| text.parse::<u32>());
    /// assert!(matches!(numbers.wait_next_deadline(Deadline::NEVER), Some(Ok(1))));
    /// ```
    pub fn wait_next_deadline(
        &mut self,
        deadline: impl Into<Deadline>,
    ) -> Option<Result<T, JobError<E>>> {
        let deadline = deadline.into();
        if deadline == Deadline::NEVER {
            return self.wait_next();
        }
        let mut at_once = Context::from_waker(Waker::noop());
        if let Poll::Ready(outcome) = self.poll_outcome(&mut at_once) {
            return outcome;
        }
        let for_place = (self.out.len() == 0).then(|| self.job.share.thread_waits(false));
        let _waits = (self.out.begin_to_wait(How::AWhile), for_place);
        let outcome = park::block_on(&mut poll_fn(|cx| self.poll_outcome(cx)), deadline);
        self.line = None; // nobody is woken for a place any more
        outcome.flatten()
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JobError<E>>>> {
        self.fill(cx);
        match self.out.poll_next(cx) {
            Poll::Ready(None) if self.held.is_some() => Poll::Pending, // for a place
            Poll::Ready(outcome) => {
                self.line = None;
                Poll::Ready(outcome)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Spawns jobs while there is room, an input and a place.
    fn fill(&mut self, cx: &mut Context<'_>) {
        while self.out.len() < self.in_flight && self.has_input() {
            let Poll::Ready(place) = self.poll_place(cx) else { return };
            self.spawn(place);
        }
    }

    fn spawn(&mut self, place: Option<Place>) {
        let Some(input) = self.held.take() else { return };
        let call = Arc::clone(&self.call);
        let job = self.job.again().in_place(place);
        let job = job.spawn_at(self.location, move |cx| call(cx, input));
        self.over |= job.refusal() == Some(Rejection::ShutDown);
        self.out.push(job);
    }
}

/// The outcomes, as [`next`](Map::next) gives them.
impl<I, T, E> Stream for Map<I, T, E>
where
    I: Iterator,
    I::Item: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    type Item = Result<T, JobError<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_outcome(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.size()
    }
}

/// Blocks for each outcome, as [`wait_next`](Map::wait_next) does.
impl<I, T, E> IntoIterator for Map<I, T, E>
where
    I: Iterator,
    I::Item: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    type Item = Result<T, JobError<E>>;
    type IntoIter = MapIter<I, T, E>;

    fn into_iter(self) -> MapIter<I, T, E> {
        MapIter(self)
    }
}

/// The outcomes of a [`Map`], one after the other, by blocking the thread.
///
/// It is a type of its own, for `map.next()` would be ambiguous if one were both a stream and an
/// iterator.
///
/// # Examples
///
/// ```
/// let pool = punctual::Pool::new();
/// let numbers: punctual::MapIter<_, u32, _> = pool.map(["1", "2"], |_, t| t.parse()).into_iter();
/// assert_eq!(numbers.map(Result::unwrap).sum::<u32>(), 3);
/// ```
#[derive(Debug)]
#[must_use = "nothing happens until outcomes are asked for"]
pub struct MapIter<I: Iterator, T, E = Infallible>(Map<I, T, E>);

impl<I, T, E> Iterator for MapIter<I, T, E>
where
    I: Iterator,
    I::Item: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    type Item = Result<T, JobError<E>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.wait_next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size()
    }
}

impl<I, T, E> FusedIterator for MapIter<I, T, E>
where
    I: Iterator,
    I::Item: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
}
