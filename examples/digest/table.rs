//! The table at the end of a run.

use crate::tally::{Split, Tally, Times};
use indicatif::{DecimalBytes, HumanCount};
use punctual::JobError;
use std::fmt;
use std::time::Duration;

/// Displays what came of a run that took so long.
pub(crate) struct Table<'a> {
    pub(crate) tally: &'a Tally,
    pub(crate) took: Duration,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = self.tally;
        self.write_throughput(f)?;
        writeln!(f)?;
        write_count(f, "finished", tally.finished)?;
        write_count(f, "failed", tally.failed)?;
        write_split(f, "cancelled", &tally.cancelled)?;
        write_split(f, "timed out", &tally.timed_out)?;
        writeln!(f)?;
        writeln!(f, "{:<24}{:>12}{:>12}{:>12}", "", "p50", "p99", "max")?;
        write_times(f, "in the queue", &tally.queue_times)?;
        write_times(f, "running", &tally.run_times)?;
        write_failures(f, tally)?;
        write_end_of_walk(f, tally)
    }
}

impl Table<'_> {
    fn write_throughput(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { finished, bytes, .. } = *self.tally;
        let seconds = self.took.as_secs_f64().max(f64::EPSILON);
        let file_rate = HumanCount((finished as f64 / seconds) as u64);
        let byte_rate = bytes as f64 / 1e6 / seconds;
        let (files, bytes) = (HumanCount(finished), DecimalBytes(bytes));
        write!(f, "{files} files, {bytes} in {seconds:.2} s: ")?;
        writeln!(f, "{file_rate} files/s, {byte_rate:.1} MB/s")
    }
}

fn write_split(f: &mut fmt::Formatter<'_>, what: &str, split: &Split) -> fmt::Result {
    write_count(f, &format!("{what} in the queue"), split.queued)?;
    write_count(f, &format!("{what} while running"), split.running)
}

fn write_count(f: &mut fmt::Formatter<'_>, what: &str, count: u64) -> fmt::Result {
    writeln!(f, "{what:<24}{:>12}", HumanCount(count).to_string())
}

fn write_times(f: &mut fmt::Formatter<'_>, what: &str, times: &Times) -> fmt::Result {
    write!(f, "{what:<24}")?;
    for share in [0.5, 0.99, 1.0] {
        match times.quantile(share) {
            Some(time) => write!(f, "{time:>12.1?}")?,
            None => write!(f, "{:>12}", "-")?,
        }
    }
    writeln!(f)
}

fn write_failures(f: &mut fmt::Formatter<'_>, tally: &Tally) -> fmt::Result {
    if tally.failed == 0 {
        return Ok(());
    }
    writeln!(f, "\nfirst failures:")?;
    tally.first_failures.iter().try_for_each(|failure| writeln!(f, "  {failure}"))
}

fn write_end_of_walk(f: &mut fmt::Formatter<'_>, tally: &Tally) -> fmt::Result {
    match &tally.walk_ended {
        None => Ok(()),
        Some(JobError::TimedOut(_)) => {
            writeln!(f, "\nThe time was up before all files were found.")
        }
        Some(JobError::Cancelled(_)) => {
            writeln!(f, "\nIt was stopped before all files were found.")
        }
        Some(why) => writeln!(f, "\nNot all files were found: {why}"),
    }
}
