//! The work: hashing blocks of files, some of them much longer than others.

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use walkdir::WalkDir;

/// No more than this is read.
const MOST: usize = 64 << 20;
/// How long most jobs take.
const TYPICAL: Duration = Duration::from_micros(200);

/// The content of all files, one behind the other.
pub(crate) struct Files {
    bytes: Vec<u8>,
    /// How many bytes are hashed in the typical time.
    block: usize,
}

impl Files {
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        for entry in WalkDir::new(folder).into_iter().filter_map(Result::ok) {
            if entry.file_type().is_file() && bytes.len() < MOST {
                let content = std::fs::read(entry.path());
                bytes.extend(content.with_context(|| entry.path().display().to_string())?);
            }
        }
        ensure!(!bytes.is_empty(), "there is nothing to hash in {}", folder.display());
        while bytes.len() < 1 << 20 {
            bytes.extend_from_within(..); // a small folder is hashed again
        }
        let start = Instant::now();
        let mut rounds = 0;
        while start.elapsed() < Duration::from_millis(200) {
            std::hint::black_box(Sha256::digest(&bytes[..64 << 10]));
            rounds += 1;
        }
        let each = start.elapsed() / rounds;
        let block = (64 << 10) as f64 * TYPICAL.as_secs_f64() / each.as_secs_f64();
        Ok(Self { bytes, block: block as usize })
    }

    pub(crate) fn size(&self) -> String {
        format!("{:.1} MiB", self.bytes.len() as f64 / f64::from(1 << 20))
    }

    /// Hashes some of it.
    fn hash(&self, from: usize, mut length: usize) {
        let mut hash = Sha256::new();
        let mut from = from % self.bytes.len();
        while length > 0 {
            let part = &self.bytes[from..self.bytes.len().min(from + length)];
            hash.update(part);
            length -= part.len();
            from = 0;
        }
        std::hint::black_box(hash.finalize());
    }
}

/// What comes, and by when it is wanted.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    deadlines: &'static [u64],
    heavy_tail: bool,
}

impl Workload {
    pub(crate) fn all() -> [Self; 3] {
        [
            Self { name: "200 µs by 20 ms", deadlines: &[20], heavy_tail: false },
            Self { name: "200 µs by 10 or 500 ms", deadlines: &[10, 500], heavy_tail: false },
            Self { name: "heavy tail by 50 ms", deadlines: &[50], heavy_tail: true },
        ]
    }

    /// How many bytes the next job hashes. With a heavy tail (Pareto's, α = 1.5, cut at a hundredfold)
    /// most take less than the typical time, and some much longer.
    fn length(&self, files: &Files, random: &mut Random) -> usize {
        let times =
            if self.heavy_tail { (random.unit().powf(-1.0 / 1.5) / 3.0).min(100.0) } else { 1.0 };
        (files.block as f64 * times) as usize
    }

    pub(crate) fn next(&self, files: &Arc<Files>, random: &mut Random, tally: &Arc<Tally>) -> Job {
        Job {
            files: Arc::clone(files),
            from: random.next() as usize,
            length: self.length(files, random),
            time: Duration::from_millis(
                self.deadlines[random.next() as usize % self.deadlines.len()],
            ),
            submitted: Instant::now(),
            tally: Arc::clone(tally),
        }
    }
}

/// One block to be hashed.
pub(crate) struct Job {
    files: Arc<Files>,
    from: usize,
    length: usize,
    /// By when, from its submission.
    pub(crate) time: Duration,
    submitted: Instant,
    tally: Arc<Tally>,
}

impl Job {
    pub(crate) fn run(self) {
        self.files.hash(self.from, self.length);
        self.tally.count(self.length, self.submitted.elapsed(), self.time);
    }
}

/// What was done, and whether in time.
#[derive(Default)]
pub(crate) struct Tally {
    in_time: AtomicU64,
    wasted: AtomicU64,
    latencies: Mutex<Vec<Duration>>,
    pub(crate) refused: AtomicU64,
    late: AtomicU64,
    closed: AtomicBool,
}

impl Tally {
    fn count(&self, bytes: usize, took: Duration, of: Duration) {
        if self.closed.load(Relaxed) {
            return;
        }
        if took <= of {
            self.in_time.fetch_add(bytes as u64, Relaxed);
            self.latencies.lock().expect("no panic under it").push(took);
        } else {
            self.wasted.fetch_add(bytes as u64, Relaxed);
            self.late.fetch_add(1, Relaxed);
        }
    }

    /// What is done from now on does not count.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    pub(crate) fn seen(&self, capacity: &Capacity, time: Duration) -> Seen {
        let share = |bytes: &AtomicU64| {
            bytes.load(Relaxed) as f64 / capacity.bytes / time.as_secs_f64() * 100.0
        };
        let mut latencies = self.latencies.lock().expect("no panic under it");
        latencies.sort_unstable();
        let p99 = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default();
        let [refused, late] = [&self.refused, &self.late].map(|count| count.load(Relaxed));
        Seen { goodput: share(&self.in_time), wasted: share(&self.wasted), p99, refused, late }
    }
}

/// In percent of the capacity.
pub(crate) struct Seen {
    pub(crate) goodput: f64,
    pub(crate) wasted: f64,
    p99: Duration,
    refused: u64,
    late: u64,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { goodput, wasted, p99, refused, late } = self;
        let p99 = p99.as_secs_f64() * 1e3;
        write!(f, "{goodput:5.1} %  {wasted:5.1} %  {p99:9.2} ms  {refused:8} {late:6}")
    }
}

/// What so many threads can do in a second, with nothing between.
pub(crate) struct Capacity {
    pub(crate) jobs: f64,
    bytes: f64,
}

pub(crate) fn capacity(
    files: &Arc<Files>,
    workload: &Workload,
    threads: usize,
    time: Duration,
) -> Capacity {
    let work = |seed| {
        let (mut random, start) = (Random(seed), Instant::now());
        let (mut jobs, mut bytes) = (0.0, 0.0);
        while start.elapsed() < time {
            let length = workload.length(files, &mut random);
            files.hash(random.next() as usize, length);
            jobs += 1.0;
            bytes += length as f64;
        }
        (jobs / start.elapsed().as_secs_f64(), bytes / start.elapsed().as_secs_f64())
    };
    std::thread::scope(|s| {
        let workers: Vec<_> = (1..=threads).map(|n| s.spawn(move || work(n as u64))).collect();
        let done = workers.into_iter().map(|worker| worker.join().expect("no panic"));
        let (jobs, bytes) = done.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Capacity { jobs, bytes }
    })
}

/// Marsaglia's xorshift: good enough to choose blocks and pauses, and the same each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// Above 0, and at most 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() + 1) as f64 / (1_u64 << 53) as f64
    }
}
