//! Waiting for a descriptor as well as for a stop: the wake-up descriptor of a thread.
//!
//! Each thread has one, made when it first waits here: an eventfd, or a pair of sockets where there is
//! none. Who stops a job rings it, so that the `poll` returns which the job's body is in.
//!
//! # Rules
//! 1. A ring is a hint: look whether your own job is stopped. It says neither which job nor that any
//!    is. So one that comes too late, or is meant for the outer of two jobs on the thread (one waits for
//!    the other, which runs right there), costs who finds it one more look, and stops nobody (law 9).
//! 2. Who stops a job says so in its state word first, and rings then (law 7).
//! 3. The thread itself, and nobody else, takes rings out; after that it looks at its job before it
//!    polls again.
//!
//! # Why no stop is missed
//! A waiter looks at its job after its listener is listed, and after each time that it took rings out;
//! then it polls. Take a stop of that job.
//! - It is said before a look: the look sees it.
//! - It is said after the last look. Then its ring comes after that look, too (rule 2), so nobody takes
//!   it out before the poll (rule 3), and the poll returns at once.
//!
//! That a listener which is listed against a stop is called is shown in `stop`. There is no atomic here.

use crate::deadline::Deadline;
use crate::job::{JobContext, StopGuard};
use crate::sync::thread_local;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};
use std::cell::RefCell;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// How long after the first wait that was in vain the next begins; each pause is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// A longer one is begun anew: where the system counts milliseconds, it can not count 25 days.
const LONGEST_POLL: Duration = Duration::from_secs(24 * 60 * 60);

/// The wake-up descriptor of one thread.
struct Wake {
    reads: OwnedFd,
    /// The other end, if it has one.
    writes: Option<OwnedFd>,
}

thread_local! {
    static WAKE: RefCell<Option<Arc<Wake>>> = const { RefCell::new(None) };
}

/// Who waits for descriptors in a job. Has the thread's wake-up descriptor rung from its first wait on.
pub(super) struct Waiter<'a> {
    cx: &'a JobContext,
    watch: Option<Watch>,
    /// It waits no longer than until then, whatever time the job has.
    limit: Deadline,
}

/// Has it rung when the job is stopped, until it is dropped.
struct Watch {
    wake: Arc<Wake>,
    _guard: StopGuard,
}

impl<'a> Waiter<'a> {
    pub(super) fn new(cx: &'a JobContext) -> Self {
        Self { cx, watch: None, limit: Deadline::NEVER }
    }

    pub(super) fn within(self, limit: Deadline) -> Self {
        Self { limit, ..self }
    }

    /// Makes what it needs to wait on this thread.
    ///
    /// # Errors
    /// If too many descriptors are open for one more.
    pub(super) fn prepare(&mut self) -> io::Result<()> {
        self.watch().map(drop)
    }

    /// Rule 1 of io: calls `attempt`, which must not block, and waits for the descriptor as long as
    /// that gives nothing. One may be said to be ready for ever though it is not, as a socket is that has
    /// errors queued: so after each wait that was in vain there is a pause.
    pub(super) fn complete<T>(
        &mut self,
        fd: BorrowedFd<'_>,
        events: PollFlags,
        mut attempt: impl FnMut() -> io::Result<Option<T>>,
    ) -> io::Result<T> {
        let mut pause = None;
        loop {
            self.cx.check()?;
            if let Some(done) = attempt()? {
                return Ok(done);
            }
            if let Some(pause) = pause {
                self.pause(pause)?;
            }
            pause = Some(pause.map_or(FIRST_PAUSE, |pause| LONGEST_PAUSE.min(pause * 2)));
            self.wait(PollFd::from_borrowed_fd(fd, events), None)?;
        }
    }

    /// Waits so long, or until it is rung.
    fn pause(&mut self, time: Duration) -> io::Result<()> {
        let wake = &self.watch()?.wake;
        let time = Timespec::try_from(time).ok();
        if poll(&mut [PollFd::new(&wake.reads, PollFlags::IN)], time.as_ref()) == Ok(1) {
            wake.drain(); // whoever waits next looks at the job before it polls (rule 3)
        }
        Ok(())
    }

    /// Waits until one of the two is ready.
    ///
    /// # Errors
    /// If the job is asked to stop before, or its deadline or the limit passes; or the system's: too many
    /// descriptors are open for one more.
    pub(super) fn wait(&mut self, one: PollFd<'_>, other: Option<PollFd<'_>>) -> io::Result<()> {
        let (cx, limit) = (self.cx, self.limit);
        let wake = &self.watch()?.wake;
        let awaited = 1 + 1 + usize::from(other.is_some());
        let other = other.unwrap_or_else(|| one.clone());
        let mut fds = [PollFd::new(&wake.reads, PollFlags::IN), one, other];
        loop {
            cx.check()?;
            let time = cx.patience().into_iter().chain(limit.remaining()).min();
            let time = time.and_then(|time| Timespec::try_from(time.min(LONGEST_POLL)).ok());
            match poll(&mut fds[..awaited], time.as_ref()) {
                Ok(0) => {
                    cx.check_by_clock()?;
                    if limit.has_passed() {
                        return Err(ErrorKind::TimedOut.into());
                    }
                }
                Ok(_) if fds[1..awaited].iter().any(|fd| !fd.revents().is_empty()) => return Ok(()),
                Ok(_) => wake.drain(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// This thread's: the waiter may have been sent here by another.
    fn watch(&mut self) -> io::Result<&Watch> {
        let known = self.watch.take().filter(|watch| watch.wake.is_here());
        let watch = match known {
            Some(watch) => watch,
            None => Watch::new(self.cx)?,
        };
        Ok(self.watch.insert(watch))
    }
}

impl Watch {
    fn new(cx: &JobContext) -> io::Result<Self> {
        let wake = Wake::here()?;
        let bell = Arc::clone(&wake);
        let guard = cx.on_stop(move |_| bell.ring());
        Ok(Self { wake, _guard: guard })
    }
}

impl Wake {
    /// This thread's own.
    fn here() -> io::Result<Arc<Self>> {
        let known = WAKE.try_with(|wake| wake.borrow().clone()).ok().flatten();
        if let Some(known) = known {
            return Ok(known);
        }
        let wake = Arc::new(Self::new()?);
        // A thread that ends has no place for it any more: one for this wait alone, then.
        let _ = WAKE.try_with(|place| place.replace(Some(Arc::clone(&wake))));
        Ok(wake)
    }

    fn is_here(self: &Arc<Self>) -> bool {
        let is_own = |wake: &RefCell<Option<Arc<Self>>>| {
            wake.borrow().as_ref().is_some_and(|own| Arc::ptr_eq(own, self))
        };
        WAKE.try_with(is_own).unwrap_or(false)
    }

    fn new() -> io::Result<Self> {
        Self::of_one().or_else(|_| Self::of_two())
    }

    #[cfg(target_os = "linux")]
    fn of_one() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let reads = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { reads, writes: None })
    }

    #[cfg(not(target_os = "linux"))]
    fn of_one() -> io::Result<Self> {
        Err(ErrorKind::Unsupported.into())
    }

    /// Of two descriptors, where one is not to be had that can be both.
    fn of_two() -> io::Result<Self> {
        let (reads, writes) = UnixStream::pair()?;
        reads.set_nonblocking(true)?;
        writes.set_nonblocking(true)?;
        Ok(Self { reads: reads.into(), writes: Some(writes.into()) })
    }

    /// Makes the poll return that the thread is in, or the next that it comes to.
    fn ring(&self) {
        // If there is no room for it, it has been rung. Nothing else can fail: it is open, and ours.
        let _ = write(self.writes.as_ref().unwrap_or(&self.reads), &1_u64.to_ne_bytes());
    }

    /// Takes out all rings.
    fn drain(&self) {
        let mut rings = [0; 64];
        while read(&self.reads, &mut rings).is_ok_and(|taken| taken == rings.len()) {}
    }
}

impl fmt::Debug for Waiter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wake = self.watch.as_ref().map(|watch| watch.wake.reads.as_fd());
        f.debug_struct("Waiter").field("cx", self.cx).field("wake", &wake).finish()
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;
    use std::thread;

    fn is_rung(wake: &Wake) -> bool {
        let now = Timespec::try_from(Duration::ZERO).expect("it is short");
        let mut fds = [PollFd::new(&wake.reads, PollFlags::IN)];
        poll(&mut fds, Some(&now)).expect("it can be polled") == 1
    }

    #[test]
    fn a_ring_is_there_until_it_is_taken_out_and_so_are_many() {
        for wake in [Wake::new(), Wake::of_two()] {
            let wake = wake.expect("there are descriptors");
            assert!(!is_rung(&wake));
            for rings in [1, 2, 8, 9, 1_000] {
                (0..rings).for_each(|_| wake.ring());
                assert!(is_rung(&wake));
                wake.drain();
                assert!(!is_rung(&wake), "after {rings}");
            }
        }
    }

    #[test]
    fn one_that_is_full_is_rung_and_blocks_nobody() {
        let wake = Wake::of_two().expect("there are descriptors");
        (0..100_000).for_each(|_| wake.ring());
        assert!(is_rung(&wake));
        wake.drain();
        assert!(!is_rung(&wake));
        let wake = Wake::new().expect("there are descriptors");
        write(&wake.reads, &(u64::MAX - 1).to_ne_bytes()).expect("it is empty");
        wake.ring();
        assert!(is_rung(&wake));
    }

    #[test]
    fn a_thread_has_one() {
        let first = Wake::here().expect("there are descriptors");
        let again = Wake::here().expect("it is there");
        assert!(Arc::ptr_eq(&first, &again) && first.is_here());
        let others = thread::spawn(|| Wake::here().expect("there are descriptors"));
        let others = others.join().expect("no panic");
        assert!(!others.is_here() && !Arc::ptr_eq(&first, &others));
        assert_eq!(Arc::strong_count(&others), 1, "its thread has let go of it");
    }
}
