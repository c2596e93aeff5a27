//! Stops and calls in every order on one worker: no stop reaches another job's call, and nothing is left
//! of them, no descriptor and no zombie. (A binary of its own: it counts what its process has open.)
//!
//! `PUNCTUAL_ROUNDS` says how many, `PUNCTUAL_SEED` which.
#![cfg(target_os = "linux")]

#[path = "laws/support.rs"]
#[allow(dead_code, reason = "shared with others, who use the rest")]
mod support;

use punctual::{JobContext, JobHandle, Phase, Pool, Stopped};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::fs::{self, File};
use std::hint;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use support::{PATIENCE, outcome, pool_of, until};

/// xorshift64*
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What the calls of all rounds share, so that one could disturb the next.
struct Scene {
    here: UnixStream,
    there: UnixStream,
    pipe: (File, File),
    listener: TcpListener,
    messages: (Sender<()>, Mutex<Receiver<()>>),
    flag: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Socket,
    Pipe,
    Accept,
    Message,
    Flag,
    Child,
}

fn unpoisoned<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scene {
    fn new() -> Self {
        let (here, there) = UnixStream::pair().expect("there are descriptors");
        let (reads, writes) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("and more of them");
        let (send, receive) = channel();
        Self {
            here,
            there,
            pipe: (reads.into(), writes.into()),
            listener: TcpListener::bind("127.0.0.1:0").expect("a port"),
            messages: (send, Mutex::new(receive)),
            flag: AtomicBool::new(false),
        }
    }

    /// Waits for one thing.
    fn call(&self, call: Call, cx: &JobContext) -> io::Result<()> {
        match call {
            Call::Socket => cx.io(&self.here).read_exact(&mut [0]),
            Call::Pipe => cx.io(&self.pipe.0).read_exact(&mut [0]),
            Call::Accept => cx.accept(&self.listener).map(drop),
            Call::Message => Ok(cx.recv(&*unpoisoned(&self.messages.1)).map(drop)?),
            Call::Flag => Ok(cx.until(|| self.flag.swap(false, Ordering::SeqCst).then_some(()))?),
            Call::Child => {
                let mut cat = Command::new("cat");
                let child = cat.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
                cx.wait_child(&mut { child }).map(drop)
            }
        }
    }

    /// What it waits for. (A child's end it brings about itself.)
    fn give(&self, call: Call) {
        match call {
            Call::Socket => (&self.there).write_all(b"x").expect("there is room"),
            Call::Pipe => (&self.pipe.1).write_all(b"x").expect("there is room"),
            Call::Accept => {
                let address = self.listener.local_addr().expect("it is bound");
                drop(TcpStream::connect(address).expect("it listens"));
            }
            Call::Message => self.messages.0.send(()).expect("somebody has the other end"),
            Call::Flag => self.flag.store(true, Ordering::SeqCst),
            Call::Child => {}
        }
    }
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("it is there").count()
}

/// Whose stop its call heard of, if it did.
fn spawn(pool: &Pool, scene: &Arc<Scene>, call: Call) -> JobHandle<(), io::Error> {
    let scene = Arc::clone(scene);
    pool.spawn(move |cx| {
        let done = scene.call(call, cx);
        if let Err(error) = &done {
            let stopped = error.get_ref().and_then(|inner| inner.downcast_ref::<Stopped>());
            assert_eq!(
                stopped.map(Stopped::id),
                Some(cx.id()),
                "it is no stop of this job: {error}"
            );
        }
        done
    })
}

/// Some, mostly little.
fn pass_time(chance: &mut Chance) {
    for _ in 0..chance.below(20_000) >> chance.below(12) {
        hint::spin_loop();
    }
}

#[test]
fn stops_and_calls_in_every_order_on_one_worker() {
    let (seed, rounds) = (number("PUNCTUAL_SEED", 7), number("PUNCTUAL_ROUNDS", 10_000));
    let mut chance = Chance(seed.max(1));
    let before = open_descriptors();
    let (scene, pool) = (Arc::new(Scene::new()), pool_of(1));
    let (mut stopped, mut done) = (0, 0);
    for round in 0..rounds {
        let call = match chance.below(200) {
            0 => Call::Child,
            n => {
                [Call::Socket, Call::Pipe, Call::Accept, Call::Message, Call::Flag][n as usize % 5]
            }
        };
        // One that is stopped at some moment, perhaps just as what it waits for comes; and right behind
        // it one that is not, for which that is there if the first has not taken it.
        let (first, second) = (spawn(&pool, &scene, call), spawn(&pool, &scene, call));
        if chance.below(4) > 0 {
            until("it has begun", || first.info().phase() == Phase::Running);
        }
        let early = chance.below(2) == 1;
        if early {
            pass_time(&mut chance);
            scene.give(call);
        }
        pass_time(&mut chance);
        first.cancel();
        let first = outcome(first);
        if first.is_ok() || !early {
            scene.give(call);
        }
        let second = outcome(second);
        assert!(second.is_ok(), "round {round} of seed {seed}, {call:?}: {second:?}");
        assert!(
            first.is_err() || early || matches!(call, Call::Child),
            "{round} of {seed}: {call:?}"
        );
        *(if first.is_ok() { &mut done } else { &mut stopped }) += 1;
    }
    println!("{stopped} were stopped, {done} were done before");
    assert!(pool.drain().within(PATIENCE).wait().still_running.is_empty());
    drop((pool, scene));
    assert_eq!(open_descriptors(), before);
    let children = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    assert!(matches!(children, Err(Errno::CHILD)), "a child was not reaped: {children:?}");
}
