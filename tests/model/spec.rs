//! The laws as a state machine: what a pool of one worker does, one step after the other.
//!
//! Written from the laws, not from the code. Times are milliseconds since the beginning.

/// What a caller can ask of a job. Times count from its submission, `run` from its start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) timeout: Option<u64>,
    pub(crate) queue: Option<u64>,
    pub(crate) run: Option<u64>,
    pub(crate) grace: Option<u64>,
    /// Which of the tokens it is given.
    pub(crate) token: Option<usize>,
    /// As whose child it is submitted: of one that has started.
    pub(crate) parent: Option<usize>,
}

/// What a body does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Return,
    Fail,
    Panic,
    Checkpoint,
    Check,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Caller,
    Token,
    Deadline,
    Shutdown,
    Parent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Failed,
    Panicked,
    /// Stopped in the queue.
    Never(Cause),
    /// Stopped while it ran; whether the body's own error is kept.
    Cut(Cause, bool),
    Full,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Queued,
    Running,
    Over,
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) phase: Phase,
    pub(crate) stop: Option<Cause>,
    pub(crate) outcome: Option<Outcome>,
    deadline: Option<u64>,
    start_by: Option<u64>,
    run: Option<u64>,
    started: Option<u64>,
    grace: Option<u64>,
    last_word: Option<u64>,
    token: Option<usize>,
    parent: Option<usize>,
}

impl Job {
    /// When a body that runs must have ended.
    fn run_limit(&self) -> Option<u64> {
        let run = self.started.zip(self.run).map(|(started, run)| started + run);
        earliest(self.deadline, run)
    }

    /// When something happens to it by itself.
    fn next_event(&self) -> Option<u64> {
        match (self.phase, self.outcome, self.stop) {
            (Phase::Queued, ..) => earliest(self.deadline, self.start_by),
            (Phase::Running, None, None) => self.run_limit(),
            (Phase::Running, None, Some(_)) => self.last_word,
            _ => None,
        }
    }

    pub(crate) fn has_started(&self) -> bool {
        self.started.is_some()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) jobs: Vec<Job>,
    pub(crate) cancelled_tokens: Vec<bool>,
    pub(crate) closed: bool,
    limit: usize,
    now: u64,
}

impl Pool {
    pub(crate) fn new(limit: usize, tokens: usize) -> Self {
        let cancelled_tokens = vec![false; tokens];
        Self { jobs: Vec::new(), cancelled_tokens, closed: false, limit, now: 0 }
    }

    pub(crate) fn queued(&self) -> usize {
        self.jobs.iter().filter(|job| job.phase == Phase::Queued).count()
    }

    /// The job whose body is on the one worker.
    pub(crate) fn running(&self) -> Option<usize> {
        self.jobs.iter().position(|job| job.phase == Phase::Running)
    }

    pub(crate) fn submit(&mut self, asked: &Asked) {
        let inherited = asked.parent.and_then(|parent| self.jobs[parent].run_limit());
        let full = self.queued() >= self.limit;
        self.jobs.push(Job {
            phase: Phase::Queued,
            stop: None,
            outcome: None,
            deadline: earliest(asked.timeout.map(|time| self.now + time), inherited),
            start_by: asked.queue.map(|time| self.now + time),
            run: asked.run,
            started: None,
            grace: asked.grace,
            last_word: None,
            token: asked.token,
            parent: asked.parent,
        });
        let own = self.jobs.len() - 1;
        let past = self.jobs[own].next_event().is_some_and(|at| at <= self.now);
        let stopped_parent = asked.parent.and_then(|parent| self.jobs[parent].stop);
        if self.closed {
            self.end(own, Outcome::Closed);
        } else if full {
            self.end(own, Outcome::Full);
        } else if past {
            self.stop(own, Cause::Deadline);
        } else if asked.token.is_some_and(|token| self.cancelled_tokens[token]) {
            self.stop(own, Cause::Token);
        } else if let Some(cause) = stopped_parent {
            self.stop(own, inherited_cause(cause));
        }
        self.start_next();
    }

    /// Law 8: whether it hit a queued job, a running one, or nothing.
    pub(crate) fn cancel(&mut self, job: usize) -> Option<Phase> {
        let hit = Some(self.jobs[job].phase).filter(|_| self.jobs[job].outcome.is_none());
        self.stop(job, Cause::Caller);
        hit
    }

    pub(crate) fn cancel_token(&mut self, token: usize) {
        self.cancelled_tokens[token] = true;
        for job in 0..self.jobs.len() {
            if self.jobs[job].token == Some(token) {
                self.stop(job, Cause::Token);
            }
        }
    }

    /// Time passes, and stops at each moment at which something happens.
    pub(crate) fn advance(&mut self, time: u64) {
        let until = self.now + time;
        loop {
            let next = |(n, job): (usize, &Job)| Some((job.next_event()?, n));
            let next = self.jobs.iter().enumerate().filter_map(next).min();
            let Some((at, job)) = next.filter(|(at, _)| *at <= until) else { break };
            self.now = self.now.max(at);
            match (self.jobs[job].phase, self.jobs[job].stop) {
                (Phase::Running, Some(cause)) => {
                    self.jobs[job].outcome = Some(Outcome::Cut(cause, false));
                }
                _ => self.stop(job, Cause::Deadline),
            }
        }
        self.now = until;
    }

    pub(crate) fn drain(&mut self) {
        self.closed = true;
    }

    /// What waits ends first, of the shutdown itself: the report names it.
    pub(crate) fn shutdown(&mut self) {
        self.closed = true;
        for phase in [Phase::Queued, Phase::Running] {
            for job in 0..self.jobs.len() {
                if self.jobs[job].phase == phase {
                    self.stop(job, Cause::Shutdown);
                }
            }
        }
    }

    /// The running body acts. Gives what `check` says, if it calls that.
    pub(crate) fn act(&mut self, act: Act) -> Option<Option<Cause>> {
        let own = self.running()?;
        let stop = self.jobs[own].stop;
        let outcome = match (act, stop) {
            (Act::Check, _) => return Some(stop),
            (Act::Checkpoint, None) => return None,
            (Act::Checkpoint, Some(cause)) => Outcome::Cut(cause, false),
            (Act::Return, _) => Outcome::Ok,
            (Act::Fail, None) => Outcome::Failed,
            (Act::Fail, Some(cause)) => Outcome::Cut(cause, true),
            (Act::Panic, _) => Outcome::Panicked,
        };
        self.end(own, outcome);
        self.start_next();
        None
    }

    /// Laws 1, 4, 6 and 15.
    fn stop(&mut self, own: usize, cause: Cause) {
        let job = &mut self.jobs[own];
        if job.outcome.is_some() || job.stop.is_some() {
            return;
        }
        if job.phase == Phase::Queued {
            return self.end(own, Outcome::Never(cause));
        }
        job.stop = Some(cause);
        let limit = job.run_limit();
        job.last_word = match cause {
            Cause::Deadline => limit.map(|limit| limit + job.grace.unwrap_or(0)),
            _ => earliest(limit, job.grace.map(|grace| self.now + grace)),
        };
        if job.last_word.is_some_and(|at| at <= self.now) {
            job.outcome = Some(Outcome::Cut(cause, false));
        }
        for child in 0..self.jobs.len() {
            if self.jobs[child].parent == Some(own) {
                self.stop(child, inherited_cause(cause));
            }
        }
    }

    fn end(&mut self, own: usize, outcome: Outcome) {
        let job = &mut self.jobs[own];
        job.phase = Phase::Over;
        job.outcome.get_or_insert(outcome);
    }

    /// The worker takes the next, if it is free.
    fn start_next(&mut self) {
        if self.running().is_none() {
            if let Some(next) = self.jobs.iter_mut().find(|job| job.phase == Phase::Queued) {
                next.phase = Phase::Running;
                next.started = Some(self.now);
            }
        }
    }
}

/// A parent that is out of time leaves its child none either.
fn inherited_cause(cause: Cause) -> Cause {
    match cause {
        Cause::Deadline => Cause::Deadline,
        _ => Cause::Parent,
    }
}

fn earliest(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}
