//! Every way in which a job can end: what its handle gives, and what its pool is told, in order.

use super::*;
use std::task::{Context, Poll, Wake, Waker};

const CALLER: Early = Early::Stopped(Cause::Caller);

/// Runs a body by itself, and gives what came of it and what was told of it.
fn run<T: Send + 'static, E: Send + 'static>(
    body: impl FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
) -> (Result<T, JobError<E>>, Vec<Told>) {
    let (_, owner) = Fake::new();
    let (task, handle) = owner.job(Settings::default(), body);
    assert!(task.execute());
    (outcome(handle), owner.told())
}

fn stop(cx: &JobContext) {
    assert_eq!(cx.task().stop(Cause::Caller), Some(Phase::Running));
}

fn told(tally: Tally) -> Vec<Told> {
    vec![Told::Started, Told::Decided(tally)]
}

#[test]
fn a_body_that_was_not_asked_to_stop_decides_by_what_it_returns() {
    let (value, heard) = run(|_| Ok::<_, Infallible>(7));
    assert_eq!((value.ok(), heard), (Some(7), told(Tally::Returned)));
    let (error, heard) = run(|_| Err::<(), _>(7));
    assert!(matches!(error, Err(JobError::Failed(7))));
    assert_eq!(heard, told(Tally::Failed));
    let (panic, heard) = run(|_| -> Result<(), Infallible> { quiet_panic() });
    assert!(panic.is_err_and(|error| error.is_panic()));
    assert_eq!(heard, told(Tally::Panicked));
}

#[test]
fn a_body_that_was_asked_to_stop_has_the_last_word() {
    let stopped = told(Tally::Cancelled(Phase::Running));
    let (value, heard) = run(|cx| {
        stop(cx);
        Ok::<_, Infallible>(7)
    });
    assert_eq!((value.ok(), heard), (Some(7), told(Tally::Returned)));
    let (error, heard) = run(|cx| {
        stop(cx);
        Err::<(), _>(7)
    });
    assert!(matches!(error, Err(JobError::Cancelled(stop)) if stop.error() == Some(&7)));
    assert_eq!(heard, stopped);
    let (left, heard) = run(|cx| -> Result<(), Infallible> {
        stop(cx);
        cx.checkpoint();
        unreachable!("it unwinds")
    });
    assert!(matches!(left, Err(JobError::Cancelled(stop)) if stop.cause() == Cause::Caller));
    assert_eq!(heard, stopped);
    let (left, heard) = run(|cx| -> Result<(), Infallible> {
        stop(cx);
        checkpoint();
        unreachable!("it unwinds, by the current job")
    });
    assert!(left.is_err_and(|error| error.is_cancelled()));
    assert_eq!(heard, stopped);
    let (panic, heard) = run(|cx| -> Result<(), Infallible> {
        stop(cx);
        quiet_panic()
    });
    assert!(panic.is_err_and(|error| error.is_panic()));
    assert_eq!(heard, told(Tally::Panicked));
}

/// The job, asked to stop with no grace, is given up before its body returns this.
fn run_late(
    body: impl FnOnce() -> Result<Dropped<()>, Dropped<()>> + Send + 'static,
) -> (Vec<Told>, Phase) {
    let (_, owner) = Fake::new();
    let settings = Settings { grace: Some(Duration::ZERO), ..Settings::default() };
    let (task, handle) = owner.job(settings, move |cx| {
        stop(cx);
        assert!(cx.task().head.state.is_ready() && !cx.task().head.state.has_ended());
        body()
    });
    assert!(task.execute());
    assert!(task.head.state.has_ended());
    let Err(JobError::Cancelled(stop)) = outcome(handle) else { panic!("it is cancelled") };
    (owner.told(), stop.phase())
}

#[test]
fn what_a_body_returns_after_its_handle_resolved_is_dropped_and_its_panic_told() {
    let given_up = told(Tally::Cancelled(Phase::Running));
    let (send, dropped) = mpsc::channel();
    let (value, error) = (Dropped(send.clone(), ()), Dropped(send, ()));
    assert_eq!(run_late(|| Ok(value)), (given_up.clone(), Phase::Running));
    assert_eq!(run_late(|| Err(error)), (given_up.clone(), Phase::Running));
    assert_eq!(dropped.iter().count(), 2);
    assert_eq!(run_late(|| resume_unwind(Box::new(Checkpoint))).0, given_up);
    let panicked = [given_up, vec![Told::UnseenPanic]].concat();
    assert_eq!(run_late(|| quiet_panic()).0, panicked);
}

#[test]
fn cancelling_says_what_it_hit_and_a_queued_job_ends_there_and_then() {
    let (_, owner) = Fake::new();
    let (send, dropped) = mpsc::channel();
    let captured = Dropped(send, ());
    let (task, handle) = owner.job(Settings::default(), move |_| Ok::<_, Infallible>(captured));
    assert_eq!(handle.cancel(), Some(Phase::Queued));
    assert_eq!(dropped.try_recv(), Ok(()), "its captures are dropped");
    assert_eq!(handle.cancel(), None);
    let ended =
        [Told::Claimed(CALLER), Told::Decided(Tally::Cancelled(Phase::Queued)), Told::Ended];
    assert_eq!((owner.told(), task.execute()), (ended.to_vec(), false));
    assert!(task.head.state.has_ended());
    assert_eq!(outcome(handle).err().and_then(|error| error.phase()), Some(Phase::Queued));
}

#[test]
fn a_running_job_is_hit_in_its_run_however_often() {
    let (answers, _) = run(|cx| {
        let stop = || cx.task().stop(Cause::Caller);
        Ok::<_, Infallible>([stop(), stop()])
    });
    assert_eq!(answers.ok(), Some([Some(Phase::Running); 2]));
}

#[test]
fn what_is_left_of_a_stop_is_the_users_code_and_nothing_else() {
    let (_, owner) = Fake::new();
    let (send, dropped) = mpsc::channel();
    let captured = Dropped(send, ());
    let (task, handle) = owner.job(Settings::default(), move |_| Ok::<_, Infallible>(captured));
    let (hit, leftover) = task.begin_stop(Cause::Caller);
    assert_eq!((hit, owner.told()), (Some(Phase::Queued), vec![Told::Claimed(CALLER)]));
    assert!(dropped.try_recv().is_err() && !handle.is_finished());
    leftover.expect("the captures").finish();
    assert!(dropped.try_recv().is_ok() && handle.is_finished());
    assert_eq!(owner.told().len(), 2);
    let (left, _) = run(|cx| Ok::<_, Infallible>(cx.task().begin_stop(Cause::Caller).1.is_none()));
    assert_eq!(left.ok(), Some(true), "nobody listens");
}

#[test]
fn a_job_that_is_refused_was_in_the_pool_and_one_that_is_turned_away_was_not() {
    let why = Rejection::ShutDown;
    let (_, owner) = Fake::new();
    let (task, handle) = owner.job(Settings::default(), nothing);
    task.refuse(why);
    task.refuse(Rejection::QueueFull); // too late
    let refused =
        [Told::Claimed(Early::Refused(why)), Told::Decided(Tally::Refused(why)), Told::Ended];
    assert_eq!(owner.told(), refused);
    assert!(matches!(outcome(handle), Err(JobError::Rejected(Rejection::ShutDown))));
    let (task, handle) = owner.job(Settings::default(), nothing);
    task.turn_away(why);
    task.turn_away(Rejection::QueueFull);
    assert_eq!(owner.told(), [Told::Decided(Tally::Rejected(why))]);
    assert!(matches!(outcome(handle), Err(JobError::Rejected(Rejection::ShutDown))));
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        quiet_panic();
    }
}

#[test]
fn captures_that_panic_when_dropped_harm_nobody_and_are_told() {
    let (_, owner) = Fake::new();
    let captured = PanicsOnDrop;
    let (_task, handle) = owner.job(Settings::default(), move |_| Ok::<_, Infallible>(captured));
    assert_eq!(handle.cancel(), Some(Phase::Queued));
    let tally = Told::Decided(Tally::Cancelled(Phase::Queued));
    assert_eq!(owner.told(), [Told::Claimed(CALLER), Told::UnseenPanic, tally, Told::Ended]);
    assert!(outcome(handle).is_err());
}

#[test]
fn what_no_handle_takes_is_dropped_and_a_panic_told() {
    let (_, owner) = Fake::new();
    let (send, dropped) = mpsc::channel();
    for before in [true, false] {
        let value = Dropped(send.clone(), ());
        let (task, handle) = owner.job(Settings::default(), move |_| Ok::<_, Infallible>(value));
        let mut handle = Some(handle).filter(|_| !before);
        assert!(task.execute());
        drop(handle.take());
        assert_eq!(dropped.try_recv(), Ok(()));
        let (task, handle) =
            owner.job(Settings::default(), |_| -> Result<(), Infallible> { quiet_panic() });
        let mut handle = Some(handle).filter(|_| !before);
        assert!(task.execute());
        drop(handle.take());
        assert_eq!(owner.told().last(), Some(&Told::UnseenPanic));
    }
}

/// A waker that tells when it is woken, and panics then.
struct Panics(mpsc::Sender<()>);

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        self.0.send(()).expect("the test listens");
        quiet_panic();
    }
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn the_last_waker_is_woken_once_and_its_panic_told() {
    let (_, owner) = Fake::new();
    let (task, mut handle) = owner.job(Settings::default(), nothing);
    let wakers = [(), ()].map(|()| {
        let (send, woken) = mpsc::channel();
        (Waker::from(Arc::new(Panics(send))), woken)
    });
    let [(first, old), (second, new)] = wakers;
    assert!(poll(&mut handle, &first).is_pending());
    assert!(poll(&mut handle, &first).is_pending());
    assert!(poll(&mut handle, &second).is_pending());
    drop(first);
    assert!(old.recv().is_err(), "the first waker is dropped, and was not woken");
    assert!(task.execute());
    assert_eq!((new.try_iter().count(), owner.told().last()), (1, Some(&Told::UnseenPanic)));
    assert!(matches!(poll(&mut handle, &second), Poll::Ready(Ok(()))));
    drop((handle, second));
    assert!(new.recv().is_err(), "the second is dropped, too");
}

#[test]
fn a_handle_that_is_dropped_drops_its_waker() {
    let (_, owner) = Fake::new();
    let (_task, mut handle) = owner.job(Settings::default(), nothing);
    let (send, woken) = mpsc::channel();
    assert!(poll(&mut handle, &Waker::from(Arc::new(Panics(send)))).is_pending());
    drop(handle);
    assert!(woken.recv().is_err());
}

#[test]
fn who_waits_for_the_end_is_woken_at_the_bodys_end_and_not_at_the_outcome() {
    let (_, owner) = Fake::new();
    let (send, woken) = mpsc::channel();
    let (out, seen) = mpsc::channel();
    let settings = Settings { grace: Some(Duration::ZERO), ..Settings::default() };
    let watched = move |cx: &JobContext| {
        stop(cx);
        out.send(woken.try_iter().count()).expect("the test listens");
        Ok::<_, Infallible>(woken)
    };
    let (task, handle) = owner.job(settings, watched);
    let waker = Waker::from(Arc::new(Panics(send)));
    let mut ended = handle.stopped();
    assert!(poll(&mut ended, &waker).is_pending());
    assert!(task.execute());
    assert_eq!((seen.recv(), owner.told().last()), (Ok(0), Some(&Told::UnseenPanic)));
    assert!(poll(&mut ended, &waker).is_ready());
}

#[test]
fn a_body_that_ends_while_it_is_given_up_waits_for_the_outcome_to_be_seen() {
    let (_, owner) = Fake::new();
    let (out, contexts) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    let (task, handle) = owner.job(Settings::default(), move |cx| {
        out.send(cx.clone()).expect("the test listens");
        gate.recv().map_err(|_| ())
    });
    std::thread::scope(|s| {
        s.spawn(|| task.execute());
        let _cx = contexts.recv().expect("it starts");
        assert_eq!(handle.cancel(), Some(Phase::Running));
        let (decide, held) = mpsc::channel::<()>();
        *owner.hold.lock() = Some(held);
        let giver = s.spawn(|| task.give_up());
        while !task.head.state.is_given_up() {
            std::thread::yield_now();
        }
        go.send(()).expect("it waits");
        (0..1000).for_each(|_| std::thread::yield_now()); // for one that does not wait
        assert!(!task.head.state.has_ended() && !handle.is_finished());
        drop(decide);
        giver.join().expect("no panic");
        handle.wait_stopped();
        assert!(handle.is_finished());
    });
    assert!(outcome(handle).is_err_and(|error| error.is_cancelled()));
}

#[test]
fn who_no_longer_waits_for_the_end_is_forgotten() {
    let (_, owner) = Fake::new();
    let (_task, handle) = owner.job(Settings::default(), nothing);
    let (send, woken) = mpsc::channel();
    let mut ended = handle.stopped();
    assert!(poll(&mut ended, &Waker::from(Arc::new(Panics(send)))).is_pending());
    drop(ended);
    assert!(woken.recv().is_err());
}

#[test]
fn only_a_deadline_is_a_timeout() {
    let phase = Phase::Running;
    assert_eq!(Tally::stopped(Cause::Deadline, phase), Tally::TimedOut(phase));
    assert_eq!(Tally::stopped(Cause::Parent, Phase::Queued), Tally::Cancelled(Phase::Queued));
}
