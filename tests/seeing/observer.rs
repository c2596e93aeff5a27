//! `Observer`: what is told, in which order, on which thread; and that it harms nobody.

use crate::support::{
    Busy, Gate, PanicsOnDrop, error, ms, news, outcome, pool_of, quiet_panic, until,
};
use punctual::{
    Builder, Cause, JobId, JobInfo, Observer, Order, Outcome, Phase, Pool, Rejection, WhenFull,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

#[derive(Clone, Debug, PartialEq)]
enum Told {
    Accepted,
    Rejected(Rejection),
    Started,
    Ended(Outcome, Phase),
    Overdue,
    ReturnedLate,
    SparesUsedUp,
    ThreadStarted(String),
    ThreadStopped(String),
    DrainBegun,
    ShutdownBegun,
}

/// Notes what it is told, about which job, on which thread.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<Entry>>>);

type Entry = (Told, Option<JobId>, ThreadId);

impl Diary {
    fn note(&self, told: Told, job: Option<&JobInfo>) {
        let entry = (told, job.map(JobInfo::id), thread::current().id());
        self.0.lock().expect("no panic under it").push(entry);
    }

    /// What was told of this job, and where.
    fn of(&self, job: JobId) -> (Vec<Told>, Vec<ThreadId>) {
        let all = self.0.lock().expect("no panic under it").clone();
        let here = all.into_iter().filter(|(_, of, _)| *of == Some(job));
        here.map(|(told, _, thread)| (told, thread)).unzip()
    }

    /// What was told of no job.
    fn of_the_pool(&self) -> Vec<Told> {
        let all = self.0.lock().expect("no panic under it").clone();
        all.into_iter().filter(|(_, of, _)| of.is_none()).map(|(told, ..)| told).collect()
    }

    fn by_job(&self) -> HashMap<JobId, Vec<Told>> {
        let mut by_job = HashMap::<_, Vec<_>>::new();
        for (told, job, _) in self.0.lock().expect("no panic under it").clone() {
            if let Some(job) = job {
                by_job.entry(job).or_default().push(told);
            }
        }
        by_job
    }
}

impl Observer for Diary {
    fn accepted(&self, job: &JobInfo) {
        self.note(Told::Accepted, Some(job));
    }
    fn rejected(&self, job: &JobInfo, why: Rejection) {
        self.note(Told::Rejected(why), Some(job));
    }
    fn started(&self, job: &JobInfo) {
        assert!(punctual::current().is_none(), "law 13");
        self.note(Told::Started, Some(job));
    }
    fn ended(&self, job: &JobInfo, outcome: Outcome) {
        self.note(Told::Ended(outcome, job.phase()), Some(job));
    }
    fn overdue(&self, job: &JobInfo) {
        self.note(Told::Overdue, Some(job));
    }
    fn returned_late(&self, job: &JobInfo) {
        self.note(Told::ReturnedLate, Some(job));
    }
    fn spare_threads_used_up(&self) {
        self.note(Told::SparesUsedUp, None);
    }
    fn thread_started(&self, name: &str) {
        self.note(Told::ThreadStarted(name.to_owned()), None);
    }
    fn thread_stopped(&self, name: &str) {
        self.note(Told::ThreadStopped(name.to_owned()), None);
    }
    fn drain_begun(&self) {
        self.note(Told::DrainBegun, None);
    }
    fn shutdown_begun(&self) {
        self.note(Told::ShutdownBegun, None);
    }
}

fn watched(settings: impl FnOnce(Builder) -> Builder) -> (Diary, Pool) {
    let diary = Diary::default();
    let builder = Pool::builder().threads(1..=1).observer(diary.clone());
    (diary, settings(builder).build().expect("a thread"))
}

#[test]
fn what_becomes_of_a_job_is_told_in_its_order_where_it_happens() {
    use Phase::{Queued, Running};
    let (diary, pool) = watched(|builder| builder);
    let here = thread::current().id();
    let job = pool.spawn_blocking(|| thread::current().id());
    let id = job.id();
    let worker = outcome(job).expect("it returns");
    until("it is told", || diary.of(id).0.len() == 3);
    let ended = Told::Ended(Outcome::Returned, Running);
    assert_eq!(
        diary.of(id),
        (vec![Told::Accepted, Told::Started, ended], vec![here, worker, worker])
    );

    let busy = Busy::all(&pool, 1);
    let queued = pool.spawn_blocking(|| ());
    queued.cancel();
    let ended = Told::Ended(Outcome::Cancelled(Cause::Caller), Queued);
    assert_eq!(diary.of(queued.id()), (vec![Told::Accepted, ended], vec![here, here]));
    let late = pool.job().queue_timeout(ms(2)).spawn_blocking(|| ());
    late.wait_stopped();
    let ended = [Told::Accepted, Told::Ended(Outcome::TimedOut, Queued)];
    until("it is told", || diary.of(late.id()).0 == ended);
    drop(busy);

    let ends = [
        (pool.spawn(|_| -> Result<(), _> { Err(1) }), Outcome::Failed),
        (pool.spawn(|_| quiet_panic("seen")), Outcome::Panicked),
    ];
    for (job, end) in ends {
        let id = job.id();
        error(job);
        let ended = Told::Ended(end, Running);
        until("it is told", || diary.of(id).0 == [Told::Accepted, Told::Started, ended.clone()]);
    }
}

#[test]
fn a_job_that_is_overdue_ends_and_returns_later() {
    let (diary, pool) = watched(|builder| builder);
    let gate = Gate::default();
    let deaf = gate.clone();
    let job = pool.job().run_timeout(ms(2)).spawn_blocking(move || {
        deaf.pass();
        thread::current().id()
    });
    let id = job.id();
    let first = [
        Told::Accepted,
        Told::Started,
        Told::Ended(Outcome::TimedOut, Phase::Running),
        Told::Overdue,
    ];
    until("it is told", || diary.of(id).0 == first);
    gate.open();
    assert!(error(job).is_timed_out());
    until("it is told", || diary.of(id).0.len() == 5);
    let (told, threads) = diary.of(id);
    assert_eq!(told[4], Told::ReturnedLate);
    assert!(
        [threads[1], threads[3]].contains(&threads[4]),
        "the worker, or who told the one before"
    );
}

/// Sends the names of the threads that jobs are overdue on.
struct WhereLate(Sender<Option<String>>);

impl Observer for WhereLate {
    fn overdue(&self, job: &JobInfo) {
        assert!(job.overdue_by().is_some() && job.name() == Some("deaf"), "{job}");
        self.0.send(job.thread().map(str::to_owned)).expect("the test listens");
    }
}

#[test]
fn who_is_told_that_a_job_is_overdue_is_told_on_which_thread() {
    let (send, threads) = news();
    let builder = Pool::builder().name("late").threads(2..=2).observer(WhereLate(send));
    let pool = builder.build().expect("threads");
    let gate = Gate::default();
    let deaf = gate.clone();
    let (late, values) = news();
    let job = pool.job().name("deaf").run_timeout(ms(2));
    let job = job.on_late(move |name: Option<String>| late.send(name).expect("the test listens"));
    let job = job.spawn_blocking(move || {
        deaf.pass();
        thread::current().name().map(str::to_owned)
    });
    let told = threads.next();
    gate.open();
    assert!(error(job).is_timed_out());
    assert!(told.as_ref().is_some_and(|name| name.starts_with("late-")), "{told:?}");
    assert_eq!(told, values.next(), "where it ran");
}

#[test]
fn what_is_refused_is_never_accepted() {
    let (diary, pool) = watched(|builder| builder.queue_limit(1));
    let place = pool.try_reserve().expect("a place");
    let refused = pool.spawn_blocking(|| ());
    assert_eq!(diary.of(refused.id()).0, [Told::Rejected(Rejection::QueueFull)]);
    drop(place);
    drop(pool.drain());
    let refused = pool.spawn_blocking(|| ());
    assert_eq!(diary.of(refused.id()).0, [Told::Rejected(Rejection::ShutDown)]);
}

/// In lanes, on the thread that spawns, before a full queue, behind a stuck key.
#[test]
fn every_job_is_accepted_before_anything_else_is_told_of_it() {
    let (diary, pool) = watched(|builder| builder);
    let here = thread::current().id();
    let lane = pool.lane("outer").limit(1).lane("inner").limit(1).queue_limit(1);
    let (gate, (started, starts)) = (Gate::default(), news());
    let held = gate.clone();
    let first = lane.spawn_blocking(move || {
        started.send(()).expect("the test listens");
        held.pass();
    });
    starts.next();
    let second = lane.spawn_blocking(|| ());
    assert_eq!(diary.of(second.id()).0, [Told::Accepted], "it waits for the first one's permit");
    let full = Told::Rejected(Rejection::QueueFull);
    let refused = lane.job().try_spawn(|_| Ok::<_, ()>(())).expect_err("there is no place");
    let told = diary.by_job();
    assert!(told.values().any(|told| *told == [full.clone()]), "{told:?}");
    drop(refused);
    gate.open();
    let ended = Told::Ended(Outcome::Returned, Phase::Running);
    for id in [first.id(), second.id()] {
        until("all is told", || diary.of(id).0 == [Told::Accepted, Told::Started, ended.clone()]);
    }

    let busy = Busy::all(&pool, 1);
    let lane = pool.lane("callers").queue_limit(1).when_full(WhenFull::CallerRuns);
    let (queued, own) = (lane.spawn_blocking(|| ()), lane.spawn_blocking(|| ()));
    let told = (vec![Told::Accepted, Told::Started, ended], vec![here; 3]);
    assert_eq!((diary.of(queued.id()).0.len(), diary.of(own.id())), (1, told));

    let lane = pool.lane("latest").queue_limit(1).when_full(WhenFull::DropOldest);
    let (oldest, _latest) = (lane.spawn_blocking(|| ()), lane.spawn_blocking(|| ()));
    until("it is told", || diary.of(oldest.id()).0 == [Told::Accepted, full.clone()]);
    drop(busy);
}

#[test]
fn what_is_refused_behind_a_stuck_body_is_told() {
    let (diary, pool) = watched(|builder| builder);
    let gate = Gate::default();
    let deaf = gate.clone();
    let stuck = pool.job().key("disk").run_timeout(ms(2)).spawn_blocking(move || deaf.pass());
    let queued = pool.job().key("disk").spawn_blocking(|| ());
    assert!(error(stuck).is_timed_out());
    let overdue = Told::Rejected(Rejection::Overdue);
    let refused = pool.job().key("disk").spawn_blocking(|| ());
    assert_eq!(diary.of(refused.id()).0, std::slice::from_ref(&overdue));
    // Its body is back, but not before the worker finds the next one: whatever that comes to is told.
    gate.open();
    let id = queued.id();
    let _ = outcome(queued);
    until("all is told", || {
        let told = diary.of(id).0;
        told.len() == 3 && told[1] == Told::Started || told == [Told::Accepted, overdue.clone()]
    });
}

#[test]
fn it_is_told_that_no_spare_thread_is_left_each_time() {
    let (diary, pool) = watched(|builder| builder.spare_threads(1));
    let gate = Gate::default();
    let stick = || {
        let deaf = gate.clone();
        let job = pool.job().run_timeout(ms(2)).spawn_blocking(move || deaf.pass());
        let id = job.id();
        assert!(error(job).is_timed_out());
        until("it is told", || diary.of(id).0.contains(&Told::Overdue));
    };
    let told = || diary.of_the_pool().iter().filter(|told| **told == Told::SparesUsedUp).count();
    stick();
    assert_eq!((outcome(pool.spawn_blocking(|| 1)).ok(), told()), (Some(1), 0), "one is left");
    stick();
    until("it is told", || told() == 1);
    gate.open();
    until("they are back", || pool.overdue().is_empty() && pool.metrics().spare == 0);
    let gate = Gate::default();
    let deaf = gate.clone();
    let job = pool.job().run_timeout(ms(2)).spawn_blocking(move || deaf.pass());
    assert!(error(job).is_timed_out());
    assert_eq!((outcome(pool.spawn_blocking(|| 1)).ok(), told()), (Some(1), 1), "one was left");
    gate.open();
    assert_eq!(outcome(pool.spawn_blocking(|| 1)).ok(), Some(1));
}

#[test]
fn threads_and_the_pools_end_are_told_around_the_hooks() {
    let diary = Diary::default();
    let seen = diary.clone();
    let at_start = move || assert_eq!(seen.of_the_pool(), [Told::ThreadStarted("seen-1".into())]);
    let (send, unseen) = news();
    let hook = move |panic: punctual::Panic| send.send(panic.message().to_owned()).expect("heard");
    let pool = Pool::builder()
        .name("seen")
        .threads(1..=1)
        .on_thread_start(at_start)
        .on_thread_stop(|| quiet_panic("a hook panics"))
        .on_unseen_panic(hook)
        .observer(diary.clone())
        .build()
        .expect("a thread");
    outcome(pool.spawn_blocking(|| ())).expect("it returns"); // the thread is up
    pool.drain().wait();
    pool.drain().wait();
    pool.shutdown().wait();
    let name = || "seen-1".to_owned();
    let told = [
        Told::ThreadStarted(name()),
        Told::DrainBegun,
        Told::ThreadStopped(name()),
        Told::ShutdownBegun,
    ];
    assert_eq!(diary.of_the_pool(), told);
    assert_eq!(unseen.next(), "a hook panics");
}

/// Holds up what it is told, and notes it after that.
struct Slow {
    diary: Diary,
    pool: Arc<OnceLock<Pool>>,
    /// Until when.
    starts: fn(&Pool) -> bool,
    overdue: fn(&Pool) -> bool,
    gate: Gate,
}

impl Observer for Slow {
    fn started(&self, job: &JobInfo) {
        if job.name().is_some() {
            until("it may go on", || (self.starts)(self.pool.get().expect("it is set")));
        }
        self.diary.started(job);
    }
    fn ended(&self, job: &JobInfo, outcome: Outcome) {
        self.diary.ended(job, outcome);
    }
    fn overdue(&self, job: &JobInfo) {
        self.gate.open();
        until("it may go on", || (self.overdue)(self.pool.get().expect("it is set")));
        self.diary.overdue(job);
    }
    fn returned_late(&self, job: &JobInfo) {
        self.diary.returned_late(job);
    }
}

/// What is told, so slowly, of a body that returns once it is known to be overdue.
fn told_slowly(starts: fn(&Pool) -> bool, overdue: fn(&Pool) -> bool) -> Vec<Told> {
    let (diary, gate, own) = (Diary::default(), Gate::default(), Arc::<OnceLock<Pool>>::default());
    let slow =
        Slow { diary: diary.clone(), pool: Arc::clone(&own), starts, overdue, gate: gate.clone() };
    let pool = Pool::builder().threads(1..=1).order(Order::Fifo).observer(slow).build();
    let pool = pool.expect("a thread");
    assert!(own.set(pool.clone()).is_ok());
    let job = pool.job().name("deaf").run_timeout(ms(2)).spawn_blocking(move || gate.pass());
    let (id, next) = (job.id(), pool.spawn_blocking(|| ()));
    let expires = pool.job().queue_timeout(ms(10)).spawn_blocking(|| ());
    assert!(error(job).is_timed_out());
    outcome(next).expect("it returns");
    drop(expires);
    until("all is told", || diary.of(id).0.len() >= 4);
    pool.drain().wait();
    diary.of(id).0
}

const ALL_OF_IT: [Told; 4] = [
    Told::Started,
    Told::Ended(Outcome::TimedOut, Phase::Running),
    Told::Overdue,
    Told::ReturnedLate,
];

#[test]
fn a_job_that_is_given_up_is_told_after_its_start() {
    // The timekeeper expires that one when it is through with this one.
    assert_eq!(told_slowly(|pool| pool.metrics().timed_out_queued == 1, |_| true), ALL_OF_IT);
}

#[test]
fn a_return_is_told_after_what_it_was_too_late_for() {
    // The next job runs when the worker is through with this one.
    assert_eq!(told_slowly(|_| true, |pool| pool.metrics().returned > 0), ALL_OF_IT);
}

/// Looks at all there is of its pool, and panics.
struct Nosy(OnceLock<Pool>, Arc<AtomicUsize>);

impl Nosy {
    fn look(&self) -> ! {
        if let Some(pool) = self.0.get() {
            let _ = (pool.metrics(), pool.overdue(), format!("{pool:?}"), pool.try_reserve());
        }
        self.1.fetch_add(1, Ordering::SeqCst);
        quiet_panic("an observer panics")
    }
}

struct Shared(Arc<Nosy>);

impl Observer for Shared {
    fn accepted(&self, job: &JobInfo) {
        let _ = job.to_string();
        self.0.look();
    }
    fn rejected(&self, _: &JobInfo, _: Rejection) {
        self.0.look();
    }
    fn started(&self, _: &JobInfo) {
        self.0.look();
    }
    fn ended(&self, _: &JobInfo, _: Outcome) {
        self.0.look();
    }
    fn overdue(&self, _: &JobInfo) {
        self.0.look();
    }
    fn returned_late(&self, _: &JobInfo) {
        self.0.look();
    }
    fn spare_threads_used_up(&self) {
        self.0.look();
    }
    fn thread_started(&self, _: &str) {
        self.0.look();
    }
    fn thread_stopped(&self, _: &str) {
        self.0.look();
    }
    fn drain_begun(&self) {
        self.0.look();
    }
    fn shutdown_begun(&self) {
        self.0.look();
    }
}

#[test]
fn an_observer_is_called_under_no_lock_and_may_panic() {
    let (calls, panics) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let nosy = Arc::new(Nosy(OnceLock::new(), Arc::clone(&calls)));
    let (shared, told) = (Shared(Arc::clone(&nosy)), Arc::clone(&panics));
    let pool = Pool::builder()
        .threads(1..=2)
        .queue_limit(8)
        .observer(shared)
        .on_unseen_panic(move |panic| {
            assert_eq!(panic.message(), "an observer panics");
            told.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .expect("a thread");
    assert!(nosy.0.set(pool.clone()).is_ok());
    let gate = Gate::default();
    let deaf = gate.clone();
    let overdue = pool.job().run_timeout(ms(2)).spawn_blocking(move || deaf.pass());
    assert!(error(overdue).is_timed_out());
    assert_eq!(outcome(pool.spawn_blocking(|| 7)).expect("it returns"), 7);
    gate.open();
    let busy = Busy::all(&pool, 2);
    let queued: Vec<_> = (0..10).map(|_| pool.spawn_blocking(|| ())).collect();
    assert_eq!(queued.iter().filter(|job| job.is_finished()).count(), 2, "no room for them");
    queued[0].cancel();
    drop(pool.drain());
    drop(busy);
    pool.shutdown().wait();
    assert!(nosy.0.get().is_some_and(|pool| pool.metrics().threads == 0));
    until("all panics are told", || panics.load(Ordering::SeqCst) == calls.load(Ordering::SeqCst));
    assert!(calls.load(Ordering::SeqCst) > 30);
}

/// A body that returns just about when its time is up.
fn close_call(n: u64) -> impl FnOnce() + Send + 'static {
    move || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(950 + n % 200) {
            thread::yield_now();
        }
    }
}

#[test]
fn the_order_holds_for_every_job_whatever_ends_it() {
    let (diary, pool) = watched(|builder| builder.threads(3..=3).queue_limit(100));
    let jobs = (0..3_000_u64).map(|n| match n % 6 {
        0 => pool.job().run_timeout(ms(1)).spawn_blocking(close_call(n)),
        1 => pool.job().timeout(ms(1)).spawn_blocking(|| ()),
        2 => pool.spawn_blocking(|| quiet_panic("seen")),
        _ => pool.spawn_blocking(|| ()),
    });
    for (n, job) in jobs.enumerate() {
        if n % 7 == 0 {
            job.cancel();
        }
        if n % 3 == 0 {
            let _ = outcome(job);
        }
    }
    pool.shutdown().wait();
    let metrics = pool.metrics();
    let count =
        |what: &Told| diary.0.lock().expect("no panic").iter().filter(|e| e.0 == *what).count();
    until("all is told", || count(&Told::Overdue) == count(&Told::ReturnedLate));
    let by_job = diary.by_job();
    let mut refused = 0; // in the queue, as too late
    for told in by_job.values() {
        let step = |told: &Told| match told {
            Told::Accepted => 'a',
            Told::Rejected(_) => 'r',
            Told::Started => 's',
            Told::Ended(_, Phase::Queued) => 'q',
            Told::Ended(_, Phase::Running) => 'e',
            Told::Overdue => 'o',
            Told::ReturnedLate => 'l',
            other => panic!("{other:?} is of no job"),
        };
        let steps: String = told.iter().map(step).collect();
        assert!(["ase", "aq", "aseol", "r", "ar"].contains(&&*steps), "{steps}: {told:?}");
        refused += usize::from(steps == "ar");
    }
    assert_eq!((by_job.len(), count(&Told::Accepted)), (3_000, metrics.accepted as usize));
    assert_eq!(refused as u64, metrics.rejected_queued);
}

/// One whose destructor panics.
struct Last(#[allow(dead_code, reason = "it is dropped")] PanicsOnDrop);

impl Observer for Last {}

#[test]
fn an_observers_destructor_may_panic() {
    let (send, unseen) = news();
    let hook = move |panic: punctual::Panic| send.send(panic.message().to_owned()).expect("heard");
    let builder = Pool::builder().threads(1..=1).on_unseen_panic(hook);
    let pool = builder.observer(Last(PanicsOnDrop)).build().expect("a thread");
    pool.drain().wait();
    drop(pool);
    assert_eq!(unseen.next(), "a destructor panics");
}

/// One that wants to know nothing.
struct Nobody;

impl Observer for Nobody {}

#[test]
fn every_method_may_be_left_out() {
    let builder = Pool::builder().threads(1..=1).observer(Nobody);
    let pool = builder.build().expect("a thread");
    let gate = Gate::default();
    let (deaf, started) = (gate.clone(), news());
    let tell: Sender<()> = started.0;
    let job = pool.job().run_timeout(ms(2)).spawn_blocking(move || {
        tell.send(()).expect("the test listens");
        deaf.pass();
    });
    started.1.next();
    assert!(error(job).is_timed_out());
    gate.open();
    pool.drain().wait();
    assert!(error(pool.spawn_blocking(|| ())).is_rejected());
    pool.shutdown().wait();
    assert_eq!(outcome(pool_of(1).spawn_blocking(|| 7)).ok(), Some(7), "nor is one needed");
}
