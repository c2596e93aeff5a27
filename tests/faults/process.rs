//! Faults of a whole process: signals, exits, limits, other processes.
//!
//! Each test runs this program again as a child, which does the first half of the test.

use crate::support::{Gate, OnDrop, PATIENCE, ms, news, outcome, pool_of, until};
use punctual::{JobError, Pool, Rejection};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The command that runs one test of this file in a child process.
fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("it runs"));
    let name = format!("process::{test}");
    command.args([&name, "--exact", "--nocapture", "--test-threads=1"]).env("PUNCTUAL_CHILD", test);
    command
}

fn is_child(test: &str) -> bool {
    std::env::var("PUNCTUAL_CHILD").is_ok_and(|child| child == test)
}

fn run(test: &str) -> Output {
    child(test).output().expect("it can be started")
}

/// Starts the child, and waits until it has said a word; gives all that it has said.
fn start(test: &str, word: &str) -> (Child, Vec<u8>) {
    let mut command = child(test);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut said = Vec::new();
    let out = child.stdout.as_mut().expect("it is piped");
    while !String::from_utf8_lossy(&said).contains(word) {
        let mut byte = [0];
        assert_eq!(out.read(&mut byte).expect("it can be read"), 1, "it ended without `{word}`");
        said.push(byte[0]);
    }
    (child, said)
}

/// Starts the child, and signals it when it has said a word.
fn run_and_signal(test: &str, word: &str, signal: i32) -> Output {
    let (child, mut said) = start(test, word);
    let id = child.id().try_into().expect("a process's number");
    // SAFETY: the process is our child, and not yet waited for.
    assert_eq!(unsafe { libc::kill(id, signal) }, 0);
    let mut output = child.wait_with_output().expect("it ends");
    said.append(&mut output.stdout);
    Output { stdout: said, ..output }
}

/// Fault 3.
#[test]
fn a_destructor_that_panics_while_a_body_unwinds_ends_the_process() {
    const NAME: &str = "a_destructor_that_panics_while_a_body_unwinds_ends_the_process";
    if is_child(NAME) {
        let capture = crate::support::PanicsOnDrop;
        let body = move || -> u8 {
            let _capture = capture;
            crate::support::quiet_panic("the body's own")
        };
        let _ = pool_of(1).spawn_blocking(body).wait();
        return;
    }
    let output = run(NAME);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
}

fn dive(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 128]); // a kilobyte
    if depth == 0 { 0 } else { dive(depth - 1) + room[1] - depth + 1 }
}

/// Fault 33.
#[test]
fn a_body_that_overflows_its_stack_ends_the_process() {
    const NAME: &str = "a_body_that_overflows_its_stack_ends_the_process";
    if is_child(NAME) {
        let builder = Pool::builder().threads(1..=1).thread_stack_size(1 << 20);
        let job = builder.build().expect("a thread").spawn_blocking(|| dive(1 << 20));
        println!("{:?}", job.wait());
        return;
    }
    let output = run(NAME);
    assert!(output.status.signal().is_some() || !output.status.success(), "{output:?}");
}

/// Fault 33: with a stack that is large enough it does not.
#[test]
fn a_body_has_the_stack_it_was_promised() {
    let builder = Pool::builder().threads(1..=1).thread_stack_size(256 << 20);
    let pool = builder.build().expect("a thread");
    assert_eq!(outcome(pool.spawn_blocking(|| dive(16 << 10))).expect("it returns"), 16 << 10);
}

/// Fault 27: what a program should do with `fork` is `exec`.
#[test]
fn a_body_may_start_a_process() {
    let pool = pool_of(4);
    let start = |n: i32| {
        pool.job().timeout(PATIENCE).spawn(move |_| {
            let shell = Command::new("sh").args(["-c", &format!("exit {n}")]).status()?;
            Ok::<_, std::io::Error>(shell.code())
        })
    };
    let jobs: Vec<_> = (0..40).map(start).collect();
    for (n, job) in (0..).zip(jobs) {
        assert_eq!(outcome(job).expect("it returns"), Some(n));
    }
}

/// Fault 28: by default a signal ends the process, whatever its jobs and its `main` are at.
#[test]
fn a_process_ends_by_a_signal_in_the_midst_of_a_drain() {
    const NAME: &str = "a_process_ends_by_a_signal_in_the_midst_of_a_drain";
    if is_child(NAME) {
        let pool = pool_of(2);
        let (started, is_started) = news();
        drop(pool.spawn(move |cx| {
            started.send(()).expect("the test listens");
            cx.sleep(Duration::MAX)
        }));
        is_started.next();
        let end = pool.drain();
        println!("it drains");
        drop(end.wait());
        println!("and has ended");
        return;
    }
    let output = run_and_signal(NAME, "it drains", libc::SIGTERM);
    assert_eq!(output.status.signal(), Some(libc::SIGTERM), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("and has ended"));
}

/// Fault 28: with a handler, a signal is where an orderly end begins.
#[test]
fn a_signal_handler_may_begin_the_drain() {
    const NAME: &str = "a_signal_handler_may_begin_the_drain";
    if is_child(NAME) {
        let (send, signals) = news();
        ctrlc::set_handler(move || send.send(()).expect("`main` listens")).expect("no other");
        let pool = pool_of(1);
        let long = pool.spawn(|cx| {
            println!("it runs");
            cx.sleep(Duration::MAX)
        });
        let queued = pool.spawn_blocking(|| ());
        signals.next();
        println!("{}", pool.shutdown().within(PATIENCE).wait());
        assert!(long.wait().is_err_and(|error| error.is_cancelled()));
        assert!(queued.wait().is_err_and(|error| error.is_cancelled()));
        return;
    }
    let output = run_and_signal(NAME, "it runs", libc::SIGINT);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("1 jobs finished, 1 never started, 0 still running"), "{said}");
}

/// Fault 28: with everything under way, on many threads.
#[test]
fn a_process_may_exit_in_the_midst_of_everything() {
    const NAME: &str = "a_process_may_exit_in_the_midst_of_everything";
    if is_child(NAME) {
        let by_main = std::env::var_os("BY_MAIN").is_some();
        let pool = Pool::builder().threads(4..=16).build().expect("threads");
        let (started, is_started) = news();
        for n in 0..200_u64 {
            let started = started.clone();
            drop(pool.job().timeout(PATIENCE + ms(n)).spawn(move |cx| {
                if n % 7 == 0 {
                    let _ = started.send(());
                    cx.sleep(Duration::MAX)
                } else if n > 60 && !by_main {
                    std::process::exit(7) // and so will others
                } else {
                    Ok(())
                }
            }));
        }
        is_started.next();
        if by_main {
            std::process::exit(7);
        }
        drop(pool.drain().wait());
        return;
    }
    for by_main in [true, false] {
        for _ in 0..5 {
            let mut command = child(NAME);
            if by_main {
                command.env("BY_MAIN", "1");
            }
            let output = command.output().expect("it can be started");
            assert_eq!(output.status.code(), Some(7), "{output:?}");
        }
    }
}

/// Fault 30: a process that is stopped and goes on is late, and nothing worse.
#[test]
fn a_process_that_was_stopped_goes_on() {
    const NAME: &str = "a_process_that_was_stopped_goes_on";
    if is_child(NAME) {
        return keep_time();
    }
    let (child, _) = start(NAME, "it keeps time");
    let id: i32 = child.id().try_into().expect("a process's number");
    let (_never, tick) = mpsc::channel::<()>();
    let mut stops = 0;
    loop {
        let _ = tick.recv_timeout(ms(7)); // the child's turn
        // SAFETY: a struct of numbers may be all zero.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: the process is our child, and not yet waited for.
        unsafe { libc::kill(id, libc::SIGSTOP) };
        let stopped_or_ended = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT;
        // SAFETY: as above; the struct is there for the call.
        let done = unsafe { libc::waitid(libc::P_PID, id as u32, &mut info, stopped_or_ended) };
        assert_eq!(done, 0);
        if info.si_code != libc::CLD_STOPPED {
            break;
        }
        stops += 1;
        let _ = tick.recv_timeout(ms(10)); // the world's
        // SAFETY: as above.
        unsafe { libc::kill(id, libc::SIGCONT) };
    }
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert!(stops >= 10, "it was stopped {stops} times");
}

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_signal(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Fault 30: every system call is interrupted over and over; nothing is early, nothing is lost.
#[test]
fn a_storm_of_signals_disturbs_no_timer() {
    const NAME: &str = "a_storm_of_signals_disturbs_no_timer";
    if is_child(NAME) {
        // SAFETY: a struct of numbers and pointers may be all zero.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = count_signal as *const () as usize; // no SA_RESTART
        // SAFETY: the handler does nothing but count; the struct is there for the call.
        let set = unsafe { libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()) };
        assert_eq!(set, 0);
        let over = AtomicBool::new(false);
        std::thread::scope(|s| {
            s.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    signal_all_threads();
                }
            });
            let _end = OnDrop(|| over.store(true, Ordering::Relaxed)); // also if it panics
            keep_time();
        });
        println!("{} signals", SIGNALS.load(Ordering::Relaxed));
        assert!(SIGNALS.load(Ordering::Relaxed) > 1000);
        return;
    }
    let output = run(NAME);
    assert!(output.status.success(), "{output:?}");
}

/// Signals every thread of this process but the one that does.
fn signal_all_threads() {
    // SAFETY: it has no precondition.
    let own = unsafe { libc::gettid() };
    let process = std::process::id();
    for task in std::fs::read_dir("/proc/self/task").expect("linux").flatten() {
        let thread: i32 = task.file_name().to_string_lossy().parse().expect("a number");
        if thread != own {
            // SAFETY: a thread that has left is no error that matters.
            unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGUSR1) };
        }
    }
}

fn keep_time() {
    let pool = pool_of(2);
    println!("it keeps time");
    for round in 0..60 {
        let (start, time) = (Instant::now(), ms(round % 7));
        let slept = pool.spawn(move |cx| {
            cx.sleep(time)?;
            Ok::<_, punctual::Stopped>(start.elapsed())
        });
        assert!(outcome(slept).expect("nobody stops it") >= time);
        let start = Instant::now();
        let late = pool.job().timeout(time).spawn(|cx| cx.sleep(Duration::MAX));
        assert!(outcome(late).is_err_and(|error| error.is_timed_out()) && start.elapsed() >= time);
        let mut waits = pool.spawn(|cx| cx.sleep(Duration::MAX));
        let start = Instant::now();
        assert!(waits.wait_timeout(time).is_none() && start.elapsed() >= time);
        waits.cancel();
        assert!(outcome(waits).is_err());
    }
    let gate = Gate::default();
    let deaf = gate.clone(); // one that listens may have ended before it is looked for
    let busy = pool.spawn_blocking(move || deaf.pass());
    until("it runs", || pool.metrics().running == 1);
    let start = Instant::now();
    assert_eq!(pool.drain().within(ms(20)).wait().still_running.len(), 1);
    assert!(start.elapsed() >= ms(20) && outcome(busy).is_err());
    gate.open();
}

/// Fault 9, by the system's own limit for a user who is not root.
#[test]
#[cfg(target_os = "linux")]
fn a_process_that_may_have_no_more_threads() {
    const NAME: &str = "a_process_that_may_have_no_more_threads";
    if is_child(NAME) {
        // Nobody's, and no other process's: the limit counts all of a user's threads, on the whole machine.
        let user = 100_000 + std::process::id();
        let limit = libc::rlimit { rlim_cur: 6, rlim_max: 6 };
        // SAFETY: the struct is there for the call.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &limit) }, 0);
        // SAFETY: no precondition. (All threads of the process change with this one.)
        if unsafe { libc::setuid(user) } != 0 {
            return println!("it may not change its user: skipped");
        }
        let build = |threads: usize| Pool::builder().threads(threads..=64).build();
        assert!(build(32).is_err());
        let pool = build(0).expect("no thread is needed");
        let jobs: Vec<_> =
            (0..500).map(|_| pool.job().timeout(PATIENCE).spawn(|cx| cx.sleep(ms(0)))).collect();
        let refused =
            |error: &JobError<_>| matches!(error, JobError::Rejected(Rejection::NoThread));
        let all = jobs.len();
        let ran = jobs.into_iter().map(outcome).filter(|job| match job {
            Ok(()) => true,
            Err(error) => !refused(error) && panic!("{error}"),
        });
        assert_eq!(ran.count(), all, "there is a thread for each, if not at once");
        assert!(pool.metrics().threads < 6, "{:?}", pool.metrics());
        let hungry: Vec<_> = std::iter::from_fn(|| {
            std::thread::Builder::new().spawn(std::thread::park).ok() // takes all there are
        })
        .collect();
        pool.drain().wait();
        let late = Pool::builder().threads(0..=4).build().expect("no thread is needed");
        while let Ok(()) = outcome(late.spawn_blocking(|| ())) {
            late.shutdown().wait();
        }
        println!("all is well");
        drop(hungry);
        std::process::exit(0);
    }
    let output = run(NAME);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("all is well") || said.contains("skipped"), "{output:?}");
}
