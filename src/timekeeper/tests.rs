//! The watch, its deputy, and the threads they are: each step by hand, and all together.

use super::*;
use crate::clock::Manual;
use crate::sync::thread;
use std::sync::mpsc;

const HOUR: Duration = Duration::from_secs(3600);
/// After so long a test counts as hung.
const ALARM: Duration =
    Duration::from_secs(if option_env!("PUNCTUAL_IMPATIENT").is_some() { 5 } else { 30 });

struct Call(Box<dyn FnOnce() + Send>);

impl Alarm for Call {
    fn ring(self) {
        (self.0)();
    }
}

/// One whose threads stay for an hour.
fn keeper() -> Arc<Timekeeper<Call>> {
    staying(HOUR)
}

fn staying(keep_alive: Duration) -> Arc<Timekeeper<Call>> {
    Timekeeper::staying("timekeeper-test".to_owned(), Clock::System, Spawner::default(), keep_alive)
}

/// One by a manual clock, which has no threads but those that a test makes.
fn still() -> (Arc<Manual>, Arc<Timekeeper<Call>>) {
    let clock = Manual::new();
    let keeper =
        Timekeeper::new(String::new(), Clock::Manual(Arc::clone(&clock)), Spawner::default());
    (clock, keeper)
}

fn send<T: Send + 'static>(to: &mpsc::Sender<T>, value: T) -> Call {
    let to = to.clone();
    Call(Box::new(move || drop(to.send(value))))
}

fn nothing() -> Call {
    Call(Box::new(|| ()))
}

/// Waits until it holds; others must make it so.
#[track_caller]
fn until(keeper: &Timekeeper<Call>, what: &str, holds: impl Fn(&State<Call>) -> bool) {
    let start = Instant::now();
    while !holds(&keeper.state.lock()) {
        assert!(start.elapsed() < ALARM, "in vain: {what}");
        thread::yield_now();
    }
}

fn has_no_threads(state: &State<Call>) -> bool {
    (state.threads, state.watch) == (0, 0) && state.deputy == Deputy::Absent
}

#[track_caller]
fn close_and_leave(keeper: &Timekeeper<Call>) {
    keeper.close();
    until(keeper, "all threads leave", has_no_threads);
}

/// Three alarms ring in their order, if this thread got to set them in time; `unit` apart.
fn ring_in_order(unit: Duration) -> bool {
    let (to, rung) = mpsc::channel();
    let keeper = keeper();
    let start = Instant::now();
    let _armed = [3, 1, 2].map(|n| keeper.arm(start + unit * n, send(&to, n)).expect("a thread"));
    let in_time = start.elapsed() < unit;
    let order = [(); 3].map(|()| {
        let n = rung.recv_timeout(ALARM).expect("it rings");
        assert!(start.elapsed() >= unit * n, "it rang early");
        n
    });
    assert!(!in_time || order == [1, 2, 3], "{order:?}");
    assert_eq!(keeper.alarms(), 0);
    close_and_leave(&keeper);
    in_time
}

#[test]
fn alarms_ring_in_order_and_never_early() {
    let units = [10, 100, 1000].map(Duration::from_millis);
    assert!(units.into_iter().any(ring_in_order), "this machine is too slow to test it");
}

#[test]
fn a_dropped_alarm_leaves_nothing_and_never_rings() {
    let (to, rung) = mpsc::channel();
    let keeper = keeper();
    let soon = Instant::now() + Duration::from_millis(5);
    let armed = keeper.arm(soon, send(&to, 1)).expect("a thread");
    assert_eq!((armed.at(), keeper.alarms()), (soon, 1));
    drop(armed);
    assert_eq!(keeper.alarms(), 0);
    let _later = keeper.arm(soon, send(&to, 2)).expect("a thread");
    assert_eq!(rung.recv_timeout(ALARM), Ok(2));
    close_and_leave(&keeper);
}

#[test]
fn an_alarm_to_be_rung_soon_rings_and_needs_no_guard() {
    let (to, rung) = mpsc::channel();
    keeper().ring_soon(send(&to, ())).expect("a thread");
    assert_eq!(rung.recv_timeout(ALARM), Ok(()));
}

#[test]
fn slow_rings_delay_nobody() {
    let (to, rung) = mpsc::channel();
    let keeper = keeper();
    let now = Instant::now();
    let gates: Vec<_> = (0..5).map(|_| mpsc::channel::<()>()).collect();
    let (open, closed): (Vec<_>, Vec<_>) = gates.into_iter().unzip();
    let mut armed = Vec::new();
    for gate in closed {
        let stuck = Call(Box::new(move || assert!(gate.recv().is_err())));
        armed.push(keeper.arm(now, stuck).expect("a thread"));
    }
    armed.push(keeper.arm(now, send(&to, ())).expect("a thread"));
    assert_eq!(rung.recv_timeout(ALARM), Ok(()));
    until(&keeper, "five are stuck, one watches, one stands by", |state| state.threads >= 6);
    drop(open);
    until(&keeper, "one watches, one sleeps", |state| {
        state.threads == 2 && state.watch > 5 && state.deputy == Deputy::Asleep
    });
    close_and_leave(&keeper);
}

#[test]
fn any_number_of_alarms_needs_one_thread_and_none_needs_none() {
    let keeper = keeper();
    assert!(has_no_threads(&keeper.state.lock()));
    let later = Instant::now() + HOUR;
    let armed = [0; 3].map(|_| keeper.arm(later, nothing()).expect("a thread"));
    until(&keeper, "it looks later", |state| state.looks_at.is_some());
    assert_eq!(keeper.alarms(), 3);
    assert_eq!(keeper.state.lock().threads, 1);
    keeper.close();
    until(&keeper, "it stays for what is set", |state| state.looks_at.is_some());
    drop(armed);
    until(&keeper, "it leaves with the last alarm", has_no_threads);
}

#[test]
fn a_watcher_and_a_sleeping_deputy_stay_when_all_is_rung() {
    let (to, rung) = mpsc::channel();
    let keeper = keeper();
    keeper.ring_soon(send(&to, ())).expect("a thread");
    assert_eq!(rung.recv_timeout(ALARM), Ok(()));
    until(&keeper, "one waits, one sleeps", |state| {
        state.looks_at.is_some() && state.deputy == Deputy::Asleep
    });
    let state = keeper.state.lock();
    assert_eq!((state.threads, state.ringing, state.rings), (2, false, 1));
    drop(state);
    close_and_leave(&keeper);
}

#[test]
fn threads_leave_after_their_keep_alive_and_come_again() {
    let (to, rung) = mpsc::channel();
    let keeper = staying(Duration::from_millis(1));
    for watch in 1..=3 {
        let _armed = keeper.arm(Instant::now(), send(&to, watch)).expect("a thread");
        assert_eq!(rung.recv_timeout(ALARM), Ok(watch));
        until(&keeper, "they leave", has_no_threads);
        assert!(keeper.state.lock().watches >= watch, "each time there is a new watcher");
    }
}

#[test]
fn an_earlier_alarm_calls_the_watcher() {
    let (to, rung) = mpsc::channel();
    let keeper = keeper();
    let later = Instant::now() + HOUR;
    let _later = keeper.arm(later, nothing()).expect("a thread");
    until(&keeper, "it waits", |state| state.looks_at == Some(Deadline::at(later)));
    keeper.ring_soon(send(&to, ())).expect("a thread");
    assert_eq!(rung.recv_timeout(ALARM), Ok(()));
}

#[test]
fn only_an_alarm_before_the_watcher_looks_calls_it() {
    let (clock, keeper) = still();
    let looks = clock.now() + HOUR;
    let second = Duration::from_secs(1);
    for (at, called) in [(looks - second, true), (looks, false), (looks + second, false)] {
        keeper.state.lock().looks_at = Some(Deadline::at(looks));
        let _armed = keeper.arm(at, nothing()).expect("no thread is needed");
        assert_eq!(keeper.state.lock().looks_at.is_none(), called);
    }
}

#[test]
fn it_is_over_once_it_is_closed_and_no_alarm_is_set() {
    let (clock, keeper) = still();
    let is_over = || keeper.state.lock().is_over();
    let armed = keeper.arm(clock.now() + HOUR, nothing()).expect("no thread is needed");
    assert!(!is_over());
    keeper.close();
    assert!(!is_over());
    drop(armed);
    assert!(is_over());
    keeper.state.lock().closed = false;
    assert!(!is_over());
}

#[test]
fn by_a_manual_clock_all_is_rung_by_who_moves_it() {
    let (clock, keeper) = still();
    let (to, rung) = mpsc::channel();
    let at = clock.now() + HOUR;
    let armed = [1, 2].map(|n| keeper.arm(at, send(&to, n)).expect("no thread is needed"));
    assert!(keeper.clock().is_manual());
    assert_eq!((keeper.alarms(), keeper.next()), (2, Some(at)));
    Keeper::ring_first(&*keeper, at - Duration::from_nanos(1));
    assert_eq!((keeper.alarms(), rung.try_recv().ok()), (2, None));
    Keeper::ring_first(&*keeper, at);
    assert_eq!((keeper.alarms(), rung.try_recv().ok()), (1, Some(1)));
    clock.advance(HOUR);
    assert_eq!((keeper.next(), rung.try_recv().ok()), (None, Some(2)));
    assert!(has_no_threads(&keeper.state.lock()));
    drop(armed);
}

mod by_hand;
