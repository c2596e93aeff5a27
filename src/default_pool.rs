//! The pool that the crate's own functions use, as one uses tokio's.

use crate::builder::{Builder, DEFAULT_POOL_THREADS};
use crate::job::{JobContext, JobHandle};
use crate::pool::Pool;
use crate::shutdown::ShutdownReport;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

static DEFAULT: OnceLock<Pool> = OnceLock::new();

/// The default pool, made on first use: 0 to 512 threads that leave after 10 idle seconds, named
/// `punctual-1`, `punctual-2` …
///
/// # Examples
///
/// ```
/// assert_eq!(punctual::default_pool().spawn_blocking(|| 1).wait().unwrap(), 1);
/// ```
pub fn default_pool() -> &'static Pool {
    DEFAULT.get_or_init(|| Pool::of(Builder::new().threads(0..=DEFAULT_POOL_THREADS).into_share()))
}

/// Makes `pool` the default pool.
///
/// # Errors
/// If there is one already: set before, or made by its first use. The error gives `pool` back.
///
/// # Examples
///
/// ```
/// let pool = punctual::Pool::builder().name("main").threads(..=4).build().unwrap();
/// punctual::set_default_pool(pool).expect("nothing has used the default pool yet");
/// assert!(punctual::set_default_pool(punctual::Pool::new()).is_err());
/// ```
pub fn set_default_pool(pool: Pool) -> Result<(), DefaultPoolInUse> {
    DEFAULT.set(pool).map_err(DefaultPoolInUse)
}

/// The error of [`set_default_pool`]: there is a default pool already.
///
/// # Examples
///
/// ```
/// punctual::spawn_blocking(|| ()); // makes the default pool
/// let error = punctual::set_default_pool(punctual::Pool::new()).unwrap_err();
/// assert_eq!(error.to_string(), "the default pool is in use already");
/// ```
#[derive(thiserror::Error)]
#[error("the default pool is in use already")]
pub struct DefaultPoolInUse(Pool);

impl DefaultPoolInUse {
    /// The pool that was to be the default one.
    ///
    /// ```
    /// # punctual::default_pool();
    /// let own = punctual::Pool::builder().name("own").build().unwrap();
    /// let own = match punctual::set_default_pool(own) {
    ///     Ok(()) => punctual::default_pool().clone(),
    ///     Err(in_use) => in_use.into_pool(), // then it serves beside the default one
    /// };
    /// assert_eq!(own.spawn_blocking(|| 1).wait().unwrap(), 1);
    /// ```
    #[must_use]
    pub fn into_pool(self) -> Pool {
        self.0
    }
}

impl fmt::Debug for DefaultPoolInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DefaultPoolInUse").field(&self.0).finish()
    }
}

/// Spawns a plain closure on the [default pool](default_pool): `tokio::task::spawn_blocking`, but
/// its job can be stopped.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let bytes = punctual::spawn_blocking(|| std::fs::read("Cargo.toml")).await??;
/// assert!(!bytes.is_empty());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn spawn_blocking<F, T>(body: F) -> JobHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    default_pool().spawn_blocking(body)
}

/// Spawns a body that is given its [context](JobContext) and may fail, on the
/// [default pool](default_pool).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let job = punctual::spawn(|cx| {
///     cx.check()?;
///     std::fs::read("Cargo.toml")
/// });
/// assert!(job.await.is_ok());
/// # }
/// ```
#[track_caller]
pub fn spawn<F, T, E>(body: F) -> JobHandle<T, E>
where
    F: FnOnce(&JobContext) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    default_pool().spawn(body)
}

/// Makes a guard for `main` that drains the default pool when dropped, so that the program's end
/// loses no job: the operating system ends threads with the process, whatever they are at.
///
/// A process that ends by [`std::process::exit`] drops no guard. Jobs that did not start or end in
/// the time of [`within`](DrainOnExit::within) are named on stderr.
///
/// # Examples
///
/// ```
/// // in `main`:
/// let _drain = punctual::drain_on_exit().within(std::time::Duration::from_secs(5));
/// punctual::spawn_blocking(|| println!("this is printed"));
/// ```
pub fn drain_on_exit() -> DrainOnExit {
    DrainOnExit { time: None }
}

/// Drains the default pool when dropped; see [`drain_on_exit`].
///
/// # Examples
///
/// ```
/// use punctual::DrainOnExit;
///
/// let drain: DrainOnExit = punctual::drain_on_exit();
/// let job = punctual::spawn_blocking(|| ());
/// drop(drain); // as at the end of `main`
/// assert!(job.is_finished());
/// ```
#[derive(Debug)]
#[must_use = "dropping it drains the default pool at once"]
pub struct DrainOnExit {
    time: Option<Duration>,
}

impl DrainOnExit {
    /// Waits at most so long, from the drop on; without it there is no limit.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let drain = punctual::drain_on_exit().within(Duration::from_millis(5));
    /// let (send, receive) = std::sync::mpsc::channel::<()>();
    /// let deaf = punctual::spawn_blocking(move || receive.recv());
    /// drop(drain); // waits for 5 ms, and names the job on stderr
    /// assert!(deaf.wait().unwrap_err().is_cancelled());
    /// drop(send);
    /// ```
    pub fn within(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }
}

impl Drop for DrainOnExit {
    fn drop(&mut self) {
        let Some(pool) = DEFAULT.get() else { return };
        let report = match self.time {
            Some(time) => pool.drain().within(time).wait(),
            None => pool.drain().wait(),
        };
        tell(&report);
    }
}

fn tell(report: &ShutdownReport) {
    for job in &report.never_started {
        eprintln!("punctual: never started at exit: {job}");
    }
    for job in &report.still_running {
        eprintln!("punctual: still running at exit: {job}");
    }
}
