//! Looks at the pools' metrics while a storm rages: what every single snapshot must say (law 10).
//!
//! The numbers of a snapshot are read while jobs go on. So what is asked is what holds all the same:
//! - no pool has more outcomes than jobs that it accepted, nor accepted more than were submitted;
//! - what was counted once stays counted: nothing is taken back;
//! - a job that had its last outcome, or was refused, in one snapshot, neither waits nor runs in the
//!   next: all those together, with all that do wait or run, are never more than were submitted, nor,
//!   but for those refused at once, than were accepted;
//! - a job whose handle was there before has been accepted, or was refused;
//! - an outcome that was seen, and a body that was called, before a snapshot, are in it; what is in it
//!   was submitted, or called, before it was over.
//!
//! It has handles of its own, for a pool is to be looked at while it ends, too. Where the storm ends its
//! pools by dropping them, it is stopped first.

use crate::ledger::{BOOKS, ENDS, Ledger};
use crate::rng::Rng;
use crate::site::Site;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How many snapshots have been looked at.
pub(crate) static LOOKS: AtomicU64 = AtomicU64::new(0);

/// From the metrics of a pool or of a lane, which have these fields in common.
macro_rules! numbers {
    ($all:ident) => {{
        let stopped = [$all.cancelled_queued, $all.cancelled_running];
        let late = [$all.timed_out_queued, $all.timed_out_running];
        let ends = [$all.returned, $all.failed, $all.panicked];
        let ends = [&ends[..], &stopped, &late, &[$all.rejected]].concat();
        Numbers {
            accepted: $all.accepted,
            refused_later: $all.rejected_queued,
            ends: ends.try_into().expect("so many"),
            queued: $all.queued,
            queues: [$all.queued_high, $all.queued_normal, $all.queued_low],
            running: $all.running,
            started: $all.queue_wait.count(),
            returned: $all.run_time.count(),
            ..Numbers::default()
        }
    }};
}

/// How long it looks away, in microseconds: a storm is to rage, and not to be looked at only.
const PAUSES: [u64; 4] = [0, 0, 30, 200];

pub(crate) struct Watcher {
    /// It ends when this is dropped.
    until: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watcher {
    pub(crate) fn start(sites: &[Site], seed: u64) -> Self {
        let (until, over) = mpsc::channel();
        let seen = Seen { sites: sites.to_vec(), last: Vec::new() };
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
    sites: Vec<Site>,
    /// Of each its pool's numbers, then its lanes'.
    last: Vec<Vec<Numbers>>,
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
        let now: Vec<_> = self.sites.iter().map(snapshots).collect();
        let after = Known::of(&BOOKS);
        LOOKS.fetch_add(now.iter().map(|all| all.len() as u64).sum(), Relaxed);
        let none = now.iter().map(|all| vec![Numbers::default(); all.len()]).collect();
        let last = if self.last.is_empty() { none } else { std::mem::take(&mut self.last) };
        let mut wrong = Vec::new();
        for (now, last) in now.iter().flatten().zip(last.iter().flatten()) {
            now.check(last, &mut wrong);
        }
        self.compare(&pools(&last), &pools(&now), [&before, &after], &mut wrong);
        self.last = now;
        wrong
    }

    /// All pools together, with what jobs and handles had noted before and after.
    fn compare(
        &self,
        last: &[Numbers],
        now: &[Numbers],
        [before, after]: [&Known; 2],
        wrong: &mut Vec<String>,
    ) {
        let sum = |of: fn(&Numbers) -> u64, all: &[Numbers]| all.iter().map(of).sum::<u64>();
        let mut at_most = |what: &str, less: u64, more: u64| {
            if less > more {
                wrong.push(format!("{what}: {less} are more than {more}: {now:?}"));
            }
        };
        let all = sum(|all| all.over() + all.ends[7], last) + sum(Numbers::on_the_way, now);
        at_most("over, queued and running, of those submitted", all, after.submitted);
        let all = sum(|all| all.accepted + all.ends[7], now);
        at_most("with a handle, of those accepted and refused", before.spawned, all);
        at_most("accepted, of those submitted", sum(|all| all.accepted, now), after.submitted);
        let told = sum(|all| all.ends[..3].iter().sum(), now);
        at_most("returned, of those called", told, after.started);
        at_most("called, of those started", before.started, sum(|all| all.started, now));
        for (end, seen) in before.seen.into_iter().enumerate() {
            let counted = now.iter().map(|all| all.ends[end]).sum();
            at_most(&format!("seen to end like {end}, of those counted"), seen, counted);
        }
    }
}

/// Of a pool, then of its lanes.
fn snapshots(site: &Site) -> Vec<Numbers> {
    let lanes = site.lane_metrics().map(|all| {
        let [limit, most] = [all.limit, all.most_running].map(|n| n.unwrap_or(0));
        Numbers { limit, most, ..numbers!(all) }
    });
    let all = site.pool.metrics();
    let threads = [all.threads, all.idle, all.busy];
    let pool = Numbers { threads, ..numbers!(all) };
    std::iter::once(pool).chain(lanes).collect()
}

fn pools(all: &[Vec<Numbers>]) -> Vec<Numbers> {
    all.iter().map(|site| site[0]).collect()
}

/// What the books say while they are being written.
struct Known {
    submitted: u64,
    spawned: u64,
    started: u64,
    seen: [u64; ENDS],
}

impl Known {
    /// Acquire, before a snapshot: what was noted here had been counted there.
    fn of(books: &Ledger) -> Self {
        let seen = books.seen.each_ref().map(|count| count.load(Acquire));
        let [submitted, spawned, started] =
            [&books.submitted, &books.spawned, &books.started].map(|count| count.load(Acquire));
        Self { submitted, spawned, started, seen }
    }
}

/// What a snapshot says, of a pool or a lane.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    accepted: u64,
    /// Of those accepted.
    refused_later: u64,
    /// By `ledger::end_of`.
    ends: [u64; ENDS],
    queued: usize,
    /// By priority.
    queues: [usize; 3],
    running: usize,
    started: u64,
    returned: u64,
    /// Of a pool: threads in all, those that are parked, those at work.
    threads: [usize; 3],
    /// Of a lane: how many may run, and the most that ever might. 0 without a limit.
    limit: usize,
    most: usize,
}

impl Numbers {
    /// Those that are over: not those that were given up, and may still run, nor those refused.
    fn over(&self) -> u64 {
        [0, 1, 2, 3, 5].iter().map(|end| self.ends[*end]).sum()
    }

    fn on_the_way(&self) -> u64 {
        (self.queued + self.running) as u64
    }

    /// What one snapshot must say by itself, and after the one before.
    fn check(&self, last: &Self, wrong: &mut Vec<String>) {
        let resolved = self.ends[..7].iter().sum::<u64>() + self.refused_later;
        let counted = |all: &Self| {
            let more = [all.accepted, all.refused_later, all.started, all.returned];
            all.ends.into_iter().chain(more).chain([all.most as u64])
        };
        let falls = counted(last).zip(counted(self)).any(|(before, now)| before > now);
        let too_many = last.over() + last.refused_later + self.on_the_way() > self.accepted;
        let [all, idle, busy] = self.threads;
        let rules = [
            ("more have ended than were accepted", resolved > self.accepted),
            ("more are over or on their way than were accepted", too_many),
            ("what was counted is taken back", falls),
            ("the queue is not its parts", self.queued != self.queues.iter().sum()),
            ("more threads do something than there are", idle + busy > all),
            ("more were let through than the limit allows", self.most > self.limit),
        ];
        let broken = rules.iter().filter(|(_, is_broken)| *is_broken);
        wrong.extend(broken.map(|(what, _)| format!("{what}: {last:?}, then {self:?}")));
    }
}
