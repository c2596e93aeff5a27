//! Models of a thread that waits for a future: every interleaving, by loom.
//!
//! | what against what | model |
//! |---|---|
//! | `block_on`, wake | `a_wait_against_a_wake` |
//! | `block_on`, two wakes, of which one calls | `a_wait_against_two_wakes` |
//! | `block_on`, a stranger's unpark | `a_wait_against_a_strangers_unpark` |

use super::*;
use crate::sync::Mutex;
use crate::sync::models::{Bare, check_all};
use loom::thread as model;

/// What is waited for. Only the wake makes sure that the next look sees it.
struct Word {
    said: AtomicBool,
    waker: Mutex<Option<Waker>>,
    data: Arc<Bare>,
}

/// Waits until all words are said.
struct All {
    words: Vec<Arc<Word>>,
    listed: bool,
}

impl Word {
    fn new() -> Arc<Self> {
        let (said, waker) = (AtomicBool::new(false), Mutex::new(None));
        Arc::new(Self { said, waker, data: Bare::new() })
    }

    /// Has it said by another thread, which nobody joins: loom would take the unpark of a thread that
    /// joins another for the end of that one.
    fn say(self: &Arc<Self>, stranger: Option<model::Thread>) {
        let word = Arc::clone(self);
        drop(model::spawn(move || {
            if let Some(thread) = stranger {
                thread.unpark();
            }
            let waker = word.waker.lock().take();
            word.data.touch();
            word.said.store(true, Ordering::Release);
            if let Some(waker) = waker {
                waker.wake();
            }
        }));
    }
}

impl Future for All {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for word in self.words.iter().filter(|_| !self.listed) {
            *word.waker.lock() = Some(cx.waker().clone());
        }
        self.listed = true;
        for word in &self.words {
            if !word.said.load(Ordering::Acquire) {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

/// Has each word said by a thread of its own once all are listened for, and waits for them. Those
/// threads first unpark this one for nothing, if it is named.
fn wait_for(words: Vec<Arc<Word>>, stranger: Option<model::Thread>) {
    let mut all = All { words: words.clone(), listed: false };
    let mut said = false;
    let mut polls = std::future::poll_fn(|cx| {
        let polled = Pin::new(&mut all).poll(cx);
        if !std::mem::replace(&mut said, true) {
            words.iter().for_each(|word| word.say(stranger.clone()));
        }
        polled
    });
    wait(&mut polls);
    for word in &words {
        assert_eq!(word.data.touch(), 1, "what was done before the wake is seen");
    }
}

#[test]
fn a_wait_against_a_wake() {
    check_all(|| wait_for(vec![Word::new()], None));
}

#[test]
fn a_wait_against_two_wakes() {
    check_all(|| wait_for(vec![Word::new(), Word::new()], None));
}

/// A park may end for no reason.
#[test]
fn a_wait_against_a_strangers_unpark() {
    check_all(|| wait_for(vec![Word::new()], Some(model::current())));
}
