//! Waiting on this thread for a future, with or without a deadline; needs no runtime.

use crate::deadline::Deadline;
use crate::sync::{AtomicBool, Ordering, thread};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A thread that waits, and whether somebody has called for it.
///
/// The thread's own park token is not enough: other code on the thread may take it.
struct Sleeper {
    called: AtomicBool,
    thread: thread::Thread,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // ORDERING: Release pairs with the Acquire swap in `block_on`, so that the poll after it
        // sees what the waking thread did before.
        if !self.called.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

/// Polls `future` on this thread until it is ready.
pub(crate) fn wait<F: Future + Unpin>(future: &mut F) -> F::Output {
    loop {
        if let Some(output) = block_on(future, Deadline::NEVER) {
            return output;
        }
    }
}

/// Polls `future` on this thread until it is ready or the deadline has passed.
///
/// It is polled once more after the deadline, so that what is ready by then is not missed.
pub(crate) fn block_on<F: Future + Unpin>(future: &mut F, until: Deadline) -> Option<F::Output> {
    let sleeper = Arc::new(Sleeper { called: AtomicBool::new(false), thread: thread::current() });
    let waker = Waker::from(Arc::clone(&sleeper));
    let mut cx = Context::from_waker(&waker);
    loop {
        let last = until.has_passed();
        if let Poll::Ready(output) = Pin::new(&mut *future).poll(&mut cx) {
            return Some(output);
        }
        if last {
            return None;
        }
        // ORDERING: Acquire pairs with the Release in `wake_by_ref`.
        while !sleeper.called.swap(false, Ordering::Acquire) && !until.has_passed() {
            park(until);
        }
    }
}

fn park(until: Deadline) {
    match until.remaining() {
        Some(left) => park_for(left),
        None => thread::park(),
    }
}

/// Parks this thread, at the longest for `time`.
#[cfg(not(punctual_loom))]
pub(crate) fn park_for(time: Duration) {
    thread::park_timeout(time);
}

/// Parks this thread: a model knows no time.
#[cfg(punctual_loom)]
pub(crate) fn park_for(_time: Duration) {
    thread::park();
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::mpsc;
    use std::time::Instant;

    /// A future that is ready at its second poll; it hands out its waker at the first.
    fn second_poll(wakers: mpsc::Sender<Waker>) -> impl Future<Output = u32> + Unpin {
        let mut polls = 0;
        poll_fn(move |cx| {
            polls += 1;
            let _ = wakers.send(cx.waker().clone());
            if polls == 2 { Poll::Ready(polls) } else { Poll::Pending }
        })
    }

    #[test]
    fn a_future_is_polled_again_when_it_is_woken_from_elsewhere() {
        for until in [Deadline::NEVER, Deadline::after(Duration::from_secs(3600))] {
            let (send, wakers) = mpsc::channel::<Waker>();
            let waking = thread::spawn(move || wakers.recv().expect("a poll").wake());
            assert_eq!(block_on(&mut second_poll(send), until), Some(2));
            waking.join().expect("no panic");
        }
        let (send, wakers) = mpsc::channel::<Waker>();
        let waking = thread::spawn(move || wakers.recv().expect("a poll").wake_by_ref());
        assert_eq!(wait(&mut second_poll(send)), 2);
        waking.join().expect("no panic");
    }

    #[test]
    fn a_park_token_that_others_left_is_no_call() {
        thread::current().unpark();
        let (send, wakers) = mpsc::channel();
        let soon = Deadline::after(Duration::from_millis(2));
        assert_eq!(block_on(&mut poll_fn(|_| Poll::<()>::Pending), soon), None);
        thread::current().unpark();
        let mut never = second_poll(send);
        let over = Deadline::after(Duration::ZERO);
        assert_eq!((block_on(&mut never, over), wakers.try_iter().count()), (None, 1));
    }

    #[test]
    fn what_is_not_woken_is_polled_once_more_at_the_deadline_and_not_before() {
        let (send, wakers) = mpsc::channel();
        let start = Instant::now();
        let time = Duration::from_millis(100); // the first poll is before that
        assert_eq!(block_on(&mut second_poll(send), Deadline::at(start + time)), Some(2));
        assert!(start.elapsed() >= time);
        assert_eq!(wakers.try_iter().count(), 2);
    }
}
#[cfg(all(test, punctual_loom))]
mod models;
