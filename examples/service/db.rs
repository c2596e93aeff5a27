//! The database as the questions see it: connections that are used again, and a statement that ends
//! with its job.
//!
//! A statement in a job of punctual is interrupted when that is asked to stop. Anywhere else, as in
//! tokio's `spawn_blocking`, nobody can, and it runs to its end.

use punctual::Stopped;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// So many connections are kept while nobody uses them.
const KEPT: usize = 32;
/// SQLite's virtual machine says each time that it has done so many instructions.
const STRIDE: i32 = 1000;

pub(crate) struct Database {
    path: PathBuf,
    idle: Mutex<Vec<Open>>,
    meter: Arc<Meter>,
}

/// What SQLite is doing.
#[derive(Default)]
struct Meter {
    statements: AtomicUsize,
    instructions: AtomicU64,
}

/// A connection, and the file that it is to: device and number.
struct Open {
    connection: Connection,
    file: (u64, u64),
}

impl Database {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default(), meter: Arc::default() }
    }

    /// How many statements run, and how many instructions SQLite's machine has done so far (less what
    /// each statement did last, up to a thousand).
    pub(crate) fn work(&self) -> (usize, u64) {
        (self.meter.statements.load(Relaxed), self.meter.instructions.load(Relaxed))
    }

    /// Asks the database. In a job, the statement ends with that.
    pub(crate) fn query<T>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Trouble> {
        let Some(cx) = punctual::current() else { return self.query_to_the_end(ask) };
        self.with(|connection| {
            let handle = connection.get_interrupt_handle();
            cx.interruptible(|| handle.interrupt(), || ask(connection))
        })
        .map_err(|trouble| cx.check().map_or_else(Trouble::Stopped, |()| trouble))
    }

    /// Asks the database, whatever happens.
    pub(crate) fn query_to_the_end<T>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Trouble> {
        self.with(ask)
    }

    fn with<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Trouble> {
        let open = self.connection().map_err(Trouble::Gone)?;
        let running = Running::new(&self.meter);
        let answer = ask(&open.connection);
        drop(running);
        match answer {
            Ok(answer) => {
                self.keep(open);
                Ok(answer)
            }
            Err(error) => {
                if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
                    self.keep(open); // nothing is wrong with it
                }
                Err(Trouble::Database(error))
            }
        }
    }

    /// One to the file that is there now, whoever has put it there.
    fn connection(&self) -> rusqlite::Result<Open> {
        let file = fs::metadata(&self.path).ok().map(|file| (file.dev(), file.ino()));
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.pop();
        let gone = if found.as_ref().is_some_and(|open| Some(open.file) != file) {
            std::mem::take(&mut *idle) // so are the others
        } else {
            Vec::new()
        };
        drop(idle);
        drop(gone); // closes files: not under the lock
        let kept = found.filter(|open| Some(open.file) == file);
        kept.map_or_else(|| self.open(file.unwrap_or_default()), Ok)
    }

    fn open(&self, file: (u64, u64)) -> rusqlite::Result<Open> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&self.path, flags)?;
        let meter = Arc::clone(&self.meter);
        connection.progress_handler(
            STRIDE,
            Some(move || {
                meter.instructions.fetch_add(STRIDE as u64, Relaxed);
                false // go on
            }),
        )?;
        Ok(Open { connection, file })
    }

    fn keep(&self, open: Open) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(open);
        }
    }
}

/// Counts a statement as running, as long as it exists.
struct Running<'a>(&'a Meter);

impl<'a> Running<'a> {
    fn new(meter: &'a Meter) -> Self {
        meter.statements.fetch_add(1, Relaxed);
        Self(meter)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.statements.fetch_sub(1, Relaxed);
    }
}

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It makes no sense.
    Question(String),
    /// Its job was asked to stop.
    Stopped(Stopped),
    /// The database failed.
    Database(rusqlite::Error),
    /// The database can not even be opened.
    Gone(rusqlite::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Question(why) => f.write_str(why),
            Self::Stopped(stopped) => stopped.fmt(f),
            Self::Database(error) => write!(f, "the database failed: {error}"),
            Self::Gone(error) => write!(f, "the database can not be opened: {error}"),
        }
    }
}

impl std::error::Error for Trouble {}
