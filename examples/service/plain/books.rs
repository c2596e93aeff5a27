//! What tokio does not tell: which blocking calls there are, who still waits for them, how they ended.

use crate::bars::Bars;
use crate::db::Trouble;
use crate::engine::{Jobs, Late, Numbers};
use punctual::Phase;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// tokio's own default.
const MOST_THREADS: usize = 512;

#[derive(Default)]
pub(crate) struct Books {
    pages: Mutex<Pages>,
    one_over: Notify,
}

#[derive(Default)]
struct Pages {
    entered: u64,
    ended: Jobs,
    wait: Bars,
    run: Bars,
    open: BTreeMap<u64, Open>,
}

/// A call that has not ended.
struct Open {
    name: &'static str,
    entered: Instant,
    begun: Option<Instant>,
    /// Since when nobody waits for it.
    left: Option<Instant>,
}

impl Open {
    fn phase(&self) -> Phase {
        if self.begun.is_some() { Phase::Running } else { Phase::Queued }
    }
}

impl Books {
    pub(crate) fn enter(self: &Arc<Self>, name: &'static str) -> Entry {
        let mut pages = self.pages();
        let number = pages.entered;
        pages.entered += 1;
        let open = Open { name, entered: Instant::now(), begun: None, left: None };
        pages.open.insert(number, open);
        Entry { books: Arc::clone(self), number }
    }

    pub(crate) fn numbers(&self) -> Numbers {
        let pages = self.pages();
        let mut jobs = pages.ended.clone();
        jobs.accepted = pages.entered;
        jobs.running = pages.open.values().filter(|open| open.begun.is_some()).count();
        jobs.queued = pages.open.len() - jobs.running;
        let late = pages.open.values().filter_map(|open| {
            let ran = open.begun.map(|begun| begun.elapsed()).unwrap_or_default();
            Some(Late::of(open.name, ran, open.left?.elapsed()))
        });
        let overdue: Vec<_> = late.collect();
        jobs.overdue = overdue.len();
        Numbers {
            threads: jobs.running,
            busy: jobs.running,
            most_threads: MOST_THREADS,
            lanes: Vec::new(),
            wait: pages.wait.clone(),
            run: pages.run.clone(),
            jobs,
            overdue,
        }
    }

    /// Waits until no call is open.
    pub(crate) async fn all_over(&self) {
        loop {
            let over = self.one_over.notified();
            if self.pages().open.is_empty() {
                return;
            }
            over.await;
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's entry in the books.
#[derive(Clone)]
pub(crate) struct Entry {
    books: Arc<Books>,
    number: u64,
}

impl Entry {
    /// What tokio is given to run.
    pub(crate) fn work<F>(&self, work: F) -> impl FnOnce() -> Result<Value, Trouble> + Send + use<F>
    where
        F: FnOnce() -> Result<Value, Trouble> + Send + 'static,
    {
        let ending = Ending { entry: self.clone(), failed: None };
        move || {
            let mut ending = ending; // all of it
            ending.entry.begin();
            let answer = work();
            ending.failed = Some(answer.is_err());
            answer
        }
    }

    /// Its time is up.
    pub(crate) fn time_out(&self) {
        self.leave(|ended| &mut ended.timed_out);
    }

    /// Nobody wants it. Gives where it is; `None` if it is over, or was left before.
    pub(crate) fn cancel(&self) -> Option<Phase> {
        self.leave(|ended| &mut ended.cancelled)
    }

    /// Its client has hung up, if this is dropped.
    pub(crate) fn leave_on_drop(&self) -> Leaving {
        Leaving(Some(self.clone()))
    }

    fn leave(&self, how: fn(&mut Jobs) -> &mut [u64; 2]) -> Option<Phase> {
        let mut pages = self.books.pages();
        let open = pages.open.get_mut(&self.number).filter(|open| open.left.is_none())?;
        open.left = Some(Instant::now());
        let phase = open.phase();
        how(&mut pages.ended)[usize::from(phase == Phase::Running)] += 1;
        Some(phase)
    }

    fn begin(&self) {
        let mut pages = self.books.pages();
        let now = Instant::now();
        let open = pages.open.get_mut(&self.number);
        let waited = open.map(|open| {
            open.begun = Some(now);
            now - open.entered
        });
        pages.wait.add(waited.unwrap_or_default(), 1);
    }

    fn end(&self, failed: Option<bool>) {
        let mut pages = self.books.pages();
        let Some(open) = pages.open.remove(&self.number) else { return };
        if let Some(begun) = open.begun {
            pages.run.add(begun.elapsed(), 1);
        }
        match (open.left, failed) {
            (Some(_), _) => {} // counted when it was left
            (None, Some(false)) => pages.ended.returned += 1,
            (None, Some(true)) => pages.ended.failed += 1,
            (None, None) => pages.ended.panicked += 1,
        }
        drop(pages);
        self.books.one_over.notify_waiters();
    }
}

/// Ends the entry of a call: it has returned, has panicked, or is thrown away.
struct Ending {
    entry: Entry,
    failed: Option<bool>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.entry.end(self.failed);
    }
}

/// A client that waits.
pub(crate) struct Leaving(Option<Entry>);

impl Leaving {
    /// It has its answer.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(entry) = self.0.take() {
            let _ = entry.cancel();
        }
    }
}
