//! Reads and writes of sockets, pipes and terminals.

use crate::blocked::{ends, this_thread, until_it_sleeps};
use crate::places::Place;
use crate::support::{Gate, PATIENCE, ms, news, outcome, pool_of};
use punctual::{Checked, JobError, Pool};
use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_getfl, mknodat};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Seek, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// More than any buffer of the system takes.
const MUCH: usize = 64 << 20;

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC).expect("there are descriptors")
}

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    (here, listener.accept().expect("somebody connects").0)
}

/// A named pipe, open for both.
fn fifo() -> (Place, File) {
    let place = Place::new();
    mknodat(CWD, &place.0, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a place for it");
    let file = OpenOptions::new().read(true).write(true).open(&place.0).expect("it is there");
    (place, file)
}

/// A terminal and its other side.
fn terminal() -> (File, OwnedFd) {
    let other = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&other).expect("it is ours");
    unlockpt(&other).expect("it is ours");
    let name = ptsname(&other, Vec::new()).expect("it has one").into_string().expect("it is text");
    let file = OpenOptions::new().read(true).write(true).open(name).expect("it is there");
    (file, other)
}

/// What was open stays in blocking mode.
fn assert_blocking(fd: impl AsFd) {
    let flags = fcntl_getfl(fd).expect("it is open");
    assert!(!flags.contains(OFlags::NONBLOCK), "somebody else's mode was changed");
}

/// A read of a silent one, which others keep open.
fn silent<S: AsFd + Send + Sync + 'static>(stream: S) {
    let stream = Arc::new(stream);
    let own = Arc::clone(&stream);
    ends(move |cx| cx.io(&*own).read(&mut [0; 10]));
    assert_blocking(&*stream);
}

/// Writes to one that nobody reads.
fn full<S: AsFd + Send + Sync + 'static>(stream: S) {
    let stream = Arc::new(stream);
    let own = Arc::clone(&stream);
    ends(move |cx| cx.io(&*own).write_all(&vec![0; MUCH]));
    assert_blocking(&*stream);
}

#[test]
fn a_read_of_a_silent_socket_ends() {
    let (here, _there) = tcp();
    silent(here);
    let (here, _there) = UnixStream::pair().expect("there are descriptors");
    silent(here);
    let (here, _there) = UnixDatagram::pair().expect("there are descriptors");
    silent(here);
}

#[test]
fn a_write_to_a_full_socket_ends() {
    let (here, _there) = tcp();
    full(here);
    let (here, _there) = UnixStream::pair().expect("there are descriptors");
    full(here);
}

#[test]
fn a_read_of_a_silent_pipe_ends() {
    let (reads, _writes) = pipe();
    silent(reads);
    let (_place, fifo) = fifo();
    silent(fifo);
    let (terminal, _other) = terminal();
    silent(terminal);
}

#[test]
fn a_write_to_a_full_pipe_ends() {
    let (_reads, writes) = pipe();
    full(writes);
    let (_place, fifo) = fifo();
    full(fifo);
    let (terminal, _other) = terminal();
    full(terminal);
}

/// Two jobs read what comes for one: the other must not be left in a blocking read.
#[test]
fn one_that_was_too_late_for_what_there_was_still_ends() {
    for (stream, mut there) in [
        {
            let (here, there) = UnixStream::pair().expect("there are descriptors");
            (OwnedFd::from(here), File::from(OwnedFd::from(there)))
        },
        {
            let (reads, writes) = pipe();
            (reads, File::from(writes))
        },
        {
            let (_place, fifo) = fifo();
            (fifo.try_clone().expect("there are descriptors").into(), fifo)
        },
    ] {
        let (pool, stream) = (pool_of(4), Arc::new(stream));
        for _ in 0..100 {
            let read = |_| {
                let stream = Arc::clone(&stream);
                pool.spawn(move |cx| cx.io(&*stream).read(&mut [0]))
            };
            let jobs: Vec<_> = (0..4).map(read).collect();
            there.write_all(b"x").expect("there is room");
            while !jobs.iter().any(|job| job.is_finished()) {
                std::thread::yield_now();
            }
            jobs.iter().for_each(|job| job.abort());
            let got = jobs.into_iter().map(outcome).filter(|read| matches!(read, Ok(1)));
            assert_eq!(got.count(), 1, "one byte was sent");
        }
    }
}

/// From one to the other, each in a job of its own, in odd pieces.
fn carries(from: impl AsFd + Send + 'static, to: impl AsFd + Send + 'static) {
    let pool = pool_of(2);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let sent = bytes.clone();
    let writer = pool.spawn(move |cx| -> io::Result<()> {
        let mut io = cx.io(to);
        sent.chunks(77_777).try_for_each(|piece| io.write_all(piece))?;
        io.flush()
    });
    let many = bytes.len() as u64;
    let reader = pool.spawn(move |cx| {
        let mut read = Vec::new();
        cx.io(from).take(many).read_to_end(&mut read).map(|_| read)
    });
    assert!(outcome(reader).expect("it comes") == bytes);
    outcome(writer).expect("it is read");
}

#[test]
fn what_is_written_is_read() {
    let (here, there) = tcp();
    carries(here, there);
    let (here, there) = UnixStream::pair().expect("there are descriptors");
    carries(here, there);
    let (reads, writes) = pipe();
    carries(reads, writes);
    let (_place, fifo) = fifo();
    carries(fifo.try_clone().expect("there are descriptors"), fifo);
}

#[test]
fn the_mode_of_a_stream_does_not_matter() {
    let (here, there) = UnixStream::pair().expect("there are descriptors");
    here.set_nonblocking(true).expect("it is open");
    let here = Arc::new(here);
    let own = Arc::clone(&here);
    let (started, starts) = news();
    let job = pool_of(1).spawn(move |cx| {
        started.send(()).expect("the test listens");
        cx.io(&*own).read(&mut [0; 10])
    });
    starts.next();
    (&there).write_all(b"late").expect("there is room");
    assert_eq!(outcome(job).expect("it comes"), 4);
    assert!(fcntl_getfl(&here).expect("it is open").contains(OFlags::NONBLOCK));
}

#[test]
fn a_call_that_has_done_something_says_how_much() {
    let (reads, writes) = pipe();
    let (here, _there) = UnixStream::pair().expect("there are descriptors");
    let job = pool_of(1).spawn(move |cx| -> io::Result<_> {
        let much = vec![0; MUCH];
        let into_pipe = cx.io(writes).write(&much)?;
        let into_socket = cx.io(here).write(&much)?;
        let mut some = vec![0; MUCH];
        Ok((into_pipe, into_socket, cx.io(reads).read(&mut some)?))
    });
    let (into_pipe, into_socket, from_pipe) = outcome(job).expect("there is room for some");
    assert!((1..MUCH).contains(&into_pipe) && (1..MUCH).contains(&into_socket));
    assert_eq!(from_pipe, into_pipe);
}

#[test]
fn ends_and_errors_of_a_stream_are_its_own() {
    let job = pool_of(1).spawn(|cx| -> Checked<()> {
        let (here, there) = UnixStream::pair().expect("there are descriptors");
        drop(there);
        assert_eq!(cx.io(&here).read(&mut [0; 10]).expect("it is over"), 0);
        let error = cx.io(&here).write(b"nobody reads this").expect_err("it is closed");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        for (reads, writes) in [pipe(), {
            let (place, fifo) = fifo();
            drop(fifo);
            let path = place.0.clone();
            let writer = std::thread::spawn(move || OpenOptions::new().write(true).open(path));
            let reads = File::open(&place.0).expect("it is there");
            let writes = writer.join().expect("no panic").expect("it is there");
            (reads.into(), writes.into())
        }] {
            let error = cx.io(&reads).write(b"x").expect_err("it is for reading");
            assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::BADF.raw_os_error()));
            drop(reads);
            let error = cx.io(&writes).write(b"nobody reads this").expect_err("it is closed");
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
        Ok(())
    });
    outcome(job).expect("no assertion fails");
}

/// Many pieces at once: what is written in some is read in others, in their order.
#[test]
fn pieces_are_written_and_read_in_one_call() {
    let (here, there) = UnixStream::pair().expect("there are descriptors");
    let (reads, writes) = pipe();
    let (_place, fifo) = fifo();
    let fifos_other = fifo.try_clone().expect("there are descriptors").into();
    let pairs: [(OwnedFd, OwnedFd); 3] =
        [(here.into(), there.into()), (writes, reads), (fifo.into(), fifos_other)];
    let job = pool_of(1).spawn(move |cx| -> io::Result<()> {
        for (to, from) in pairs {
            let text = [&b""[..], b"one ", b"", b"two ", b"three"].map(IoSlice::new);
            let written = cx.io(to).write_vectored(&text)?;
            let (mut first, mut second) = ([0; 6], [0; 100]);
            let mut into = [&mut first[..], &mut [], &mut second].map(IoSliceMut::new);
            let read = cx.io(from).read_vectored(&mut into)?;
            assert_eq!((written, read), (13, 13));
            assert_eq!((&first, &second[..7]), (b"one tw", &b"o three"[..]));
        }
        Ok(())
    });
    outcome(job).expect("there is room");
}

#[test]
fn more_pieces_than_the_system_takes_are_written_in_part() {
    let (here, there) = UnixStream::pair().expect("there are descriptors");
    let (reads, writes) = pipe();
    let job = pool_of(1).spawn(move |cx| -> io::Result<()> {
        for (to, from) in [(OwnedFd::from(here), OwnedFd::from(there)), (writes, reads)] {
            let written = cx.io(to).write_vectored(&[IoSlice::new(b"x"); 3_000])?;
            let (mut one, mut other) = ([0; 1_000], [0; 3_000]);
            let mut into: Vec<_> = one.iter_mut().map(std::slice::from_mut).collect();
            into.extend(other.iter_mut().map(std::slice::from_mut));
            let mut into: Vec<_> = into.into_iter().map(IoSliceMut::new).collect();
            let read = cx.io(from).read_vectored(&mut into)?;
            assert!((1_000..=3_000).contains(&written) && read == written, "{written}, {read}");
        }
        Ok(())
    });
    outcome(job).expect("there is room");
}

#[test]
fn a_file_is_read_and_written() {
    let place = Place::new();
    let path = place.0.clone();
    let job = pool_of(1).spawn(move |cx| -> io::Result<String> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        cx.io(&file).write_all(b"on disk")?;
        file.rewind()?;
        let mut text = String::new();
        cx.io(&file).read_to_string(&mut text)?;
        Ok(text)
    });
    assert_eq!(outcome(job).expect("there is room"), "on disk");
}

#[test]
fn a_call_begun_after_the_stop_does_nothing() {
    let (here, mut there) = UnixStream::pair().expect("there are descriptors");
    there.write_all(b"kept").expect("there is room");
    let job = pool_of(1).spawn(move |cx| -> Checked<_> {
        cx.token().cancel();
        let mut io = cx.io(&here);
        assert!(io.read(&mut [0; 10]).is_err() && io.write(b"x").is_err());
        Ok(here)
    });
    let mut here = outcome(job).expect("it returned Ok");
    assert_eq!(here.read(&mut [0; 10]).expect("it is there"), 4);
    there.set_nonblocking(true).expect("it is open");
    assert_eq!(there.read(&mut [0]).expect_err("nothing was sent").kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_read_of_nothing_waits_for_nothing() {
    let (here, _there) = tcp();
    let job = pool_of(1).spawn(move |cx| cx.io(&here).read(&mut []));
    assert_eq!(outcome(job).expect("there is nothing to wait for"), 0);
}

/// A job that waits for another of its pool runs that one itself, within its own body.
#[test]
fn a_ring_for_the_outer_of_two_jobs_on_a_thread_stops_it_and_not_the_inner() {
    let (outers, mut to_outer) = UnixStream::pair().expect("there are descriptors");
    let (inners, mut to_inner) = UnixStream::pair().expect("there are descriptors");
    let pool = pool_of(1);
    let own = pool.clone();
    let (started, starts) = news();
    let outer = pool.spawn(move |cx| -> Checked<_> {
        let mut io = cx.io(&outers);
        started.send(this_thread()).expect("the test listens");
        assert_eq!(io.read(&mut [0]).expect("it comes"), 1); // from this wait on it has the ring
        let inner = own.spawn(move |cx| {
            started.send(this_thread()).expect("the test listens");
            cx.io(&inners).read(&mut [0])
        });
        let read = inner.wait(); // nobody else can run it
        let stopped = io.read(&mut [0]).expect_err("it is stopped");
        Ok((read.is_ok(), stopped.kind()))
    });
    let thread = starts.next();
    until_it_sleeps(&thread);
    to_outer.write_all(b"x").expect("there is room");
    assert_eq!(starts.next(), thread, "it is run right there");
    until_it_sleeps(&thread);
    outer.cancel();
    until_it_sleeps(&thread); // again
    to_inner.write_all(b"x").expect("there is room");
    assert_eq!(outcome(outer).expect("it returned Ok"), (true, ErrorKind::Other));
}

#[test]
fn a_deadline_is_not_anticipated() {
    let (here, _there) = UnixStream::pair().expect("there are descriptors");
    let job = pool_of(1).job().run_timeout(ms(30)).spawn(move |cx| cx.io(&here).read(&mut [0]));
    let Err(JobError::TimedOut(stop)) = outcome(job) else { panic!("it waits for ever") };
    assert!(stop.ran_for() >= ms(30));
}

/// Two threads, one of which is taken, and a timekeeper that is stuck in somebody's hook and has no deputy.
fn with_a_stuck_timekeeper(test: impl FnOnce(&Pool)) {
    let timekeepers = AtomicU32::new(0);
    let gate = move |name: &str| match name.ends_with("-timer") {
        true if timekeepers.fetch_add(1, Ordering::SeqCst) > 0 => Err(ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    };
    let pool = Pool::builder().threads(2..=2).spawn_gate(gate).build().expect("threads");
    let (held, release) = (Gate::default(), Gate::default());
    let (is_held, own) = (held.clone(), release.clone());
    let slow = pool.job().run_timeout(ms(5)).spawn(move |cx| {
        let (held, hook) = (held.clone(), own.clone());
        let _guard = cx.on_stop(move |_| {
            held.open();
            hook.pass();
        });
        own.pass();
        cx.check()
    });
    is_held.pass();
    test(&pool);
    release.open();
    assert!(matches!(outcome(slow), Err(JobError::TimedOut(_))));
}

#[test]
fn a_deadline_needs_no_timekeeper() {
    with_a_stuck_timekeeper(|pool| {
        let (here, _there) = UnixStream::pair().expect("there are descriptors");
        let (left, has_left) = news();
        let job = pool.job().run_timeout(ms(20)).spawn(move |cx| {
            let read = cx.io(&here).read(&mut [0]).map_err(|error| error.kind());
            left.send(read).expect("the test listens");
            read
        });
        assert_eq!(has_left.next(), Err(ErrorKind::TimedOut));
        assert!(matches!(outcome(job), Err(JobError::TimedOut(_))));
    });
}

/// A hook may wait for what the body holds; it must not be called in the midst of that.
#[test]
fn a_deadline_that_a_call_notices_calls_no_hook_right_there() {
    with_a_stuck_timekeeper(|pool| {
        let (here, _there) = UnixStream::pair().expect("there are descriptors");
        let stream = Arc::new(Mutex::new(here));
        let (left, has_left) = news();
        let job = pool.job().run_timeout(ms(20)).spawn(move |cx| {
            let hooks = Arc::clone(&stream);
            let _guard = cx.on_stop(move |_| drop(hooks.lock()));
            let stream = stream.lock().expect("no panic under it");
            let read = cx.io(&*stream).read(&mut [0]).map_err(|error| error.kind());
            left.send(read).expect("the test listens");
            read
        });
        assert_eq!(has_left.next(), Err(ErrorKind::TimedOut));
        assert!(matches!(outcome(job), Err(JobError::TimedOut(_))));
    });
}

#[test]
fn a_stream_that_is_used_on_another_thread_hears_the_stop_there() {
    let (here, mut there) = UnixStream::pair().expect("there are descriptors");
    let (started, starts) = news();
    let job = pool_of(1).spawn(move |cx| {
        let mut io = cx.io(&here);
        started.send(this_thread()).expect("the test listens");
        assert_eq!(io.read(&mut [0])?, 1); // here it has waited
        std::thread::scope(|threads| {
            let elsewhere = threads.spawn(|| {
                started.send(this_thread()).expect("the test listens");
                io.read(&mut [0])
            });
            elsewhere.join().expect("no panic")
        })
    });
    let worker = starts.next();
    until_it_sleeps(&worker);
    there.write_all(b"x").expect("there is room");
    let other = starts.next();
    assert_ne!(worker, other);
    until_it_sleeps(&other);
    job.cancel();
    assert!(matches!(outcome(job), Err(JobError::Cancelled(_))));
}

/// A socket with errors queued polls as ready, whether there is something to read or not.
#[cfg(target_os = "linux")]
#[test]
fn what_is_said_to_be_ready_and_is_not_is_waited_for_in_steps() {
    let closed = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let nobody = closed.local_addr().expect("it is bound");
    drop(closed);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(nobody).expect("no packet is sent");
    let (on, size) = (1_i32, size_of::<i32>() as libc::socklen_t);
    let (fd, of) = (socket.as_raw_fd(), (libc::IPPROTO_IP, libc::IP_RECVERR));
    // SAFETY: it is given an integer, and its size.
    let set = unsafe { libc::setsockopt(fd, of.0, of.1, (&raw const on).cast(), size) };
    assert_eq!(set, 0);
    let job =
        pool_of(1).job().run_timeout(ms(200)).grace(PATIENCE).spawn(move |cx| -> Checked<_> {
            let mut io = cx.io(&socket);
            assert_eq!(io.write(b"x").expect("it is sent"), 1);
            let refused = io.read(&mut [0]).expect_err("nobody has it");
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            let before = sleeps();
            assert_eq!(io.read(&mut [0]).expect_err("nothing comes").kind(), ErrorKind::TimedOut);
            Ok(sleeps() - before)
        });
    let slept = outcome(job).expect("it returned Ok");
    assert!(slept > 1, "it slept {slept} times");
}

/// How often this thread has waited in the system.
#[cfg(target_os = "linux")]
fn sleeps() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("it is there");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|number| number.trim().parse().ok()).expect("it says so")
}
