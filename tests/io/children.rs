//! Child processes: waited for, and killed and reaped with what they have started.

use crate::blocked::ends;
use crate::support::{PATIENCE, error, ms, news, outcome, pool_of, until};
use punctual::{Checked, JobError};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

/// One that keeps nothing of this process open, should it outlive it.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn is_there(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a number");
    test_kill_process(pid) != Err(Errno::SRCH)
}

/// It is gone, or nobody's but init's, who may take its time.
fn until_it_is_gone(pid: u32) {
    until("it is gone", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !is_there(pid) || stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
    });
}

#[test]
fn a_wait_for_a_child_ends_and_the_child_with_it() {
    let (started, starts) = news();
    ends(move |cx| {
        let mut child = shell("exec sleep 100").spawn()?;
        started.send(child.id()).expect("the test listens");
        cx.wait_child(&mut child)
    });
    let started = starts.so_far();
    assert_eq!(started.len(), 4);
    assert!(!started.into_iter().any(is_there), "they were reaped");
}

#[test]
fn a_childs_status_is_given() {
    let job = pool_of(1).spawn(|cx| -> io::Result<_> {
        let mut child = shell("exit 3").spawn()?;
        let first = cx.wait_child(&mut child)?;
        Ok((first.code(), cx.wait_child(&mut child)?.code()))
    });
    assert_eq!(outcome(job).expect("it exits"), (Some(3), Some(3)));
}

#[test]
fn a_childs_input_is_closed() {
    let job = pool_of(1).spawn(|cx| -> io::Result<_> {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        cx.wait_child(&mut child)
    });
    assert!(outcome(job).expect("it reads to the end of that").success());
}

#[test]
fn the_group_of_a_child_is_killed_only_if_it_leads_one() {
    let (printed, prints) = news();
    for leads in [true, false] {
        let printed = printed.clone();
        let job = pool_of(1).job().grace(PATIENCE).spawn(move |cx| -> Checked<_> {
            let mut command = shell("sleep 100 & echo $!; wait");
            if leads {
                command.process_group(0);
            }
            let mut child = command.stdout(Stdio::piped()).spawn().expect("there is a shell");
            let mut line = String::new();
            BufReader::new(child.stdout.take().expect("it is piped"))
                .read_line(&mut line)
                .expect("it prints");
            printed.send((child.id(), line)).expect("the test listens");
            assert!(cx.wait_child(&mut child).is_err());
            Ok(child.try_wait().expect("it was reaped").and_then(|status| status.signal()))
        });
        let (child, line) = prints.next();
        let grandchild = line.trim().parse().expect("its number");
        assert!(is_there(child) && is_there(grandchild));
        job.cancel();
        assert_eq!(outcome(job).expect("it returned Ok"), Some(9));
        assert!(!is_there(child));
        if leads {
            until_it_is_gone(grandchild);
        } else {
            assert!(is_there(grandchild), "it is in this test's own group");
            let number = i32::try_from(grandchild).ok().and_then(Pid::from_raw).expect("a number");
            rustix::process::kill_process(number, rustix::process::Signal::KILL)
                .expect("it is there");
        }
    }
}

#[test]
fn a_command_that_prints_for_ever_or_not_at_all_ends() {
    ends(|cx| cx.output(&mut shell("exec sleep 100")));
    // One whose output others keep open, and one that has closed it.
    ends(|cx| cx.output(&mut shell("sleep 100 & exit")));
    ends(|cx| cx.output(&mut shell("exec >&- 2>&-; exec sleep 100")));
}

#[test]
fn what_a_command_has_started_is_killed_with_it() {
    let place = crate::places::Place::new();
    let path = place.0.clone();
    let job = pool_of(1).spawn(move |cx| {
        let script =
            format!("sleep 100 & echo $! > '{0}.new'; mv '{0}.new' '{0}'; wait", path.display());
        cx.output(&mut shell(&script))
    });
    until("it has started", || place.0.exists());
    let text = std::fs::read_to_string(&place.0).expect("it is there");
    job.cancel();
    assert!(matches!(error(job), JobError::Cancelled(_)));
    until_it_is_gone(text.trim().parse().expect("its number"));
}

#[test]
fn what_a_command_prints_is_collected_from_both() {
    // More than a pipe holds of each: who read one after the other would wait for ever.
    let script =
        "for n in 1 2 3 4; do head -c 100000 /dev/zero; head -c 100000 /dev/zero >&2; done; exit 7";
    let job = pool_of(1).spawn(move |cx| cx.output(&mut shell(script)));
    let output = outcome(job).expect("it exits");
    assert_eq!((output.stdout.len(), output.stderr.len()), (400_000, 400_000));
    assert_eq!(output.status.code(), Some(7));
    let job = pool_of(1).spawn(|cx| cx.output(&mut Command::new("/nowhere/to/be/found")));
    let JobError::Failed(nowhere) = error(job) else { panic!("there is no such thing") };
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
}

#[test]
fn a_command_that_floods_its_output_ends() {
    let job = pool_of(1).job().run_timeout(ms(20)).spawn(|cx| cx.output(&mut shell("exec yes")));
    assert!(matches!(error(job), JobError::TimedOut(_)));
}
