//! The calls that are stopped.

use crate::checkout::{InMemory, checkout};
use crate::condvar::wait_while;
use crate::postgres;
use crate::rounds::{Call, Size};
use crate::sqlite::{ENDLESS, Place, with_job};
use punctual::JobContext;
use rusqlite::Connection;
use rustix::net::{AddressFamily, SocketAddrAny, SocketType, bind, getsockname, listen, socket};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// Longer than any step that is waited in.
const STEPS: Duration = Duration::from_millis(20);

/// How many missed their goals.
pub(crate) fn print(size: &Size, is_wanted: impl Fn(&str) -> bool) -> usize {
    println!("From a cancel until the blocked body has returned; {} stops of each:", size.stops);
    println!("{:36} {:>11} {:>11} {:>11}   goal of p99", "", "p50", "p99", "max");
    let calls = [streams(), connections(), others(), recipes(), of_postgres()];
    let wanted = calls.into_iter().flatten().filter(|call| is_wanted(call.name()));
    wanted.filter(|call| !call.print(size)).count()
}

fn streams() -> Vec<Call> {
    let (tcp, tcps_peer) = tcp();
    let (full, fulls_peer) = self::tcp();
    let unix = || UnixStream::pair().expect("there are descriptors");
    let pipe = || rustix::pipe::pipe().expect("there are descriptors");
    let ((silent, silents_peer), (stuffed, stuffeds_peer)) = (unix(), unix());
    let ((reads, open), (read, writes)) = (pipe(), pipe());
    vec![
        reading("read of a silent TcpStream", tcp, tcps_peer),
        reading("read of a silent UnixStream", silent, silents_peer),
        reading("read of a silent pipe", reads, open),
        writing("write to a full TcpStream", full, fulls_peer),
        writing("write to a full UnixStream", stuffed, stuffeds_peer),
        writing("write to a full pipe", writes, read),
    ]
}

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    (here, listener.accept().expect("somebody connects").0)
}

fn reading<S, P>(name: &'static str, stream: S, peer: P) -> Call
where
    S: AsFd + Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    Call::new(name, move |cx, ready| {
        let _open = &peer;
        ready();
        Ok(cx.io(&stream).read_exact(&mut [0])?)
    })
}

fn writing<S, P>(name: &'static str, stream: S, peer: P) -> Call
where
    S: AsFd + Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    let much = vec![0; 64 << 20]; // more than any buffer takes: the first that is stopped fills it
    Call::new(name, move |cx, ready| {
        let _open = &peer;
        ready();
        Ok(cx.io(&stream).write_all(&much)?)
    })
}

fn connections() -> Vec<Call> {
    let full = Full::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    vec![
        Call::new("connect to a full listener", move |cx, ready| {
            let full = &full; // all of it
            ready();
            Ok(cx.connect([full.address]).map(drop)?)
        }),
        Call::new("accept", move |cx, ready| {
            ready();
            Ok(cx.accept(&listener).map(drop)?)
        }),
    ]
}

/// A listener that nobody accepts from, with no room for one more.
struct Full {
    _listener: OwnedFd,
    _connected: Vec<TcpStream>,
    address: SocketAddr,
}

impl Full {
    fn new() -> Self {
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listen(&listener, 0).expect("it is bound");
        let name: SocketAddrAny = getsockname(&listener).expect("it is bound");
        let address = SocketAddr::try_from(name).expect("it is of the internet");
        let mut connected = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            connected.push(stream);
        }
        Self { _listener: listener, _connected: connected, address }
    }
}

fn others() -> Vec<Call> {
    let (send, receive) = mpsc::channel::<()>();
    let receive = Mutex::new(receive);
    let (senders, receiver) = crossbeam_channel::unbounded::<()>();
    let place = Place::new();
    let open = || File::options().create(true).append(true).open(&place.0).expect("a place");
    let (held, wanted) = (open(), open());
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).expect("nobody has it");
    vec![
        Call::new("wait for a child", |cx, ready| {
            let mut child = Command::new("sleep").arg("1000").spawn()?;
            ready();
            Ok(cx.wait_child(&mut child).map(drop)?)
        }),
        Call::new("recv, std", move |cx, ready| {
            let (_open, receive) = (&send, unpoisoned(&receive));
            ready();
            Ok(cx.recv(&*receive).map(drop)?)
        }),
        Call::new("recv, crossbeam", move |cx, ready| {
            let _open = &senders;
            ready();
            Ok(cx.recv(&receiver).map(drop)?)
        }),
        Call::new("lock of a file", move |cx, ready| {
            let _held = (&held, &place);
            ready();
            Ok(cx.lock_file(&wanted).map(drop)?)
        })
        .in_steps(STEPS),
        Call::new("sleep", |cx, ready| {
            ready();
            Ok(cx.sleep(Duration::MAX)?)
        }),
        Call::new("until", |cx, ready| {
            ready();
            Ok(cx.until(|| None)?)
        })
        .in_steps(STEPS),
    ]
}

fn recipes() -> Vec<Call> {
    let place = (Mutex::new(()), Condvar::new());
    let connections = r2d2::Pool::builder().max_size(1).build(InMemory).expect("memory");
    let held = Mutex::new(connections.get().expect("it is free"));
    let computing = Mutex::new(Connection::open_in_memory().expect("memory"));
    let database = Place::new();
    let open = || Connection::open(&database.0).expect("a place");
    let (locking, waiting) = (open(), Mutex::new(open()));
    locking.execute_batch("BEGIN EXCLUSIVE").expect("nobody has it");
    let locking = Mutex::new(locking);
    vec![
        Call::new("Condvar (recipe)", move |cx, ready| {
            ready();
            Ok(wait_while(cx, &place.0, &place.1, |()| true).map(drop)?)
        }),
        Call::new("checkout of r2d2 (recipe)", move |cx, ready| {
            let _held = &held;
            ready();
            Ok(checkout(cx, &connections).map(drop)?)
        }),
        Call::new("query of SQLite (recipe)", move |cx, ready| {
            Ok(with_job(cx, &mut unpoisoned(&computing), |connection| endless(connection, ready))?)
        })
        .computing(),
        Call::new("busy wait of SQLite (recipe)", move |cx, ready| {
            let _held = (&locking, &database);
            ready();
            Ok(with_job(cx, &mut unpoisoned(&waiting), |connection| {
                connection.execute_batch("BEGIN IMMEDIATE")
            })?)
        })
        .in_steps(STEPS),
    ]
}

/// Computes without end, and is ready when it is in the midst of that.
fn endless(connection: &Connection, ready: &dyn Fn()) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(ENDLESS)?;
    let mut rows = statement.query([])?;
    rows.next()?;
    ready();
    rows.next().map(drop)
}

fn of_postgres() -> Vec<Call> {
    let Ok(server) = std::env::var("PUNCTUAL_POSTGRES") else { return Vec::new() };
    let server: ::postgres::Config = server.parse().expect("PUNCTUAL_POSTGRES says where it is");
    let sleep = move |cx: &JobContext, ready: &dyn Fn()| {
        let client = postgres::connect(cx, &server)?;
        let (slept, _) = postgres::with_job(cx, client, |client| {
            let slow = client.prepare("SELECT pg_sleep(3600)")?;
            ready();
            client.execute(&slow, &[])
        });
        Ok(slept.map(drop)?)
    };
    vec![
        Call::new("pg_sleep of PostgreSQL (recipe)", sleep)
            .in_steps(STEPS)
            .goal(Duration::from_millis(50)),
    ]
}

fn unpoisoned<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
