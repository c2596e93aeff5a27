//! Jobs that do nothing, spawned, run and awaited in an order that is the same each time.

use futures_lite::future::block_on;
use std::future::Future;
use std::sync::mpsc;

/// What runs jobs on one thread, in their order.
pub(crate) trait Spawn {
    fn spawn(&self, body: impl FnOnce() + Send + 'static) -> impl Future<Output: Outcome>;
}

/// What a job gives when awaited.
pub(crate) trait Outcome {
    fn is_ok(&self) -> bool;
}

impl<E> Outcome for Result<(), E> {
    fn is_ok(&self) -> bool {
        self.is_ok()
    }
}

/// Each is awaited before the next is spawned.
pub(crate) fn one_by_one(pool: &impl Spawn, jobs: u64) {
    for _ in 0..jobs {
        assert!(block_on(pool.spawn(|| ())).is_ok());
    }
}

/// All wait when the first is started, and have run when the first is awaited.
pub(crate) fn together(pool: &impl Spawn, jobs: u64) {
    let ((open, opened), (tell, told)) = (mpsc::channel::<()>(), mpsc::channel());
    let tell_last = tell.clone();
    let gate = pool.spawn(move || {
        tell.send(()).expect("it is waited for");
        _ = opened.recv();
    });
    told.recv().expect("the gate is reached");
    let all: Vec<_> = (0..jobs).map(|_| pool.spawn(|| ())).collect();
    let last = pool.spawn(move || tell_last.send(()).expect("it is waited for"));
    drop(open);
    told.recv().expect("the last one runs");
    assert!(block_on(gate).is_ok());
    for job in all {
        assert!(block_on(job).is_ok());
    }
    assert!(block_on(last).is_ok());
}
