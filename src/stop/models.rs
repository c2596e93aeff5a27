//! Models of a job's listeners: every interleaving, by loom.
//!
//! On a real job, with its word of state: `job/listen/models.rs`.
//!
//! | what against what | model |
//! |---|---|
//! | 18 add, tell | `listeners_that_come_against_a_tell` |
//! | 18 remove, tell | `a_listener_that_is_removed_against_its_call` |
//! | 18 a listener removes itself, and another | `a_listener_that_removes_itself_does_not_wait` |
//! | 18 a listener panics | `a_listener_that_panics_harms_no_other` |
//! | 18 clear, add | `clearing_against_a_listener_that_comes` |

use super::*;
use crate::sync::models::{Bare, Count, check_all};
use loom::thread as model;
use std::panic::resume_unwind;
use std::sync::Arc;

fn tell(listeners: &Arc<Listeners<()>>, panics: &Arc<Count>) -> model::JoinHandle<()> {
    let (listeners, panics) = (Arc::clone(listeners), Arc::clone(panics));
    model::spawn(move || listeners.tell(Cause::Caller, |_| _ = panics.add()))
}

fn counting(told: &Arc<Count>) -> Listener<()> {
    let told = Arc::clone(told);
    Box::new(move |_| _ = told.add())
}

#[test]
fn listeners_that_come_against_a_tell() {
    check_all(|| {
        let (listeners, told) = (Arc::<Listeners<()>>::default(), Arc::<Count>::default());
        let teller = tell(&listeners, &Arc::default());
        for _ in 0..2 {
            if let Added::TooLate(listener) = listeners.add(counting(&told)) {
                listener(Cause::Caller);
            }
        }
        teller.join().expect("no panic");
        assert_eq!(told.get(), 2, "each is told, once");
    });
}

/// Law 9: what is called after it was removed would touch the data unordered.
#[test]
fn a_listener_that_is_removed_against_its_call() {
    check_all(|| {
        let (listeners, data) = (Arc::<Listeners<()>>::default(), Bare::new());
        let told = Arc::clone(&data);
        let slow = Box::new(move |_| {
            model::yield_now();
            told.touch();
        });
        let Added::Listed(number) = listeners.add(slow) else { panic!("nothing is told yet") };
        let teller = tell(&listeners, &Arc::default());
        let removed = listeners.remove(number).is_some();
        assert_eq!(data.touch(), u32::from(!removed), "it was called, or is removed");
        teller.join().expect("no panic");
        assert_eq!(data.touch(), 1 + u32::from(!removed));
    });
}

#[test]
fn a_listener_that_removes_itself_does_not_wait() {
    check_all(|| {
        let (listeners, told) = (Arc::<Listeners<()>>::default(), Arc::<Count>::default());
        let (own, count) = (Arc::clone(&listeners), Arc::clone(&told));
        let itself = Box::new(move |_| {
            assert!(own.remove(0).is_none() && count.add() == 0);
        });
        let _ = listeners.add(itself);
        let panics = Arc::default();
        let teller = tell(&listeners, &panics);
        let removed = listeners.remove(0).is_some();
        teller.join().expect("no panic");
        assert_eq!((told.get(), panics.get()), (u32::from(!removed), 0));
    });
}

#[test]
fn a_listener_that_panics_harms_no_other() {
    check_all(|| {
        let (listeners, told) = (Arc::<Listeners<()>>::default(), Arc::<Count>::default());
        let bad = Box::new(|_| resume_unwind(Box::new("a listener panics")));
        let (_, panics) = (listeners.add(bad), Arc::default());
        let _ = listeners.add(counting(&told));
        let teller = tell(&listeners, &panics);
        let removed = listeners.remove(0).is_some();
        teller.join().expect("the panic was caught");
        assert_eq!((told.get(), panics.get()), (1, u32::from(!removed)));
    });
}

/// At the end of a job that was not stopped.
#[test]
fn clearing_against_a_listener_that_comes() {
    check_all(|| {
        let (listeners, data) = (Arc::<Listeners<()>>::default(), Arc::<Count>::default());
        let other = {
            let (listeners, listener) = (Arc::clone(&listeners), counting(&data));
            model::spawn(move || matches!(listeners.add(listener), Added::Listed(_)))
        };
        let cleared = listeners.clear().len();
        assert!(other.join().expect("no panic"), "nothing was told");
        assert_eq!(cleared + listeners.clear().len(), 1);
        assert_eq!((Arc::strong_count(&data), data.get()), (1, 0), "it was dropped, not told");
    });
}
