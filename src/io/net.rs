//! Connections: waiting for one, and making one, no longer than the job has time.
//!
//! There is no call that accepts without blocking from a listener in blocking mode, and its mode is its
//! owner's (rule 2 of io). So such a one is polled, and then accepted from, one job at a time: of many
//! that see the same connection come, the others must not be left in a blocking accept.
//!
//! A connection over the internet is begun, and then waited for. One to a Unix socket is there at once or,
//! while there is no room at the listener, not begun: nothing says when there is, so it is tried again.

use crate::deadline::Deadline;
use crate::io::nowait::is_ready;
use crate::io::wake::Waiter;
use crate::job::JobContext;
use crate::sync::Mutex;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{OFlags, fcntl_getfl, fstat};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, sockopt::socket_error};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};
use std::path::Path;
use std::sync::OnceLock;

impl JobContext {
    /// The next connection of a listener, or an error if the job is asked to stop before one comes.
    ///
    /// It takes a `TcpListener` or a `UnixListener`, in blocking mode or not. Of many jobs that accept
    /// from one, each connection goes to one. If others accept from it by other means than this, in this
    /// process or in another, make it non-blocking first, with `set_nonblocking`: otherwise one of these
    /// can take a connection away between the poll and the accept, which then waits for the next.
    /// The stream is in blocking mode.
    ///
    /// # Errors
    /// Those of the listener, and if the job is asked to stop, as with [`io`](Self::io).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::TcpListener;
    ///
    /// let pool = punctual::Pool::new();
    /// let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// let server = pool.spawn(move |cx| {
    ///     loop {
    ///         let (stream, _from) = cx.accept(&listener)?;
    ///         cx.job().spawn_blocking(move || drop(stream));
    ///     }
    ///     # #[allow(unreachable_code)]
    ///     Ok::<(), std::io::Error>(())
    /// });
    /// server.cancel();
    /// assert!(server.wait().unwrap_err().is_cancelled());
    /// ```
    pub fn accept<L: Listener>(&self, listener: &L) -> io::Result<(L::Stream, L::Address)> {
        let fd = listener.as_fd();
        let blocks = !fcntl_getfl(fd)?.contains(OFlags::NONBLOCK);
        Waiter::new(self).complete(fd, PollFlags::IN, || {
            let taken = if blocks { take_ready(listener) } else { listener.take().map(Some) };
            match taken {
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
                other => other,
            }
        })
    }

    /// Connects to the first of some addresses that answers.
    ///
    /// They are tried in order, each for its part of the time that is left: half of it for the first of
    /// two, the rest for the second. So one that does not answer leaves time for the others. Without a
    /// deadline each has as long as the system takes, which is minutes. Names are looked up by
    /// [`resolve`](Self::resolve).
    ///
    /// # Errors
    /// The last address's, if none answers; of kind `InvalidInput` if there are none. And if the job is
    /// asked to stop, as with [`io`](Self::io).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::TcpListener;
    ///
    /// let pool = punctual::Pool::new();
    /// let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// let address = listener.local_addr().unwrap();
    /// let job = pool.spawn(move |cx| cx.connect(cx.resolve(&format!("localhost:{}", address.port()))?));
    /// assert_eq!(job.wait().unwrap().peer_addr().unwrap(), address);
    /// ```
    pub fn connect(
        &self,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> io::Result<TcpStream> {
        let addresses: Vec<_> = addresses.into_iter().collect();
        let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let mut last = io::Error::new(ErrorKind::InvalidInput, "no address to connect to");
        for address in addresses {
            self.check()?;
            let part = self.patience().map(|time| time / left.max(1));
            left = left.saturating_sub(1);
            let until = part.filter(|_| left > 0).map_or(Deadline::NEVER, Deadline::after);
            match connect_until(&mut Waiter::new(self).within(until), &address) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Connects to the Unix socket at a path.
    ///
    /// It is tried at once. While the listener has no room for one more it is tried again, as
    /// [`until`](Self::until) does: the system tells nobody when there is.
    ///
    /// # Errors
    /// Those of the system: nobody listens there, the path is too long for a socket's. And if the job is
    /// asked to stop, as with [`io`](Self::io).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::UnixListener;
    ///
    /// # let path = std::env::temp_dir().join(format!("punctual-doc-unix-{}", std::process::id()));
    /// let pool = punctual::Pool::new();
    /// let listener = UnixListener::bind(&path).unwrap();
    /// let place = path.clone();
    /// let stream = pool.spawn(move |cx| cx.connect_unix(place)).wait().unwrap();
    /// assert_eq!(stream.peer_addr().unwrap().as_pathname(), Some(&*path));
    /// # std::fs::remove_file(&path).unwrap();
    /// ```
    pub fn connect_unix(&self, path: impl AsRef<Path>) -> io::Result<UnixStream> {
        self.check()?;
        let address = SocketAddrUnix::new(path.as_ref())?;
        let socket = own_socket(AddressFamily::UNIX)?;
        let attempt = || match connect(&socket, &address) {
            Err(Errno::AGAIN) => None, // there is no room
            came_of_it => Some(came_of_it),
        };
        let came_of_it = self.until(attempt)?;
        complete(&mut Waiter::new(self), socket, came_of_it)
    }
}

/// A connection to one address.
fn connect_until(waiter: &mut Waiter<'_>, address: &SocketAddr) -> io::Result<TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = own_socket(family)?;
    let came_of_it = connect(&socket, address);
    complete(waiter, socket, came_of_it)
}

/// What came of a connect that does not block: waits for the end of one that was begun.
fn complete<S: From<OwnedFd>>(
    waiter: &mut Waiter<'_>,
    socket: OwnedFd,
    came_of_it: Result<(), Errno>,
) -> io::Result<S> {
    match came_of_it {
        Ok(()) => {}
        Err(Errno::INPROGRESS | Errno::INTR) => {
            waiter.wait(PollFd::new(&socket, PollFlags::OUT), None)?;
            socket_error(&socket)??;
        }
        Err(error) => return Err(error.into()),
    }
    ioctl_fionbio(&socket, false)?;
    Ok(socket.into())
}

/// A new one, which nobody else has yet: it does not block.
#[cfg(not(target_vendor = "apple"))]
fn own_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    use rustix::net::{SocketFlags, socket_with};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(socket_with(family, SocketType::STREAM, flags, None)?)
}

#[cfg(target_vendor = "apple")]
fn own_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    use rustix::io::{FdFlags, fcntl_setfd};
    use rustix::net::sockopt::set_socket_nosigpipe;
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&socket, true)?;
    set_socket_nosigpipe(&socket, true)?; // as std does
    Ok(socket)
}

/// Accepts from a listener in blocking mode, if there is a connection and nobody else is just at it.
fn take_ready<L: Listener>(listener: &L) -> io::Result<Option<Accepted<L>>> {
    let fd = listener.as_fd();
    let Some(_turn) = Turn::take(fd)? else { return Ok(None) };
    match is_ready(fd, PollFlags::IN) {
        Ok(()) => listener.take().map(Some),
        Err(error) => Err(error.into()),
    }
}

/// Who has it may accept from a listener, known by its inode: that is the same for all its descriptors.
struct Turn(u64);

/// Those that are just being accepted from.
fn turns() -> &'static Mutex<BTreeSet<u64>> {
    static TURNS: OnceLock<Mutex<BTreeSet<u64>>> = OnceLock::new();
    TURNS.get_or_init(Mutex::default)
}

impl Turn {
    fn take(fd: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        let listener = fstat(fd)?.st_ino;
        let is_free = turns().lock().insert(listener);
        Ok(is_free.then(|| Self(listener))) // made only if it is free: who drops one gives it back
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        turns().lock().remove(&self.0);
    }
}

type Accepted<L> = (<L as Listener>::Stream, <L as Listener>::Address);

/// What [`accept`](JobContext::accept) accepts from: std's listeners. Nobody else can implement it.
///
/// ```
/// use punctual::{JobContext, Listener};
///
/// fn greet<L: Listener>(cx: &JobContext, at: &L) -> std::io::Result<()>
/// where
///     L::Stream: std::os::fd::AsFd,
/// {
///     use std::io::Write;
///     let (stream, _) = cx.accept(at)?;
///     cx.io(stream).write_all(b"hello")
/// }
///
/// let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// let address = listener.local_addr().unwrap();
/// let job = punctual::Pool::new().spawn(move |cx| greet(cx, &listener));
/// let mut stream = std::net::TcpStream::connect(address).unwrap();
/// assert_eq!(std::io::read_to_string(&mut stream).unwrap(), "hello");
/// assert!(job.wait().is_ok());
/// ```
pub trait Listener: AsFd + Sealed {
    /// What a connection is.
    type Stream;
    /// Where it comes from.
    type Address;

    /// Accepts in the listener's own mode.
    #[doc(hidden)]
    fn take(&self) -> io::Result<(Self::Stream, Self::Address)>;
}

/// Its name can not be reached from outside.
pub trait Sealed {}

impl Sealed for TcpListener {}
impl Sealed for UnixListener {}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Address = SocketAddr;

    fn take(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, from) = self.accept()?;
        stream.set_nonblocking(false)?; // on some systems it is as its listener
        Ok((stream, from))
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    type Address = UnixAddr;

    fn take(&self) -> io::Result<(UnixStream, UnixAddr)> {
        let (stream, from) = self.accept()?;
        stream.set_nonblocking(false)?; // as above
        Ok((stream, from))
    }
}

#[cfg(all(test, not(any(punctual_loom, punctual_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_accepts_from_a_listener_in_blocking_mode() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let _stream = TcpStream::connect(listener.local_addr().expect("it is bound"));
        let other = listener.try_clone().expect("there are descriptors");
        let turn = Turn::take(other.as_fd()).expect("it is open").expect("nobody has it");
        assert!(take_ready(&listener).expect("it is open").is_none(), "another is at it");
        drop(turn);
        assert!(take_ready(&listener).expect("it is open").is_some());
        let none = take_ready(&listener).expect_err("there is none left");
        assert_eq!(none.kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn nobody_who_is_at_one_listener_is_in_the_way_of_another() {
        let listener = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let first = listener();
        let _turn = Turn::take(first.as_fd()).expect("it is open").expect("nobody has it");
        for other in std::iter::repeat_with(listener).take(200) {
            let _stream = TcpStream::connect(other.local_addr().expect("it is bound"));
            assert!(take_ready(&other).expect("it is open").is_some(), "nobody is at it");
        }
    }
}
