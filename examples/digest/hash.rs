//! The body of a job: hashes one file, and looks between blocks whether to stop.

use crate::jobs::Jobs;
use crate::walk::Found;
use punctual::{JobContext, JobError, Phase};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much is hashed between two looks: well under a millisecond's work.
const BLOCK: usize = 64 * 1024;

/// What became of something that the walk found.
pub(crate) enum Outcome {
    Hashed { path: Arc<Path>, hash: Hash, queued_for: Duration },
    NotHashed { path: Arc<Path>, why: JobError<io::Error> },
    WalkEnded(JobError),
}

impl Outcome {
    /// What to tell of it at once. Files that were stopped before they started are only counted.
    pub(crate) fn complaint(&self) -> Option<String> {
        let Self::NotHashed { path, why } = self else { return None };
        match why {
            JobError::Failed(error) => Some(format!("{path:?}: {error}")),
            JobError::TimedOut(stop) if stop.phase() == Phase::Running => {
                Some(format!("{path:?}: timed out {:.1?} after its start", stop.ran_for()))
            }
            JobError::TimedOut(_) | JobError::Cancelled(_) => None,
            other => Some(format!("{path:?}: {other}")),
        }
    }
}

/// A file's digest, its size, and how long that took.
pub(crate) struct Hash {
    pub(crate) sha256: [u8; 32],
    pub(crate) bytes: u64,
    pub(crate) ran_for: Duration,
}

/// Hashes a file, in a job of its own.
pub(crate) async fn outcome(jobs: &Jobs, found: Found) -> Outcome {
    match found {
        Found::File(path) => hash(jobs, path.into()).await,
        Found::Unreadable(path, error) => {
            Outcome::NotHashed { path: path.into(), why: JobError::Failed(error) }
        }
        Found::End(why) => Outcome::WalkEnded(why),
    }
}

async fn hash(jobs: &Jobs, path: Arc<Path>) -> Outcome {
    let file = Arc::clone(&path);
    let mut job = jobs.hash(path.display().to_string()).spawn(move |cx| hash_file(cx, &file));
    match (&mut job).await {
        Ok(hash) => Outcome::Hashed { path, hash, queued_for: job.info().queued_for() },
        Err(why) => Outcome::NotHashed { path, why },
    }
}

fn hash_file(cx: &JobContext, path: &Path) -> io::Result<Hash> {
    let start = Instant::now();
    let mut file = File::open(path)?;
    let mut sha256 = Sha256::new();
    let mut block = [0; BLOCK];
    let mut bytes = 0;
    loop {
        cx.check()?; // the one line that makes it stop on time
        match file.read(&mut block) {
            Ok(0) => break,
            Ok(read) => {
                sha256.update(&block[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Hash { sha256: sha256.finalize().into(), bytes, ran_for: start.elapsed() })
}
