//! A call that blocks for ever, and what must end it.

use crate::support::{PATIENCE, error, ms, news, outcome, pool_of, until};
use punctual::testing::ManualClock;
use punctual::{Cause, JobContext, JobError, Phase, Pool, Stopped};
use std::fmt::Debug;
use std::fs;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Far less than anything would take that is not ended.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Whom a call's error blames.
fn blamed(error: &io::Error) -> Option<Cause> {
    error.get_ref()?.downcast_ref::<Stopped>().map(Stopped::cause)
}

/// Waits until the thread of this name (`read_link` of `/proc/thread-self`) sleeps in the system.
pub(crate) fn until_it_sleeps(thread: &str) {
    until("it sleeps", || {
        let stat = fs::read_to_string(format!("/proc/{thread}/stat")).expect("it is there");
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
    });
}

pub(crate) fn this_thread() -> String {
    let link = fs::read_link("/proc/thread-self").expect("it is there");
    link.to_string_lossy().into_owned()
}

/// The call, which blocks for ever, must be ended by a cancel before it, a cancel while it blocks, a
/// deadline, and one by a clock that a test moves; and each time with the right error.
pub(crate) fn ends<T: Debug + Send + 'static>(
    call: impl Fn(&JobContext) -> io::Result<T> + Send + Sync + 'static,
) {
    let call = Arc::new(call);
    let start = Instant::now();
    cancelled_before(Arc::clone(&call));
    cancelled_within(Arc::clone(&call));
    timed_out(&pool_of(1), Arc::clone(&call), || ());
    let clock = ManualClock::new();
    let pool = Pool::builder().threads(1..=1).clock(&clock).build().expect("a thread");
    timed_out(&pool, call, || clock.advance(ms(20)));
    assert!(start.elapsed() < AT_ONCE, "it took {:?}", start.elapsed());
}

fn cancelled_before<T: Debug + Send + 'static>(
    call: Arc<impl Fn(&JobContext) -> io::Result<T> + Send + Sync + 'static>,
) {
    let job = pool_of(1).spawn(move |cx| {
        cx.token().cancel();
        call(cx)
    });
    let JobError::Cancelled(stop) = error(job) else { panic!("it was cancelled") };
    let error = stop.into_error().expect("the call fails");
    assert_eq!((error.kind(), blamed(&error)), (ErrorKind::Other, Some(Cause::Token)));
}

fn cancelled_within<T: Debug + Send + 'static>(
    call: Arc<impl Fn(&JobContext) -> io::Result<T> + Send + Sync + 'static>,
) {
    let (started, starts) = news();
    let job = pool_of(1).spawn(move |cx| {
        started.send(this_thread()).expect("the test listens");
        call(cx)
    });
    until_it_sleeps(&starts.next());
    assert_eq!(job.cancel(), Some(Phase::Running));
    let JobError::Cancelled(stop) = error(job) else { panic!("it was cancelled") };
    let error = stop.into_error().expect("the call fails");
    assert_eq!((error.kind(), blamed(&error)), (ErrorKind::Other, Some(Cause::Caller)));
}

fn timed_out<T: Debug + Send + 'static>(
    pool: &Pool,
    call: Arc<impl Fn(&JobContext) -> io::Result<T> + Send + Sync + 'static>,
    let_time_pass: impl FnOnce(),
) {
    let (started, starts) = news();
    let (left, has_left) = news();
    let job = pool.job().run_timeout(ms(20)).spawn(move |cx| {
        started.send(()).expect("the test listens");
        let error = call(cx).expect_err("it blocks for ever");
        left.send((error.kind(), blamed(&error))).expect("the test listens");
        Err::<(), _>(error)
    });
    starts.next();
    let_time_pass();
    assert!(matches!(outcome(job), Err(JobError::TimedOut(_))));
    assert_eq!(has_left.next(), (ErrorKind::TimedOut, Some(Cause::Deadline)));
    assert!(pool.shutdown().within(PATIENCE).wait().still_running.is_empty());
}
