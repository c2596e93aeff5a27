//! Statements that end with their job, and the connection after that.

use crate::blocked::{this_thread, until_it_sleeps};
use crate::sqlite::{ENDLESS, Place, with_job};
use crate::support::{error, ms, news, outcome, pool_of, until};
use punctual::{JobContext, JobError, JobHandle, Pool};
use rusqlite::{Connection, ErrorCode, Result};
use std::sync::{Arc, Mutex};

type Shared = Arc<Mutex<Connection>>;

fn shared(connection: Connection) -> Shared {
    Arc::new(Mutex::new(connection))
}

fn in_job<T: Send + 'static>(
    pool: &Pool,
    connection: &Shared,
    work: impl FnOnce(&JobContext, &mut Connection) -> Result<T> + Send + 'static,
) -> JobHandle<T, rusqlite::Error> {
    let connection = Arc::clone(connection);
    pool.spawn(move |cx| {
        let mut connection = connection.lock().expect("no panic under it");
        with_job(cx, &mut connection, |connection| work(cx, connection))
    })
}

/// Never returns but by an interrupt; tells when it is in the midst of it.
fn endless(connection: &Connection, began: impl FnOnce()) -> Result<()> {
    let mut statement = connection.prepare(ENDLESS)?;
    let mut rows = statement.query([])?;
    assert!(rows.next()?.is_some());
    began();
    rows.next().map(drop)
}

#[track_caller]
fn code(error: JobError<rusqlite::Error>) -> ErrorCode {
    let error = match error {
        JobError::Cancelled(stop) | JobError::TimedOut(stop) => stop.into_error(),
        other => panic!("it was not stopped: {other}"),
    };
    error.as_ref().and_then(rusqlite::Error::sqlite_error_code).expect("SQLite says why")
}

/// A database in which somebody else holds the lock, and a connection to it.
fn locked() -> (Place, Connection, Shared) {
    let place = Place::new();
    let open = || Connection::open(&place.0).expect("a place");
    let (other, connection) = (open(), open());
    other.execute_batch("CREATE TABLE t (i); BEGIN EXCLUSIVE").expect("nobody holds it");
    (place, other, shared(connection))
}

#[test]
fn a_statement_ends_with_its_job() {
    let (pool, connection) = (pool_of(1), shared(Connection::open_in_memory().expect("memory")));
    let (began, begins) = news();
    let job = in_job(&pool, &connection, move |_, connection| {
        endless(connection, || began.send(()).expect("the test listens"))
    });
    begins.next();
    job.cancel();
    assert_eq!(code(error(job)), ErrorCode::OperationInterrupted);
    let job = pool.job().run_timeout(ms(20)).spawn(move |cx| {
        let mut connection = connection.lock().expect("no panic under it");
        with_job(cx, &mut connection, |connection| endless(connection, || ()))
    });
    job.wait_stopped();
    assert!(error(job).is_timed_out());
}

#[test]
fn a_wait_for_a_lock_ends() {
    let (pool, (_place, _other, connection)) = (pool_of(1), locked());
    let (started, starts) = news();
    let job = in_job(&pool, &connection, move |_, connection| {
        started.send(this_thread()).expect("the test listens");
        connection.execute("INSERT INTO t VALUES (1)", [])
    });
    until_it_sleeps(&starts.next());
    job.cancel();
    assert_eq!(code(error(job)), ErrorCode::DatabaseBusy);
}

#[test]
fn a_lock_is_had_when_it_is_given_back() {
    let (pool, (_place, other, connection)) = (pool_of(1), locked());
    let (started, starts) = news();
    let job = in_job(&pool, &connection, move |_, connection| {
        started.send(this_thread()).expect("the test listens");
        connection.execute("INSERT INTO t VALUES (1)", [])
    });
    until_it_sleeps(&starts.next());
    other.execute_batch("COMMIT").expect("it holds it");
    assert_eq!(outcome(job).expect("it is free"), 1);
}

/// An interrupt that comes before the statement is forgotten; there is one more.
#[test]
fn an_interrupt_that_came_too_early_comes_again() {
    let connection = shared(Connection::open_in_memory().expect("memory"));
    let job = in_job(&pool_of(1), &connection, |cx, connection| {
        cx.token().cancel();
        connection.execute_batch("SELECT 1")?; // for which it is forgotten
        until("it is interrupted again", || connection.is_interrupted());
        Ok(())
    });
    outcome(job).expect("it returned Ok");
}

#[test]
fn a_connection_is_as_it_was_after_a_stop() {
    let (pool, connection) = (pool_of(1), Connection::open_in_memory().expect("memory"));
    connection.execute_batch("CREATE TABLE t (i)").expect("it is empty");
    connection.busy_timeout(ms(1_234)).expect("it is open");
    let connection = shared(connection);
    let (began, begins) = news();
    let job = in_job(&pool, &connection, move |_, connection| {
        connection.execute_batch("BEGIN; INSERT INTO t VALUES (1)")?;
        endless(connection, || began.send(()).expect("the test listens"))
    });
    begins.next();
    job.cancel();
    assert!(error(job).is_cancelled());
    let connection = connection.lock().expect("no panic under it");
    let of_somebody = |text: &str| connection.query_row(text, [], |row| row.get::<_, i64>(0));
    assert_eq!(of_somebody("PRAGMA busy_timeout"), Ok(1_234));
    assert!(connection.is_autocommit(), "the transaction is still open");
    assert_eq!(of_somebody("SELECT count(*) FROM t"), Ok(0));
    // More steps than a handler lets pass.
    let many = format!("SELECT count(*) FROM ({} LIMIT 100000)", ENDLESS.replace("i < 2", "1"));
    for _ in 0..10 {
        assert_eq!(of_somebody(&many), Ok(100_000));
    }
}

#[test]
fn a_transaction_of_the_caller_stays_open() {
    let connection = shared(Connection::open_in_memory().expect("memory"));
    connection.lock().expect("no panic under it").execute_batch("BEGIN").expect("none is open");
    let job = in_job(&pool_of(1), &connection, |_, connection| {
        connection.execute_batch("CREATE TABLE t (i)")
    });
    outcome(job).expect("nobody stops it");
    assert!(!connection.lock().expect("no panic under it").is_autocommit());
}

/// SQLite rolls it back with a statement that changes rows.
#[test]
fn an_interrupt_may_end_a_transaction_of_the_caller() {
    let (pool, connection) = (pool_of(1), Connection::open_in_memory().expect("memory"));
    connection.execute_batch("CREATE TABLE t (i); BEGIN").expect("none is open");
    let connection = shared(connection);
    let own = Arc::clone(&connection);
    let job = pool.job().run_timeout(ms(20)).spawn(move |cx| {
        let mut connection = own.lock().expect("no panic under it");
        let endless = format!("INSERT INTO t {}", ENDLESS.replace("i < 2", "1"));
        with_job(cx, &mut connection, |connection| connection.execute(&endless, []))
    });
    job.wait_stopped();
    assert!(error(job).is_timed_out());
    assert!(connection.lock().expect("no panic under it").is_autocommit());
}
