//! Several wakers that wait for the same thing, each under a number of its own.
//!
//! A waker whose destructor panics must not unwind out of a destructor of ours: its owner may be
//! unwinding already. So wakers that are not woken are dropped quietly.

use crate::sync::Mutex;
use crate::unwind::{self, Payload};
use std::collections::BTreeMap;
use std::task::Waker;

/// Those who wait. Wakers are cloned, woken and dropped under no lock.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    list: BTreeMap<u64, Waker>,
}

impl Wakers {
    /// Lists a waker, in the place of the one under `number` if there is one, and gives its number.
    pub(crate) fn list(&self, number: Option<u64>, waker: &Waker) -> u64 {
        let waker = waker.clone();
        let mut inner = self.0.lock();
        let number = number.unwrap_or(inner.next);
        inner.next = inner.next.max(number + 1);
        let old = inner.list.insert(number, waker);
        drop(inner);
        unwind::drop_quietly(old);
        number
    }

    pub(crate) fn unlist(&self, number: u64) {
        let removed = self.0.lock().list.remove(&number);
        unwind::drop_quietly(removed);
    }

    /// Wakes them all. A panic of one is given to `panicked`.
    pub(crate) fn wake_all(&self, mut panicked: impl FnMut(Payload)) {
        let list = std::mem::take(&mut self.0.lock().list);
        for (_, waker) in list {
            if let Err(payload) = unwind::catch(move || waker.wake()) {
                panicked(payload);
            }
        }
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;
    use std::sync::{Arc, mpsc};
    use std::task::Wake;

    struct Says(mpsc::Sender<u32>, u32);

    impl Wake for Says {
        fn wake(self: Arc<Self>) {
            self.0.send(self.1).expect("the test listens");
            if self.1 == 0 {
                std::panic::resume_unwind(Box::new("on purpose"));
            }
        }
    }

    #[test]
    fn all_that_are_listed_are_woken_in_their_order_once() {
        let (send, woken) = mpsc::channel();
        let waker = |n| Waker::from(Arc::new(Says(send.clone(), n)));
        let wakers = Wakers::default();
        let numbers = [0, 1, 2, 3].map(|n| wakers.list(None, &waker(n)));
        assert_eq!(wakers.list(Some(numbers[1]), &waker(7)), numbers[1], "in its place");
        wakers.unlist(numbers[2]);
        let mut panics = 0;
        wakers.wake_all(|_| panics += 1);
        assert_eq!((woken.try_iter().collect::<Vec<_>>(), panics), (vec![0, 7, 3], 1));
        wakers.wake_all(|_| unreachable!("nobody is listed"));
        let late = wakers.list(Some(numbers[3]), &waker(4));
        assert_eq!((late, wakers.list(None, &waker(5))), (numbers[3], numbers[3] + 1));
    }
}
#[cfg(all(test, punctual_loom))]
mod models;
