//! Places in a queue that are reserved: backpressure for who submits.

use crate::deadline::Deadline;
use crate::error::{Panic, Rejection};
use crate::job::Bell;
use crate::lane::Lane;
use crate::lifecycle::Stage;
use crate::park;
use crate::places::{Place, Waiting};
use crate::pool::Pool;
use crate::share::Share;
use crate::timekeeper::Armed;
use crate::wakers::Wakers;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

impl Pool {
    /// Waits for a place in the queue, and keeps it for one job. Places are given in the order in
    /// which they were asked for. A pool without a limit has one at once.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the line, or the place itself.
    ///
    /// # Errors
    /// [`Rejection::ShutDown`] if the pool takes no more jobs, or ceases to while this waits.
    /// [`Rejection::QueueFull`] if a time was set by [`within`](Reserve::within), and is up;
    /// [`Rejection::NoThread`] if one was set, and there is no thread to be had that watches the clock.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = punctual::Pool::builder().queue_limit(10).build().unwrap();
    /// let permit = pool.reserve().await.unwrap();
    /// assert_eq!(permit.spawn_blocking(|| 1).await.unwrap(), 1);
    /// # }
    /// ```
    pub fn reserve(&self) -> Reserve {
        Reserve::new(self.share())
    }

    /// A place in the queue for one job, if there is one.
    ///
    /// # Errors
    /// [`Rejection::QueueFull`] if there is none, [`Rejection::ShutDown`] if the pool takes no more
    /// jobs.
    ///
    /// # Examples
    ///
    /// ```
    /// use punctual::Rejection;
    ///
    /// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// let permit = pool.try_reserve().unwrap();
    /// assert!(matches!(pool.try_reserve(), Err(Rejection::QueueFull)));
    /// drop(permit);
    /// assert!(pool.try_reserve().is_ok());
    /// ```
    pub fn try_reserve(&self) -> Result<Permit, Rejection> {
        Permit::now(self.share())
    }

    /// Blocks this thread until there is a place in the queue; see [`reserve`](Self::reserve), and
    /// [`blocking_reserve_timeout`](Self::blocking_reserve_timeout).
    ///
    /// # Errors
    /// [`Rejection::ShutDown`] if the pool takes no more jobs, or ceases to while this waits.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// let permit = pool.blocking_reserve().unwrap();
    /// assert_eq!(permit.spawn_blocking(|| 1).wait().unwrap(), 1);
    /// ```
    pub fn blocking_reserve(&self) -> Result<Permit, Rejection> {
        self.reserve().wait()
    }

    /// Blocks this thread until there is a place in the queue, or for so long: `reserve()`,
    /// [`within`](Reserve::within) that time, [waited for](Reserve::wait).
    ///
    /// # Errors
    /// As [`blocking_reserve`](Self::blocking_reserve), and [`Rejection::QueueFull`] when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// let permit = pool.blocking_reserve_timeout(Duration::from_secs(5)).unwrap();
    /// assert!(pool.blocking_reserve_timeout(Duration::from_millis(5)).is_err());
    /// # drop(permit);
    /// ```
    pub fn blocking_reserve_timeout(&self, time: Duration) -> Result<Permit, Rejection> {
        self.reserve().within(time).wait()
    }
}

impl Lane {
    /// Waits for a place in the lane's queue; see [`Pool::reserve`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("thumbnails").queue_limit(1);
    /// let permit = lane.reserve().await.unwrap();
    /// assert_eq!(permit.spawn_blocking(|| 1).await.unwrap(), 1);
    /// # }
    /// ```
    pub fn reserve(&self) -> Reserve {
        Reserve::new(self.share())
    }

    /// A place in the lane's queue, if there is one; see [`Pool::try_reserve`].
    ///
    /// # Errors
    /// [`Rejection::QueueFull`] if there is none, [`Rejection::ShutDown`] if the pool takes no more
    /// jobs.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("thumbnails").queue_limit(1);
    /// let permit = lane.try_reserve().unwrap();
    /// assert!(lane.try_reserve().is_err() && pool.try_reserve().is_ok());
    /// # drop(permit);
    /// ```
    pub fn try_reserve(&self) -> Result<Permit, Rejection> {
        Permit::now(self.share())
    }

    /// Blocks this thread until there is a place in the lane's queue; see [`Pool::blocking_reserve`].
    ///
    /// # Errors
    /// [`Rejection::ShutDown`] if the pool takes no more jobs, or ceases to while this waits.
    ///
    /// ```
    /// # let pool = punctual::Pool::new();
    /// let permit = pool.lane("thumbnails").queue_limit(1).blocking_reserve().unwrap();
    /// assert_eq!(permit.spawn_blocking(|| 1).wait().unwrap(), 1);
    /// ```
    pub fn blocking_reserve(&self) -> Result<Permit, Rejection> {
        self.reserve().wait()
    }

    /// Blocks this thread until there is a place in the lane's queue, or for so long; see
    /// [`Pool::blocking_reserve_timeout`].
    ///
    /// # Errors
    /// As [`blocking_reserve`](Self::blocking_reserve), and [`Rejection::QueueFull`] when the time is up.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let pool = punctual::Pool::new();
    /// let lane = pool.lane("thumbnails").queue_limit(1);
    /// let permit = lane.blocking_reserve_timeout(Duration::from_secs(5)).unwrap();
    /// assert!(lane.blocking_reserve_timeout(Duration::from_millis(5)).is_err());
    /// # drop(permit);
    /// ```
    pub fn blocking_reserve_timeout(&self, time: Duration) -> Result<Permit, Rejection> {
        self.reserve().within(time).wait()
    }
}

/// A wait for a place in a queue; see [`Pool::reserve`]. It begins when it is first polled.
///
/// Dropping it gives up the place in the line, or the place.
///
/// # Examples
///
/// ```
/// use punctual::{Pool, Rejection};
/// use std::time::Duration;
///
/// let pool = Pool::builder().queue_limit(1).build().unwrap();
/// let permit = pool.try_reserve().unwrap();
/// let in_vain = pool.reserve().within(Duration::from_millis(5)).wait();
/// assert!(matches!(in_vain, Err(Rejection::QueueFull)));
/// # drop(permit);
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Reserve {
    share: Arc<Share>,
    waiting: Option<Waiting>,
    limit: Deadline,
    alarm: Option<Armed<Bell>>,
    wakers: Arc<Wakers>,
    /// Under which the waker is listed.
    number: Option<u64>,
}

impl Reserve {
    fn new(share: &Arc<Share>) -> Self {
        share.list(); // a shutdown is to find who waits
        let waiting = share.places().map(|places| places.wait_for());
        Self {
            share: Arc::clone(share),
            waiting,
            limit: Deadline::NEVER,
            alarm: None,
            wakers: Arc::default(),
            number: None,
        }
    }

    /// Waits so long at most, from this call on; then the queue counts as full.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// let permit = pool.reserve().within(Duration::from_secs(1)).await.unwrap();
    /// assert!(pool.reserve().within(Duration::ZERO).await.is_err());
    /// # drop(permit);
    /// # }
    /// ```
    pub fn within(mut self, time: Duration) -> Self {
        self.limit = self.share.core.clock().after(time);
        self.alarm = None;
        self
    }

    /// Blocks this thread instead of a task.
    ///
    /// # Errors
    /// As [`Pool::reserve`].
    ///
    /// ```
    /// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
    /// assert!(pool.reserve().wait().is_ok());
    /// ```
    pub fn wait(mut self) -> Result<Permit, Rejection> {
        let mut at_once = Context::from_waker(Waker::noop());
        if let Poll::Ready(permit) = Pin::new(&mut self).poll(&mut at_once) {
            return permit;
        }
        let share = Arc::clone(&self.share);
        let _waits = share.thread_waits(self.limit == Deadline::NEVER);
        park::wait(&mut self)
    }

    /// Sees to it that the waker is woken when the time is up; `false` if nobody would.
    fn arm(&mut self, waker: &Waker) -> bool {
        let Some(at) = self.limit.instant() else { return true };
        self.number = Some(self.wakers.list(self.number, waker)); // who polls anew may have another
        if self.alarm.is_none() {
            let (wakers, core) = (Arc::clone(&self.wakers), Arc::clone(&self.share.core));
            let tell = move |payload| core.unseen_panic(Panic::new(payload, None));
            let ring = Bell::Call(Box::new(move || wakers.wake_all(tell)));
            self.alarm = self.share.core.keeper.arm(at, ring).ok();
        }
        self.alarm.is_some()
    }
}

impl Future for Reserve {
    type Output = Result<Permit, Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let place = match &mut self.waiting {
            None => None,
            Some(waiting) => match Pin::new(waiting).poll(cx) {
                Poll::Ready(Some(place)) => Some(place),
                Poll::Ready(None) => return Poll::Ready(Err(Rejection::ShutDown)),
                Poll::Pending => {
                    let is_watched = self.arm(cx.waker()); // before the look at the clock
                    return match self.share.core.clock().is_past(self.limit) {
                        true => Poll::Ready(Err(Rejection::QueueFull)),
                        false if !is_watched => Poll::Ready(Err(Rejection::NoThread)),
                        false => Poll::Pending,
                    };
                }
            },
        };
        Poll::Ready(Permit::new(Arc::clone(&self.share), place))
    }
}

impl fmt::Debug for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// A place in a pool's queue, kept for one job: [`spawn`](Self::spawn) can not find it full.
///
/// Dropping it gives the place back. The pool may still shut down before it is used.
///
/// # Examples
///
/// ```
/// let pool = punctual::Pool::builder().queue_limit(1).build().unwrap();
/// let permit = pool.try_reserve().unwrap();
/// assert_eq!(permit.spawn_blocking(|| 1).wait().unwrap(), 1);
/// ```
#[must_use = "dropping it gives the place back"]
pub struct Permit {
    pub(crate) share: Arc<Share>,
    pub(crate) place: Option<Place>,
}

impl Permit {
    fn now(share: &Arc<Share>) -> Result<Self, Rejection> {
        Self::new(Arc::clone(share), share.try_place()?)
    }

    fn new(share: Arc<Share>, place: Option<Place>) -> Result<Self, Rejection> {
        match share.core.stage() {
            Stage::Open => Ok(Self { share, place }),
            _ => Err(Rejection::ShutDown),
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
