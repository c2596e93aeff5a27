//! A recipe: SQLite statements that end with their job, and leave the connection as it was.
//!
//! ```text
//! cargo run --example sqlite
//! ```
//!
//! A statement hears no stop: it computes, or waits for somebody else's lock. [`with_job`] gives the
//! connection three things that do, as long as the job works with it.
//! - A *progress handler* looks at the job every thousand steps of a statement.
//! - An *interrupt* ends what is one long step, as a `count(*)` or a checkpoint. Alone it would not do: one
//!   that comes just before a statement begins is forgotten. `interruptible` fires it again.
//! - A *busy handler* waits for a lock, as long as the job has time. An interrupt does not end that wait.
//!
//! At a stop, be it the deadline or a cancel, the statement fails (`SQLITE_INTERRUPT`, or `SQLITE_BUSY` where
//! it waited for a lock), and the job ends as timed out or cancelled, with that error inside if its handle
//! waits for the last word: hence the `grace`. A statement of less than a thousand steps may still
//! succeed; so look at the job between many short ones. A transaction that was open is rolled back.
//! The handlers are gone and the last interrupt is over before the connection is anybody else's.

use punctual::{JobContext, JobError, Pool};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// After so many steps of a statement its job is looked at: some ten microseconds.
const STEPS: i32 = 1_000;

/// Does `work` with a connection whose statements end when the job is stopped.
///
/// The connection has no busy handler of its own meanwhile but the one for the job: it waits for a lock
/// as long as the job does. After that its busy timeout is what it was; a handler that somebody had set is
/// gone, as is a progress handler.
///
/// A transaction that `work` leaves open is rolled back, even if nobody has stopped it. One that was open
/// before stays open; but SQLite itself rolls it back where the interrupt hits a statement that changes
/// rows. So who goes on in one after an error asks `is_autocommit` first: what comes next would be
/// committed by itself.
///
/// # Errors
/// Those of `work`.
pub(crate) fn with_job<T, E: From<rusqlite::Error>>(
    cx: &JobContext,
    connection: &mut Connection,
    work: impl FnOnce(&mut Connection) -> Result<T, E>,
) -> Result<T, E> {
    let lent = Lent::to(cx, connection)?;
    let interrupt = lent.connection.get_interrupt_handle();
    cx.interruptible(|| interrupt.interrupt(), || work(lent.connection))
}

/// A connection that looks at a job, until this is dropped.
struct Lent<'a> {
    connection: &'a mut Connection,
    busy_timeout: Duration,
    in_transaction: bool,
}

impl<'a> Lent<'a> {
    fn to(cx: &JobContext, connection: &'a mut Connection) -> rusqlite::Result<Self> {
        let millis: u32 = connection.pragma_query_value(None, "busy_timeout", |row| row.get(0))?;
        let (busy_timeout, in_transaction) =
            (Duration::from_millis(millis.into()), !connection.is_autocommit());
        let lent = Self { connection, busy_timeout, in_transaction };
        let (looks, waits) = (cx.clone(), cx.clone());
        lent.connection.progress_handler(STEPS, Some(move || looks.is_stopped()))?;
        // Cut short by a stop, which ends the wait.
        lent.connection.busy_handler(Some(move |times| waits.sleep(pause(times)).is_ok()))?;
        Ok(lent)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let _ = self.connection.progress_handler(0, None::<fn() -> bool>);
        let _ = self.connection.busy_timeout(self.busy_timeout);
        if !self.in_transaction && !self.connection.is_autocommit() {
            // The interrupt may have hit the one that `work` has tried.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

/// How long to wait before a lock is tried again, after so many tries.
fn pause(times: i32) -> Duration {
    Duration::from_millis(1 << times.clamp(0, 4))
}

/// Rows without end, of which it gives the first.
pub(crate) const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 2";

pub(crate) fn main() -> anyhow::Result<()> {
    let place = Place::new();
    let connection = Connection::open(&place.0)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE names (name TEXT)")?;
    let shared = Arc::new(Mutex::new(connection));
    let pool = Pool::new();
    let job = |name| {
        let job = pool.job().name(name).run_timeout(Duration::from_millis(50));
        job.grace(Duration::from_secs(1))
    };

    println!("a query without end:");
    let of_job = Arc::clone(&shared);
    let query = job("query").spawn(move |cx| {
        let mut connection = of_job.lock().unwrap_or_else(PoisonError::into_inner);
        with_job(cx, &mut connection, |connection| {
            let sum = format!("SELECT sum(i) FROM ({ENDLESS})");
            connection.query_row(&sum, [], |row| row.get::<_, i64>(0))
        })
    });
    show(query.wait());

    println!("a wait for a lock that another connection holds:");
    let other = Connection::open(&place.0)?;
    other.execute_batch("BEGIN IMMEDIATE")?;
    let of_job = Arc::clone(&shared);
    let insert = job("insert").spawn(move |cx| {
        let mut connection = of_job.lock().unwrap_or_else(PoisonError::into_inner);
        with_job(cx, &mut connection, |connection| {
            connection.execute("INSERT INTO names VALUES ('late')", [])
        })
    });
    show(insert.wait());
    other.execute_batch("ROLLBACK")?;

    println!("the same connection, after that:");
    let connection = shared.lock().unwrap_or_else(PoisonError::into_inner);
    connection.execute("INSERT INTO names VALUES ('in time')", [])?;
    let name: String = connection.query_row("SELECT name FROM names", [], |row| row.get(0))?;
    println!("  has one row: {name}");
    Ok(())
}

fn show<T: std::fmt::Debug>(outcome: Result<T, JobError<rusqlite::Error>>) {
    match outcome {
        Ok(value) => println!("  {value:?}"),
        Err(JobError::TimedOut(stop)) => {
            println!("  {stop}");
            if let Some(error) = stop.error() {
                println!("  SQLite said: {error}");
            }
        }
        Err(other) => println!("  {other}"),
    }
}

/// A database's place, which is gone when this is dropped.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("punctual-sqlite-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for ending in ["", "-wal", "-shm", "-journal"] {
            let mut file = self.0.clone().into_os_string();
            file.push(ending);
            let _ = std::fs::remove_file(file);
        }
    }
}
