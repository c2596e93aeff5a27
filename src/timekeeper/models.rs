//! Models of the timekeeper's threads, the real ones: every interleaving, by loom.
//!
//! An alarm here is due at once or in an hour, which never comes. A deputy's patience is over at
//! once. Every model ends by closing the timekeeper: a thread that does not leave then is one that
//! loom reports as deadlocked.
//!
//! | what against what | model |
//! |---|---|
//! | 16 an alarm set, the watcher's sleep | `an_alarm_that_is_due_against_the_watchers_sleep` |
//! | 16 an alarm taken back, rung | `an_alarm_that_is_taken_back_against_its_ring` |
//! | 16 an alarm set, the watcher leaves | `an_alarm_against_a_watcher_that_leaves` |
//! | 16 close, the last alarm taken back | `closing_against_the_last_alarm_taken_back` |
//! | 16 a ring that lasts, the deputy | `a_ring_that_lasts_against_the_next_alarm` |
//! | 16 a ring that lasts, a deputy that sleeps | `a_ring_that_lasts_against_a_deputy_that_sleeps` |
//! | 16 a ring that ends, the deputy | `a_ring_that_ends_against_the_deputy` |

use super::*;
use crate::sync::models::{Count, check};
use loom::thread as model;

const HOUR: Duration = Duration::from_secs(3600);

/// Rings, and gates that a ring waits at: once rung for each alarm, by number.
#[derive(Default)]
struct Bells {
    rung: Mutex<[bool; 3]>,
    rings: Condvar,
    dropped: Count,
}

/// An alarm that first waits for another to have rung, if it is to.
struct Bell {
    bells: Arc<Bells>,
    number: usize,
    after: Option<usize>,
}

impl Alarm for Bell {
    fn ring(self) {
        if let Some(other) = self.after {
            self.bells.wait_for(other);
        }
        let mut rung = self.bells.rung.lock();
        assert!(!std::mem::replace(&mut rung[self.number], true), "it rings once");
        self.bells.rings.notify_all();
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.bells.dropped.add();
    }
}

impl Bells {
    fn wait_for(&self, number: usize) {
        let mut rung = self.rung.lock();
        while !rung[number] {
            rung = self.rings.wait(rung);
        }
    }

    fn bell(self: &Arc<Self>, number: usize) -> Bell {
        Bell { bells: Arc::clone(self), number, after: None }
    }

    fn bell_after(self: &Arc<Self>, number: usize, after: usize) -> Bell {
        Bell { bells: Arc::clone(self), number, after: Some(after) }
    }
}

fn keeper() -> (Arc<Timekeeper<Bell>>, Arc<Bells>) {
    (Timekeeper::new(String::new(), Clock::System, Spawner::default()), Arc::default())
}

fn arm(keeper: &Arc<Timekeeper<Bell>>, after: Duration, bell: Bell) -> Armed<Bell> {
    keeper.arm(Instant::now() + after, bell).expect("a model has threads")
}

#[test]
fn an_alarm_that_is_due_against_the_watchers_sleep() {
    check(|| {
        let (keeper, bells) = keeper();
        let far = arm(&keeper, HOUR, bells.bell(0));
        let near = arm(&keeper, Duration::ZERO, bells.bell(1));
        bells.wait_for(1);
        drop((near, far));
        keeper.close();
    });
}

#[test]
fn an_alarm_that_is_taken_back_against_its_ring() {
    check(|| {
        let (keeper, bells) = keeper();
        drop(arm(&keeper, Duration::ZERO, bells.bell(0)));
        let rung = bells.rung.lock()[0];
        assert!(!rung || bells.dropped.get() == 1);
        keeper.close();
        assert_eq!(keeper.alarms(), 0);
    });
}

/// Whoever has nothing to watch leaves at once.
#[test]
fn an_alarm_against_a_watcher_that_leaves() {
    check(|| {
        let bells = Arc::<Bells>::default();
        let keeper =
            Timekeeper::staying(String::new(), Clock::System, Spawner::default(), Duration::ZERO);
        drop(arm(&keeper, HOUR, bells.bell(0)));
        let armed = arm(&keeper, Duration::ZERO, bells.bell(1));
        bells.wait_for(1);
        drop(armed);
    });
}

#[test]
fn closing_against_the_last_alarm_taken_back() {
    check(|| {
        let (keeper, bells) = keeper();
        let armed = arm(&keeper, HOUR, bells.bell(0));
        let closing = Arc::clone(&keeper);
        let other = model::spawn(move || closing.close());
        drop(armed);
        other.join().expect("no panic");
        assert_eq!(bells.dropped.get(), 1);
    });
}

#[test]
fn a_ring_that_lasts_against_the_next_alarm() {
    check(|| {
        let (keeper, bells) = keeper();
        let stuck = arm(&keeper, Duration::ZERO, bells.bell_after(0, 1));
        let next = arm(&keeper, Duration::ZERO, bells.bell(1));
        bells.wait_for(0);
        drop((stuck, next));
        keeper.close();
    });
}

#[test]
fn a_ring_that_lasts_against_a_deputy_that_sleeps() {
    check(|| {
        let (keeper, bells) = keeper();
        let now = Instant::now();
        for bell in [bells.bell(0), bells.bell_after(1, 2), bells.bell(2)] {
            keeper.file(now, bell).expect("a model has threads");
        }
        keeper.close();
        bells.wait_for(1);
    });
}

#[test]
fn a_ring_that_ends_against_the_deputy() {
    check(|| {
        let (keeper, bells) = keeper();
        let armed = arm(&keeper, Duration::ZERO, bells.bell(0));
        keeper.close();
        bells.wait_for(0);
        drop(armed);
        assert_eq!(keeper.alarms(), 0);
    });
}
