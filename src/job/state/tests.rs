//! Every step of a job's state, from every state that can be reached, against a plain record.

use super::*;
use std::collections::HashMap;

/// What a job's word stands for, spelt out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Record {
    started: bool,
    cause: Option<Cause>,
    decided: Option<By>,
    ready: bool,
    ended: bool,
    taken: bool,
    detached: bool,
    waker: bool,
    end_wakers: bool,
    listening: bool,
    rang: bool,
}

/// Who decided the outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Body,
    GivingUp,
    Claim(Early),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Start,
    Claim(Early),
    Stop(Cause),
    GiveUp,
    Finish,
    Publish { ended: bool },
    End,
    Watch,
    WatchEnd,
    Listen,
    Ring,
    Take,
    Detach,
}

/// What a step answers.
#[derive(Debug, PartialEq)]
enum Answer {
    Is(bool),
    Stop(Requested),
    Finish(Finished),
    Publish(Published),
    Cause(Option<Cause>),
}

impl Record {
    /// Whether a job in this state may come to this step.
    fn allows(&self, step: Step) -> bool {
        match step {
            Step::Finish => self.started,
            Step::Publish { .. } => self.decided.is_some(),
            Step::End => self.started && self.decided.is_some(),
            _ => true,
        }
    }

    fn is_waiting(&self) -> bool {
        !self.started && self.decided.is_none()
    }

    fn take(&mut self, step: Step) -> Answer {
        let before = *self;
        match step {
            Step::Start => {
                self.started |= before.is_waiting();
                Answer::Is(before.is_waiting())
            }
            Step::Claim(end) => Answer::Is(self.claim(end)),
            Step::Stop(cause) => Answer::Stop(self.stop(cause)),
            Step::GiveUp => Answer::Is(self.give_up()),
            Step::Finish => Answer::Finish(self.finish()),
            Step::Publish { ended } => Answer::Publish(self.publish(ended)),
            Step::End => {
                self.ended = true;
                Answer::Is(before.end_wakers)
            }
            Step::Watch => {
                self.waker = true;
                Answer::Is(before.ready)
            }
            Step::WatchEnd => {
                self.end_wakers = true;
                Answer::Is(before.ended)
            }
            Step::Listen => {
                self.listening = true;
                Answer::Cause(before.cause)
            }
            Step::Ring => Answer::Is(self.ring()),
            Step::Take => {
                self.taken |= before.ready;
                Answer::Is(before.ready && !before.taken)
            }
            Step::Detach => {
                self.detached |= !before.taken; // later it is of no account
                Answer::Is(before.ready && !before.taken)
            }
        }
    }

    fn ring(&mut self) -> bool {
        self.rang |= self.is_waiting();
        self.is_waiting()
    }

    fn claim(&mut self, end: Early) -> bool {
        let won = self.is_waiting();
        if won {
            self.decided = Some(By::Claim(end));
            if let Early::Stopped(cause) = end {
                self.cause = Some(cause);
            }
        }
        won
    }

    fn stop(&mut self, cause: Cause) -> Requested {
        if self.claim(Early::Stopped(cause)) {
            return Requested::Claimed;
        }
        match (self.decided, self.cause) {
            (Some(_), _) => Requested::Decided,
            (None, Some(_)) => Requested::Again,
            (None, None) => {
                self.cause = Some(cause);
                Requested::First { listening: self.listening }
            }
        }
    }

    fn give_up(&mut self) -> bool {
        let won = self.started && self.cause.is_some() && self.decided.is_none();
        if won {
            self.decided = Some(By::GivingUp);
        }
        won
    }

    fn finish(&mut self) -> Finished {
        if self.decided.is_some() {
            return Finished::Late;
        }
        self.decided = Some(By::Body);
        Finished::Decides(self.cause)
    }

    fn publish(&mut self, ended: bool) -> Published {
        self.ready = true;
        self.ended |= ended;
        let Self { detached, waker, end_wakers, .. } = *self;
        Published { detached, waker, end_wakers: ended && end_wakers }
    }

    fn early_end(&self) -> Option<Early> {
        match self.decided? {
            By::Body => None,
            By::GivingUp => self.cause.map(Early::Stopped),
            By::Claim(end) => Some(end),
        }
    }

    /// All that can be asked of a state agrees with this record.
    fn check(&self, state: &State) {
        let phase = if self.started { Phase::Running } else { Phase::Queued };
        assert_eq!(state.phase(), phase, "{self:?}");
        assert_eq!(state.cause(), self.cause, "{self:?}");
        assert_eq!(state.early_end(), self.early_end(), "{self:?}");
        assert_eq!(state.is_running(), self.started, "{self:?}");
        assert_eq!(state.is_given_up(), self.decided == Some(By::GivingUp), "{self:?}");
        assert_eq!(state.is_decided(), self.decided.is_some(), "{self:?}");
        assert_eq!(state.is_ready(), self.ready, "{self:?}");
        assert_eq!(state.has_ended(), self.ended, "{self:?}");
        assert_eq!(state.rang(), self.rang, "{self:?}");
    }
}

impl Step {
    fn all() -> Vec<Self> {
        let mut all = vec![Self::Start, Self::GiveUp, Self::Finish, Self::End, Self::Watch];
        all.extend([Self::WatchEnd, Self::Listen, Self::Ring, Self::Take, Self::Detach]);
        all.extend([true, false].map(|ended| Self::Publish { ended }));
        all.extend(CAUSES.map(Self::Stop));
        all.extend(CAUSES.map(|cause| Self::Claim(Early::Stopped(cause))));
        all.extend(REJECTIONS.map(|why| Self::Claim(Early::Refused(why))));
        all
    }

    fn take(self, state: &State) -> Answer {
        match self {
            Self::Start => Answer::Is(state.start()),
            Self::Claim(end) => Answer::Is(state.claim(end)),
            Self::Stop(cause) => Answer::Stop(state.request_stop(cause)),
            Self::GiveUp => Answer::Is(state.give_up()),
            Self::Finish => Answer::Finish(state.finish()),
            Self::Publish { ended } => Answer::Publish(state.publish(ended)),
            Self::End => Answer::Is(state.end()),
            Self::Watch => Answer::Is(state.watch()),
            Self::WatchEnd => Answer::Is(state.watch_end()),
            Self::Listen => Answer::Cause(state.listen()),
            Self::Ring => Answer::Is(state.ring()),
            Self::Take => Answer::Is(state.take()),
            Self::Detach => Answer::Is(state.detach()),
        }
    }
}

#[test]
fn every_step_from_every_state_does_as_the_record_says() {
    let mut known = HashMap::from([(0, Record::default())]);
    let mut todo = vec![0];
    let steps = Step::all();
    while let Some(word) = todo.pop() {
        let before = known[&word];
        before.check(&State(AtomicU32::new(word)));
        for step in steps.iter().copied().filter(|step| before.allows(*step)) {
            let (mut record, state) = (before, State(AtomicU32::new(word)));
            assert_eq!(step.take(&state), record.take(step), "{step:?} of {before:?}");
            let after = state.load();
            assert_eq!(after & word, word, "{step:?} cleared a bit of {before:?}");
            let met = known.entry(after).or_insert_with(|| {
                todo.push(after);
                record
            });
            assert_eq!(*met, record, "two states have one word, after {step:?} of {before:?}");
        }
    }
    assert!(known.len() > 2000, "only {} states", known.len());
}

#[test]
fn of_two_who_tell_of_a_job_the_later_one_is_told_so() {
    for worker_is_first in [true, false] {
        let state = State::new();
        let [worker, other] = if worker_is_first {
            [state.told_start(), state.may_tell_overdue()]
        } else {
            let other = state.may_tell_overdue();
            [state.told_start(), other]
        };
        assert_eq!([worker, other], [!worker_is_first, worker_is_first], "of its start");
        let [worker, other] = if worker_is_first {
            [state.may_tell_late(), state.told_overdue()]
        } else {
            let other = state.told_overdue();
            [state.may_tell_late(), other]
        };
        assert_eq!([worker, other], [!worker_is_first, worker_is_first], "of its end");
    }
}

#[test]
fn a_new_job_is_queued_and_nothing_else() {
    Record::default().check(&State::new());
}
