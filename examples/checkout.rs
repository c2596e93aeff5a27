//! A recipe: a connection out of an `r2d2` pool, waited for no longer than the job has time.
//!
//! ```text
//! cargo run --example checkout
//! ```
//!
//! `Pool::get` waits for as long as the pool was told to, thirty seconds at first, whatever time the job
//! has. [`checkout`] waits in steps of a millisecond, and looks at the job between two of them; a
//! connection that comes back meanwhile is had at once. At a stop it ends with [`Stopped`], and the job
//! as timed out or cancelled. No connection is taken then, and none is lost. Why none could be made, if
//! that is why, `r2d2` tells its `error_handler`, which logs it.
//!
//! `cx.until(|| pool.try_get())` does, too, where the pool keeps all its connections open. It wakes up less
//! often, and has a connection up to 5 ms after it came back.
//!
//! A limit to how many jobs want a connection at once is better than either: a lane of the pool's size,
//! `pool.lane("db").limit(8).queue_limit(100)`. The jobs of such a lane wait in its queue, which costs no
//! thread, and never for a connection.

use punctual::{JobContext, Pool, Stopped};
use r2d2::{ManageConnection, PooledConnection};
use rusqlite::Connection;
use std::time::Duration;

/// After so long the job is looked at.
const STEP: Duration = Duration::from_millis(1);

/// A connection, as soon as there is one.
///
/// # Errors
/// If the job is asked to stop before.
pub(crate) fn checkout<M: ManageConnection>(
    cx: &JobContext,
    pool: &r2d2::Pool<M>,
) -> Result<PooledConnection<M>, Stopped> {
    loop {
        cx.check()?;
        if let Ok(connection) = pool.get_timeout(STEP) {
            return Ok(connection);
        }
    }
}

/// Connections to a database in memory.
pub(crate) struct InMemory;

impl ManageConnection for InMemory {
    type Connection = Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> rusqlite::Result<Connection> {
        Connection::open_in_memory()
    }

    fn is_valid(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        connection.execute_batch("")
    }

    fn has_broken(&self, _: &mut Connection) -> bool {
        false
    }
}

pub(crate) fn main() -> anyhow::Result<()> {
    let (pool, connections) = (Pool::new(), r2d2::Pool::builder().max_size(1).build(InMemory)?);
    let ask = || {
        let connections = connections.clone();
        let job = pool.job().name("ask").run_timeout(Duration::from_millis(50));
        job.spawn(move |cx| {
            let connection = checkout(cx, &connections)?;
            let answer = connection.query_row("SELECT 6 * 7", [], |row| row.get::<_, i64>(0))?;
            Ok::<_, anyhow::Error>(answer)
        })
    };
    println!("with a connection: {}", ask().wait().expect("it is free"));
    let held = connections.get()?;
    println!("with none: {}", ask().wait().expect_err("it is held"));
    drop(held);
    println!("with one again: {}", ask().wait().expect("it is free"));
    Ok(())
}
