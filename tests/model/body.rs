//! The body of a job of a program: it does as it is told, and leaves marks.

use crate::program::Act;
use punctual::{Cause, JobContext, JobHandle};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};

pub(crate) type Handle = JobHandle<Value, &'static str>;

pub(crate) enum Order {
    Act(Act),
    Spawn(Launch),
}

pub(crate) enum Reply {
    GoesOn(Option<Cause>),
    Spawned(Handle),
}

pub(crate) type Launch = Box<dyn FnOnce(punctual::Job) -> Handle + Send>;

/// What a job leaves behind.
#[derive(Default)]
pub(crate) struct Marks {
    pub(crate) captures_dropped: AtomicUsize,
    pub(crate) values_dropped: AtomicUsize,
    pub(crate) values_late: AtomicUsize,
    pub(crate) told: Mutex<Vec<Cause>>,
}

/// What a body has captured.
pub(crate) struct Capture(pub(crate) Arc<Marks>);

impl Drop for Capture {
    fn drop(&mut self) {
        self.0.captures_dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// What a body returns.
pub(crate) struct Value(pub(crate) Arc<Marks>);

impl Drop for Value {
    fn drop(&mut self) {
        self.0.values_dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// A body: does as it is told, and returns when nobody tells it anything any more.
pub(crate) fn obey(
    cx: &JobContext,
    orders: &Receiver<Order>,
    replies: &Sender<Reply>,
    marks: &Arc<Marks>,
) -> Result<(), &'static str> {
    let mut guards = Vec::new();
    while let Ok(order) = orders.recv() {
        let mut said = cx.check().err().map(|stopped| stopped.cause());
        match order {
            Order::Spawn(launch) => {
                let handle = launch(cx.job());
                replies.send(Reply::Spawned(handle)).expect("the test listens");
                continue;
            }
            Order::Act(Act::Return) => break,
            Order::Act(Act::Fail) => return Err("failed"),
            Order::Act(Act::Panic) => resume_unwind(Box::new("panicked")),
            Order::Act(Act::Checkpoint) => cx.checkpoint(),
            Order::Act(Act::Check) => {}
            Order::Act(Act::Token) => said = said.filter(|_| cx.token().is_cancelled()),
            Order::Act(Act::Listen { panics }) => {
                let marks = Arc::clone(marks);
                guards.push(cx.on_stop(move |cause| {
                    marks.told.lock().expect("no panic under it").push(cause);
                    if panics {
                        resume_unwind(Box::new("a function panics"));
                    }
                }));
            }
            Order::Act(Act::Unlisten) => drop(guards.pop()),
        }
        replies.send(Reply::GoesOn(said)).expect("the test listens");
    }
    Ok(())
}
