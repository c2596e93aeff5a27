//! The user's code that many stops leave behind, run where it holds nobody up.
//!
//! It is run by the timekeeper, which lets no user code delay other. All of it is on one list. Whoever
//! takes from the list has first filed an alarm that goes on with it: should this piece of user code
//! be slow, the timekeeper's deputy rings that. Nobody takes for long, so that nobody looks slow who
//! is not.

use crate::job::{Bell, Leftover};
use crate::sync::{AtomicBool, Condvar, Mutex, Ordering, now};
use crate::timekeeper::Timekeeper;
use std::sync::Arc;
use std::time::Duration;

/// How long one alarm goes on taking from the list; less than the timekeeper's patience.
const TURN: Duration = Duration::from_micros(100);

struct Aside {
    keeper: Arc<Timekeeper<Bell>>,
    left: Mutex<Vec<Leftover>>,
    /// Whether an alarm is filed that goes on.
    filed: AtomicBool,
    /// How many have not been finished.
    unfinished: Mutex<usize>,
    finished: Condvar,
}

/// Runs what is left of many stops aside. Waits for that, at most so long.
///
/// By a manual clock, or if there is no thread to be had, it is run here.
pub(crate) fn run(keeper: &Arc<Timekeeper<Bell>>, left: Vec<Leftover>, at_most: Duration) {
    if left.is_empty() {
        return;
    }
    let aside = Arc::new(Aside {
        keeper: Arc::clone(keeper),
        unfinished: Mutex::new(left.len()),
        left: Mutex::new(left),
        filed: AtomicBool::new(false),
        finished: Condvar::new(),
    });
    if keeper.clock().is_manual() || !aside.file() {
        aside.finish_all();
    }
    aside.wait(at_most);
}

impl Aside {
    /// Files an alarm that goes on, if there is none; `false` if there can be none.
    fn file(self: &Arc<Self>) -> bool {
        // ORDERING: Relaxed; nothing but the number of alarms hangs on it.
        if self.filed.swap(true, Ordering::Relaxed) {
            return true;
        }
        let aside = Arc::clone(self);
        self.keeper.ring_soon(Bell::Call(Box::new(move || aside.go_on()))).is_ok()
    }

    fn go_on(self: &Arc<Self>) {
        // ORDERING: as in `file`.
        self.filed.store(false, Ordering::Relaxed);
        let until = now() + TURN;
        while let Some((next, more)) = self.take() {
            if more && !self.file() {
                self.finish_all(); // there is no thread to go on
            }
            self.finish(next);
            if now() >= until {
                return;
            }
        }
    }

    fn finish_all(&self) {
        while let Some((next, _)) = self.take() {
            self.finish(next);
        }
    }

    /// Takes one from the list; and whether there are more.
    fn take(&self) -> Option<(Leftover, bool)> {
        let mut left = self.left.lock();
        let next = left.pop()?;
        Some((next, !left.is_empty()))
    }

    fn finish(&self, one: Leftover) {
        one.finish();
        let mut unfinished = self.unfinished.lock();
        *unfinished -= 1;
        if *unfinished == 0 {
            self.finished.notify_all();
        }
    }

    fn wait(&self, at_most: Duration) {
        let until = now().checked_add(at_most);
        let mut unfinished = self.unfinished.lock();
        while *unfinished > 0 && until.is_some_and(|until| now() < until) {
            unfinished = self.finished.wait_until(unfinished, until);
        }
    }
}
