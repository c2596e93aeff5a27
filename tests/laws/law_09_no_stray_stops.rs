//! A stop aimed at one job is never seen by another, on the same thread or any other.

use crate::support::{Gate, PATIENCE, news, outcome, pool_of, until};
use punctual::testing::ManualClock;
use punctual::{Checked, Pool};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[test]
fn a_stop_that_comes_too_late_does_not_reach_the_next_job_on_the_thread() {
    let pool = pool_of(1);
    for _ in 0..2_000 {
        let first = pool.spawn_blocking(|| ());
        let second = pool.spawn(|cx| {
            for _ in 0..50 {
                cx.check()?;
            }
            cx.check()
        });
        first.cancel();
        assert!(outcome(second).is_ok(), "nobody stopped it");
        let _ = outcome(first);
    }
}

#[test]
fn a_callback_is_not_called_after_its_guard_is_dropped() {
    let pool = pool_of(1);
    let (send, told) = news::<()>();
    let gate = Gate::default();
    let wait = gate.clone();
    let (left, has_left) = news();
    let job = pool.spawn(move |cx| -> Checked<()> {
        drop(cx.on_stop(move |_| send.send(()).expect("the test listens")));
        left.send(()).expect("the test listens");
        wait.pass();
        Ok(())
    });
    has_left.next();
    job.cancel();
    gate.open();
    assert!(outcome(job).is_ok());
    told.assert_over();
}

#[test]
fn dropping_a_guard_waits_for_the_call_that_is_under_way() {
    let pool = pool_of(1);
    let (calling, is_called) = news();
    let gate = Gate::default();
    let wait = gate.clone();
    let over = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&over);
    let (started, starts) = news();
    let job = pool.spawn(move |cx| -> Checked<bool> {
        let (seen, begun) = (Arc::clone(&is_over), Arc::new(AtomicBool::new(false)));
        let has_begun = Arc::clone(&begun);
        let guard = cx.on_stop(move |_| {
            begun.store(true, Ordering::SeqCst);
            calling.send(()).expect("the test listens");
            wait.pass();
            is_over.store(true, Ordering::SeqCst);
        });
        started.send(()).expect("the test listens");
        until("it is called", || has_begun.load(Ordering::SeqCst));
        drop(guard);
        Ok(seen.load(Ordering::SeqCst))
    });
    starts.next();
    std::thread::scope(|s| {
        s.spawn(|| job.cancel());
        is_called.next();
        assert!(!job.is_finished());
        gate.open();
    });
    assert!(outcome(job).expect("it returned Ok"), "the call was over when the drop returned");
}

#[test]
fn a_callback_may_drop_its_own_guard() {
    let pool = pool_of(1);
    let (started, starts) = news();
    let job = pool.spawn(move |cx| {
        let slot = Arc::new(std::sync::Mutex::new(None));
        let own = Arc::clone(&slot);
        let guard = cx.on_stop(move |_| {
            let guard: Option<punctual::StopGuard> = own.lock().expect("no panic").take();
            drop(guard);
        });
        *slot.lock().expect("no panic") = Some(guard);
        started.send(()).expect("the test listens");
        cx.sleep(PATIENCE)
    });
    starts.next();
    job.cancel();
    assert!(outcome(job).is_err());
}

/// A resource that all jobs of a thread share, as a connection would be: whose turn it is, and
/// whom it was interrupted for.
#[test]
fn an_interrupt_never_reaches_past_its_scope() {
    let pool = pool_of(1);
    let turn = Arc::new(AtomicU64::new(0));
    let strays = Arc::new(AtomicU64::new(0));
    for round in 1..2_000 {
        let (turn, strays) = (Arc::clone(&turn), Arc::clone(&strays));
        let job = pool.spawn(move |cx| -> Checked<()> {
            let fire = || {
                if turn.load(Ordering::SeqCst) != round {
                    strays.fetch_add(1, Ordering::SeqCst);
                }
            };
            turn.store(round, Ordering::SeqCst);
            cx.interruptible(fire, || {
                for _ in 0..round % 50 {
                    std::hint::spin_loop();
                }
            });
            turn.store(0, Ordering::SeqCst);
            Ok(())
        });
        job.cancel();
        drop(job);
    }
    assert_eq!(pool.drain().within(PATIENCE).wait().still_running.len(), 0);
    assert_eq!(strays.load(Ordering::SeqCst), 0);
}

#[test]
fn an_interrupt_is_fired_again_until_the_work_is_left() {
    let pool = pool_of(1);
    let (started, starts) = news();
    let job = pool.spawn(move |cx| -> Checked<u32> {
        started.send(()).expect("the test listens");
        let fired = std::sync::atomic::AtomicU32::new(0);
        let fire = || assert!(fired.fetch_add(1, Ordering::SeqCst) < 1_000);
        // A resource that forgets the first interrupts, and ends at the fourth.
        cx.interruptible(fire, || {
            while fired.load(Ordering::SeqCst) < 4 {
                std::thread::yield_now();
            }
        });
        Ok(fired.load(Ordering::SeqCst))
    });
    starts.next();
    job.cancel();
    assert!(outcome(job).expect("it returned Ok") >= 4);
}

#[test]
fn no_interrupt_is_fired_after_the_work_was_left() {
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(1..=1).clock(&clock).build().expect("a thread");
    let (news_in, starts) = news();
    let (gate, fired) = (Gate::default(), Arc::new(AtomicU64::new(0)));
    let (wait, count) = (gate.clone(), Arc::clone(&fired));
    let job = pool.spawn(move |cx| -> Checked<()> {
        let fire = || {
            count.fetch_add(1, Ordering::SeqCst);
        };
        cx.interruptible(fire, || {
            news_in.send(()).expect("the test listens");
            until("it is fired", || count.load(Ordering::SeqCst) > 0);
        });
        news_in.send(()).expect("the test listens");
        wait.pass();
        Ok(())
    });
    starts.next();
    job.cancel();
    starts.next(); // the work was left
    let before = fired.load(Ordering::SeqCst);
    clock.advance(Duration::from_secs(1));
    gate.open();
    outcome(job).expect("it returned Ok");
    assert_eq!(fired.load(Ordering::SeqCst), before);
}
