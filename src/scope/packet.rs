//! Where a body that borrows waits, and what it leaves: in one place with two holders, and a count of
//! those that may still use theirs.

use crate::job::JobContext;
use crate::sync::{Condvar, Mutex};
use std::fmt;
use std::sync::Arc;

/// A body that borrows, and then its result. Rule 1 of scope.
pub(super) struct Packet<F, T, E> {
    body: Mutex<Option<F>>,
    result: Mutex<Content<T, E>>,
}

enum Content<T, E> {
    Nothing,
    Left(Result<T, E>),
    /// The handle is gone.
    Unwanted,
}

/// The error of a scoped job, as the pool knows it: the real one is in the packet.
pub(super) struct Kept;

/// A packet as its ticket knows it.
pub(super) trait Erased: Send + Sync {
    /// Calls the body, and leaves its result to the handle.
    fn run(&self, cx: &JobContext) -> Result<(), Kept>;

    /// Drops the body, if it is there.
    fn drop_body(&self);
}

/// A packet as its handle knows it.
pub(super) trait Left<T, E>: Send + Sync {
    /// What the body left.
    fn take(&self) -> Option<Result<T, E>>;

    /// Drops what the body left, or will leave.
    fn refuse(&self);
}

/// The job's half of a packet. The fields are dropped in this order.
pub(super) struct Ticket {
    packet: Arc<dyn Erased>,
    _alive: Alive,
}

/// One job's part in [`Living`].
pub(super) struct Alive(Arc<Living>);

/// How many jobs of a scope may still use something borrowed.
#[derive(Default)]
pub(super) struct Living {
    count: Mutex<usize>,
    /// Notified when there are none.
    none: Condvar,
}

impl<F, T, E> Packet<F, T, E> {
    pub(super) fn new(body: F) -> Self {
        Self { body: Mutex::new(Some(body)), result: Mutex::new(Content::Nothing) }
    }

    /// Leaves the result; or gives it back, if nobody wants it.
    fn leave(&self, result: Result<T, E>) -> Option<Result<T, E>> {
        let mut content = self.result.lock();
        match *content {
            Content::Unwanted => Some(result),
            _ => {
                *content = Content::Left(result); // there was nothing
                None
            }
        }
    }

    fn replace(&self, content: Content<T, E>) -> Option<Result<T, E>> {
        match std::mem::replace(&mut *self.result.lock(), content) {
            Content::Left(result) => Some(result),
            _ => None,
        }
    }
}

impl<F, T, E> Erased for Packet<F, T, E>
where
    F: FnOnce(&JobContext) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    fn run(&self, cx: &JobContext) -> Result<(), Kept> {
        let body = self.body.lock().take();
        let Some(body) = body else { unreachable!("a body is called once, by its ticket") };
        let result = body(cx);
        let told = result.as_ref().map(|_| ()).map_err(|_| Kept);
        let unwanted = self.leave(result);
        cx.task().head.catch(|| drop(unwanted));
        told
    }

    fn drop_body(&self) {
        let body = self.body.lock().take();
        drop(body); // under no lock
    }
}

impl<F, T, E> Left<T, E> for Packet<F, T, E>
where
    F: Send,
    T: Send,
    E: Send,
{
    fn take(&self) -> Option<Result<T, E>> {
        self.replace(Content::Nothing)
    }

    fn refuse(&self) {
        let unwanted = self.replace(Content::Unwanted);
        drop(unwanted); // under no lock
    }
}

impl Ticket {
    pub(super) fn new(packet: Arc<dyn Erased>, alive: Alive) -> Self {
        Self { packet, _alive: alive }
    }

    /// Calls the body. Whatever comes of it, the job is then no longer alive.
    pub(super) fn run(self, cx: &JobContext) -> Result<(), Kept> {
        self.packet.run(cx)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.packet.drop_body();
    }
}

impl Alive {
    pub(super) fn new(living: &Arc<Living>) -> Self {
        *living.count.lock() += 1;
        Self(Arc::clone(living))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let mut count = self.0.count.lock();
        *count -= 1;
        if *count == 0 {
            self.0.none.notify_all();
        }
    }
}

impl Living {
    /// Waits until no job is alive. Calls nobody.
    pub(super) fn wait(&self) {
        let mut count = self.count.lock();
        while *count > 0 {
            count = self.none.wait(count);
        }
    }
}

impl fmt::Debug for Living {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count.lock().fmt(f)
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;
    use crate::job::Settings;
    use crate::job::fake::Fake;
    use crate::sync::thread;
    use std::panic::resume_unwind;
    use std::sync::mpsc;

    /// Says when it is dropped how many jobs are alive.
    #[derive(Debug)]
    struct Witness(Arc<Living>, mpsc::Sender<usize>);

    impl Drop for Witness {
        fn drop(&mut self) {
            let alive = *self.0.count.lock();
            self.1.send(alive).expect("the test listens");
        }
    }

    /// A ticket for a body with a witness, which does this and then leaves another; and its handle's
    /// half.
    fn lent(
        living: &Arc<Living>,
        send: &mpsc::Sender<usize>,
        then: fn() -> bool,
    ) -> (Ticket, Arc<dyn Left<Witness, Witness>>) {
        let witness = || Witness(Arc::clone(living), send.clone());
        let (capture, left) = (witness(), witness());
        let packet = Arc::new(Packet::new(move |_: &JobContext| {
            let _capture = capture;
            if then() { Ok(left) } else { Err(left) }
        }));
        (Ticket::new(Arc::clone(&packet) as _, Alive::new(living)), packet)
    }

    /// Has a job use the ticket.
    fn run(ticket: Ticket) {
        let (_, owner) = Fake::new();
        let (task, _handle) = owner.job(Settings::default(), move |cx| ticket.run(cx));
        assert!(task.execute());
    }

    #[test]
    fn a_job_is_alive_until_all_that_borrows_is_gone() {
        let living = Arc::new(Living::default());
        let (send, witnessed) = mpsc::channel();
        let ends: [fn() -> bool; 3] = [|| true, || false, || resume_unwind(Box::new("on purpose"))];
        for then in ends {
            let (ticket, _) = lent(&living, &send, then); // its handle's half is let go of at once
            run(ticket);
            living.wait();
            assert_eq!(witnessed.try_iter().collect::<Vec<_>>(), [1, 1]);
        }
        let (ticket, left) = lent(&living, &send, || unreachable!("it is not called"));
        assert_eq!(*living.count.lock(), 1);
        drop(ticket);
        living.wait();
        assert_eq!(witnessed.try_iter().collect::<Vec<_>>(), [1, 1]);
        assert!(left.take().is_none());
    }

    #[test]
    fn a_result_is_taken_or_dropped_by_the_later_one() {
        let living = Arc::new(Living::default());
        let (send, witnessed) = mpsc::channel();
        let (ticket, left) = lent(&living, &send, || true);
        assert!(left.take().is_none(), "not yet");
        run(ticket);
        let result = left.take();
        assert!(matches!(result, Some(Ok(_))) && left.take().is_none());
        assert_eq!(witnessed.try_iter().count(), 1, "the capture");
        drop(result);
        left.refuse();
        assert_eq!(witnessed.try_iter().count(), 1, "the value");
        let (ticket, left) = lent(&living, &send, || false);
        left.refuse();
        assert_eq!(witnessed.try_iter().count(), 0, "the body is not the handle's to drop");
        run(ticket);
        assert_eq!(witnessed.try_iter().collect::<Vec<_>>(), [1, 1], "nobody wants it");
        let (ticket, left) = lent(&living, &send, || false);
        run(ticket);
        assert_eq!(witnessed.try_iter().count(), 1, "the capture");
        left.refuse();
        assert_eq!(witnessed.try_iter().count(), 1, "the error, where it is refused");
    }

    #[test]
    fn who_waits_for_the_living_waits_for_the_last() {
        let living = Arc::new(Living::default());
        living.wait();
        let (last, first) = (Alive::new(&living), Alive::new(&living));
        thread::scope(|s| {
            let (last, first) = (last, first);
            let waiting = s.spawn(|| living.wait());
            drop(first);
            (0..200).for_each(|_| thread::yield_now());
            assert!(!waiting.is_finished(), "one is left");
            drop(last);
        });
        assert_eq!(format!("{living:?}"), "0");
    }
}
