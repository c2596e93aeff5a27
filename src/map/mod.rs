//! One job for each input, a bounded number at a time: backpressure from the outcome's consumer to
//! the input's producer.
//!
//! Nothing runs in the background: whoever takes an outcome also pulls inputs and spawns their jobs,
//! on its own thread. So the inputs need not be `Send`, and what nobody takes is not pulled.
//!
//! # Rules
//! 1. `out` has the jobs whose outcome was not taken, at most `in_flight`. Only then is there room.
//! 2. An input is pulled only when there is room, and then held until there is a place for its job in
//!    the pool's queue. So none is lost to a full queue.
//! 3. The map stands in line for a place only while it has nothing to give: what it was given would
//!    be kept from others while the consumer is busy with an outcome.

mod out;
mod take;

pub use take::MapIter;

#[cfg(doc)]
use crate::error::JobError;
use crate::job::JobContext;
use crate::lane::Lane;
use crate::map::out::Out;
use crate::places::{Place, Waiting};
use crate::pool::Pool;
use crate::submit::Job;
#[cfg(doc)]
use futures_core::Stream;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

impl Pool {
    /// Runs `f` for each input, as a job of its own, so many at a time; gives the outcomes in the
    /// order of the inputs. For settings of these jobs, see [`Job::map`].
    ///
    /// Iterator methods come after `.into_iter()`. A plain function is written
    /// `|_, x| -> Checked<_> { Ok(f(x)) }`.
    ///
    /// # Examples
    ///
    /// ```
    /// use punctual::Checked;
    ///
    /// let pool = punctual::Pool::new();
    /// let lengths = pool.map(["Cargo.toml", "README.md", "none"], |_, path| std::fs::read(path));
    /// let lengths: Vec<_> = lengths.into_iter().map(|bytes| bytes.map_or(0, |b| b.len())).collect();
    /// assert!(lengths[0] > 0 && lengths[1] > 0 && lengths[2] == 0);
    ///
    /// let upper = pool.map(["a", "b"], |_, word| -> Checked<_> { Ok(word.to_uppercase()) });
    /// assert!(upper.into_iter().map(Result::unwrap).eq(["A", "B"]));
    /// ```
    #[track_caller]
    pub fn map<I, F, T, E>(&self, inputs: I, f: F) -> Map<I::IntoIter, T, E>
    where
        I: IntoIterator,
        F: Fn(&JobContext, I::Item) -> Result<T, E> + Send + Sync + 'static,
    {
        Map { _pool: Some(self.clone()), ..self.job().map(inputs, f) }
    }
}

impl Lane {
    /// Runs `f` for each input, as a job of its own in this lane, so many at a time; gives the outcomes
    /// in the order of the inputs. See [`Pool::map`].
    ///
    /// ```
    /// # use punctual::Checked;
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("squares").limit(2);
    /// let squares = lane.map([1, 2, 3], |_, n| -> Checked<_> { Ok(n * n) });
    /// assert!(squares.into_iter().map(Result::unwrap).eq([1, 4, 9]));
    /// assert_eq!(lane.metrics().returned, 3);
    /// ```
    #[track_caller]
    pub fn map<I, F, T, E>(&self, inputs: I, f: F) -> Map<I::IntoIter, T, E>
    where
        I: IntoIterator,
        F: Fn(&JobContext, I::Item) -> Result<T, E> + Send + Sync + 'static,
    {
        Map { _pool: Some(self.pool().clone()), ..self.job().map(inputs, f) }
    }
}

impl Job {
    /// Runs `f` for each input, as a job of its own with these settings, so many at a time; gives the
    /// outcomes in the order of the inputs.
    ///
    /// A timeout counts for each job, from when it is spawned; a deadline is the same moment for all;
    /// the token stops all. Through [`JobContext::job`](crate::JobContext::job) they are children of
    /// that job. A place in the queue that was reserved for this job is given back.
    ///
    /// # Examples
    ///
    /// ```
    /// use punctual::{Checked, Pool};
    /// use std::time::Duration;
    ///
    /// let pool = Pool::new();
    /// let each = pool.job().name("naps").timeout(Duration::from_millis(20));
    /// let naps = [Duration::ZERO, Duration::MAX, Duration::ZERO];
    /// let outcomes = each.map(naps, |cx, nap| cx.sleep(nap)).into_iter();
    /// assert!(outcomes.map(|nap| nap.is_ok()).eq([true, false, true]));
    /// ```
    #[track_caller]
    pub fn map<I, F, T, E>(self, inputs: I, f: F) -> Map<I::IntoIter, T, E>
    where
        I: IntoIterator,
        F: Fn(&JobContext, I::Item) -> Result<T, E> + Send + Sync + 'static,
    {
        Map {
            out: Out::default(),
            in_flight: self.share.most_at_a_time(),
            job: self.in_place(None),
            call: Arc::new(f),
            inputs: inputs.into_iter(),
            over: false,
            held: None,
            line: None,
            location: Location::caller(),
            _pool: None,
        }
    }
}

/// One job for each of many inputs; see [`Pool::map`].
///
/// It is a [`Stream`] of the outcomes. `for` iterates over them on a thread, without a runtime; so do
/// [`wait_next`](Self::wait_next) and, for iterator methods, [`into_iter`](IntoIterator::into_iter).
///
/// Nothing happens until an outcome is asked for. Then inputs are pulled, and their jobs spawned, by
/// whoever asks, until so many are [in flight](Self::in_flight): so an endless input is fine. Every
/// input that got a job gives one outcome: the value, or why there is none. A panic of `f` is that
/// job's alone. Where the pool's queue is full, the map waits for a place in it.
///
/// Should the pool shut down, the first input that it refuses gives
/// [`Rejected`](JobError::Rejected), and no more are pulled. A panic of the inputs' own `next` passes
/// through to whoever asked for an outcome; no more are pulled then, and the jobs that are out can
/// still be asked for.
///
/// # Cancel safety
/// A dropped [`next`](Self::next) loses nothing. While it is not polled, a map that waited for a place
/// in a full queue may keep one from others; drop a map that is not needed any more.
///
/// # Drop
/// Dropping the map stops the jobs that are out, the youngest first, with
/// [`Cause::Dropped`](crate::Cause::Dropped). It does not wait for bodies that run.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use punctual::{Checked, Pool};
///
/// let pool = Pool::new();
/// let mut squares = pool.map(1_u64.., |_, n| -> Checked<_> { Ok(n * n) }).in_flight(4);
/// let mut sum = 0;
/// while let Some(square) = squares.next().await {
///     sum += square.unwrap();
///     if sum > 100 {
///         break;
///     }
/// }
/// assert_eq!(sum, 140);
/// # }
/// ```
#[must_use = "nothing happens until outcomes are asked for"]
pub struct Map<I: Iterator, T, E = Infallible> {
    /// Dropped first: whatever the inputs' destructors do, the jobs are stopped.
    out: Out<T, E>,
    in_flight: usize,
    /// The settings of each job.
    job: Job,
    call: Arc<Call<I::Item, T, E>>,
    inputs: I,
    /// No more inputs are pulled.
    over: bool,
    /// Rule 2.
    held: Option<I::Item>,
    /// Rule 3.
    line: Option<Waiting>,
    location: &'static Location<'static>,
    /// Keeps the pool's threads.
    _pool: Option<Pool>,
}

type Call<A, T, E> = dyn Fn(&JobContext, A) -> Result<T, E> + Send + Sync;

impl<I: Iterator, T, E> Map<I, T, E> {
    /// At most so many jobs are out at a time: spawned, and their outcome not taken. Zero counts as
    /// one. Without it, as many as can [run at a time](crate::Load::limit) when the map is made: as the
    /// pool may have threads, or as the lane's limit allows.
    ///
    /// In order, outcomes that are ready wait for those before them; they count, too.
    ///
    /// ```
    /// # use punctual::Checked;
    /// let pool = punctual::Pool::new();
    /// let mut map = pool.map(0.., |_, n| -> Checked<_> { Ok(n) }).in_flight(2);
    /// assert_eq!(map.wait_next().unwrap().unwrap(), 0);
    /// assert_eq!(pool.metrics().accepted, 2);
    /// ```
    pub fn in_flight(mut self, most: usize) -> Self {
        self.in_flight = most.max(1);
        self
    }

    /// Gives outcomes as they are ready, not in the order of the inputs.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let pool = punctual::Pool::new();
    /// let naps = [Duration::from_millis(20), Duration::ZERO];
    /// let naps = pool.map(naps, |cx, nap| cx.sleep(nap).map(|()| nap)).unordered();
    /// assert!(naps.into_iter().map(Result::unwrap).is_sorted());
    /// ```
    pub fn unordered(mut self) -> Self {
        self.out.give_as_they_are_ready();
        self
    }

    /// Pulls no more inputs, and asks the jobs that are out to stop. Their outcomes can still be
    /// taken.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let mut naps = pool.map(0.., |cx, _| cx.sleep(Duration::MAX)).in_flight(3);
    /// assert!(naps.wait_next_timeout(Duration::from_millis(1)).is_none());
    /// naps.cancel();
    /// assert_eq!(naps.into_iter().filter(Result::is_err).count(), 3);
    /// ```
    pub fn cancel(&mut self) {
        self.over = true;
        self.line = None;
        self.out.cancel();
        self.held = None;
    }

    /// How many jobs are out: spawned, and their outcome not taken.
    ///
    /// ```
    /// # use punctual::Checked;
    /// # let pool = punctual::Pool::new();
    /// let mut map = pool.map([1, 2, 3], |_, n| -> Checked<_> { Ok(n) });
    /// assert_eq!(map.out(), 0); // nobody has asked for an outcome
    /// map.wait_next();
    /// assert_eq!(map.out(), 2);
    /// ```
    #[must_use]
    pub fn out(&self) -> usize {
        self.out.len()
    }

    /// Whether there is an input without a job; pulls one if none is held.
    fn has_input(&mut self) -> bool {
        if self.held.is_none() && !self.over {
            self.over = true; // so it stays if `next` panics
            self.held = self.inputs.next();
            self.over = self.held.is_none();
        }
        self.held.is_some()
    }

    /// A place in the queue, or none where there need be no place: the queue has no limit, or the
    /// pool is closed and will say so.
    fn poll_place(&mut self, cx: &mut Context<'_>) -> Poll<Option<Place>> {
        let Some(places) = self.job.share.places() else { return Poll::Ready(None) };
        let waiting = self.line.get_or_insert_with(|| places.wait_for());
        let place = ready!(Pin::new(waiting).poll(cx));
        self.line = None;
        Poll::Ready(place)
    }

    fn size(&self) -> (usize, Option<usize>) {
        let more = usize::from(self.held.is_some());
        let rest = if self.over { Some(0) } else { self.inputs.size_hint().1 };
        let most = rest.and_then(|rest| rest.checked_add(self.out.len() + more));
        (self.out.len(), most)
    }
}

// No input and no iterator is ever pinned here.
impl<I: Iterator, T, E> Unpin for Map<I, T, E> {}

impl<I: Iterator, T, E> fmt::Debug for Map<I, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("job", &self.job)
            .field("in_flight", &self.in_flight)
            .field("out", &self.out.len())
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
