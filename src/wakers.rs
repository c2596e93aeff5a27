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
