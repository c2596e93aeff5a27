//! The face: every name that users, examples and other suites compile against, used as they do. That
//! it compiles is what it tests, above all; what a line does is told elsewhere.

use punctual::*;
use std::any::Any;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(2);

/// An error that is no `std::error::Error`, as anyhow's.
type AnyError = Box<dyn Error + Send + Sync>;

fn pool() -> Pool {
    Pool::builder().name("db").threads(2..=64).queue_limit(10_000).build().expect("threads")
}

#[tokio::test]
async fn the_drop_in() -> Result<(), AnyError> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let bytes = punctual::spawn_blocking(move || std::fs::read(path)).await??;
    assert!(!bytes.is_empty());
    let job: JoinHandle<u8> = punctual::spawn_blocking(|| 1);
    let value: Result<u8, JoinError> = job.await;
    assert_eq!(value?, 1);
    let job: JobHandle<u8, Stopped> = punctual::spawn(|cx| cx.check().map(|()| 2));
    assert_eq!(job.await?, 2);
    let default: &Pool = default_pool();
    assert!(set_default_pool(Pool::new()).is_err() && default.metrics().accepted >= 3);
    assert!(current().is_none());
    checkpoint(); // outside of a job: nothing
    Ok(())
}

#[tokio::test]
async fn the_native_verb() {
    let (pool, request) = (pool(), CancellationToken::new());
    let rows = pool
        .job()
        .name("report")
        .priority(Priority::High)
        .timeout(HOUR)
        .deadline(Instant::now() + HOUR)
        .queue_timeout(HOUR)
        .run_timeout(HOUR)
        .grace(MOMENT)
        .token(&request)
        .spawn(move |cx| {
            let _guard: StopGuard = cx.on_stop(move |_cause: Cause| ());
            (0..3).map(|row| cx.check().map(|()| row)).collect::<Result<Vec<_>, Stopped>>()
        })
        .await;
    match rows {
        Ok(rows) => assert_eq!(rows, [0, 1, 2]),
        Err(JobError::Failed(error)) => panic!("{error}"),
        Err(JobError::TimedOut(stop)) if stop.phase() == Phase::Queued => panic!("{stop}"),
        Err(JobError::TimedOut(stop) | JobError::Cancelled(stop)) => {
            let _: (Phase, Cause) = (stop.phase(), stop.cause());
            let _: (Duration, Duration) = (stop.queued_for(), stop.ran_for());
            let _: (Option<&Stopped>, JobId) = (stop.error(), stop.id());
            let _: Option<Stopped> = stop.into_error();
        }
        Err(JobError::Panicked(panic)) => panic.resume(),
        Err(JobError::Rejected(
            Rejection::QueueFull | Rejection::ShutDown | Rejection::TooLate | Rejection::NoThread,
        )) => unreachable!("there is room, time and a thread"),
        Err(_) => unreachable!("no other error is known"),
    }
}

#[tokio::test]
async fn a_pool_and_its_builder() {
    let builder: Builder = Pool::builder();
    let pool: Result<Pool, BuildError> = builder
        .name("face")
        .threads(..=4)
        .spare_threads(1)
        .keep_alive(HOUR)
        .thread_stack_size(1 << 20)
        .queue_limit(10)
        .order(Order::EarliestDeadline)
        .order(Order::Fifo)
        .default_timeout(HOUR)
        .default_grace(MOMENT)
        .on_thread_start(|| ())
        .on_thread_stop(|| ())
        .on_unseen_panic(|panic: Panic| drop(panic))
        .observer(Silent)
        .build();
    let pool = pool.expect("no thread is started yet").clone();
    let reserve: Result<Permit, Rejection> = pool.reserve().await;
    let permits = [reserve, pool.try_reserve(), pool.blocking_reserve()];
    let [first, second, third] = permits.map(|permit| permit.expect("there is room"));
    assert_eq!(first.spawn(|_| Ok::<_, Infallible>(1)).await.ok(), Some(1));
    assert_eq!(second.job().name("x").spawn_blocking(|| 2).await.ok(), Some(2));
    assert_eq!(third.spawn_blocking(|| 3).await.ok(), Some(3));
    assert_eq!(pool.spawn(|cx| cx.check()).await.ok(), Some(()));
    assert_eq!(pool.spawn_blocking(|| 4).await.ok(), Some(4));
    let lane: Lane = pool.lane("thumbnails").limit(4).queue_limit(100).clone();
    assert_eq!(lane.job().timeout(HOUR).spawn(|cx| cx.check()).await.ok(), Some(()));
    assert_eq!(lane.spawn(|cx| cx.check()).await.ok(), Some(()));
    assert_eq!(lane.spawn_blocking(|| 5).await.ok(), Some(5));
    let overdue: Vec<JobInfo> = pool.overdue();
    let metrics: Metrics = pool.metrics();
    assert_eq!((overdue.len(), metrics.accepted), (0, 8));
    let report: ShutdownReport = pool.drain().within(HOUR).await;
    let ShutdownReport { finished, never_started, still_running, .. } = pool.shutdown().wait();
    let named: [Vec<JobInfo>; 2] = [never_started, still_running];
    assert_eq!((report.finished, finished, named.concat().len()), (8, 8, 0));
}

struct Silent;

impl Observer for Silent {}

#[tokio::test]
async fn a_handle() {
    let pool = pool();
    let mut asleep = pool.spawn(|cx| cx.sleep(Duration::MAX));
    assert!(asleep.wait_timeout(MOMENT).is_none());
    assert!(asleep.wait_deadline(Instant::now() + MOMENT).is_none() && !asleep.is_finished());
    let info: JobInfo = asleep.info();
    let handle: AbortHandle = asleep.abort_handle().clone();
    assert!(info.id() == asleep.id() && handle.id() == info.id() && !handle.is_finished());
    let hit: Option<Phase> = handle.cancel();
    assert!(hit.is_some());
    handle.abort();
    asleep.abort();
    assert!(matches!(asleep.cancel(), Some(Phase::Running) | None));
    let outcome: Option<Result<(), JobError<Stopped>>> = asleep.wait_deadline(Deadline::NEVER);
    assert!(outcome.is_some_and(|outcome| outcome.is_err()));
    asleep.stopped().await;
    asleep.wait_stopped();
    assert_eq!(pool.spawn_blocking(|| 1).cancel_on_drop().await.ok(), Some(1));
    let waited: Result<u8, JobError> = pool.spawn_blocking(|| 1).wait();
    assert_eq!(waited.ok(), Some(1));
}

#[test]
fn a_context() {
    let job = pool().job().name("x").timeout(HOUR).spawn(|cx: &JobContext| -> Checked<_> {
        cx.check()?;
        cx.checkpoint();
        let _: (bool, Option<Cause>) = (cx.is_stopped(), cx.cause());
        let _: (Deadline, Option<Duration>) = (cx.deadline(), cx.remaining());
        let _: (CancellationToken, JobId, Option<&str>) = (cx.token(), cx.id(), cx.name());
        let borrowed = String::from("a connection");
        let length = cx.interruptible(|| assert!(!borrowed.is_empty()), || borrowed.len());
        cx.sleep(MOMENT)?;
        assert_eq!(current().map(|cx| cx.id()), Some(cx.id()));
        Ok(length + cx.job().spawn_blocking(|| 1).wait().unwrap_or(0))
    });
    assert_eq!(job.wait().ok(), Some(13));
}

#[test]
fn what_is_late() {
    let (late, values) = std::sync::mpsc::channel();
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let job = pool().job().run_timeout(MOMENT);
    let job = job.on_late(move |value: u32| late.send(value).expect("it is awaited"));
    let error = job.spawn_blocking(move || gate.recv().map_or(7, |()| 8)).wait().unwrap_err();
    assert!(error.is_timed_out());
    drop(go);
    assert_eq!(values.recv(), Ok(7));
}

#[test]
fn an_error() {
    fn is_error<E: Error + 'static>(_: &E) {}
    let pool = pool();
    let error: JobError<AnyError> =
        pool.spawn(|_| Err::<(), AnyError>("no luck".into())).wait().unwrap_err();
    is_error(&error);
    let error: JobError<anyhow::Error> =
        pool.spawn(|_| Err::<(), _>(anyhow::anyhow!("no luck"))).wait().unwrap_err();
    is_error(&error);
    assert!(!error.is_cancelled() && !error.is_timed_out() && !error.is_rejected());
    assert_eq!((error.phase(), error.id()), (Some(Phase::Running), None));
    let late = pool.job().timeout(Duration::ZERO).spawn(|_| std::fs::read("x")).wait();
    let error: io::Error = late.unwrap_err().into();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let panicked = || pool.spawn_blocking(|| std::panic::resume_unwind(Box::new(7_u8))).wait();
    let error: JobError = panicked().unwrap_err();
    assert!(error.is_panic());
    let payload: Box<dyn Any + Send> = error.into_panic();
    assert_eq!(payload.downcast_ref(), Some(&7_u8));
    let payload: Result<Box<dyn Any + Send>, JobError> = panicked().unwrap_err().try_into_panic();
    assert!(payload.is_ok());
    let stopped: Stopped = pool
        .spawn(|cx| {
            cx.token().cancel();
            Ok::<_, Infallible>(cx.check().unwrap_err())
        })
        .wait()
        .expect("it returns");
    assert_eq!(io::Error::from(stopped).kind(), io::ErrorKind::Other);
    use Cause::{Caller, Dropped, Parent, Shutdown, Token};
    assert!([Caller, Token, Cause::Deadline, Shutdown, Dropped, Parent].contains(&stopped.cause()));
}

#[test]
fn a_deadline() {
    let (soon, later) = (Deadline::at(Instant::now()), Deadline::after(HOUR));
    assert_eq!(soon.earliest(later), soon.min(later));
    assert!(soon.has_passed() && !later.has_passed());
    assert_eq!(
        (Deadline::after(Duration::MAX), Deadline::NEVER.remaining()),
        (Deadline::NEVER, None)
    );
}

#[tokio::test]
async fn a_set() {
    let mut set: JobSet<u32, Stopped> = JobSet::new();
    let _: AbortHandle = set.spawn(|cx| cx.check().map(|()| 1));
    assert_eq!(set.join_next().await.and_then(Result::ok), Some(1));
    let mut set = JobSet::on(&pool());
    let _: AbortHandle = set.spawn_blocking(|| 2);
    assert_eq!(set.len(), 1);
    let next: Option<Result<u32, JobError>> = set.try_join_next();
    drop(next);
    set.abort_all();
    set.detach_all();
    set.shutdown().await;
    assert!(futures_util::StreamExt::next(&mut set).await.is_none());
}
