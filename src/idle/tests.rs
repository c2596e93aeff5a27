//! Every step of the idle protocol, from every state that a small crew can reach, against a plain
//! record of the same counts.

use super::*;
use std::collections::HashMap;

/// A worker's name.
type Name = u8;

/// What the word and the stack stand for, spelt out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Record {
    queued: u64,
    searching: usize,
    total: usize,
    retired: bool,
    /// The warmest last.
    parked: Vec<Name>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Announce,
    Took { searching: bool },
    Wake,
    Starting,
    NotStarted,
    LeaveAlone,
    Pause,
    Search,
    Rest { searching: bool },
    TimedOut(Name),
    Retire,
}

/// What a step answers.
#[derive(Debug, PartialEq)]
enum Answer {
    Nothing,
    Is(bool),
    Wake(Wake<Name>),
    NotStarted(NotStarted<Name>),
    Rest(Rest),
    Woken(Vec<Name>),
}

const MOST_QUEUED: u64 = 3;

const STEPS: [Step; 15] = [
    Step::Announce,
    Step::Took { searching: false },
    Step::Took { searching: true },
    Step::Wake,
    Step::Starting,
    Step::NotStarted,
    Step::LeaveAlone,
    Step::Pause,
    Step::Search,
    Step::Rest { searching: false },
    Step::Rest { searching: true },
    Step::TimedOut(0),
    Step::TimedOut(1),
    Step::TimedOut(2),
    Step::Retire,
];

/// The crew's bounds, and the steps as they are described.
struct Rules {
    min: usize,
    max: usize,
}

impl Record {
    fn busy(&self) -> usize {
        self.total - self.searching - self.parked.len()
    }

    /// A worker that is not parked.
    fn somebody(&self) -> Name {
        (0..).find(|name| !self.parked.contains(name)).expect("there are more names than workers")
    }

    /// The warmest worker leaves the stack, and counts as searching from there on.
    fn unpark(&mut self) -> Option<Name> {
        let name = self.parked.pop()?;
        self.searching += 1;
        Some(name)
    }

    fn nobody_comes(&self) -> bool {
        self.queued > 0 && self.searching == 0
    }
}

impl Rules {
    fn idle(&self, word: u64, parked: &[Name]) -> Idle<Name> {
        let parked = Mutex::new(parked.to_vec());
        let (word, waiting) = (AtomicU64::new(word), 0.into());
        Idle { word, parked, min: self.min, max: self.max.into(), waiting }
    }

    /// Whether the protocol comes to this step in this state.
    fn allow(&self, record: &Record, step: Step) -> bool {
        match step {
            Step::Announce => record.queued < MOST_QUEUED,
            Step::Took { searching } => {
                record.queued > 0 && record.total > 0 && (!searching || record.searching > 0)
            }
            Step::Wake | Step::Retire | Step::TimedOut(_) => true,
            Step::Starting => record.total < self.max,
            Step::NotStarted | Step::Pause => record.searching > 0,
            Step::LeaveAlone => record.searching > 0 && record.total == 1,
            Step::Search | Step::Rest { searching: false } => record.busy() > 0,
            Step::Rest { searching: true } => record.searching > 0,
        }
    }

    fn take(&self, record: &mut Record, step: Step) -> Answer {
        match step {
            Step::Announce => {
                record.queued += 1;
                Answer::Is(record.nobody_comes() && self.has_somebody(record))
            }
            Step::Took { searching } => {
                record.queued -= 1;
                record.searching -= usize::from(searching);
                Answer::Is(searching && record.nobody_comes() && self.has_somebody(record))
            }
            Step::Wake => Answer::Wake(self.wake(record)),
            Step::Starting => {
                record.total += 1;
                record.searching += 1;
                Answer::Nothing
            }
            Step::NotStarted => Answer::NotStarted(self.not_started(record)),
            Step::LeaveAlone => Answer::Is(self.leave_alone(record)),
            Step::Pause => {
                record.searching -= 1;
                Answer::Is(record.nobody_comes() && !record.parked.is_empty())
            }
            Step::Search => {
                let searches = record.searching == 0 && !record.retired;
                record.searching += usize::from(searches);
                Answer::Is(searches)
            }
            Step::Rest { searching } => Answer::Rest(self.rest(record, searching)),
            Step::TimedOut(name) => Answer::Rest(self.timed_out(record, name)),
            Step::Retire => {
                record.retired = true;
                record.searching += record.parked.len();
                Answer::Woken(std::mem::take(&mut record.parked))
            }
        }
    }

    /// Somebody could be woken or started.
    fn has_somebody(&self, record: &Record) -> bool {
        !record.parked.is_empty() || record.total < self.max
    }

    fn wake(&self, record: &mut Record) -> Wake<Name> {
        if !record.nobody_comes() || !self.has_somebody(record) {
            return Wake::Nobody;
        }
        record.unpark().map_or_else(
            || {
                record.total += 1;
                record.searching += 1;
                Wake::New
            },
            Wake::Parked,
        )
    }

    fn not_started(&self, record: &mut Record) -> NotStarted<Name> {
        if record.total == 1 {
            return NotStarted::Alone;
        }
        record.total -= 1;
        record.searching -= 1;
        let woken = if record.nobody_comes() { record.unpark() } else { None };
        woken.map_or(NotStarted::Uncounted, NotStarted::Unpark)
    }

    fn leave_alone(&self, record: &mut Record) -> bool {
        let leaves = record.queued == 0;
        record.total -= usize::from(leaves);
        record.searching -= usize::from(leaves);
        leaves
    }

    fn rest(&self, record: &mut Record, searching: bool) -> Rest {
        let me = record.somebody();
        record.searching -= usize::from(searching);
        if record.queued > 0 {
            record.searching += 1;
            Rest::Search
        } else if record.retired {
            record.total -= 1;
            Rest::Leave
        } else {
            record.parked.push(me);
            Rest::Park
        }
    }

    fn timed_out(&self, record: &mut Record, name: Name) -> Rest {
        let Some(at) = record.parked.iter().position(|parked| *parked == name) else {
            return Rest::Stay; // somebody is about to wake it
        };
        if record.queued > 0 {
            record.parked.remove(at);
            record.searching += 1;
            Rest::Search
        } else if record.total > self.min {
            record.parked.remove(at);
            record.total -= 1;
            Rest::Leave
        } else {
            Rest::Stay
        }
    }
}

impl Step {
    fn take(self, idle: &Idle<Name>, me: Name) -> Answer {
        match self {
            Self::Announce => Answer::Is(idle.announce()),
            Self::Took { searching } => Answer::Is(idle.took(searching)),
            Self::Wake => Answer::Wake(idle.wake()),
            Self::Starting => {
                idle.starting();
                Answer::Nothing
            }
            Self::NotStarted => Answer::NotStarted(idle.not_started()),
            Self::LeaveAlone => Answer::Is(idle.leave_alone()),
            Self::Pause => Answer::Is(idle.pause()),
            Self::Search => Answer::Is(idle.search()),
            Self::Rest { searching } => Answer::Rest(idle.rest(&me, searching)),
            Self::TimedOut(name) => Answer::Rest(idle.timed_out(&name)),
            Self::Retire => Answer::Woken(idle.retire()),
        }
    }
}

/// All that can be asked of the counts agrees with the record.
fn check(idle: &Idle<Name>, record: &Record, how: &str) {
    let counts = idle.counts();
    let seen = Record {
        queued: counts.queued(),
        searching: counts.searching(),
        total: idle.total(),
        retired: counts.retired(),
        parked: idle.parked.lock().clone(),
    };
    assert_eq!(seen, *record, "{how}");
    assert_eq!(counts.idle(), record.parked.len(), "{how}");
}

/// Takes every step from every state that can be reached; says how many states there are.
fn explore(rules: &Rules) -> usize {
    let mut known = HashMap::from([(Record::default(), 0)]);
    let mut todo = vec![Record::default()];
    while let Some(before) = todo.pop() {
        let word = known[&before];
        for step in STEPS.into_iter().filter(|step| rules.allow(&before, *step)) {
            let mut record = before.clone();
            let idle = rules.idle(word, &before.parked);
            let expected = rules.take(&mut record, step);
            let how = format!("{step:?} of {before:?}");
            assert_eq!(step.take(&idle, before.somebody()), expected, "{how}");
            check(&idle, &record, &how);
            let after = idle.counts().0;
            let met = known.entry(record.clone()).or_insert_with(|| {
                todo.push(record);
                after
            });
            assert_eq!(*met, after, "two words for one state: {how}");
        }
    }
    known.len()
}

#[test]
fn every_step_from_every_state_does_as_the_record_says() {
    for (min, max) in [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (2, 3)] {
        let states = explore(&Rules { min, max });
        assert!(states > 10 * max, "only {states} states with {min} to {max} workers");
    }
}

#[test]
fn who_waits_is_not_counted_on_where_no_other_is_to_be_had() {
    let idle = Idle::<Name>::new(0, 2);
    idle.starting();
    assert!(!idle.announce() && !idle.took(true), "it is at a job");
    idle.waits();
    assert!(idle.announce());
    assert_eq!(idle.wake(), Wake::New);
    assert_eq!(idle.not_started(), NotStarted::Alone);
    idle.goes_on();
    assert_eq!(idle.not_started(), NotStarted::Uncounted);
}

#[test]
fn entries_are_waited_for_where_nobody_searches() {
    let idle = Idle::<Name>::new(0, 2);
    assert!(!idle.is_waited_for(), "there are none");
    idle.starting();
    assert!(!idle.announce() && !idle.announce());
    assert!(!idle.is_waited_for(), "somebody searches");
    assert!(idle.took(true), "another is to be woken, who does not come");
    assert!(idle.is_waited_for());
}

#[test]
fn who_is_one_too_many_leaves_and_nobody_else() {
    let idle = Idle::<Name>::new(0, 1);
    assert!(idle.grow());
    for _ in 0..2 {
        idle.starting();
    }
    assert!(!idle.leaves(), "there may be two");
    idle.shrink();
    assert!(idle.leaves());
    assert_eq!(idle.counts().total(), 1);
    assert!(!idle.leaves(), "there may be one");
}

#[test]
fn a_new_crew_has_nobody_and_nothing() {
    check(&Idle::new(1, 2), &Record::default(), "new");
}

#[test]
fn the_most_workers_and_the_most_entries_fit_into_the_word() {
    let idle = Idle::new(0, MAX_THREADS);
    for _ in 0..MAX_THREADS {
        idle.starting();
    }
    let full = |counts: Counts| (counts.searching(), counts.idle(), counts.total());
    assert_eq!(full(idle.counts()), (MAX_THREADS, 0, MAX_THREADS));
    for _ in 0..MAX_THREADS {
        assert_eq!(idle.rest(&0, true), Rest::Park);
    }
    assert_eq!(full(idle.counts()), (0, MAX_THREADS, MAX_THREADS));
    assert_eq!((idle.counts().queued(), idle.counts().retired()), (0, false));
    assert_eq!(idle.retire().len(), MAX_THREADS);
    assert!(!idle.announce(), "all of them search");
    assert_eq!(full(idle.counts()), (MAX_THREADS, 0, MAX_THREADS));
    assert_eq!((idle.counts().queued(), idle.counts().retired()), (1, true));
}

#[test]
fn the_word_counts_4095_workers_and_134_million_entries() {
    assert_eq!(MAX_THREADS, 4095);
    assert_eq!(Counts(u64::MAX).queued(), (1 << 27) - 1);
    assert_eq!(MAX_QUEUED, (1 << 27) - 1 - (1 << 16), "with room for those that overshoot");
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "min <= max")]
fn a_crew_of_more_than_it_may_have_is_a_bug() {
    let _ = Idle::<Name>::new(2, 1);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "max <= MAX_THREADS")]
fn a_crew_of_more_than_the_word_counts_is_a_bug() {
    let _ = Idle::<Name>::new(0, MAX_THREADS + 1);
}
