//! A stream whose reads and writes end with the job.

use crate::io::nowait::Nowait;
use crate::io::wake::Waiter;
use crate::job::JobContext;
use rustix::event::PollFlags;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::AsFd;

/// A stream as a job uses it: each read and write ends when the job is stopped. See
/// [`JobContext::io`].
#[derive(Debug)]
#[must_use = "it does nothing until it is read or written"]
pub struct Io<'a, S> {
    stream: S,
    nowait: Nowait,
    waiter: Waiter<'a>,
}

impl JobContext {
    /// Makes of a stream one whose every read and write ends when the job is asked to stop, or at its
    /// deadline.
    ///
    /// It takes any descriptor: a `&TcpStream`, `&UnixStream`, a pipe, `ChildStdout`. Each call is tried
    /// first, such that it does not block; a stream that is ready costs no more than a bare call.
    /// The mode of the descriptor is left alone, and does not matter: others may use it, in this process
    /// and in others. Timeouts that were set for a socket are not heeded: the job's deadline counts.
    ///
    /// # What there is on which system
    /// - Sockets: all of this, on every Unix.
    /// - Pipes are not blocked in on Linux; for named ones, and before Linux 6.5 for all, that takes
    ///   `/proc`. Without it, on other systems, and for terminals (which are written byte by byte) and
    ///   devices, the descriptor is polled before each call. That blocks in one case: another reader or
    ///   writer of it comes between the two.
    /// - Files count as always ready: a call takes what the disk takes, or who else is behind the file,
    ///   stop or not.
    ///
    /// # Errors
    /// Those of the stream, and if the job is asked to stop: of kind `TimedOut` by its deadline, otherwise
    /// `Other`, with the [`Stopped`](crate::Stopped) inside. A call that has read or written something
    /// says how much, stop or not; the next one fails. After `read_exact` and `write_all` failed one does
    /// not know how much was done, as always.
    ///
    /// The first wait on a thread opens a descriptor, which stays the thread's: that fails when there are
    /// too many.
    ///
    /// # Drop
    /// Drops the stream that it was given. Nothing else.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{self, Read, Write};
    /// use std::net::{TcpListener, TcpStream};
    /// use std::time::Duration;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // answers nobody
    /// let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// let pool = punctual::Pool::new();
    /// let job = pool.job().run_timeout(Duration::from_millis(20)).spawn(move |cx| {
    ///     let mut io = cx.io(&stream);
    ///     io.write_all(b"hello?")?;
    ///     let mut answer = String::new();
    ///     io.read_to_string(&mut answer)?; // would wait for ever
    ///     Ok::<_, io::Error>(answer)
    /// });
    /// assert!(job.wait().unwrap_err().is_timed_out());
    /// ```
    pub fn io<S: AsFd>(&self, stream: S) -> Io<'_, S> {
        Io { stream, nowait: Nowait::new(), waiter: Waiter::new(self) }
    }
}

impl<S> Io<'_, S> {
    /// The stream.
    ///
    /// ```
    /// # use punctual::Checked;
    /// # let pool = punctual::Pool::new();
    /// let (here, _there) = std::os::unix::net::UnixStream::pair().unwrap();
    /// let job = pool.spawn(move |cx| -> Checked<_> { Ok(cx.io(&here).get_ref().peer_addr().is_ok()) });
    /// assert!(job.wait().unwrap());
    /// ```
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream, as it was given.
    ///
    /// ```
    /// # use punctual::Checked;
    /// # let pool = punctual::Pool::new();
    /// let (here, _there) = std::os::unix::net::UnixStream::pair().unwrap();
    /// let job = pool.spawn(move |cx| -> Checked<_> { Ok(cx.io(here).into_inner()) });
    /// assert!(job.wait().unwrap().peer_addr().is_ok());
    /// ```
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsFd> Read for Io<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(into)])
    }

    fn read_vectored(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let Self { stream, nowait, waiter } = self;
        if into.iter().all(|piece| piece.is_empty()) {
            return Ok(0); // for which some sockets would wait
        }
        let fd = stream.as_fd();
        waiter.complete(fd, PollFlags::IN, || nowait.read(fd, into))
    }
}

impl<S: AsFd> Write for Io<'_, S> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(from)])
    }

    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let Self { stream, nowait, waiter } = self;
        let fd = stream.as_fd();
        waiter.complete(fd, PollFlags::OUT, || nowait.write(fd, from))
    }

    /// There is nothing to flush: what was written is the system's.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
