//! Accepting and connecting.

use crate::blocked::{ends, this_thread, until_it_sleeps};
use crate::places::Place;
use crate::support::{error, ms, news, outcome, pool_of, until};
use punctual::{JobError, Listener};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketType, accept, bind, connect, getsockname,
    listen, socket,
};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

/// A listener that nobody accepts from, with no room for one more.
struct Full {
    _listener: OwnedFd,
    _connected: Vec<TcpStream>,
    address: SocketAddr,
}

fn full() -> Full {
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listen(&listener, 0).expect("it is bound");
    let name: SocketAddrAny = getsockname(&listener).expect("it is bound");
    let address = SocketAddr::try_from(name).expect("it is of the internet");
    let mut connected = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, ms(100)) {
        connected.push(stream);
    }
    Full { _listener: listener, _connected: connected, address }
}

#[test]
fn a_wait_for_a_connection_ends() {
    let (tcp, _) = listener();
    ends(move |cx| cx.accept(&tcp));
    let (tcp, _) = listener();
    tcp.set_nonblocking(true).expect("it is open");
    ends(move |cx| cx.accept(&tcp));
    let place = Place::new();
    let unix = UnixListener::bind(&place.0).expect("a place");
    ends(move |cx| cx.accept(&unix));
}

#[test]
fn a_connect_to_one_that_does_not_answer_ends() {
    let full = full();
    ends(move |cx| cx.connect([full.address]));
}

/// A listener at a place, that nobody accepts from, with no room for one more.
fn full_unix() -> (Place, OwnedFd, Vec<OwnedFd>) {
    let place = Place::new();
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
    let address = SocketAddrUnix::new(&place.0).expect("it is short");
    bind(&listener, &address).expect("a place");
    listen(&listener, 0).expect("it is bound");
    let mut connected = Vec::new();
    loop {
        let one = socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
        ioctl_fionbio(&one, true).expect("it is open");
        match connect(&one, &address) {
            Ok(()) => connected.push(one),
            Err(error) => {
                assert_eq!(error, Errno::AGAIN);
                return (place, listener, connected);
            }
        }
    }
}

#[test]
#[cfg(target_os = "linux")] // elsewhere it is an error at once
fn a_connect_to_a_unix_socket_without_room_ends() {
    let (place, _listener, _connected) = full_unix();
    let path = place.0.clone();
    ends(move |cx| cx.connect_unix(&path));
}

#[test]
#[cfg(target_os = "linux")]
fn a_unix_socket_is_connected_to_when_there_is_room() {
    let (place, listener, _connected) = full_unix();
    let (started, starts) = news();
    let path = place.0.clone();
    let job = pool_of(1).spawn(move |cx| {
        started.send(this_thread()).expect("the test listens");
        cx.connect_unix(path)
    });
    until_it_sleeps(&starts.next());
    assert!(!job.is_finished());
    drop(accept(&listener).expect("one has connected"));
    let stream = outcome(job).expect("there is room");
    assert!(!fcntl_getfl(&stream).expect("it is open").contains(OFlags::NONBLOCK));
}

#[test]
fn what_a_unix_socket_says_is_an_error_at_once() {
    let (pool, place) = (pool_of(1), Place::new());
    let path = place.0.clone();
    let job = pool.spawn(move |cx| cx.connect_unix(path));
    let JobError::Failed(nowhere) = error(job) else { panic!("there is no such place") };
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
    let path = place.0.clone();
    drop(UnixListener::bind(&path).expect("a place"));
    let job = pool.spawn(move |cx| cx.connect_unix(path));
    let JobError::Failed(refused) = error(job) else { panic!("nobody listens") };
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let job = pool.spawn(|cx| cx.connect_unix("x".repeat(1_000)));
    let JobError::Failed(long) = error(job) else { panic!("it is too long") };
    assert_eq!(long.raw_os_error(), Some(Errno::NAMETOOLONG.raw_os_error()));
}

#[test]
fn a_connection_is_made_and_accepted() {
    for nonblocking in [false, true] {
        let (listener, address) = listener();
        listener.set_nonblocking(nonblocking).expect("it is open");
        let pool = pool_of(2);
        let server = pool.spawn(move |cx| {
            let (stream, from) = cx.accept(&listener)?;
            cx.io(&stream).write_all(b"hello")?;
            assert!(!fcntl_getfl(&stream).expect("it is open").contains(OFlags::NONBLOCK));
            Ok::<_, std::io::Error>(from)
        });
        let client = pool.spawn(move |cx| {
            let stream = cx.connect([address])?;
            assert!(!fcntl_getfl(&stream).expect("it is open").contains(OFlags::NONBLOCK));
            let mut text = String::new();
            cx.io(&stream).read_to_string(&mut text)?;
            Ok::<_, std::io::Error>((text, stream.local_addr()?))
        });
        let (text, from) = outcome(client).expect("it answers");
        assert_eq!((text.as_str(), from), ("hello", outcome(server).expect("it is connected to")));
    }
    let place = Place::new();
    let unix = UnixListener::bind(&place.0).expect("a place");
    let pool = pool_of(2);
    let server = pool.spawn(move |cx| cx.io(cx.accept(&unix)?.0).write_all(b"hello"));
    let path = place.0.clone();
    let client = pool.spawn(move |cx| std::io::read_to_string(cx.io(cx.connect_unix(path)?)));
    assert_eq!(outcome(client).expect("it answers"), "hello");
    outcome(server).expect("it is connected to");
}

/// What many jobs wait for comes to one; the others must still hear of a stop.
fn each_connection_is_for_one<L: Listener + Send + Sync + 'static>(listener: L, connect: impl Fn())
where
    L::Stream: Send,
    L::Address: Send,
{
    let (pool, listener) = (pool_of(4), Arc::new(listener));
    for _ in 0..50 {
        let accept = |_| {
            let (listener, (asleep, sleeps)) = (Arc::clone(&listener), news());
            let job = pool.spawn(move |cx| {
                asleep.send(this_thread()).expect("the test listens");
                cx.accept(&*listener)
            });
            until_it_sleeps(&sleeps.next());
            job
        };
        let jobs: Vec<_> = (0..4).map(accept).collect();
        connect();
        until("one has it", || jobs.iter().any(|job| job.is_finished()));
        jobs.iter().for_each(|job| job.abort());
        assert_eq!(jobs.into_iter().map(outcome).filter(Result::is_ok).count(), 1);
    }
}

#[test]
fn of_many_who_accept_one_gets_the_connection_and_the_others_hear_of_a_stop() {
    let (tcp, address) = listener();
    each_connection_is_for_one(tcp, || drop(TcpStream::connect(address).expect("it listens")));
    let place = Place::new();
    let unix = UnixListener::bind(&place.0).expect("a place");
    each_connection_is_for_one(unix, || drop(UnixStream::connect(&place.0).expect("it listens")));
}

#[test]
fn one_that_does_not_answer_leaves_time_for_the_next() {
    let full = full();
    let (listener, address) = listener();
    let silent = full.address;
    let job = pool_of(1).job().run_timeout(ms(2_000));
    let job = job.spawn(move |cx| cx.connect([silent, silent, address]));
    let stream = outcome(job).expect("the third answers");
    assert_eq!(stream.peer_addr().expect("it is connected"), address);
    drop(listener);
}

#[test]
fn the_last_addresss_error_is_given() {
    let (closed, address) = listener();
    drop(closed);
    let pool = pool_of(1);
    let job = pool.spawn(move |cx| cx.connect([address, address]));
    let JobError::Failed(refused) = error(job) else { panic!("nobody listens") };
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let job = pool.spawn(|cx| cx.connect([]));
    let JobError::Failed(nobody) = error(job) else { panic!("there is none") };
    assert_eq!(nobody.kind(), ErrorKind::InvalidInput);
}

/// Signals end a look whether there is a connection, as they end every wait. One of some hundred hits a
/// look, so it is by them that the test is long enough, however busy the machine.
#[test]
fn signals_end_no_wait_for_a_connection() {
    static CAME: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn count(_: libc::c_int) {
        CAME.fetch_add(1, Ordering::SeqCst);
    }
    // SAFETY: what it calls counts, and no more.
    unsafe { libc::signal(libc::SIGURG, count as extern "C" fn(_) as libc::sighandler_t) };
    let ((listener, _), pool) = (listener(), pool_of(1));
    // SAFETY: there is nothing that it could do wrong.
    let worker = outcome(pool.spawn_blocking(|| unsafe { libc::pthread_self() }));
    let (worker, listener) = (worker.expect("no panic"), Arc::new(listener));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                // SAFETY: the pool lives on, and with it its only thread.
                unsafe { libc::pthread_kill(worker, libc::SIGURG) };
                (0..200).for_each(|_| std::hint::spin_loop()); // it must get on
            }
        });
        let accept = |_| {
            let listener = Arc::clone(&listener);
            outcome(
                pool.job()
                    .run_timeout(Duration::from_micros(30))
                    .spawn(move |cx| cx.accept(&*listener).map(drop)),
            )
        };
        let too_few = |_: &_| CAME.load(Ordering::SeqCst) < 20_000;
        let mut ends = (0..).take_while(too_few).map(accept);
        let failed = ends.find(|end| !matches!(end, Err(JobError::TimedOut(_))));
        is_over.store(true, Ordering::SeqCst);
        assert!(failed.is_none(), "{failed:?}");
    });
}
