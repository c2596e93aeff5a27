//! Counts instructions, and atomic read-modify-writes: this program runs itself as a child under valgrind's
//! callgrind.
//!
//! What one unit of work takes is the difference of two runs, one of which does more of it: so the start
//! and the end of the program do not count, and nothing must be switched on and off within it.
//!
//! Counts of several threads repeat only if the threads take the same turns each time. So the child
//! [keeps to one core](take_turns), on which a thread that wakes another goes on until it waits or yields.
//!
//! So no read-modify-write meets another, and none is tried again: what is counted is the most that could
//! be contended, however many cores there are, without what is tried again.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// How many units the shorter run does, so that the longer one does nothing for the first time.
const WARM_UP: u64 = 500;
/// How many more the longer run does.
pub(crate) const UNITS: u64 = 2_000;

/// What to do where there is no valgrind.
pub(crate) const HOW_TO_GET_IT: &str =
    "no valgrind here, which counts instructions: `apt-get install valgrind` on Debian";

pub(crate) fn is_there() -> bool {
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// What was counted of a run, or of a unit.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) instructions: f64,
    /// Atomic read-modify-writes.
    pub(crate) updates: f64,
}

/// What a unit takes, where this program does as many as the argument behind `args` says.
pub(crate) fn per_unit(args: &[&str]) -> io::Result<Counts> {
    let short = count(args, WARM_UP, Path::new("/dev/null"))?;
    let long = count(args, WARM_UP + UNITS, Path::new("/dev/null"))?;
    let each = |long: f64, short: f64| (long - short) / UNITS as f64;
    Ok(Counts {
        instructions: each(long.instructions, short.instructions),
        updates: each(long.updates, short.updates),
    })
}

/// What this program takes for so many units; `file` gets what `callgrind_annotate` reads.
pub(crate) fn count(args: &[&str], units: u64, file: &Path) -> io::Result<Counts> {
    let mut valgrind = Command::new("valgrind");
    // The bus is what a read-modify-write locked once.
    valgrind.args(["--tool=callgrind", "--fair-sched=no", "--collect-bus=yes"]);
    valgrind.arg(format!("--callgrind-out-file={}", file.display()));
    valgrind.arg(std::env::current_exe()?).args(args).arg(units.to_string());
    let output = valgrind.stdout(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    match text.lines().find_map(collected) {
        Some(counts) if output.status.success() => Ok(counts),
        _ => Err(io::Error::other(format!("valgrind ended by {}:\n{text}", output.status))),
    }
}

/// The counts, if that is their line.
fn collected(line: &str) -> Option<Counts> {
    let (_, counts) = line.split_once("Collected : ")?;
    let mut counts = counts.split_whitespace().map(str::parse);
    let (instructions, updates) = (counts.next()?.ok()?, counts.next()?.ok()?);
    Some(Counts { instructions, updates })
}

/// For the child, before it starts a thread: all run on one core, and none takes it from another.
pub(crate) fn take_turns() {
    // SAFETY: it takes nothing.
    let core = unsafe { libc::sched_getcpu() };
    // SAFETY: a set of cores is a plain array of bits; none is set.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the system says a core's number, which the set has room for.
    unsafe { libc::CPU_SET(usize::try_from(core).unwrap_or(0), &mut one) };
    // SAFETY: it reads a set of that size.
    let pinned = unsafe { libc::sched_setaffinity(0, size_of_val(&one), &one) };
    // In the first, which needs a privilege, nobody else takes the core, either. In the second others may,
    // and which thread goes on when it comes back is left to the system.
    let schedules =
        [(libc::SCHED_FIFO, 1), (libc::SCHED_BATCH, 0)].into_iter().any(|(policy, n)| {
            let param = libc::sched_param { sched_priority: n };
            // SAFETY: it reads the parameters, which are there.
            unsafe { libc::sched_setscheduler(0, policy, &param) == 0 }
        });
    if pinned != 0 || !schedules {
        eprintln!("threads can not be told to take turns here: counts vary");
    }
}
