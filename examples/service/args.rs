//! The command line.

use clap::Parser;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Serves slow questions to an embedded database, each on time or not at all.
#[derive(Clone, Debug, Parser)]
#[command(name = "service", args_override_self = true)]
pub(crate) struct Args {
    /// The port on the loopback interface; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,

    /// The database, filled if it is not there [default: in the system's folder for temporary files]
    #[arg(long, value_name = "FILE")]
    database: Option<PathBuf>,

    /// What it is filled from [default: the sources in cargo's registry, and /usr/share]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) files: Vec<PathBuf>,

    /// How many rows it is filled with, if there is so much
    #[arg(long, value_name = "N", default_value = "300000")]
    pub(crate) rows: NonZeroUsize,

    /// The time of a request that says none in its header Request-Timeout
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    #[arg(default_value = "1s")]
    pub(crate) timeout: Duration,

    /// The most time of a request, whatever it says
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    #[arg(default_value = "30s")]
    pub(crate) limit: Duration,

    /// How long a client may take to say what it wants
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    #[arg(default_value = "5s")]
    pub(crate) patience: Duration,

    /// How long what runs may go on after Ctrl-C or SIGTERM
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    #[arg(default_value = "5s")]
    pub(crate) grace: Duration,

    /// How many reports and scans run at a time [default: all processors but one]
    #[arg(long, value_name = "N")]
    reports: Option<NonZeroUsize>,

    /// How many reports and scans wait, at most
    #[arg(long, value_name = "N", default_value = "16")]
    pub(crate) waiting: NonZeroUsize,

    /// The same on tokio's `spawn_blocking` and `timeout`, for comparison
    #[arg(long)]
    pub(crate) with_tokio: bool,

    /// Serve nobody: start both kinds of server, drive each at twice what it can do, and compare
    #[arg(long)]
    pub(crate) load: bool,

    /// With --load: how long each is driven
    #[arg(long, value_name = "N", default_value = "30")]
    pub(crate) seconds: u64,

    /// With --load: where the plot goes
    #[arg(long, value_name = "FILE", default_value = "service.svg")]
    pub(crate) plot: PathBuf,
}

impl Args {
    pub(crate) fn database(&self) -> PathBuf {
        let default = || std::env::temp_dir().join("punctual-service.db");
        self.database.clone().unwrap_or_else(default)
    }

    /// One processor is left to the lookups.
    pub(crate) fn reports(&self) -> usize {
        self.reports.map_or_else(|| processors().saturating_sub(1).max(1), NonZeroUsize::get)
    }
}

pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
