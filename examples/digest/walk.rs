//! The walk: finds the regular files below some paths, a batch at a time, on demand.
//!
//! Reading a folder may block for long, on a network mount for ever. So each batch is a job like
//! any other: it ends on time, and is not begun before there is room for what it finds.

use crate::jobs::Jobs;
use futures_util::stream::{self, Stream, StreamExt};
use punctual::{JobContext, JobError, JobHandle};
use std::fs;
use std::io;
use std::iter::FlatMap;
use std::path::PathBuf;
use std::vec::IntoIter;
use walkdir::{DirEntry, WalkDir};

const BATCH: usize = 256;

/// What the walk came upon.
pub(crate) enum Found {
    File(PathBuf),
    /// A folder that can not be read, or a link that leads nowhere.
    Unreadable(PathBuf, io::Error),
    /// The walk was stopped here; nobody knows what else there is.
    End(JobError),
}

/// What is still to be walked through.
type Rest = FlatMap<IntoIter<PathBuf>, WalkDir, fn(PathBuf) -> WalkDir>;

pub(crate) fn files(jobs: &Jobs, roots: Vec<PathBuf>) -> impl Stream<Item = Found> {
    let rest: Rest = roots.into_iter().flat_map(WalkDir::new::<PathBuf>);
    stream::unfold(Some(rest), |rest| async { Some(next_batch(jobs, rest?).await) })
        .flat_map(stream::iter)
}

async fn next_batch(jobs: &Jobs, rest: Rest) -> (Vec<Found>, Option<Rest>) {
    let job: JobHandle<_> = jobs.walk().spawn(move |cx| Ok(walk_on(cx, rest)));
    job.await.unwrap_or_else(|why| (vec![Found::End(why)], None))
}

/// When it is stopped, it still gives what it has. The next batch is then stopped in the queue.
fn walk_on(cx: &JobContext, mut rest: Rest) -> (Vec<Found>, Option<Rest>) {
    let mut batch = Vec::with_capacity(BATCH);
    while batch.len() < BATCH && !cx.is_stopped() {
        match rest.next() {
            Some(Ok(entry)) => batch.extend(found(entry)),
            Some(Err(error)) => batch.push(unreadable(error)),
            None => return (batch, None),
        }
    }
    (batch, Some(rest))
}

/// Of links, only those given as arguments are followed; the others are only looked at.
fn found(entry: DirEntry) -> Option<Found> {
    let kind = entry.file_type();
    if !kind.is_symlink() {
        return kind.is_file().then(|| Found::File(entry.into_path()));
    }
    let target = fs::metadata(entry.path());
    let is_root = entry.depth() == 0;
    let path = entry.into_path();
    match target {
        Ok(target) => (is_root && target.is_file()).then_some(Found::File(path)),
        Err(error) => Some(Found::Unreadable(path, error)),
    }
}

fn unreadable(error: walkdir::Error) -> Found {
    let path = error.path().map(PathBuf::from).unwrap_or_default();
    let error = error.into_io_error().unwrap_or_else(|| io::Error::other("a circle of links"));
    Found::Unreadable(path, error)
}
