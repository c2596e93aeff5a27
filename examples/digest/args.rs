//! The command line, checked: what to hash, and how long it may take.

use crate::screen::complain;
use anyhow::{Context, anyhow, bail};
use clap::Parser;
use std::env;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Hashes (SHA-256) every regular file below the given paths, each on time or not at all.
///
/// Symbolic links below a folder are not followed; one that leads nowhere counts as failed. The
/// table at the end goes to stdout, or to stderr with --print. Exit status: 0 if all was hashed, 1
/// if not all, 2 if the run could not begin, 130 after Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "digest")]
pub(crate) struct Args {
    /// Files and folders [default: the sources in cargo's registry, or else /usr/share]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Most time for the whole run, such as 2s or 1min
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<Duration>,

    /// Most time to hash one file, from its start, such as 50ms
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) per_file: Option<Duration>,

    /// How long to wait for the last word of what was stopped, before it is given up
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    #[arg(default_value = "250ms")]
    pub(crate) grace: Duration,

    /// Most threads [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// Write the digests to stdout, as sha256sum does, in the order in which they get ready
    #[arg(long)]
    pub(crate) print: bool,
}

impl Args {
    /// The arguments; `None` if they asked for help, which was printed.
    pub(crate) fn read() -> anyhow::Result<Option<Self>> {
        match Self::try_parse() {
            Ok(args) => Ok(Some(args)),
            Err(error) if error.use_stderr() => Err(in_one_line(&error)),
            Err(help) => {
                let _ = help.print(); // whoever closed stdout does not want it
                Ok(None)
            }
        }
    }

    pub(crate) fn threads(&self) -> usize {
        let all = std::thread::available_parallelism;
        self.threads.or_else(|| all().ok()).map_or(1, NonZeroUsize::get)
    }

    /// The files and folders to begin with: all are there, and nothing else is.
    pub(crate) fn roots(&self) -> anyhow::Result<Vec<PathBuf>> {
        if self.paths.is_empty() {
            let root =
                default_root().context("no path given, and the default ones do not exist")?;
            complain(format_args!("no path given: taking {root:?}"));
            return Ok(vec![root]);
        }
        for path in &self.paths {
            check_root(path)?;
        }
        Ok(self.paths.clone())
    }
}

/// The gist of clap's message, which goes on to show the usage.
fn in_one_line(error: &clap::Error) -> anyhow::Error {
    let text = error.to_string();
    let gist = text.lines().next().unwrap_or_default();
    anyhow!("{} (see --help)", gist.trim_start_matches("error: "))
}

/// A FIFO or a device could block, or never end.
fn check_root(path: &Path) -> anyhow::Result<()> {
    let kind = fs::metadata(path).with_context(|| format!("{path:?}"))?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        bail!("{path:?}: neither a regular file nor a folder");
    }
    Ok(())
}

fn default_root() -> Option<PathBuf> {
    let home = |variable| env::var_os(variable).filter(|home| !home.is_empty()).map(PathBuf::from);
    let cargo = home("CARGO_HOME").or_else(|| home("HOME").map(|home| home.join(".cargo")));
    let sources = cargo.map(|cargo| cargo.join("registry/src"));
    sources.into_iter().chain([PathBuf::from("/usr/share")]).find(|path| path.is_dir())
}
