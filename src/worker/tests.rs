//! A crew on its own: its threads, their desks, and the entries of the queue that they count.

use super::*;
use crate::error::JobError;
use crate::job::fake::{Fake, Told};
use crate::job::{JobHandle, Settings};
use crate::priority::Priority;
use crate::queue::Order;
use crate::spawner::Spawner;
use crate::stop::Cause;
use std::sync::mpsc;
use std::time::Instant;

mod by_hand;

const HOUR: Duration = Duration::from_secs(3600);
/// After so long a test counts as hung.
const ALARM: Duration =
    Duration::from_secs(if option_env!("PUNCTUAL_IMPATIENT").is_some() { 5 } else { 30 });

fn threads(min: usize, max: usize) -> Threads {
    Threads {
        spawner: Spawner::default(),
        name: "crew".to_owned(),
        min,
        max,
        spares: 0,
        order: Order::default(),
        keep_alive: HOUR,
        stack_size: None,
        on_start: None,
        on_stop: None,
        on_panic: Arc::new(crate::unwind::discard),
    }
}

/// Waits until it holds; others must make it so.
#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < ALARM, "in vain: {what}");
        thread::yield_now();
    }
}

#[track_caller]
fn outcome<T>(mut handle: JobHandle<T>) -> Result<T, JobError> {
    handle.wait_timeout(ALARM).expect("the handle resolves")
}

/// All threads leave, and nothing of them stays.
#[track_caller]
fn retire(crew: &Crew) {
    crew.retire();
    until("all leave", || crew.workers() == 0 && crew.join_exited());
    assert_eq!((crew.counts().total(), crew.handles.lock().len()), (0, 0));
}

fn job<T: Send + 'static>(
    crew: &Arc<Crew>,
    owner: &Arc<Fake>,
    call: impl FnOnce() -> T + Send + 'static,
) -> JobHandle<T> {
    let (task, handle) = owner.job(Settings::default(), |_| Ok(call()));
    assert!(crew.submit(task));
    handle
}

#[test]
fn a_crew_starts_its_least_number_and_grows_to_its_most() {
    let (crew, owner) = (Crew::new(threads(1, 2)), Fake::new().1);
    crew.start_min().expect("a thread");
    assert_eq!((crew.workers(), crew.counts().total()), (1, 1));
    let gates: Vec<_> = (0..4).map(|_| mpsc::channel::<()>()).collect();
    let (open, closed): (Vec<_>, Vec<_>) = gates.into_iter().unzip();
    let block = |gate: mpsc::Receiver<()>| job(&crew, &owner, move || gate.recv().is_err());
    let jobs: Vec<_> = closed.into_iter().map(block).collect();
    until("two are at work", || crew.started() == 2 && crew.at_desks().len() == 2);
    assert_eq!((crew.workers(), crew.queued()), (2, 2));
    let mut names: Vec<_> = crew.infos(|_| true).into_iter().map(|info| info.thread).collect();
    names.sort();
    assert_eq!(names, [Some("crew-1".to_owned()), Some("crew-2".to_owned())]);
    assert!(crew.infos(|_| false).is_empty() && !crew.join_exited());
    drop(open);
    assert!(jobs.into_iter().all(|job| outcome(job).expect("it runs")));
    until("the desks are cleared", || crew.at_desks().is_empty());
    retire(&crew);
    assert_eq!(crew.started(), 4, "those at desks that are gone count");
    assert_eq!(owner.told().iter().filter(|told| **told == Told::Ended).count(), 4);
}

#[test]
fn a_crew_knows_its_own_threads() {
    let (crew, other, owner) = (Crew::new(threads(0, 1)), Crew::new(threads(0, 1)), Fake::new().1);
    let seen = Arc::clone(&crew);
    let look = move || (seen.is_here(), seen.jobs_here(), other.is_here(), other.jobs_here());
    assert_eq!(outcome(job(&crew, &owner, look)).ok(), Some((true, 1, false, 0)));
    assert!(!crew.is_here() && crew.jobs_here() == 0);
    retire(&crew);
}

#[test]
fn what_a_worker_submits_goes_to_its_own_deque_if_it_is_normal() {
    let (crew, owner) = (Crew::new(threads(0, 1)), Fake::new().1);
    let (send, ran) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    let task = |priority, name: &'static str| {
        let send = send.clone();
        owner.job_of_class(priority, move || send.send(name).expect("the test listens"))
    };
    let normal = task(Priority::Normal, "own");
    let low = task(Priority::Low, "low");
    let inside = Arc::clone(&crew);
    let submits = job(&crew, &owner, move || {
        gate.recv().expect("the test lets it go");
        inside.submit(low) && inside.submit(normal)
    });
    assert!(crew.submit(task(Priority::Normal, "injected")));
    go.send(()).expect("it waits");
    assert_eq!(outcome(submits).ok(), Some(true));
    let order = [(); 3].map(|()| ran.recv_timeout(ALARM).expect("it runs"));
    assert_eq!(order, ["own", "injected", "low"]);
    retire(&crew);
}

#[test]
fn hooks_are_called_on_every_thread_and_their_panics_are_told() {
    let (send, calls) = mpsc::channel();
    let (starts, stops, panics) = (send.clone(), send.clone(), send);
    let crew = Crew::new(Threads {
        on_start: Some(Arc::new(move || starts.send("start").expect("the test listens"))),
        on_stop: Some(Arc::new(move || {
            stops.send("stop").expect("the test listens");
            std::panic::resume_unwind(Box::new("on purpose"));
        })),
        on_panic: Arc::new(move |_| panics.send("panic").expect("the test listens")),
        ..threads(1, 1)
    });
    crew.start_min().expect("a thread");
    retire(&crew);
    drop(crew);
    assert_eq!(calls.iter().collect::<Vec<_>>(), ["start", "stop", "panic"]);
}

#[test]
fn without_a_thread_what_is_queued_is_refused_and_nobody_is_counted() {
    let too_much = Some(1 << 60);
    let crew = Crew::new(Threads { stack_size: too_much, ..threads(1, 1) });
    crew.start_min().expect_err("no such stack");
    let owner = Fake::new().1;
    let refused = outcome(job(&crew, &owner, || ()));
    assert!(matches!(refused, Err(JobError::Rejected(Rejection::NoThread))));
    let counts = crew.counts();
    assert_eq!((counts.total(), counts.searching(), counts.queued()), (0, 0, 0));
    assert_eq!((crew.workers(), crew.queued(), crew.join_exited()), (0, 0, true));
}

#[test]
fn the_handles_of_threads_that_have_exited_are_let_go() {
    let owner = Fake::new().1;
    let crew = Crew::new(Threads { keep_alive: Duration::ZERO, ..threads(0, 1) });
    for _ in 0..3 {
        assert!(outcome(job(&crew, &owner, || ())).is_ok());
        until("it leaves", || crew.workers() == 0);
        let left = || crew.handles.lock().iter().all(|(desk, _)| desk.is_left());
        until("it exits", left);
        assert_eq!(crew.handles.lock().len(), 1);
    }
    assert!(crew.join_exited() && crew.handles.lock().is_empty());
}
