//! What the public types are: `Send`, `Sync`, `Unpin`, `UnwindSafe`, `Error`, `Debug`.

use punctual::*;
use static_assertions::{assert_impl_all, assert_not_impl_any};
use std::cell::Cell;
use std::error::Error;
use std::fmt::Debug;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

assert_impl_all!(Pool: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(Builder: Send, Sync, Unpin, Debug);
assert_impl_all!(Job: Send, Sync, Unpin, Debug);
assert_impl_all!(LateJob<Cell<u8>>: Send, Unpin, Debug);
assert_impl_all!(Permit: Send, Sync, Unpin, Debug);
assert_impl_all!(JobHandle<u8>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug);
assert_impl_all!(JobHandle<Cell<u8>, Cell<u8>>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
assert_impl_all!(CancelOnDrop<Cell<u8>>: Send, Sync, Unpin, Debug);
assert_impl_all!(AbortHandle: Send, Sync, Unpin, Clone, UnwindSafe, RefUnwindSafe, Debug);
assert_impl_all!(Ended<'static>: Send, Sync, Unpin, Debug);
assert_impl_all!(JobContext: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(StopGuard: Send, Sync, Unpin, Debug);
assert_impl_all!(Scope<'static, 'static>: Send, Sync, Unpin, Debug);
assert_impl_all!(ScopedJob<'static, 'static>: Send, Sync, Unpin, Debug);
assert_impl_all!(ScopedHandle<'static, u8>: Send, Sync, Unpin, UnwindSafe, RefUnwindSafe, Debug);
assert_impl_all!(ScopedHandle<'static, Cell<u8>, Cell<u8>>: Send, Sync, Unpin, UnwindSafe);
assert_impl_all!(ScopePolicy: Send, Sync, Copy, Debug, Default);
assert_impl_all!(JobSet<Cell<u8>, Cell<u8>>: Send, Sync, Unpin, Debug, Default);
assert_impl_all!(JobSet<u8>: futures_util::Stream<Item = Result<u8, JobError>>);
assert_impl_all!(Shutdown: Send, Sync, Unpin, Debug);
assert_impl_all!(ShutdownReport: Send, Sync, Unpin, Clone, Debug);
assert_impl_all!(JobError: Error, Send, Sync, Unpin);
assert_impl_all!(JobError<std::io::Error>: Error, Send, Sync, Unpin, Into<std::io::Error>);
assert_impl_all!(JobError<Stopped>: Error, Into<std::io::Error>);
assert_impl_all!(Stop<std::io::Error>: Send, Sync, Debug);
assert_impl_all!(Stopped: Error, Send, Sync, Copy, Into<std::io::Error>);
assert_impl_all!(Panic: Send, Sync, Debug);
assert_impl_all!(Rejection: Error, Send, Sync, Copy);
assert_impl_all!(BuildError: Error, Send, Sync);
assert_impl_all!(DefaultPoolInUse: Error, Send, Sync);
assert_impl_all!(Deadline: Send, Sync, Copy, Ord);
assert_impl_all!(Metrics: Send, Sync, Clone, Debug);
assert_impl_all!(Latencies: Send, Sync, Unpin, Clone, Debug, Default, Eq);
assert_impl_all!(Outcome: Send, Sync, Copy, Debug, std::fmt::Display);
assert_impl_all!(dyn Observer: Send, Sync);
assert_not_impl_any!(JobHandle<u8>: Clone);
assert_not_impl_any!(ScopedHandle<'static, u8>: Clone);
assert_not_impl_any!(JobError<Rc<u8>>: Send);

/// `JobError` is small: it travels in every `Result` of a job.
#[test]
fn errors_are_small() {
    assert!(size_of::<JobError>() <= 64, "{}", size_of::<JobError>());
}

#[test]
fn errors_say_what_happened_to_which_job() {
    use std::time::Duration;
    let pool = Pool::new();
    let job = pool.job().name("report").timeout(Duration::ZERO).spawn_blocking(|| ());
    let id = job.id();
    let error = job.wait().expect_err("it had no time");
    let text = error.to_string();
    let begins = format!("job `report` ({id}, spawned at tests/types.rs:");
    assert!(text.starts_with(&begins), "{text}");
    assert!(text.ends_with("in the queue; it never started"), "{text}");
    assert_eq!(error.id(), Some(id));
    let error = pool.spawn_blocking(|| std::panic::resume_unwind(Box::new("boom"))).wait();
    let text = error.expect_err("it panicked").to_string();
    assert!(text.starts_with("job #") && text.ends_with(") panicked: boom"), "{text}");
    let error = pool.spawn(|_| Err::<(), _>("no luck")).wait().expect_err("it failed");
    assert_eq!(error.to_string(), "job failed: no luck");
    assert!(JobError::<()>::Rejected(Rejection::QueueFull).is_rejected());
}

#[test]
fn a_stop_is_no_interrupted_io_error() {
    use std::io::{Error, ErrorKind};
    use std::time::Duration;
    let pool = Pool::new();
    let late = pool.job().run_timeout(Duration::from_millis(2)).grace(Duration::from_secs(30));
    let late = late.spawn(|cx| -> std::io::Result<()> { Ok(cx.sleep(Duration::MAX)?) });
    let error = Error::from(late.wait().expect_err("it timed out"));
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let cancelled = pool.spawn(|cx| -> std::io::Result<()> {
        cx.token().cancel();
        Ok(cx.check()?)
    });
    let JobError::Cancelled(stop) = cancelled.wait().expect_err("it was cancelled") else {
        panic!("it was cancelled")
    };
    assert_eq!(stop.error().map(Error::kind), Some(ErrorKind::Other));
    assert_eq!(Error::from(JobError::Cancelled(stop)).kind(), ErrorKind::Other);
    let full = Error::from(JobError::<std::io::Error>::Rejected(Rejection::QueueFull));
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
}
