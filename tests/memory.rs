//! Finished jobs leave nothing behind: not in a token, not in the timekeeper, not in the queue.
//!
//! One test at a time uses the counting allocator; hence a file and a lock of their own.

use punctual::{JobSet, Phase, Pool};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Counts the bytes that are in use, and how often some were asked for.
struct Counting;

static BYTES: AtomicI64 = AtomicI64::new(0);
static ALLOCATIONS: AtomicI64 = AtomicI64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

/// In debug, where a job takes five times as long, a million is for those who have the time.
const MANY: usize = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };
/// What a pool may keep for itself: queue blocks, thread-locals, garbage of the deques.
const SLACK: i64 = 512 * 1024;

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a million jobs in rounds, and checks that the last rounds use no more memory than the first.
fn stays_flat(mut round_of: impl FnMut(usize)) {
    const ROUND: usize = 10_000;
    round_of(ROUND);
    let before = BYTES.load(Ordering::Relaxed);
    for _ in 1..MANY / ROUND {
        round_of(ROUND);
    }
    let grown = BYTES.load(Ordering::Relaxed) - before;
    assert!(grown < SLACK, "{MANY} jobs left {grown} bytes behind");
}

#[test]
fn a_million_finished_jobs_leave_nothing_in_a_live_token() {
    let _alone = alone();
    let pool = Pool::builder().threads(2..=2).build().expect("threads");
    let token = CancellationToken::new();
    stays_flat(|jobs| {
        let handles: Vec<_> =
            (0..jobs).map(|_| pool.job().token(&token).spawn_blocking(|| ())).collect();
        for job in handles {
            job.wait().expect("nobody cancels it");
        }
    });
    token.cancel();
    assert_eq!(pool.metrics().returned, MANY as u64);
}

#[test]
fn a_million_finished_jobs_leave_nothing_in_the_timekeeper() {
    let _alone = alone();
    let pool = Pool::builder().threads(2..=2).build().expect("threads");
    stays_flat(|jobs| {
        let spawn = |_| pool.job().timeout(Duration::from_secs(30)).spawn_blocking(|| ());
        let handles: Vec<_> = (0..jobs).map(spawn).collect();
        for job in handles {
            job.wait().expect("it is in time");
        }
        assert_eq!(pool.metrics().timers, 0);
    });
}

#[test]
fn a_million_cancelled_jobs_leave_nothing_in_the_queue() {
    let _alone = alone();
    let pool = Pool::builder().threads(1..=1).build().expect("a thread");
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let (started, starts) = std::sync::mpsc::channel();
    let busy = pool.spawn_blocking(move || {
        started.send(()).expect("the test listens");
        gate.recv().is_err()
    });
    starts.recv().expect("it starts");
    stays_flat(|jobs| {
        for _ in 0..jobs {
            let capture = [0_u8; 64];
            let job = pool.spawn_blocking(move || capture.len());
            assert_eq!(job.cancel(), Some(Phase::Queued));
        }
        assert_eq!(pool.metrics().queued, 0);
    });
    drop(go);
    assert!(busy.wait().expect("it returns"));
}

#[test]
fn a_million_jobs_that_left_a_set_untaken_leave_nothing_in_it() {
    let _alone = alone();
    let pool = Pool::builder().threads(2..=2).build().expect("threads");
    let mut set = JobSet::on(&pool);
    let mut round = 0;
    stays_flat(|jobs| {
        for _ in 0..jobs {
            set.spawn_blocking(|| ());
        }
        round += 1;
        match round % 2 {
            0 => set.detach_all(),
            _ => set.wait_shutdown(), // nobody ever takes an outcome
        }
        assert!(set.is_empty());
        while pool.metrics().unresolved() > 0 {
            std::thread::yield_now();
        }
    });
}

#[test]
fn pools_that_come_and_go_leave_nothing() {
    let _alone = alone();
    let live = |_| {
        let pool = Pool::builder().threads(1..=2).build().expect("threads");
        let token = CancellationToken::new();
        let job = pool.job().token(&token).timeout(Duration::from_secs(9)).spawn(|cx| {
            drop(cx.token());
            let child = cx.job().spawn_blocking(|| 1);
            let _guard = cx.on_stop(|_| ());
            child.wait()
        });
        assert_eq!(job.wait().expect("it returns"), 1);
        pool.shutdown().wait();
    };
    (0..20).for_each(live);
    let before = BYTES.load(Ordering::Relaxed);
    (0..200).for_each(live);
    let grown = BYTES.load(Ordering::Relaxed) - before;
    assert!(grown < SLACK / 4, "200 pools left {grown} bytes behind");
}

/// Fault 25: what a waiting job costs, and that all of it is given back.
#[test]
fn a_queued_job_costs_one_small_allocation() {
    const QUEUED: usize = 100_000;
    let _alone = alone();
    let pool = Pool::builder().threads(1..=1).build().expect("a thread");
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let busy = pool.spawn_blocking(move || gate.recv().is_err());
    let mut jobs = Vec::with_capacity(QUEUED);
    let before = (BYTES.load(Ordering::Relaxed), ALLOCATIONS.load(Ordering::Relaxed));
    for _ in 0..QUEUED {
        jobs.push(pool.spawn_blocking(|| ()));
    }
    let bytes = BYTES.load(Ordering::Relaxed) - before.0;
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before.1;
    let (bytes, allocations) = (bytes / QUEUED as i64, allocations as f64 / QUEUED as f64);
    assert!(bytes <= 256 && allocations < 1.1, "{bytes} bytes, {allocations} allocations");
    drop((go, jobs));
    assert!(busy.wait().expect("it returns"));
    pool.drain().wait();
    let left = BYTES.load(Ordering::Relaxed) - before.0;
    assert!(left < SLACK, "{left} bytes are left");
}

#[test]
fn a_million_finished_jobs_leave_nothing_in_a_scope() {
    let _alone = alone();
    let pool = Pool::builder().threads(2..=2).build().expect("threads");
    let one = 1;
    pool.scope(|s| {
        stays_flat(|jobs| {
            for n in 1..=jobs {
                let job = s.spawn_blocking(|| [one; 16]);
                if n % 100 == 0 {
                    assert_eq!(job.wait().expect("nobody stops it"), [1; 16]);
                } // nobody waits for the others
            }
        });
    });
    assert_eq!(pool.metrics().returned, MANY as u64);
}

#[test]
fn a_scoped_job_costs_two_allocations() {
    const QUEUED: usize = 100_000;
    let _alone = alone();
    let pool = Pool::builder().threads(1..=1).build().expect("a thread");
    let allocations = pool.scope(|s| {
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let busy = s.spawn_blocking(move || gate.recv().is_err());
        let mut jobs = Vec::with_capacity(QUEUED);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..QUEUED {
            jobs.push(s.spawn_blocking(|| ()));
        }
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        drop((go, jobs));
        assert!(busy.wait().expect("it returns"));
        allocations as f64 / QUEUED as f64
    });
    assert!(allocations < 2.1, "{allocations} allocations");
}
