//! Looks at the pools' metrics while a storm rages: what every single snapshot must say (law 10).
//!
//! The numbers of a snapshot are read while jobs go on. So what is asked is what holds all the same:
//! - no pool has more outcomes than jobs that it accepted;
//! - what was counted once stays counted: no outcome, no refusal, no start and no return is taken back;
//! - a job that had its last outcome, or was refused, in one snapshot, neither waits nor runs in the
//!   next: all those together, with all that do wait or run, are never more than were submitted;
//! - an outcome that was seen, and a body that was called, before a snapshot, are in it; what is in it
//!   was submitted, or called, before it was over.
//!
//! It has handles of its own, for a pool is to be looked at while it ends, too. Where the storm ends its
//! pools by dropping them, it is stopped first.

use crate::ledger::{BOOKS, ENDS, Ledger};
use crate::rng::Rng;
use punctual::{Metrics, Pool};
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How many snapshots have been looked at.
pub(crate) static LOOKS: AtomicU64 = AtomicU64::new(0);

/// How long it looks away, in microseconds: a storm is to rage, and not to be looked at only.
const PAUSES: [u64; 4] = [0, 0, 30, 200];

pub(crate) struct Watcher {
    /// It ends when this is dropped.
    until: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watcher {
    pub(crate) fn start(pools: &[Pool], seed: u64) -> Self {
        let (until, over) = mpsc::channel();
        let seen = Seen { pools: pools.to_vec(), last: vec![Numbers::default(); pools.len()] };
        let thread = thread::spawn(move || seen.watch(&over, Rng::new(seed.rotate_left(11))));
        Self { until, thread }
    }

    /// It has looked once more, and has let go of the pools.
    pub(crate) fn stop(self) {
        drop(self.until);
        self.thread.join().expect("it does not panic");
    }
}

/// The pools, and what was last seen of them.
struct Seen {
    pools: Vec<Pool>,
    last: Vec<Numbers>,
}

impl Seen {
    fn watch(mut self, over: &Receiver<()>, mut rng: Rng) {
        loop {
            let pause = Duration::from_micros(rng.pick(&PAUSES));
            let is_over = over.recv_timeout(pause) != Err(RecvTimeoutError::Timeout);
            let wrong = self.look();
            if !wrong.is_empty() {
                BOOKS.wrong(wrong.join("\n")); // once: more of the same would be found
            }
            if is_over || !wrong.is_empty() {
                return;
            }
        }
    }

    fn look(&mut self) -> Vec<String> {
        let before = Known::of(&BOOKS);
        let now: Vec<_> = self.pools.iter().map(|pool| Numbers::from(&pool.metrics())).collect();
        let after = Known::of(&BOOKS);
        LOOKS.fetch_add(now.len() as u64, Relaxed);
        let mut wrong = Vec::new();
        for (now, last) in now.iter().zip(&self.last) {
            now.check(last, &mut wrong);
        }
        let sum = |of: fn(&Numbers) -> u64, all: &[Numbers]| all.iter().map(of).sum::<u64>();
        let mut at_most = |what: &str, less: u64, more: u64| {
            if less > more {
                wrong.push(format!("{what}: {less} are more than {more}: {now:?}"));
            }
        };
        let gone = sum(Numbers::never_again, &self.last);
        let all = gone + sum(|all| (all.queued + all.running) as u64, &now);
        at_most("gone, queued and running, of those submitted", all, after.submitted);
        let all = sum(|all| all.accepted + all.ends[7], &now);
        at_most("accepted and refused, of those submitted", all, after.submitted);
        let told = sum(|all| all.ends[..3].iter().sum(), &now);
        at_most("returned, of those called", told, after.started);
        at_most("called, of those started", before.started, sum(|all| all.started, &now));
        for (end, seen) in before.seen.into_iter().enumerate() {
            let counted = now.iter().map(|all| all.ends[end]).sum();
            at_most(&format!("seen to end like {end}, of those counted"), seen, counted);
        }
        self.last = now;
        wrong
    }
}

/// What the books say while they are being written.
struct Known {
    submitted: u64,
    started: u64,
    seen: [u64; ENDS],
}

impl Known {
    /// Acquire, before a snapshot: what was noted here had been counted there.
    fn of(books: &Ledger) -> Self {
        let seen = books.seen.each_ref().map(|count| count.load(Acquire));
        let (submitted, started) = (books.submitted.load(Acquire), books.started.load(Acquire));
        Self { submitted, started, seen }
    }
}

/// What a snapshot says of jobs.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    accepted: u64,
    /// By `ledger::end_of`.
    ends: [u64; ENDS],
    queued: usize,
    /// By priority.
    queues: [usize; 3],
    running: usize,
    started: u64,
    returned: u64,
    /// Threads in all, those that are parked, and those at work.
    threads: [usize; 3],
}

impl From<&Metrics> for Numbers {
    fn from(all: &Metrics) -> Self {
        let ends = [
            all.returned,
            all.failed,
            all.panicked,
            all.cancelled_queued,
            all.cancelled_running,
            all.timed_out_queued,
            all.timed_out_running,
            all.rejected,
        ];
        Self {
            accepted: all.accepted,
            ends,
            queued: all.queued,
            queues: [all.queued_high, all.queued_normal, all.queued_low],
            running: all.running,
            started: all.queue_wait.count(),
            returned: all.run_time.count(),
            threads: [all.threads, all.idle, all.busy],
        }
    }
}

impl Numbers {
    /// Those that have ended and do not run any more, as those may that were given up.
    fn never_again(&self) -> u64 {
        [0, 1, 2, 3, 5, 7].iter().map(|end| self.ends[*end]).sum()
    }

    /// What one snapshot must say by itself, and after the one before.
    fn check(&self, last: &Self, wrong: &mut Vec<String>) {
        let resolved: u64 = self.ends[..7].iter().sum();
        let counted = |all: &Self| all.ends.into_iter().chain([all.started, all.returned]);
        let falls = counted(last).zip(counted(self)).any(|(before, now)| before > now);
        let [all, idle, busy] = self.threads;
        let rules = [
            ("more have ended than were accepted", resolved > self.accepted),
            ("what was counted is taken back", falls),
            ("the queue is not its parts", self.queued != self.queues.iter().sum()),
            ("more threads do something than there are", idle + busy > all),
        ];
        let broken = rules.iter().filter(|(_, is_broken)| *is_broken);
        wrong.extend(broken.map(|(what, _)| format!("{what}: {last:?}, then {self:?}")));
    }
}
