//! Reading and writing that does not block, though the descriptor is in blocking mode: rule 2 of io.
//!
//! The system can say so for one call, of sockets (`MSG_DONTWAIT`) and, on Linux, of pipes and some
//! others (`RWF_NOWAIT`). It can not of named pipes, nor of pipes before Linux 6.5: these are opened once
//! more, for a description of our own. The rest is terminals and devices: one must poll, and call then.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, readv, retry_on_intr, write, writev};
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, recv, recvmsg, send, sendmsg,
};
use rustix::termios::isatty;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{BorrowedFd, OwnedFd};

/// The system takes so many pieces in one call.
const PIECES: usize = 1024;

/// So much can be written to a pipe that polls as ready, on every system.
const PIPE_ROOM: usize = 512;

/// How a descriptor is read and written.
#[derive(Debug)]
pub(super) struct Nowait(Way);

#[derive(Debug)]
enum Way {
    Socket,
    /// Each call says that it must not block.
    ByCall,
    /// By a description of our own.
    Own(OwnedFd),
    /// A call follows on a poll, and writes so much at the most. It blocks if somebody else was faster.
    Polled {
        most: usize,
    },
    /// A file, which is always ready. It takes what the disk takes.
    Plain,
}

impl Nowait {
    /// Most are sockets. What is none says so.
    pub(super) fn new() -> Self {
        Self(Way::Socket)
    }

    /// Reads what there is; `None` if that is nothing yet.
    pub(super) fn read(
        &mut self,
        fd: BorrowedFd<'_>,
        into: &mut [IoSliceMut<'_>],
    ) -> io::Result<Option<usize>> {
        let pieces = into.len().min(PIECES);
        let into = &mut into[..pieces];
        loop {
            let done = match &self.0 {
                Way::Socket => receive(fd, into),
                Way::ByCall => by_call::read(fd, into),
                Way::Own(own) => readv(own, into),
                Way::Polled { .. } => is_ready(fd, PollFlags::IN).and_then(|()| readv(fd, into)),
                Way::Plain => readv(fd, into),
            };
            if let Some(done) = self.came_of(fd, done)? {
                return Ok(done);
            }
        }
    }

    /// Writes what there is room for; `None` if that is nothing yet.
    pub(super) fn write(
        &mut self,
        fd: BorrowedFd<'_>,
        from: &[IoSlice<'_>],
    ) -> io::Result<Option<usize>> {
        let from = &from[..from.len().min(PIECES)];
        loop {
            let done = match &self.0 {
                Way::Socket => transmit(fd, from),
                Way::ByCall => by_call::write(fd, from),
                Way::Own(own) => writev(own, from),
                Way::Polled { most } => is_ready(fd, PollFlags::OUT).and_then(|()| {
                    let first = from.iter().find(|piece| !piece.is_empty());
                    let first: &[u8] = first.map_or(&[], |piece| piece);
                    write(fd, first.get(..*most).unwrap_or(first))
                }),
                Way::Plain => writev(fd, from),
            };
            if let Some(done) = self.came_of(fd, done)? {
                return Ok(done);
            }
        }
    }

    /// `None` to call again, perhaps another way.
    fn came_of(
        &mut self,
        fd: BorrowedFd<'_>,
        done: Result<usize, Errno>,
    ) -> io::Result<Option<Option<usize>>> {
        match (&self.0, done) {
            (_, Ok(bytes)) => return Ok(Some(Some(bytes))),
            (_, Err(Errno::AGAIN)) => return Ok(Some(None)),
            (_, Err(Errno::INTR)) => {}
            (Way::Socket, Err(Errno::NOTSOCK)) => self.0 = Way::of(fd)?,
            // An error of the call's own comes again the other way.
            (Way::ByCall, Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM)) => {
                self.0 = Way::around(fd)?;
            }
            (_, Err(error)) => return Err(error.into()),
        }
        Ok(None)
    }
}

impl Way {
    /// Of what is no socket.
    fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(match kind(fd)? {
            FileType::RegularFile | FileType::Directory | FileType::BlockDevice => Self::Plain,
            _ => Self::ByCall,
        })
    }

    /// Where a call can not say that it must not block.
    fn around(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(match kind(fd)? {
            FileType::Fifo => match by_call::reopen(fd) {
                Ok(own) => Self::Own(own),
                Err(_) => Self::Polled { most: PIPE_ROOM },
            },
            // Ready, it has room for one byte.
            _ if isatty(fd) => Self::Polled { most: 1 },
            _ => Self::Polled { most: usize::MAX },
        })
    }
}

fn kind(fd: BorrowedFd<'_>) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode))
}

/// Whether a call would find something to do: `AGAIN` if not.
pub(super) fn is_ready(fd: BorrowedFd<'_>, events: PollFlags) -> Result<(), Errno> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match retry_on_intr(|| poll(&mut [PollFd::from_borrowed_fd(fd, events)], Some(&now)))? {
        0 => Err(Errno::AGAIN),
        _ => Ok(()),
    }
}

/// Into one piece, which is the rule, there is a quicker call.
fn receive(fd: BorrowedFd<'_>, into: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
    match into {
        [one] => recv(fd, &mut **one, RecvFlags::DONTWAIT).map(|(taken, _)| taken),
        many => {
            let mut nothing_else = RecvAncillaryBuffer::new(&mut []);
            recvmsg(fd, many, &mut nothing_else, RecvFlags::DONTWAIT).map(|came| came.bytes)
        }
    }
}

fn transmit(fd: BorrowedFd<'_>, from: &[IoSlice<'_>]) -> Result<usize, Errno> {
    match from {
        [one] => send(fd, one, SENDING),
        many => sendmsg(fd, many, &mut SendAncillaryBuffer::default(), SENDING),
    }
}

/// With no signal when nobody is there to read, as std has it.
#[cfg(not(target_vendor = "apple"))]
const SENDING: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
#[cfg(target_vendor = "apple")]
const SENDING: SendFlags = SendFlags::DONTWAIT; // std sets that for the socket

#[cfg(target_os = "linux")]
mod by_call {
    use rustix::fs::{Mode, OFlags, fcntl_getfl, open};
    use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev2};
    use std::io::{IoSlice, IoSliceMut};
    use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

    /// Where the descriptor is at: no other place of it.
    const HERE: u64 = u64::MAX;

    pub(super) fn read(fd: BorrowedFd<'_>, into: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        preadv2(fd, into, HERE, ReadWriteFlags::NOWAIT)
    }

    pub(super) fn write(fd: BorrowedFd<'_>, from: &[IoSlice<'_>]) -> Result<usize, Errno> {
        pwritev2(fd, from, HERE, ReadWriteFlags::NOWAIT)
    }

    /// The same pipe by a description that nobody shares.
    pub(super) fn reopen(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        let access = fcntl_getfl(fd)? & OFlags::RWMODE;
        let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        open(format!("/proc/self/fd/{}", fd.as_raw_fd()), flags, Mode::empty())
    }
}

#[cfg(not(target_os = "linux"))]
mod by_call {
    use rustix::io::Errno;
    use std::io::{IoSlice, IoSliceMut};
    use std::os::fd::{BorrowedFd, OwnedFd};

    pub(super) fn read(_: BorrowedFd<'_>, _: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        Err(Errno::NOSYS)
    }

    pub(super) fn write(_: BorrowedFd<'_>, _: &[IoSlice<'_>]) -> Result<usize, Errno> {
        Err(Errno::NOSYS)
    }

    pub(super) fn reopen(_: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        Err(Errno::NOSYS)
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;
    use rustix::pipe::pipe;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    fn some_of(way: &mut Nowait, from: &impl AsFd, into: &mut [u8]) -> Option<usize> {
        way.read(from.as_fd(), &mut [IoSliceMut::new(into)]).expect("it is open")
    }

    /// Fills it up, and reads all of that; how much it was.
    fn there_and_back((into, to): (OwnedFd, Nowait), (from, out): (OwnedFd, Nowait)) -> usize {
        let ((mut into_way, mut from_way), mut written, mut read) = ((to, out), 0, 0);
        let mut piece = [7; 10_000];
        let nothing = IoSlice::new(&[]); // a piece, too
        let mut write = |piece| into_way.write(into.as_fd(), &[nothing, IoSlice::new(piece)]);
        while let Some(some) = write(&piece).expect("it is open") {
            written += some;
        }
        while let Some(some) = some_of(&mut from_way, &from, &mut piece) {
            read += some;
        }
        assert_eq!(written, read);
        read
    }

    /// Every way that there may be, whatever this system has.
    #[test]
    fn a_pipe_blocks_nobody_whichever_way_it_is_used() {
        let ways: [fn(&OwnedFd) -> Way; 5] = [
            |_| Way::Socket,
            |_| Way::ByCall,
            |fd| Way::Own(by_call::reopen(fd.as_fd()).expect("it can be opened")),
            |_| Way::Polled { most: PIPE_ROOM },
            |_| Way::Polled { most: 1 },
        ];
        for (number, way) in ways.into_iter().enumerate() {
            let (reads, writes) = pipe().expect("there are descriptors");
            let (out, to) = (Nowait(way(&reads)), Nowait(way(&writes)));
            let carried = there_and_back((writes, to), (reads, out));
            assert!(carried >= 4096, "way {number}: {carried}");
        }
    }

    #[test]
    fn a_socket_blocks_nobody() {
        let (here, there) = UnixStream::pair().expect("there are descriptors");
        let ends = ((here.into(), Nowait::new()), (there.into(), Nowait::new()));
        assert!(there_and_back(ends.0, ends.1) >= 4096);
    }

    #[test]
    fn the_way_is_found_once() {
        let (reads, writes) = pipe().expect("there are descriptors");
        let mut way = Nowait::new();
        assert_eq!(some_of(&mut way, &reads, &mut [0]), None);
        assert!(!matches!(way.0, Way::Socket));
        drop(writes);
        assert_eq!(some_of(&mut way, &reads, &mut [0]), Some(0), "it is over");
        let (here, _there) = UnixStream::pair().expect("there are descriptors");
        let mut way = Nowait::new();
        assert_eq!(some_of(&mut way, &here, &mut [0]), None);
        assert!(matches!(way.0, Way::Socket));
    }
}
