//! A service of a test's own: on a free port, over a small database, and gone with the test.

use crate::client::{Reply, read, request, send};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// After so long a test counts as hung. (Shorter where many tests are meant to hang: `.ci/defects`.)
pub(crate) const PATIENCE: Duration =
    Duration::from_secs(if option_env!("PUNCTUAL_IMPATIENT").is_some() { 8 } else { 60 });
/// A report that would take hours.
pub(crate) const ENDLESS: &str = "/report?times=1000000";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) folder: Arc<Folder>,
}

impl Server {
    #[track_caller]
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_in(Folder::new(), args)
    }

    #[track_caller]
    pub(crate) fn start_in(folder: Arc<Folder>, args: &[&str]) -> Self {
        let command = service(&folder, args);
        Self::spawn(folder, command)
    }

    /// Started by that command.
    #[track_caller]
    pub(crate) fn spawn(folder: Arc<Folder>, mut command: Command) -> Self {
        let errors = folder.path().with_extension("errors"); // beside it: the folder is the test's
        command.stdout(Stdio::piped()).stderr(File::create(&errors).unwrap());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some((_, address)) = line.trim().rsplit_once("http://") else {
            panic!("it did not start: {line}{}", fs::read_to_string(errors).unwrap())
        };
        Self { address: address.parse().unwrap(), child, stdout, folder }
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.get_with(path, "")
    }

    /// With more fields of the request's head.
    #[track_caller]
    pub(crate) fn get_with(&self, path: &str, fields: &str) -> Reply {
        read(send(self.address, &request("GET", path, fields)))
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str) -> Reply {
        read(send(self.address, &request("POST", path, "")))
    }

    /// A number of its state: `/jobs/running`.
    #[track_caller]
    pub(crate) fn number(&self, pointer: &str) -> u64 {
        let state = self.get("/state").json();
        let number = state.pointer(pointer).and_then(serde_json::Value::as_u64);
        number.unwrap_or_else(|| panic!("no number {pointer} in {state}"))
    }

    /// Waits until a number of its state is this.
    #[track_caller]
    pub(crate) fn until(&self, pointer: &str, wanted: u64) {
        self.until_all(&[(pointer, wanted)]);
    }

    #[track_caller]
    pub(crate) fn until_all(&self, wanted: &[(&str, u64)]) {
        let start = Instant::now();
        for (pointer, wanted) in wanted {
            loop {
                let number = self.number(pointer);
                if number == *wanted {
                    break;
                }
                assert!(start.elapsed() < PATIENCE, "{pointer} is {number}, and never {wanted}");
                thread::yield_now();
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    /// What it says last, and its exit status.
    pub(crate) fn last_words(mut self) -> (String, Option<i32>) {
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        (said, self.child.wait().unwrap().code())
    }

    /// The descriptors it has.
    #[cfg(target_os = "linux")]
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // if it has not ended
        let _ = self.child.wait();
    }
}

/// A folder that is gone when the test ends.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Arc<Self> {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let name = format!("punctual-service-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Arc::new(Self(path))
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("files.db")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        let _ = fs::remove_file(self.0.with_extension("errors"));
    }
}

/// Filled, if its database is not there, from this crate's own sources. A request has more time than it
/// takes even where many tests run.
pub(crate) fn service(folder: &Folder, args: &[&str]) -> Command {
    let mut command = bare_service(folder);
    command.arg("--files").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    command.args(["--timeout", "20s"]).args(args);
    command
}

/// A plain `cargo test` builds the examples, and puts them beside the folder of the tests. One with
/// `--test service` does not.
pub(crate) fn bare_service(folder: &Folder) -> Command {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let example = profile.join("examples/service");
    assert!(example.exists(), "first: cargo build --example service");
    let mut command = Command::new(example);
    command.arg("--database").arg(folder.database()).args(["--port", "0"]);
    command
}
