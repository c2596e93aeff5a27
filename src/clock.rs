//! What time it is for a pool: the system's clock, or one that a test moves by hand.

use crate::deadline::Deadline;
use crate::moment::Moment;
use crate::sync::{self, Mutex};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// The clock of a pool.
#[derive(Clone, Default)]
pub(crate) enum Clock {
    #[default]
    System,
    Manual(Arc<Manual>),
}

/// What a clock showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) moment: Moment,
}

/// What a clock has just shown to a thread that has done nothing since that takes time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recent(Option<Now>);

/// A clock that stands still until it is moved.
pub(crate) struct Manual {
    now: Mutex<Instant>,
    /// Those who are to be told when something is due.
    keepers: Mutex<Vec<Weak<dyn Keeper>>>,
    /// Held by who moves the clock.
    moving: Mutex<()>,
}

/// Who has something to do at moments of a manual clock.
pub(crate) trait Keeper: Send + Sync {
    /// When the next is due.
    fn next(&self) -> Option<Instant>;

    /// Does the first of what is due by `now`.
    fn ring_first(&self, now: Instant);
}

impl Clock {
    pub(crate) fn now(&self) -> Instant {
        match self {
            Self::System => sync::now(),
            Self::Manual(manual) => *manual.now.lock(),
        }
    }

    pub(crate) fn look(&self) -> Now {
        let instant = self.now();
        Now { instant, moment: Moment::of(instant) }
    }

    /// The deadline a while from now.
    pub(crate) fn after(&self, time: Duration) -> Deadline {
        Deadline::at(self.now()).plus(time)
    }

    /// Whether the moment has come.
    pub(crate) fn is_past(&self, deadline: Deadline) -> bool {
        deadline.has_passed_by(self.now())
    }

    pub(crate) fn is_manual(&self) -> bool {
        matches!(self, Self::Manual(_))
    }
}

impl Recent {
    /// The clock was looked at now.
    pub(crate) fn looked(&mut self, now: Now) {
        self.0 = Some(now);
    }

    /// Something takes time: somebody is waited for, or the user's code is called.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    /// What the clock showed, if that is still true.
    pub(crate) fn known(&self) -> Option<Moment> {
        self.0.map(|now| now.moment)
    }

    /// What time it is. A clock that others move by hand is always looked at.
    pub(crate) fn now(&mut self, clock: &Clock) -> Now {
        let known = self.0.take().filter(|_| !clock.is_manual());
        known.unwrap_or_else(|| clock.look())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_manual() { "Manual" } else { "System" })
    }
}

impl Manual {
    pub(crate) fn new() -> Arc<Self> {
        let now = sync::now();
        let _ = Moment::of(now); // so that what it shows can be told, however late it is asked
        Arc::new(Self { now: Mutex::new(now), keepers: Mutex::default(), moving: Mutex::default() })
    }

    pub(crate) fn now(&self) -> Instant {
        *self.now.lock()
    }

    pub(crate) fn enlist(&self, keeper: Weak<dyn Keeper>) {
        let mut keepers = self.keepers.lock();
        keepers.retain(|keeper| keeper.strong_count() > 0);
        keepers.push(keeper);
    }

    /// Moves the clock on, to each moment at which something is due, and does that here, one after
    /// the other; a move too far to count ends at the last such moment. Who sets something and then
    /// looks at the clock misses nothing: either the move does it, or the clock shows its moment.
    pub(crate) fn advance(&self, time: Duration) {
        let _moving = self.moving.lock();
        let until = Deadline::at(self.now()).plus(time);
        loop {
            while let Some((at, keeper)) = self.first().filter(|(at, _)| Deadline::at(*at) <= until)
            {
                let now = self.now().max(at);
                *self.now.lock() = now;
                keeper.ring_first(now);
            }
            let Some(until) = until.instant().filter(|until| self.now() < *until) else { return };
            *self.now.lock() = until; // and once more, for what was set before it showed this
        }
    }

    fn first(&self) -> Option<(Instant, Arc<dyn Keeper>)> {
        let keepers = self.keepers.lock().clone();
        let keepers = keepers.iter().filter_map(Weak::upgrade);
        keepers.filter_map(|keeper| Some((keeper.next()?, keeper))).min_by_key(|(at, _)| *at)
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Has something to do at these moments, and notes when it was done.
    struct Diary(Mutex<Vec<Instant>>, Mutex<Vec<Instant>>);

    impl Keeper for Diary {
        fn next(&self) -> Option<Instant> {
            self.0.lock().first().copied()
        }

        fn ring_first(&self, now: Instant) {
            self.0.lock().remove(0);
            self.1.lock().push(now);
        }
    }

    #[test]
    fn what_is_due_on_the_way_is_done_at_its_moment_and_in_order() {
        let clock = Manual::new();
        let start = clock.now();
        let at = |seconds| start + SECOND * seconds;
        let diaries = [vec![at(1), at(4)], vec![at(2), at(3), at(9)]]
            .map(|due| Arc::new(Diary(Mutex::new(due), Mutex::default())));
        for diary in &diaries {
            let weak: Weak<Diary> = Arc::downgrade(diary);
            clock.enlist(weak);
        }
        clock.advance(SECOND * 3);
        assert_eq!(*diaries[0].1.lock(), [at(1)]);
        assert_eq!(*diaries[1].1.lock(), [at(2), at(3)]);
        assert_eq!((clock.now(), diaries[1].next()), (at(3), Some(at(9))));
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), at(9), "the last moment that there was");
        assert_eq!(*diaries[0].1.lock(), [at(1), at(4)]);
    }

    /// Is given something to do after it was first asked for that.
    struct Late(Mutex<(u32, Instant)>, Mutex<Vec<Instant>>);

    impl Keeper for Late {
        fn next(&self) -> Option<Instant> {
            let mut asked = self.0.lock();
            asked.0 += 1;
            (asked.0 > 1 && self.1.lock().is_empty()).then_some(asked.1)
        }

        fn ring_first(&self, now: Instant) {
            self.1.lock().push(now);
        }
    }

    #[test]
    fn what_is_set_while_the_clock_is_moved_past_it_is_done() {
        let clock = Manual::new();
        let start = clock.now();
        let late = Arc::new(Late(Mutex::new((0, start + SECOND)), Mutex::default()));
        let weak: Weak<Late> = Arc::downgrade(&late);
        clock.enlist(weak);
        clock.advance(SECOND * 2);
        assert_eq!(*late.1.lock(), [start + SECOND * 2], "at the moment it was found");
        assert_eq!(clock.now(), start + SECOND * 2);
    }

    #[test]
    fn a_look_at_the_systems_clock_counts_once_and_until_it_is_forgotten() {
        let manual = Clock::Manual(Manual::new());
        let past = sync::now().checked_sub(SECOND).expect("the machine is on for longer");
        let past = Now { instant: past, moment: Moment::of(past) };
        let mut recent = Recent::default();
        assert!(recent.now(&Clock::System) > past);
        recent.looked(past);
        assert_eq!(recent.now(&Clock::System), past);
        assert!(recent.now(&Clock::System) > past, "once");
        recent.looked(past);
        recent.forget();
        assert!(recent.now(&Clock::System) > past, "forgotten");
        recent.looked(past);
        assert_eq!(recent.now(&manual), manual.look(), "somebody may have moved it");
    }

    #[test]
    fn who_is_gone_is_off_the_list() {
        let clock = Manual::new();
        let diary = || Arc::new(Diary(Mutex::default(), Mutex::default()));
        let (kept, gone) = (diary(), diary());
        for diary in [&kept, &gone] {
            let weak: Weak<Diary> = Arc::downgrade(diary);
            clock.enlist(weak);
        }
        drop(gone);
        let weak: Weak<Diary> = Arc::downgrade(&kept);
        clock.enlist(weak);
        assert_eq!(clock.keepers.lock().len(), 2);
    }

    #[test]
    fn a_manual_clock_stands_still_and_the_systems_goes_on() {
        let manual = Manual::new();
        let clock = Clock::Manual(Arc::clone(&manual));
        assert!(clock.is_manual() && !Clock::System.is_manual());
        let soon = clock.after(SECOND);
        assert_eq!(soon, Deadline::at(clock.now() + SECOND));
        assert!(!clock.is_past(soon));
        manual.advance(SECOND);
        assert!(clock.is_past(soon));
        let before = Instant::now();
        assert!(Clock::System.now() >= before && !Clock::System.is_past(Deadline::NEVER));
        assert!(Clock::System.is_past(Deadline::at(before)));
    }
}
