//! Each step of the watcher and its deputy, from a state that is made by hand.

use super::*;

/// A watcher rings one alarm, which looks at the state while it rings.
fn ring(keeper: &Arc<Timekeeper<Call>>, look: impl FnOnce(&mut State<Call>) + Send + 'static) {
    let rung = Arc::clone(keeper);
    let alarm = Call(Box::new(move || look(&mut rung.state.lock())));
    keeper.ring_soon(alarm).expect("no thread is needed");
    let mut state = keeper.state.lock();
    state.watch = 7;
    drop(keeper.ring_first(state, 7));
}

#[test]
fn a_ring_under_no_lock_is_counted_and_looked_after() {
    let (_, keeper) = still();
    for rings in 1..=2 {
        keeper.state.lock().deputy = Deputy::Asleep;
        ring(&keeper, move |state| {
            assert_eq!((state.rings, state.ringing, state.threads), (rings, true, 0));
            assert!(state.deputy == Deputy::Looking, "it was called");
        });
        assert!(!keeper.state.lock().ringing);
    }
    ring(&keeper, |state| assert!(state.deputy == Deputy::Looking, "it need not be called"));
}

#[test]
fn the_first_ring_starts_a_deputy() {
    let (_, keeper) = still();
    keeper.state.lock().patience = 600 * PATIENCE;
    ring(&keeper, |state| {
        assert_eq!(state.threads, 1);
        assert!(state.deputy == Deputy::Looking);
    });
    keeper.state.lock().watch = 0;
    close_and_leave(&keeper);
}

#[test]
fn a_ring_that_lost_the_watch_does_not_end_the_ring_of_another() {
    let (_, keeper) = still();
    keeper.state.lock().deputy = Deputy::Looking;
    ring(&keeper, |state| state.watch = 8);
    assert!(keeper.state.lock().ringing);
}

#[test]
fn without_a_thread_for_a_deputy_the_next_ring_tries_again() {
    let (_, keeper) = still();
    let mut state = keeper.state.lock();
    (state.threads, state.deputy) = (2, Deputy::Looking);
    drop(state);
    keeper.go_without_deputy();
    let state = keeper.state.lock();
    assert!(state.threads == 1 && state.deputy == Deputy::Absent);
}

#[test]
fn a_watcher_that_comes_back_leaves_if_there_is_a_deputy() {
    for deputy in [Deputy::Looking, Deputy::Asleep] {
        let (_, keeper) = still();
        let mut state = keeper.state.lock();
        (state.threads, state.deputy) = (3, deputy);
        keeper.come_back(state);
        let state = keeper.state.lock();
        assert!(state.threads == 2 && state.deputy == deputy);
    }
}

/// A watcher, the only thread, comes back from a ring.
fn come_back_alone(keeper: &Arc<Timekeeper<Call>>) {
    keeper.state.lock().threads = 1;
    let watcher = Arc::clone(keeper);
    thread::spawn(move || watcher.come_back(watcher.state.lock()));
}

#[test]
fn a_watcher_that_comes_back_is_the_deputy_if_there_is_none() {
    let (_, keeper) = still();
    come_back_alone(&keeper);
    until(&keeper, "it stands by", |state| state.deputy == Deputy::Asleep);
    assert_eq!(keeper.state.lock().threads, 1);
    close_and_leave(&keeper);
}

/// The deputy loses its patience; gives how much it has from then on.
fn lose(patience: Duration) -> Duration {
    let (_, keeper) = still();
    let mut state = keeper.state.lock();
    (state.threads, state.deputy, state.watch) = (2, Deputy::Looking, state.next_watch());
    (state.ringing, state.patience, state.closed) = (true, patience, true);
    drop(state);
    Arc::clone(&keeper).stand_by(); // takes the watch, and leaves: there is nothing to watch
    let state = keeper.state.lock();
    assert_eq!((state.watch, state.watches, state.threads), (0, 2, 1));
    assert!(!state.ringing && state.deputy == Deputy::Absent);
    state.patience
}

#[test]
fn a_deputy_whose_patience_ends_takes_the_watch_and_halves_it() {
    let us = Duration::from_micros;
    assert_eq!(lose(PATIENCE), us(250));
    assert_eq!(lose(us(30)), us(15));
    assert_eq!(lose(us(15)), LEAST_PATIENCE);
}

#[test]
fn a_ring_that_is_over_when_the_deputy_looks_gives_its_patience_back() {
    let (_, keeper) = still();
    let mut state = keeper.state.lock();
    (state.threads, state.deputy, state.ringing, state.patience) = (1, Deputy::Looking, true, HOUR);
    drop(state);
    let deputy = Arc::clone(&keeper);
    thread::spawn(move || deputy.stand_by());
    let start = Instant::now();
    while keeper.state.lock().patience == HOUR {
        keeper.state.lock().rings += 1; // another ring each time that it looks
        keeper.deputy.notify_all();
        assert!(start.elapsed() < ALARM, "it stays impatient");
        thread::yield_now();
    }
    assert!(keeper.state.lock().patience <= PATIENCE);
    keeper.state.lock().ringing = false;
    close_and_leave(&keeper);
}

#[test]
fn a_deputy_that_sleeps_takes_the_watch_when_it_is_called_for_a_slow_ring() {
    let (_, keeper) = still();
    come_back_alone(&keeper);
    until(&keeper, "it sleeps", |state| state.deputy == Deputy::Asleep);
    let mut state = keeper.state.lock();
    (state.ringing, state.deputy, state.threads) = (true, Deputy::Looking, 2);
    drop(state);
    keeper.deputy.notify_all();
    until(&keeper, "it watches", |state| state.watch == 1);
    keeper.state.lock().threads -= 1; // the one that rings is but imagined
    close_and_leave(&keeper);
}

#[test]
fn each_watch_has_a_number_of_its_own() {
    let (_, keeper) = still();
    let mut state = keeper.state.lock();
    assert_eq!([state.next_watch(), state.next_watch()], [1, 2]);
}
