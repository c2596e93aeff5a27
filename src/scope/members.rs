//! What a scope knows of its jobs: which they are, whether they are stopped, and the panic to go on
//! with. And who stands between them and their pool, to hear how they end.

use crate::aside;
use crate::clock::Clock;
use crate::error::{JobError, Panic, Rejection};
use crate::job::{
    Absence, Bell, Early, Head, How, JobHandle, Leftover, News, Next, Owner, Tally, Task,
};
use crate::moment::Moment;
use crate::scope::ScopePolicy;
use crate::scope::packet::Kept;
use crate::share::Share;
use crate::stop::Cause;
use crate::sync::{MODEL, Mutex};
use crate::timekeeper::Timekeeper;
use std::any::Any;
use std::borrow::Cow;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// How long a list is, at the least, when it is first swept.
const SWEEP: usize = if MODEL { 2 } else { 64 };

/// A scoped job, as its pool knows it.
pub(super) type Plain = JobHandle<(), Kept>;

/// A scope's jobs.
pub(super) struct Members {
    policy: ScopePolicy,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Never unset. Rule 3 of scope.
    stopped: bool,
    /// Those that were accepted and may not have ended.
    jobs: Shelf<Task>,
    /// Those whose handle was dropped, and whose outcome was not looked at yet.
    orphans: Shelf<Plain>,
    unseen: Option<Unseen>,
}

/// A list that is swept as it grows: it holds little more than what is still of interest.
struct Shelf<T> {
    list: Vec<T>,
    sweep_at: usize,
}

/// A job's panic that nobody waited for.
pub(super) struct Unseen {
    job: Task,
    panic: Panic,
}

/// Whom a scope's jobs belong to: their pool, but the scope hears how each ends.
pub(super) struct Member {
    share: Arc<Share>,
    members: Arc<Members>,
}

impl Members {
    pub(super) fn new(policy: ScopePolicy) -> Self {
        Self { policy, inner: Mutex::default() }
    }

    /// Stops all jobs there are and will be: first those that wait, or a worker that is left by one
    /// that runs could take one of them. What that leaves to be done is given to the first one who
    /// calls this.
    pub(super) fn stop(&self) -> Vec<Leftover> {
        let mut inner = self.inner.lock();
        if mem::replace(&mut inner.stopped, true) {
            return Vec::new();
        }
        let jobs = inner.jobs.list.clone();
        drop(inner);
        let (run, wait): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|job| job.head.state.is_running());
        let in_turn = wait.iter().chain(&run);
        in_turn.filter_map(|job| job.begin_stop(Cause::Scope).1).collect()
    }

    /// Waits for the real end of each job.
    pub(super) fn wait(&self) {
        while let Some(job) = self.next_to_wait_for() {
            job.wait_stopped();
        }
    }

    /// A job that has not ended. It stays on the list, for a stop to find.
    fn next_to_wait_for(&self) -> Option<Task> {
        let list = &mut self.inner.lock().jobs.list;
        while list.last().is_some_and(|job| job.head.state.has_ended()) {
            list.pop(); // no user code: rule 5 of job
        }
        list.last().cloned()
    }

    /// Takes in a job whose handle was dropped.
    pub(super) fn adopt(&self, orphan: Plain) {
        let over = self.inner.lock().orphans.put(orphan, Plain::is_finished);
        over.into_iter().for_each(|orphan| self.look_at(orphan));
    }

    /// The panic to go on with, if there is one. All jobs have ended.
    pub(super) fn close(&self) -> Option<Unseen> {
        let orphans = mem::take(&mut self.inner.lock().orphans.list);
        orphans.into_iter().for_each(|orphan| self.look_at(orphan));
        self.inner.lock().unseen.take()
    }

    /// Keeps the panic of a job that has ended, if it did so, or tells its pool if there is one.
    fn look_at(&self, orphan: Plain) {
        let job = Arc::clone(orphan.abort_handle().task());
        let Err(JobError::Panicked(panic)) = orphan.wait() else { return };
        let unseen = Unseen { job, panic };
        let mut inner = self.inner.lock();
        if inner.unseen.is_none() {
            inner.unseen = Some(unseen);
        } else {
            drop(inner);
            unseen.tell();
        }
    }

    /// Lists a job; whether it is to be stopped.
    fn list(&self, job: &Task) -> bool {
        let mut inner = self.inner.lock();
        let over = inner.jobs.put(Arc::clone(job), |job| job.head.state.has_ended());
        let stopped = inner.stopped;
        drop(inner);
        drop(over);
        stopped
    }

    /// Whether the policy is to stop the others when one ends so.
    fn is_enough(&self, tally: Tally) -> bool {
        match self.policy {
            ScopePolicy::WaitForAll => false,
            ScopePolicy::FailFast => tally != Tally::Returned,
            ScopePolicy::FirstSuccess => tally == Tally::Returned,
        }
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { list: Vec::new(), sweep_at: SWEEP }
    }
}

impl<T> Shelf<T> {
    /// Puts one there; gives those that are over, now and then.
    #[must_use]
    fn put(&mut self, one: T, is_over: impl Fn(&T) -> bool) -> Vec<T> {
        self.list.push(one);
        if self.list.len() < self.sweep_at {
            return Vec::new();
        }
        let (over, left) = mem::take(&mut self.list).into_iter().partition(is_over);
        self.list = left;
        self.sweep_at = SWEEP.max(2 * self.list.len());
        over
    }
}

impl Unseen {
    pub(super) fn job(&self) -> &Task {
        &self.job
    }

    /// To the pool: there is no scope for it to go on in.
    pub(super) fn tell(self) {
        self.job.head.owner.unseen_panic(self.panic);
    }

    pub(super) fn resume(self) -> ! {
        self.panic.resume()
    }
}

impl Member {
    pub(super) fn of(share: &Arc<Share>, members: &Arc<Members>) -> Arc<dyn Owner> {
        Arc::new(Self { share: Arc::clone(share), members: Arc::clone(members) })
    }
}

impl Owner for Member {
    fn clock(&self) -> &Clock {
        self.share.clock()
    }

    fn keeper(&self) -> &Arc<Timekeeper<Bell>> {
        self.share.keeper()
    }

    fn lane(&self) -> Option<&Cow<'static, str>> {
        self.share.lane()
    }

    fn accepted(&self, job: &Task) -> Option<Cause> {
        self.members.list(job).then_some(Cause::Scope)
    }

    fn is_hopeless(&self, head: &Head, now: Moment) -> Option<Rejection> {
        self.share.is_hopeless(head, now)
    }

    fn started(&self, head: &Head) {
        self.share.started(head);
    }

    fn claimed(&self, head: &Head, end: Early) {
        self.share.claimed(head, end);
    }

    fn overdue(&self, head: &Head) -> bool {
        self.share.overdue(head)
    }

    fn stand_in(&self) {
        self.share.stand_in();
    }

    fn returned(&self, head: &Head, now: Moment, stopped: bool) -> bool {
        self.share.returned(head, now, stopped)
    }

    fn late(&self) {
        self.share.late();
    }

    fn let_through(&self, task: &Task, next: Next) {
        self.share.let_through(task, next);
    }

    fn wait_begins(&self, task: &Task, how: How) -> Absence {
        self.share.wait_begins(task, how)
    }

    fn wait_ends(&self, absence: Absence) {
        self.share.wait_ends(absence);
    }

    fn ending(&self, end: &mut dyn FnMut()) {
        self.share.ending(end);
    }

    /// The others' destructors and callbacks are run aside: this job's handle waits for its outcome.
    fn decided(&self, tally: Tally) {
        self.share.decided(tally);
        if self.members.is_enough(tally) {
            aside::run(self.share.keeper(), self.members.stop(), Duration::ZERO);
        }
    }

    /// What an end that is enough leaves to be done takes time, too, as those do who watch.
    fn tell(&self, head: &Head, news: News) -> bool {
        let is_enough = matches!(news, News::Ended(tally) if self.members.is_enough(tally));
        self.share.tell(head, news) || is_enough
    }

    fn ended(&self) {
        self.share.ended();
    }

    fn unseen_panic(&self, panic: Panic) {
        self.share.unseen_panic(panic);
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.share).as_any()
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_shelf_holds_little_more_than_what_is_of_interest() {
        let mut shelf = Shelf::default();
        let (mut most, mut over) = (0, 0);
        for n in 0..100_000 {
            over += shelf.put(n, |n| n % 1000 != 0).len(); // one in a thousand stays
            most = most.max(shelf.list.len());
        }
        assert!(most <= 2 * 100 + SWEEP, "{most}");
        assert_eq!(over + shelf.list.len(), 100_000, "none is lost");
        assert!((0..100).all(|n| shelf.list.contains(&(n * 1000))), "what is of interest stays");
    }

    #[test]
    fn a_long_scope_keeps_no_job_that_has_ended() {
        let pool = crate::Pool::builder().threads(1..=1).build().expect("a thread");
        let most = pool.scope(|s| {
            let look = |n: u32| {
                match n % 2 {
                    0 => drop(s.spawn_blocking(|| ()).wait()),
                    _ => drop(s.spawn_blocking(|| ())),
                }
                let inner = s.members.inner.lock();
                inner.jobs.list.len() + inner.orphans.list.len()
            };
            let most = (0..2000).map(look).max();
            s.spawn_blocking(|| ()).wait().map(|()| most)
        });
        assert!(most.expect("no stop") <= Some(4 * SWEEP), "it keeps them all");
    }
}
