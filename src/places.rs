//! The places in a bounded queue, and those who wait for one.
//!
//! # Rules
//! 1. A place is free, or somebody has it (a [`Place`], a job in the queue), or it was given to one
//!    who waits and has not been polled since.
//! 2. `free` rises only under the line's lock, while nobody waits. It falls without the lock, too.
//! 3. Wakers are cloned, woken and dropped under no lock, and each is caught by itself. (tokio's
//!    `Semaphore::close` wakes under its lock, and forgets those who wait behind one that panics.)
//!
//! # Why this is correct
//! Nobody waits while a place is free: who queues up has seen `free == 0` under the lock, and only
//! under the lock does it rise, when the line is empty (rule 2). A place that is given to one who is
//! dropped, or whose pool has closed, is given back by its guard.

use crate::sync::{AtomicUsize, Mutex, Ordering};
use crate::unwind::{self, Payload};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Told of a panic in somebody's waker.
type OnPanic = Arc<dyn Fn(Payload) + Send + Sync>;

/// All places of a queue.
pub(crate) struct Places {
    free: AtomicUsize,
    line: Mutex<Line>,
    on_panic: OnPanic,
}

/// Those who wait, each under a number of its own: the lowest has waited longest.
#[derive(Default)]
struct Line {
    next: i64,
    /// Below it are the numbers of those who came before all others.
    first: i64,
    waiting: BTreeMap<i64, Waker>,
    /// Who has been given a place.
    given: BTreeSet<i64>,
    closed: bool,
}

/// A place that was taken. Dropping it gives it back.
pub(crate) struct Place(Option<Arc<Places>>);

impl Place {
    /// The place is a queued job's from now on; who takes that out gives it back.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = self.0.take() {
            places.give_back();
        }
    }
}

impl Places {
    pub(crate) fn new(limit: usize, on_panic: OnPanic) -> Arc<Self> {
        Arc::new(Self { free: AtomicUsize::new(limit), line: Mutex::default(), on_panic })
    }

    /// Takes a place, if one is free. After the close it may, too: the pool's stage refuses then.
    pub(crate) fn try_take(self: &Arc<Self>) -> Option<Place> {
        // ORDERING: Acquire pairs with the Release in `give_back`.
        self.free
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |free| free.checked_sub(1))
            .ok()
            .map(|_| Place(Some(Arc::clone(self))))
    }

    /// Waits for a place; `None` once the queue is closed.
    pub(crate) fn wait_for(self: &Arc<Self>) -> Waiting {
        Waiting { places: Arc::clone(self), number: None }
    }

    /// Waits, without a waker, before all others.
    pub(crate) fn wait_first(self: &Arc<Self>) -> Waiting {
        let mut line = self.line.lock();
        line.first -= 1;
        let number = line.first;
        line.waiting.insert(number, Waker::noop().clone());
        drop(line);
        Waiting { places: Arc::clone(self), number: Some(number) }
    }

    /// Gives a place to who has waited longest, or frees it.
    pub(crate) fn give_back(&self) {
        let mut line = self.line.lock();
        let Some((number, waker)) = line.waiting.pop_first() else {
            // ORDERING: Release pairs with the Acquire in `try_take`: who takes the place comes
            // after who gave it back.
            self.free.fetch_add(1, Ordering::Release);
            return;
        };
        line.given.insert(number);
        drop(line);
        self.catch(|| waker.wake());
    }

    /// From now on nobody waits.
    pub(crate) fn close(&self) {
        let mut line = self.line.lock();
        line.closed = true;
        let waiting = std::mem::take(&mut line.waiting);
        drop(line);
        for (_, waker) in waiting {
            self.catch(|| waker.wake());
        }
    }

    fn catch(&self, wakers: impl FnOnce()) {
        if let Err(payload) = unwind::catch(wakers) {
            (self.on_panic)(payload);
        }
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.lock();
        let (waiting, given, closed) = (line.waiting.len(), line.given.len(), line.closed);
        drop(line);
        f.debug_struct("Places")
            .field("free", &self.free)
            .field("waiting", &waiting)
            .field("given", &given)
            .field("closed", &closed)
            .finish_non_exhaustive()
    }
}

/// One who waits for a place.
pub(crate) struct Waiting {
    places: Arc<Places>,
    /// Under which it is in the line.
    number: Option<i64>,
}

impl Waiting {
    /// The place, if there is one by now.
    pub(crate) fn take(&mut self) -> Option<Place> {
        match self.step(Waker::noop().clone()).0 {
            Poll::Ready(place) => place,
            Poll::Pending => None,
        }
    }

    /// A place, or the end of the wait; or in the line, and the waker that was there before.
    fn step(&mut self, waker: Waker) -> (Poll<Option<Place>>, Option<Waker>) {
        let mut line = self.places.line.lock();
        let given = self.number.is_some_and(|number| line.given.remove(&number));
        let place = if given {
            Some(Place(Some(Arc::clone(&self.places))))
        } else {
            self.places.try_take() // under the lock: none is freed behind this look
        };
        if place.is_some() || line.closed {
            let number = self.number.take();
            let old = number.and_then(|number| line.waiting.remove(&number));
            return (Poll::Ready(place), old.or(Some(waker)));
        }
        let number = self.number.unwrap_or(line.next);
        line.next = line.next.max(number + 1);
        self.number = Some(number);
        (Poll::Pending, line.waiting.insert(number, waker))
    }
}

impl Future for Waiting {
    type Output = Option<Place>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Place>> {
        let waker = cx.waker().clone();
        let (poll, unused) = self.step(waker);
        self.places.catch(|| drop(unused));
        poll
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(number) = self.number.take() else { return };
        let mut line = self.places.line.lock();
        let waker = line.waiting.remove(&number);
        let given = line.given.remove(&number);
        drop(line);
        self.places.catch(|| drop(waker));
        if given {
            self.places.give_back();
        }
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;

    fn places(limit: usize) -> Arc<Places> {
        Places::new(limit, Arc::new(|_| ()))
    }

    fn poll(waiting: &mut Waiting) -> Poll<Option<Place>> {
        Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn who_has_waited_longest_is_first() {
        let places = places(1);
        let place = places.try_take().expect("it is free");
        let (mut first, mut second) = (places.wait_for(), places.wait_for());
        assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
        assert!(poll(&mut first).is_pending(), "and keeps its place in the line");
        drop(place);
        assert!(poll(&mut second).is_pending());
        assert!(places.try_take().is_none(), "it is given away");
        let Poll::Ready(Some(place)) = poll(&mut first) else { panic!("it has a place") };
        place.keep();
        assert!(poll(&mut second).is_pending());
        places.give_back();
        drop(second); // with a place that it never saw
        assert!(places.try_take().is_some());
    }

    #[test]
    fn a_closed_queue_lets_nobody_wait() {
        let places = places(1);
        let place = places.try_take().expect("it is free");
        let mut waiting = places.wait_for();
        assert!(poll(&mut waiting).is_pending());
        places.close();
        assert!(matches!(poll(&mut waiting), Poll::Ready(None)));
        assert!(poll(&mut places.wait_for()).is_ready(), "nor does who comes later");
        drop(place);
        assert!(places.line.lock().waiting.is_empty());
    }
}

#[cfg(all(test, punctual_loom))]
mod models {
    use super::*;
    use crate::park;
    use loom::thread;

    /// One place, which is given back while another waits for it, and a close: nobody hangs, and
    /// the place is not lost.
    fn check(close: bool) {
        loom::model(move || {
            let places = Places::new(1, Arc::new(|_| ()));
            let place = places.try_take().expect("it is free");
            let waiter = {
                let places = Arc::clone(&places);
                thread::spawn(move || park::wait(&mut places.wait_for()).is_some())
            };
            drop(place);
            if close {
                places.close();
            }
            let served = waiter.join().expect("no panic");
            assert!(served || close);
            assert!(places.try_take().is_some(), "the place is free again");
        });
    }

    #[test]
    fn a_place_given_back_against_one_who_comes_to_wait() {
        check(false);
    }

    #[test]
    fn a_close_against_one_who_comes_to_wait() {
        check(true);
    }
}
