//! Child processes that end with their job: waited for by a descriptor, killed and reaped on a stop.
//!
//! # Why no other process is killed
//! A process keeps its number until it is reaped, and a process group its own as long as the process is
//! there that leads it. A number is used for a kill only where the child was not reaped yet: here, or by
//! its owner through `&mut Child`, which is borrowed.

use crate::io::nowait::Nowait;
use crate::io::wake::Waiter;
use crate::job::JobContext;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal, getpgid, kill_process_group};
use std::io::{self, IoSliceMut};
use std::mem::take;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

/// So much of a child's output is read at once.
const PIECE: usize = 64 << 10;

impl JobContext {
    /// Waits for a child to exit. If the job is asked to stop before, the child is killed and reaped.
    ///
    /// Its standard input is closed first, as by [`Child::wait`]. On a stop all of its process group is
    /// killed if it leads one, which takes
    /// [`process_group(0)`](std::os::unix::process::CommandExt::process_group); otherwise the child alone,
    /// and what it has started goes on. Then it is waited for: a killed process ends at once but where the
    /// system holds it in a call that can not be broken off, as on a dead mount. One that has changed to
    /// another user's rights, and that the system does not let us kill, is left as it is.
    ///
    /// # Errors
    /// Those of the system, and if the job is asked to stop, or was before, as with [`io`](Self::io). The
    /// child has been reaped then: [`Child::try_wait`] has its status.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::process::Command;
    /// use std::time::Duration;
    ///
    /// let pool = punctual::Pool::new();
    /// let job = pool.job().run_timeout(Duration::from_millis(20)).spawn(|cx| {
    ///     let mut child = Command::new("sleep").arg("1000").spawn()?;
    ///     cx.wait_child(&mut child)
    /// });
    /// assert!(job.wait().unwrap_err().is_timed_out()); // at its deadline
    /// pool.shutdown().wait(); // until the body has ended: the child is gone
    /// ```
    pub fn wait_child(&self, child: &mut Child) -> io::Result<ExitStatus> {
        drop(child.stdin.take());
        wait(self, child).inspect_err(|_| kill(child))
    }

    /// Runs a command to its end and collects what it prints. If the job is asked to stop before, the
    /// command and all that it has started in its process group are killed, and it is reaped.
    ///
    /// It is run in a process group of its own. Its standard output and error are collected, whatever was
    /// set for them. (All that stays set in `command`.) Its standard input is as it was set, and otherwise
    /// this process's own, which [`Command::output`] does not give it: where that is a terminal or a pipe,
    /// set [`Stdio::null`]. As there, all must be printed before it is over: a process that it leaves
    /// behind, and that keeps its output open, is waited for. There is no limit to how much is collected.
    ///
    /// One that has changed to another user's rights can not be killed, and is left as it is.
    ///
    /// # Errors
    /// Those of the system, and if the job is asked to stop, as with [`io`](Self::io). The child has been
    /// killed and reaped then; what it had printed is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::process::Command;
    ///
    /// let pool = punctual::Pool::new();
    /// let job = pool.spawn(|cx| cx.output(Command::new("echo").arg("hello")));
    /// assert_eq!(job.wait().unwrap().stdout, b"hello\n");
    /// ```
    pub fn output(&self, command: &mut Command) -> io::Result<Output> {
        self.check()?;
        let command = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut group = Group { child: command.spawn()?, is_over: false };
        drop(group.child.stdin.take());
        let mut out = Printed::new(group.child.stdout.take().map(OwnedFd::from));
        let mut err = Printed::new(group.child.stderr.take().map(OwnedFd::from));
        let mut waiter = Waiter::new(self);
        while out.is_open() || err.is_open() {
            self.check()?;
            let came = out.read()? | err.read()?; // both
            if came {
                continue;
            }
            match (out.awaited(), err.awaited()) {
                (Some(one), other) | (other, Some(one)) => waiter.wait(one, other)?,
                (None, None) => break,
            }
        }
        let status = wait(self, &mut group.child)?;
        group.is_over = true;
        Ok(Output { status, stdout: take(&mut out.bytes), stderr: take(&mut err.bytes) })
    }
}

/// Its status, which is there when its descriptor is ready. Without descriptors it is asked in steps: that
/// there are too few is no reason to kill it.
fn wait(cx: &JobContext, child: &mut Child) -> io::Result<ExitStatus> {
    let mut waiter = Waiter::new(cx);
    match descriptor(child).filter(|_| waiter.prepare().is_ok()) {
        Some(fd) => waiter.complete(fd.as_fd(), PollFlags::IN, || child.try_wait()),
        None => cx.until(|| child.try_wait().transpose())?,
    }
}

#[cfg(target_os = "linux")]
fn descriptor(child: &Child) -> Option<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok()
}

/// It is asked in steps instead.
#[cfg(not(target_os = "linux"))]
fn descriptor(_: &Child) -> Option<OwnedFd> {
    None
}

/// Kills a child, its process group if it leads one, and reaps it.
fn kill(child: &mut Child) {
    if let Ok(None) = child.try_wait() {
        let number = Pid::from_child(child);
        kill_unreaped(child, getpgid(Some(number)) == Ok(number));
    }
}

fn kill_unreaped(child: &mut Child, leads: bool) {
    if leads {
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    }
    // What runs with another user's rights by now can not be killed: it must not be waited for.
    if child.kill().is_ok() {
        let _ = child.wait();
    }
}

/// A child that leads a process group, and was not reaped yet unless it is over.
struct Group {
    child: Child,
    is_over: bool,
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_over {
            // Even if it has exited itself: what it has started may go on.
            kill_unreaped(&mut self.child, true);
        }
    }
}

/// What a child has printed so far.
struct Printed {
    /// Until all has come.
    from: Option<OwnedFd>,
    nowait: Nowait,
    bytes: Vec<u8>,
}

impl Printed {
    fn new(from: Option<OwnedFd>) -> Self {
        Self { from, nowait: Nowait::new(), bytes: Vec::new() }
    }

    fn is_open(&self) -> bool {
        self.from.is_some()
    }

    fn awaited(&self) -> Option<PollFd<'_>> {
        self.from.as_ref().map(|from| PollFd::new(from, PollFlags::IN))
    }

    /// Reads a piece; `false` if there was nothing.
    fn read(&mut self) -> io::Result<bool> {
        let Some(from) = &self.from else { return Ok(false) };
        let before = self.bytes.len();
        self.bytes.resize(before + PIECE, 0);
        let piece = IoSliceMut::new(&mut self.bytes[before..]);
        let read = self.nowait.read(from.as_fd(), &mut [piece]);
        self.bytes.truncate(before + read.as_ref().ok().copied().flatten().unwrap_or(0));
        match read? {
            None => return Ok(false),
            Some(0) => self.from = None,
            Some(_) => {}
        }
        Ok(true)
    }
}
