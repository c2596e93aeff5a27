//! The laws as a state machine: what a pool does, one step after the other.
//!
//! Written from the laws, not from the code; the numbers are those of the crate's documentation.

use crate::program::{Act, Asked, By, Outcome, Said, Step, Time};
use crate::state::{End, Job, Pool, Report, Stage};
use punctual::{Cause, Phase, Rejection};

/// Every so many looks for a job, a worker looks at a lower class first.
const TURN: usize = 8;

impl Pool {
    pub(crate) fn step(&mut self, step: &Step) -> Said {
        match *step {
            Step::Submit(by, ref asked) => self.submit(by, asked),
            Step::Act(job, act) => return self.act(job, act),
            Step::Cancel(job) => return Said::Hit(self.cancel(job)),
            Step::CancelToken(token) => {
                self.tokens[token] = true;
                let its = self.all(|job| job.asked.token == Some(token));
                its.into_iter().for_each(|job| self.stop(job, Cause::Token));
            }
            Step::CancelOwnToken(job) => self.stop(job, Cause::Token),
            Step::Advance(time) => self.advance(time),
            Step::Take(job) => return Said::Gave(self.take(job)),
            Step::DropHandle(job) => self.lose_handle(job),
            Step::CancelByDrop(job) => {
                self.stop(job, Cause::Dropped);
                self.lose_handle(job);
            }
            Step::Reserve => {
                let reserved = self.admit();
                self.permits += usize::from(reserved.is_ok());
                return Said::Reserved(reserved);
            }
            Step::Await => self.waiting += 1,
            Step::GiveUp(_) => self.waiting -= 1,
            Step::DropPermit => self.permits -= 1,
            Step::Drain(within) => self.close(within),
            Step::Shutdown(within) => {
                self.close(within);
                self.stop_all();
            }
            Step::DropPool => self.held = false, // law 10: what was accepted is run
        }
        Said::Nothing
    }

    /// What follows by itself: free workers start jobs, those who wait for a place get one.
    pub(crate) fn settle(&mut self, mut start: impl FnMut(&[usize]) -> usize) {
        while let may @ [_, ..] = &*self.may_start() {
            let next = start(may);
            self.start(next);
        }
        while self.waiting > 0 && self.admit() != Err(Rejection::QueueFull) {
            self.waiting -= 1;
            self.permits += usize::from(self.admit().is_ok());
        }
        self.look_for_the_end();
    }

    /// Law 11: as many jobs wait, or have a place reserved, as the limit allows, and no more.
    fn admit(&self) -> Result<(), Rejection> {
        let taken = self.at(Stage::Queued).len() + self.permits;
        match self.settings.limit {
            _ if self.closed => Err(Rejection::ShutDown),
            Some(limit) if taken >= limit => Err(Rejection::QueueFull),
            _ => Ok(()),
        }
    }

    /// Law 15: a child has no more time than its parent. Law 16: it may be over already.
    fn submit(&mut self, by: By, asked: &Asked) {
        self.permits -= usize::from(by == By::Permit); // the place is the job's now
        let admitted = self.admit();
        let mut job = Job::new(by, asked, self.now);
        let parent = job.parent().map(|parent| &self.jobs[parent]);
        let after = |time| self.now + time;
        let own = earliest(asked.timeout.map(after), asked.deadline.map(after));
        let own = own.or_else(|| self.settings.timeout.map(after));
        job.deadline = earliest(own, parent.and_then(run_limit));
        job.grace = asked.grace.or(self.settings.grace);
        let cause = match parent.and_then(|parent| parent.stop) {
            _ if next_event(&job).is_some_and(|at| at <= self.now) => Some(Cause::Deadline),
            _ if asked.token.is_some_and(|token| self.tokens[token]) => Some(Cause::Token),
            stop => stop.map(inherited),
        };
        let own = self.jobs.len();
        self.jobs.push(job);
        self.looks = if self.free() > 0 { None } else { self.looks };
        match (admitted, cause) {
            (Err(why), _) => self.end(own, Outcome::Refused(why)),
            (Ok(()), Some(cause)) => self.stop(own, cause),
            (Ok(()), None) => {}
        }
    }

    /// Which jobs may be the next to start. A class comes before those below it, but for their
    /// turns; within a class, one worker takes what comes from outside in its order, and so what its
    /// own bodies submit. One of several may hold jobs older than those that another starts.
    fn may_start(&self) -> Vec<usize> {
        let waiting = self.at(Stage::Queued);
        if self.free() == 0 || self.settings.workers > 1 {
            return if self.free() == 0 { Vec::new() } else { waiting };
        }
        let first = |n: &usize| !waiting.iter().any(|m| m < n && self.place(*m) == self.place(*n));
        let is_turn = self.looks.is_none_or(|looks| looks + 1 >= TURN);
        let in_order = |n: &usize| is_turn || self.place(*n).0 == self.best_class();
        waiting.iter().copied().filter(first).filter(in_order).collect()
    }

    fn start(&mut self, own: usize) {
        let in_order = self.place(own).0 == self.best_class();
        self.looks = if in_order { self.looks.map(|looks| looks + 1) } else { Some(self.dead()) };
        self.jobs[own].stage = Stage::Running;
        self.jobs[own].started = Some(self.now);
        if run_limit(&self.jobs[own]).is_some_and(|limit| limit <= self.now) {
            self.stop(own, Cause::Deadline); // it may run for no time at all
        }
    }

    /// Law 8: it says whether it hit a queued job, a running one, or nothing.
    fn cancel(&mut self, own: usize) -> Option<Phase> {
        let hit = Some(self.jobs[own].phase()).filter(|_| self.jobs[own].outcome.is_none());
        self.stop(own, Cause::Caller);
        hit
    }

    /// Law 5: time passes, and stops at each moment at which something happens.
    fn advance(&mut self, time: Time) {
        let until = self.now + time;
        loop {
            let next = (0..self.jobs.len()).filter_map(|n| Some((next_event(&self.jobs[n])?, n)));
            let Some((at, own)) = next.min().filter(|(at, _)| *at <= until) else { break };
            self.now = self.now.max(at);
            match self.jobs[own].stop {
                Some(_) => self.give_up(own),
                None => self.stop(own, Cause::Deadline),
            }
        }
        self.now = until;
    }

    fn take(&mut self, own: usize) -> Option<Outcome> {
        self.jobs[own].held &= self.jobs[own].outcome.is_none();
        self.jobs[own].outcome
    }

    /// Law 17: the panic that it would have shown is told to the pool.
    fn lose_handle(&mut self, own: usize) {
        let lost = self.jobs[own].held && self.jobs[own].outcome == Some(Outcome::Panicked);
        self.unseen += usize::from(lost);
        self.jobs[own].held = false;
    }

    fn close(&mut self, within: Option<Time>) {
        self.closed = true;
        self.ends.push(End { limit: within.map(|time| self.now + time), report: None });
    }

    /// The cause is the shutdown for all of them, also for those whose parent it stops.
    fn stop_all(&mut self) {
        let mut asked = self.all(|job| job.stage != Stage::Over);
        asked.retain(|own| self.request(*own, Cause::Shutdown));
        asked.into_iter().for_each(|own| self.tell(own));
    }

    /// Law 10: the report names what never started and what still runs, and counts the rest.
    fn look_for_the_end(&mut self) {
        for end in 0..self.ends.len() {
            let is_over = self.jobs.iter().all(|job| job.stage == Stage::Over);
            let is_late = self.ends[end].limit.is_some_and(|limit| limit <= self.now);
            if self.ends[end].report.is_some() || !is_over && !is_late {
                continue;
            }
            self.stop_all();
            self.at(Stage::Running).into_iter().for_each(|own| self.give_up(own));
            let is_accepted = |job: &Job| !matches!(job.outcome, Some(Outcome::Refused(_)));
            let is_cut =
                |job: &Job| matches!(job.outcome, Some(Outcome::Never(Cause::Shutdown, _)));
            let (never_started, still_running) = (self.all(is_cut), self.at(Stage::Running));
            let finished = self.all(is_accepted).len() - never_started.len() - still_running.len();
            self.ends[end].report = Some(Report { finished, never_started, still_running });
        }
    }

    /// Law 4: what a body returns is the last word. Law 7: told is told.
    fn act(&mut self, own: usize, act: Act) -> Said {
        let (stop, (queued_for, ran_for)) = (self.jobs[own].stop, self.jobs[own].times(self.now));
        let cut = |kept| move |cause| Outcome::Cut { cause, kept, queued_for, ran_for };
        let outcome = match act {
            Act::Return => Some(Outcome::Returned),
            Act::Fail => Some(stop.map_or(Outcome::Failed, cut(true))),
            Act::Panic => Some(Outcome::Panicked),
            Act::Checkpoint => stop.map(cut(false)),
            Act::Check | Act::Token => None,
            Act::Listen { panics } => {
                self.jobs[own].listening.push(panics);
                self.tell(own);
                None
            }
            Act::Unlisten => self.jobs[own].listening.pop().and(None),
        };
        let Some(outcome) = outcome else { return Said::Checked(stop) };
        self.jobs[own].returned = outcome == Outcome::Returned;
        self.end(own, outcome);
        Said::Ended
    }

    fn stop(&mut self, own: usize, cause: Cause) {
        if self.request(own, cause) {
            self.tell(own);
        }
    }

    /// Law 6: a queued job ends at once. Law 8: the first cause wins. Law 5: one that runs has
    /// until its last word. `true` if it was asked just now.
    fn request(&mut self, own: usize, cause: Cause) -> bool {
        let job = &mut self.jobs[own];
        if job.outcome.is_some() || job.stop.is_some() {
            return false;
        }
        if job.stage == Stage::Queued {
            let queued_for = self.now - job.submitted;
            self.looks = self.looks.map(|looks| looks + 1); // at what is left of it
            self.end(own, Outcome::Never(cause, queued_for));
            return false;
        }
        job.stop = Some(cause);
        job.last_word = match cause {
            Cause::Deadline => run_limit(job).map(|limit| limit + job.grace.unwrap_or(0)),
            _ => earliest(run_limit(job), job.grace.map(|grace| self.now + grace)),
        };
        if job.last_word.is_some_and(|at| at <= self.now) {
            self.give_up(own);
        }
        true
    }

    /// Law 7: each function is told once. Law 15: children are stopped with their parent.
    fn tell(&mut self, own: usize) {
        let Some(cause) = self.jobs[own].stop else { return };
        let listening = std::mem::take(&mut self.jobs[own].listening);
        self.jobs[own].told += listening.len();
        self.unseen += listening.into_iter().filter(|panics| *panics).count(); // law 17
        for child in self.all(|job| job.parent() == Some(own)) {
            self.stop(child, inherited(cause));
        }
    }

    /// Law 5: the handle resolves without the body.
    fn give_up(&mut self, own: usize) {
        let (queued_for, ran_for) = self.jobs[own].times(self.now);
        if let Some(cause) = self.jobs[own].stop {
            self.decide(own, Outcome::Cut { cause, kept: false, queued_for, ran_for });
        }
    }

    /// The body has returned, or will never be called.
    fn end(&mut self, own: usize, outcome: Outcome) {
        self.jobs[own].stage = Stage::Over;
        self.jobs[own].listening.clear();
        self.decide(own, outcome);
    }

    /// Law 1: once. Law 17: a panic that no handle shows is told to the pool.
    fn decide(&mut self, own: usize, outcome: Outcome) {
        let job = &mut self.jobs[own];
        let is_seen = job.outcome.is_none() && job.held;
        self.unseen += usize::from(outcome == Outcome::Panicked && !is_seen);
        job.outcome.get_or_insert(outcome);
        job.decided.get_or_insert(self.now);
    }
}

/// Law 5: when a body that runs is to end.
pub(crate) fn run_limit(job: &Job) -> Option<Time> {
    earliest(job.deadline, job.started.zip(job.asked.run).map(|(started, run)| started + run))
}

/// When something happens to a job by itself.
fn next_event(job: &Job) -> Option<Time> {
    let start_by = job.asked.queue.map(|time| job.submitted + time);
    match (job.stage, job.outcome, job.stop) {
        (Stage::Queued, ..) => earliest(job.deadline, start_by),
        (Stage::Running, None, None) => run_limit(job),
        (Stage::Running, None, Some(_)) => job.last_word,
        _ => None,
    }
}

/// A parent that is out of time leaves its child none either.
fn inherited(cause: Cause) -> Cause {
    match cause {
        Cause::Deadline => Cause::Deadline,
        _ => Cause::Parent,
    }
}

fn earliest(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    a.into_iter().chain(b).min()
}
