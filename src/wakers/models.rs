//! Models of a list of wakers: every interleaving, by loom.
//!
//! | what against what | model |
//! |---|---|
//! | list, wake all | `a_waker_that_comes_against_a_wake_of_all` |
//! | unlist, wake all | `a_waker_that_goes_against_a_wake_of_all` |
//! | replace, wake all | `a_waker_that_is_replaced_against_a_wake_of_all` |
//! | a waker that uses the list | `wakers_are_woken_under_no_lock` |

use super::*;
use crate::sync::models::{Count, check_all};
use crate::sync::{AtomicBool, Ordering};
use loom::thread as model;
use std::sync::Arc;
use std::task::Wake;

/// Something that happens once, and those who wait for it.
#[derive(Default)]
struct Event {
    /// Counts before anything is done.
    begun: Count,
    happened: AtomicBool,
    wakers: Wakers,
}

#[derive(Default)]
struct Woken(Count);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.add();
    }
}

impl Event {
    fn happen(self: &Arc<Self>) -> model::JoinHandle<()> {
        let event = Arc::clone(self);
        model::spawn(move || {
            event.begun.add();
            event.happened.store(true, Ordering::Relaxed);
            event.wakers.wake_all(unwind::discard);
        })
    }
}

fn waker() -> (Arc<Woken>, Waker) {
    let woken = Arc::<Woken>::default();
    (Arc::clone(&woken), Waker::from(woken))
}

#[test]
fn a_waker_that_comes_against_a_wake_of_all() {
    check_all(|| {
        let (event, (woken, waker)) = (Arc::<Event>::default(), waker());
        let other = event.happen();
        event.wakers.list(None, &waker);
        let seen = event.happened.load(Ordering::Relaxed);
        other.join().expect("no panic");
        assert!(seen || woken.0.get() == 1, "no lost wake-up");
    });
}

#[test]
fn a_waker_that_goes_against_a_wake_of_all() {
    check_all(|| {
        let (event, (woken, waker)) = (Arc::<Event>::default(), waker());
        let number = event.wakers.list(None, &waker);
        drop(waker);
        let other = event.happen();
        event.wakers.unlist(number);
        if event.begun.get() == 0 {
            assert_eq!(Arc::strong_count(&woken), 1, "it is off the list");
        }
        other.join().expect("no panic");
        assert!(woken.0.get() <= 1 && Arc::strong_count(&woken) == 1, "nobody keeps it");
    });
}

#[test]
fn a_waker_that_is_replaced_against_a_wake_of_all() {
    check_all(|| {
        let event = Arc::<Event>::default();
        let ((first, old), (second, new)) = (waker(), waker());
        let ((third, others), number) = (waker(), event.wakers.list(None, &old));
        event.wakers.list(None, &others);
        let other = event.happen();
        assert_eq!(event.wakers.list(Some(number), &new), number);
        let seen = event.happened.load(Ordering::Relaxed);
        other.join().expect("no panic");
        assert!(seen || second.0.get() == 1, "no lost wake-up");
        assert_eq!(third.0.get(), 1, "others keep their places");
        event.wakers.unlist(number);
        drop((old, new));
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 1));
    });
}

/// A waker that takes itself off the list, as the drop of what it wakes would.
struct TakesItselfOff(Arc<Event>, Count);

impl Wake for TakesItselfOff {
    fn wake(self: Arc<Self>) {
        self.0.wakers.unlist(0);
        self.1.add();
    }
}

#[test]
fn wakers_are_woken_under_no_lock() {
    check_all(|| {
        let event = Arc::<Event>::default();
        let itself = Arc::new(TakesItselfOff(Arc::clone(&event), Count::default()));
        event.wakers.list(None, &Waker::from(Arc::clone(&itself)));
        let other = event.happen();
        event.wakers.wake_all(unwind::discard);
        other.join().expect("no panic");
        assert_eq!(itself.1.get(), 1, "it is woken, once");
    });
}
