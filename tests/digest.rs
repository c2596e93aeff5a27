//! The example `digest`, run as a user runs it, over a folder that each test makes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may, and so may what helps it")]

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
/// Two blocks of the hash function.
const OF_TWO_BLOCKS: &str = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
/// A million times `a`: more than one block of the example.
const OF_A_MILLION: &str = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

/// More bytes than are hashed while a test runs. They take no room on the disk.
const ENDLESS: u64 = 1 << 40;

#[test]
fn digests_are_those_of_the_standard() {
    let folder = Folder::with_known_files("known");
    let output = digest(&["--print", "."], folder.path());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut lines: Vec<_> = text(&output.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    let expected = [
        format!("{OF_TWO_BLOCKS}  ./sub/two blocks"),
        format!("{OF_ABC}  ./abc"),
        format!("{OF_A_MILLION}  ./sub/deep/million"),
        format!("{OF_NOTHING}  ./empty"),
    ];
    assert_eq!(lines, expected);
    assert_eq!(count(&output.stderr, "finished"), 4);
}

#[test]
fn sha256sum_accepts_them_whatever_the_names_are() {
    let folder = Folder::with_known_files("names");
    for name in [&b"new\nline"[..], b"back\\slash", b" space ", b"\xff\xfe"] {
        // a file system may refuse a name that is not UTF-8
        let _ = fs::write(folder.path().join(OsStr::from_bytes(name)), name);
    }
    let output = digest(&["--print", "."], folder.path());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--quiet", "--strict"]).current_dir(folder.path());
    let Ok(mut check) = check.stdin(Stdio::piped()).spawn() else {
        return eprintln!("there is no sha256sum here to compare with");
    };
    check.stdin.take().unwrap().write_all(&output.stdout).unwrap();
    assert!(check.wait().unwrap().success());
}

#[test]
fn a_bad_argument_gives_status_2_and_one_line() {
    let folder = Folder::new("bad");
    folder.make_fifo("fifo");
    let all_bad: [&[&str]; 9] = [
        &["--timeout", "soon"],
        &["--timeout"],
        &["--per-file", "-1s"],
        &["--threads", "0"],
        &["--threads", "1000000"],
        &["--unknown"],
        &["no such path"],
        &[".", "no such path"],
        &["fifo"],
    ];
    for bad in all_bad {
        let output = digest(bad, folder.path());
        assert_eq!(output.status.code(), Some(2), "{bad:?}: {output:?}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{bad:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{bad:?}: {output:?}");
    }
}

#[test]
fn what_can_not_be_read_is_named_and_gives_status_1() {
    let folder = Folder::with_known_files("unreadable");
    symlink("nowhere", folder.path().join("broken")).unwrap();
    let output = digest(&["."], folder.path());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let complaints = text(&output.stderr);
    assert!(complaints.starts_with("digest: \"./broken\": "), "{complaints}");
    assert_eq!(complaints.lines().count(), 1, "{complaints}");
    assert_eq!(count(&output.stdout, "finished"), 4);
    assert_eq!(count(&output.stdout, "failed"), 1);
}

/// Proves nothing for a user who may read everything, as root may.
#[test]
fn a_file_and_a_folder_without_permission_are_named_once_each() {
    let folder = Folder::with_known_files("permission");
    let (file, sub) = (folder.path().join("abc"), folder.path().join("sub"));
    fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(&sub, Permissions::from_mode(0o000)).unwrap();
    let may_read_all = File::open(&file).is_ok();
    let output = digest(&["."], folder.path());
    fs::set_permissions(&sub, Permissions::from_mode(0o700)).unwrap();
    if may_read_all {
        return eprintln!("this user may read everything");
    }
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(text(&output.stderr).lines().count(), 2, "{output:?}");
    assert_eq!(count(&output.stdout, "finished"), 1);
    assert_eq!(count(&output.stdout, "failed"), 2);
}

#[test]
fn links_and_fifos_below_a_folder_are_passed_by() {
    let folder = Folder::with_known_files("kinds");
    folder.make_fifo("fifo");
    symlink("abc", folder.path().join("link")).unwrap();
    symlink(".", folder.path().join("circle")).unwrap();
    let output = digest(&["."], folder.path());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(count(&output.stdout, "finished"), 4);
}

#[test]
fn an_empty_folder_is_no_failure() {
    let folder = Folder::new("nothing");
    let output = digest(&["."], folder.path());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(count(&output.stdout, "finished"), 0);
    assert!(!text(&output.stdout).contains("NaN"), "{output:?}");
}

#[test]
fn without_time_all_files_time_out_in_the_queue() {
    let folder = Folder::with_known_files("no-time");
    // with so long a grace time the walk finds them all, however slow the machine is
    let output = digest(&["--timeout", "0s", "--grace", "1h", "."], folder.path());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(count(&output.stdout, "finished"), 0);
    assert_eq!(count(&output.stdout, "timed out in the queue"), 4);
    assert_eq!(count(&output.stdout, "timed out while running"), 0);
}

#[test]
fn a_file_that_takes_too_long_times_out_while_it_runs() {
    let folder = Folder::new("too-long");
    folder.make_endless("endless");
    let output = digest(&["--per-file", "100ms", "--grace", "1h", "."], folder.path());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(count(&output.stdout, "timed out while running"), 1);
    assert!(text(&output.stderr).starts_with("digest: \"./endless\": timed out "), "{output:?}");
    assert_eq!(text(&output.stderr).lines().count(), 1, "{output:?}");
}

#[test]
fn an_interrupt_ends_the_run_with_status_130() {
    let folder = Folder::new("interrupt");
    folder.make_endless("registry/src/endless");
    let mut command = example(&[], folder.path());
    command.env("CARGO_HOME", folder.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first_line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut first_line).unwrap();
    assert!(first_line.starts_with("digest: no path given: taking "), "{first_line}");
    interrupt(&child); // what has said something catches signals by now
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(count(&output.stdout, "finished"), 0);
}

#[test]
fn a_reader_that_went_away_ends_the_run_with_status_1() {
    let folder = Folder::with_known_files("closed");
    let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let nobody = reader.stdin.take().unwrap();
    reader.wait().unwrap();
    let output = example(&["--print", "."], folder.path()).stdout(nobody).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!text(&output.stderr).contains("panicked"), "{output:?}");
}

/// A folder that is gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let unique = format!("punctual-digest-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn with_known_files(name: &str) -> Self {
        let folder = Self::new(name);
        fs::create_dir_all(folder.path().join("sub/deep")).unwrap();
        let two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        fs::write(folder.path().join("empty"), "").unwrap();
        fs::write(folder.path().join("abc"), "abc").unwrap();
        fs::write(folder.path().join("sub/two blocks"), two_blocks).unwrap();
        fs::write(folder.path().join("sub/deep/million"), "a".repeat(1_000_000)).unwrap();
        folder
    }

    fn make_endless(&self, name: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().set_len(ENDLESS).unwrap();
    }

    fn make_fifo(&self, name: &str) {
        let made = Command::new("mkfifo").arg(self.path().join(name)).status();
        assert!(made.unwrap().success());
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A plain `cargo test` builds the examples, and puts them beside the folder of the tests. One with
/// `--test digest` does not.
fn example(args: &[&str], folder: &Path) -> Command {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let example = profile.join("examples/digest");
    assert!(example.exists(), "first: cargo build --example digest");
    let mut command = Command::new(example);
    command.args(args).current_dir(folder);
    command
}

fn digest(args: &[&str], folder: &Path) -> Output {
    example(args, folder).output().unwrap()
}

fn interrupt(child: &Child) {
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The number in a row of the table.
fn count(table: &[u8], row: &str) -> u64 {
    let mut rows = text(table).lines().filter_map(|line| line.strip_prefix(row));
    rows.find_map(|rest| rest.trim().parse().ok()).unwrap()
}
