//! How far a job of a lane has come: of the bulkheads between its lane and the pool's queue, which have
//! let it through.
//!
//! # Why no permit is lost
//! A permit is a job's own once [`advance`](Passage::advance) or [`jump`](Passage::jump) says so; who
//! took it for the job and is told otherwise gives it back. [`end`](Passage::end) gives all of them to
//! who calls it first, and after it neither says yes.

use crate::sync::Mutex;

/// One job's way through the bulkheads, each known by its number: the lane's own is 0.
pub(crate) struct Passage {
    bulkheads: usize,
    at: Mutex<At>,
}

enum At {
    /// It has passed so many, and waits for the next.
    Waits(usize),
    /// It has passed all. Those in the list it passed with the permit of another job, on whose thread
    /// it runs while that waits for it.
    Through { borrowed: Vec<usize>, grown: bool },
    /// It holds no permit any more.
    Over,
}

/// Where a job goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Bulkhead(usize),
    Queue,
}

/// What a job held when it ended.
pub(crate) struct Held {
    /// It had passed so many.
    pub(crate) passed: usize,
    pub(crate) borrowed: Vec<usize>,
    /// It has brought room for a worker.
    pub(crate) grown: bool,
    /// Whether it waits in the next one: its entry is still there.
    pub(crate) waits: bool,
}

impl Passage {
    pub(crate) fn new(bulkheads: usize) -> Self {
        Self { bulkheads, at: Mutex::new(Self::passed(0, bulkheads)) }
    }

    /// The bulkhead that it waits for lets it through; `None` if it does not wait any more.
    #[must_use]
    pub(crate) fn advance(&self) -> Option<Next> {
        let mut at = self.at.lock();
        let At::Waits(passed) = *at else { return None };
        *at = Self::passed(passed + 1, self.bulkheads);
        Some(self.next(passed + 1))
    }

    /// Where every job of its lane goes first.
    pub(crate) fn first(&self) -> Next {
        self.next(0)
    }

    /// The number of the bulkhead that it waits for.
    pub(crate) fn waits_for(&self) -> Option<usize> {
        match *self.at.lock() {
            At::Waits(passed) => Some(passed),
            _ => None,
        }
    }

    /// Whether it has passed this bulkhead and holds, or has borrowed, a permit of it.
    pub(crate) fn has_passed(&self, number: usize) -> bool {
        match *self.at.lock() {
            At::Waits(passed) => number < passed,
            At::Through { .. } => number < self.bulkheads,
            At::Over => false,
        }
    }

    /// All that are left let it through at once; `false` if it does not wait for this one any more.
    #[must_use]
    pub(crate) fn jump(&self, from: usize, borrowed: Vec<usize>) -> bool {
        let mut at = self.at.lock();
        let waits = matches!(*at, At::Waits(passed) if passed == from);
        if waits {
            *at = At::Through { borrowed, grown: false };
        }
        waits
    }

    /// It may run: brings room for a worker, if `grow` says so. Once.
    pub(crate) fn grow(&self, grow: impl FnOnce() -> bool) {
        if let At::Through { grown, .. } = &mut *self.at.lock() {
            *grown = *grown || grow();
        }
    }

    /// It is over: who calls this first gives back what it held.
    pub(crate) fn end(&self) -> Option<Held> {
        match std::mem::replace(&mut *self.at.lock(), At::Over) {
            At::Waits(passed) => {
                Some(Held { passed, borrowed: Vec::new(), grown: false, waits: true })
            }
            At::Through { borrowed, grown } => {
                Some(Held { passed: self.bulkheads, borrowed, grown, waits: false })
            }
            At::Over => None,
        }
    }

    fn next(&self, passed: usize) -> Next {
        if passed == self.bulkheads { Next::Queue } else { Next::Bulkhead(passed) }
    }

    fn passed(passed: usize, of: usize) -> At {
        if passed == of {
            At::Through { borrowed: Vec::new(), grown: false }
        } else {
            At::Waits(passed)
        }
    }
}

impl Default for Passage {
    fn default() -> Self {
        Self::new(0)
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_job_passes_one_bulkhead_after_the_other() {
        let way = Passage::new(2);
        assert_eq!((way.first(), way.waits_for()), (Next::Bulkhead(0), Some(0)));
        assert_eq!(way.advance(), Some(Next::Bulkhead(1)));
        assert!(way.has_passed(0) && !way.has_passed(1));
        assert_eq!(way.waits_for(), Some(1));
        assert_eq!(way.advance(), Some(Next::Queue));
        assert!(way.has_passed(1) && way.waits_for().is_none());
        assert!(way.advance().is_none() && !way.jump(1, Vec::new()), "it is through");
        let held = way.end().expect("it is the first");
        assert_eq!((held.passed, held.waits), (2, false));
        assert!(way.end().is_none() && !way.has_passed(0));
        assert_eq!(Passage::default().first(), Next::Queue);
    }

    #[test]
    fn one_that_is_over_passes_nothing() {
        let way = Passage::new(2);
        assert!(way.advance().is_some());
        let held = way.end().expect("it is the first");
        assert_eq!((held.passed, held.waits), (1, true));
        assert!(way.advance().is_none() && !way.jump(1, Vec::new()));
        assert!(way.waits_for().is_none());
    }

    #[test]
    fn a_jump_is_from_where_it_waits_and_remembers_what_it_borrowed() {
        let way = Passage::new(3);
        assert!(way.advance().is_some() && !way.jump(0, vec![]), "it has come further");
        assert!(way.jump(1, vec![2]) && way.has_passed(2) && !way.has_passed(3));
        let held = way.end().expect("it is the first");
        assert_eq!((held.passed, held.borrowed, held.waits), (3, vec![2], false));
    }
}
