//! Waits that return for no reason.

use crate::support::{OnDrop, PATIENCE, ms, outcome, pool_of, until};
use punctual::{JobError, Pool};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Fault 31: a stranger unparks workers, and who waits for them, all the time. Nobody takes that for
/// a call of ours: not a parked worker, not one whose keep-alive runs, not `wait`, not `drain`.
#[test]
fn threads_that_are_unparked_for_nothing_wait_on() {
    for keep_alive in [Duration::ZERO, ms(5)] {
        unpark_for_nothing(keep_alive);
    }
}

fn unpark_for_nothing(keep_alive: Duration) {
    let threads: Mutex<Vec<Thread>> = Mutex::default();
    let over = AtomicBool::new(false);
    let builder = Pool::builder().threads(1..=3).keep_alive(keep_alive);
    let pool = builder.build().expect("threads");
    let timed = pool_of(1);
    thread::scope(|s| {
        s.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                threads.lock().expect("no panic").iter().for_each(Thread::unpark);
                thread::yield_now();
            }
        });
        let _over = OnDrop(|| over.store(true, Ordering::SeqCst));
        threads.lock().expect("no panic").push(thread::current());
        for round in 0..150_u64 {
            let jobs = [(); 3].map(|()| pool.spawn_blocking(thread::current));
            for job in jobs {
                let worker = outcome(job).expect("it returns");
                let mut threads = threads.lock().expect("no panic");
                if threads.iter().all(|known| known.id() != worker.id()) {
                    threads.push(worker);
                }
            }
            if round % 30 == 0 {
                let start = Instant::now();
                let time = Duration::from_millis(3);
                let mut late = timed.spawn(|cx| cx.sleep(Duration::MAX));
                assert!(late.wait_timeout(time).is_none() && start.elapsed() >= time);
                until("they rest", || pool.metrics().idle > 0);
                for _ in 0..50 {
                    let now = pool.metrics();
                    assert!(now.idle <= now.threads && (1..=3).contains(&now.threads), "{now:?}");
                    thread::yield_now();
                }
                late.cancel();
                assert!(matches!(outcome(late), Err(JobError::Cancelled(_))));
            }
        }
        until("those beyond the fewest leave", || pool.metrics().threads == 1);
        assert_eq!(pool.drain().within(PATIENCE).wait().finished, 450);
    });
}
