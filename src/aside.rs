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
#[cfg(not(punctual_loom))]
const TURN: Duration = Duration::from_micros(100);
/// In a model, whose executions must be repeatable, it goes on to the end.
#[cfg(punctual_loom)]
const TURN: Duration = Duration::from_secs(3600);

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

#[cfg(all(test, punctual_loom))]
mod models;

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;
    use crate::clock::{Clock, Manual};
    use crate::job::Settings;
    use crate::job::fake::Fake;
    use crate::spawner::Spawner;
    use crate::stop::Cause;
    use crate::sync::thread;
    use std::convert::Infallible;
    use std::sync::mpsc;
    use std::time::Instant;

    /// After so long a test counts as hung.
    const ALARM: Duration =
        Duration::from_secs(if option_env!("PUNCTUAL_IMPATIENT").is_some() { 5 } else { 30 });

    struct OnDrop<F: FnMut()>(F);

    impl<F: FnMut()> Drop for OnDrop<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }

    /// What is left of a stop: a capture that calls this when it is dropped.
    fn leftover(drop_calls: impl FnMut() + Send + 'static) -> Leftover {
        let capture = OnDrop(drop_calls);
        let (_, owner) = Fake::new();
        let (task, _handle) = owner.job(Settings::default(), move |_| {
            let _capture = &capture;
            Ok::<_, Infallible>(())
        });
        task.begin_stop(Cause::Shutdown).1.expect("a capture is left")
    }

    fn says_where(to: &mpsc::Sender<thread::ThreadId>) -> Leftover {
        let to = to.clone();
        leftover(move || {
            (0..10).for_each(|_| thread::yield_now());
            to.send(thread::current().id()).expect("the test listens");
        })
    }

    fn keeper(clock: Clock) -> Arc<Timekeeper<Bell>> {
        Timekeeper::new("aside-test".to_owned(), clock, Spawner::default())
    }

    #[test]
    fn by_a_manual_clock_it_is_run_here() {
        let (send, ran) = mpsc::channel();
        let left = (0..3).map(|_| says_where(&send)).collect();
        run(&keeper(Clock::Manual(Manual::new())), left, Duration::ZERO);
        assert_eq!(ran.try_iter().collect::<Vec<_>>(), [thread::current().id(); 3]);
    }

    #[test]
    fn it_is_run_elsewhere_and_waited_for_and_no_longer() {
        let (send, ran) = mpsc::channel();
        let left = (0..50).map(|_| says_where(&send)).collect();
        let start = Instant::now();
        run(&keeper(Clock::System), left, ALARM);
        assert!(start.elapsed() < ALARM, "it waits for nothing");
        let ran: Vec<_> = ran.try_iter().collect();
        assert_eq!(ran.len(), 50);
        assert!(ran.iter().all(|there| *there != thread::current().id()));
        run(&keeper(Clock::System), Vec::new(), ALARM);
        assert!(start.elapsed() < ALARM, "there is nothing to wait for");
    }

    #[test]
    fn one_that_is_slow_holds_up_neither_the_others_nor_the_caller() {
        let (send, ran) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let mut left: Vec<_> = (0..5).map(|_| says_where(&send)).collect();
        left.push(leftover(move || gate.recv().unwrap_or_default()));
        let keeper = keeper(Clock::System);
        run(&keeper, left, Duration::ZERO);
        for _ in 0..5 {
            ran.recv_timeout(ALARM).expect("it is run");
        }
        drop(open);
    }
}
