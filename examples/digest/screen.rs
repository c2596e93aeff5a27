//! What the user sees: digests on stdout, complaints and the progress on stderr, and the table.

use crate::hash::{Hash, Outcome};
use crate::table::Table;
use indicatif::{DecimalBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use punctual::ShutdownReport;
use std::fmt::{Display, Write as _};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Stdout, Write};
use std::path::Path;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

pub(crate) struct Screen {
    progress: ProgressBar,
    bytes: u64,
    /// Where the digests go, if they are wanted.
    digests: Option<BufWriter<Stdout>>,
    is_closed: bool,
}

impl Screen {
    /// The progress is hidden where stderr is no terminal, or the digests would run through it.
    pub(crate) fn new(print: bool) -> Self {
        let target = match print && io::stdout().is_terminal() {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let progress = ProgressBar::with_draw_target(None, target).with_style(style());
        progress.enable_steady_tick(TICK);
        let digests = print.then(|| BufWriter::new(io::stdout()));
        Self { progress, bytes: 0, digests, is_closed: false }
    }

    /// Whether nobody reads the digests any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(crate) fn show(&mut self, outcome: &Outcome) {
        if let Some(complaint) = outcome.complaint() {
            self.progress.suspend(|| complain(complaint));
        }
        if let Outcome::Hashed { path, hash, .. } = outcome {
            self.progress.inc(1);
            self.bytes += hash.bytes;
            self.progress.set_message(DecimalBytes(self.bytes).to_string());
            self.print(path, hash);
        }
    }

    /// The last words: the table goes where the digests do not.
    pub(crate) fn end(&mut self, table: &Table<'_>, report: &ShutdownReport) {
        self.progress.finish_and_clear();
        for job in &report.still_running {
            complain(format_args!("left behind: {job}"));
        }
        let table = table.to_string();
        match self.digests.take() {
            Some(mut digests) => {
                self.check(digests.flush());
                let _ = io::stderr().write_all(table.as_bytes());
            }
            None => complain_of_stdout(io::stdout().write_all(table.as_bytes())),
        }
    }

    fn print(&mut self, path: &Path, hash: &Hash) {
        let line = sha256sum_line(path, hash);
        if let Some(digests) = &mut self.digests {
            let written = digests.write_all(&line);
            self.check(written);
        }
    }

    fn check(&mut self, written: io::Result<()>) {
        if written.is_err() && !self.is_closed {
            self.is_closed = true;
            self.progress.suspend(|| complain_of_stdout(written));
        }
    }
}

/// A reader that has seen enough, as `head` has, is not worth a word.
fn complain_of_stdout(written: io::Result<()>) {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(format_args!("stdout: {error}"));
        }
        _ => {}
    }
}

/// Writes a line to stderr, if there is anybody to read it.
pub(crate) fn complain(what: impl Display) {
    let _ = writeln!(io::stderr(), "digest: {what}");
}

/// As sha256sum writes it: a name that would break the line is escaped, and a backslash before the
/// digest says so.
fn sha256sum_line(path: &Path, hash: &Hash) -> Vec<u8> {
    let mut name = Vec::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'\\' => name.extend(br"\\"),
            b'\n' => name.extend(br"\n"),
            b'\r' => name.extend(br"\r"),
            other => name.push(other),
        }
    }
    let is_escaped = name.len() > path.as_os_str().len();
    let mut line = String::from(if is_escaped { "\\" } else { "" });
    for byte in hash.sha256 {
        let _ = write!(line, "{byte:02x}"); // a String takes all
    }
    [line.as_bytes(), b"  ", &name, b"\n"].concat()
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{spinner} {elapsed} {human_pos} files, {msg}");
    style.unwrap_or_else(|_| ProgressStyle::default_spinner())
}
