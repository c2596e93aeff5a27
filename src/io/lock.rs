//! A lock of a file, waited for no longer than the job has time.
//!
//! The system wakes nobody but a blocked `flock`, which nothing but a signal can end. So it is tried, in
//! growing steps.

use crate::job::JobContext;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;

impl JobContext {
    /// Locks a file (`flock`, exclusive) as soon as nobody else has it locked.
    ///
    /// It is tried at once, then as [`until`](Self::until) does. The lock holds against other open
    /// descriptions of the file, in this process and in others, that ask for it, too.
    ///
    /// # Errors
    /// Those of the file, and if the job is asked to stop, as with [`io`](Self::io).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::File;
    /// use std::time::Duration;
    ///
    /// # let path = std::env::temp_dir().join(format!("punctual-doc-{}", std::process::id()));
    /// # File::create(&path).unwrap();
    /// let pool = punctual::Pool::new();
    /// let (first, second) = (File::open(&path).unwrap(), File::open(&path).unwrap());
    /// let lock = pool.spawn(move |cx| cx.lock_file(first)).wait().unwrap();
    /// let job = pool.job().run_timeout(Duration::from_millis(5));
    /// assert!(job.spawn(move |cx| cx.lock_file(second)).wait().unwrap_err().is_timed_out());
    /// drop(lock);
    /// # std::fs::remove_file(&path).unwrap();
    /// ```
    pub fn lock_file<F: AsFd>(&self, file: F) -> io::Result<FileLock<F>> {
        self.lock_as(file, FlockOperation::NonBlockingLockExclusive)
    }

    /// As [`lock_file`](Self::lock_file), but others may have such a lock, too.
    ///
    /// ```
    /// use std::fs::File;
    /// let pool = punctual::Pool::new();
    /// let read = |file: File| pool.spawn(move |cx| cx.lock_file_shared(file)).wait();
    /// let first = read(File::open("Cargo.toml").unwrap()).unwrap();
    /// let second = read(File::open("Cargo.toml").unwrap()).unwrap();
    /// assert_eq!(first.get_ref().metadata().unwrap().len(), second.get_ref().metadata().unwrap().len());
    /// ```
    pub fn lock_file_shared<F: AsFd>(&self, file: F) -> io::Result<FileLock<F>> {
        self.lock_as(file, FlockOperation::NonBlockingLockShared)
    }

    fn lock_as<F: AsFd>(&self, file: F, how: FlockOperation) -> io::Result<FileLock<F>> {
        let attempt = || match flock(&file, how) {
            Err(Errno::WOULDBLOCK | Errno::INTR) => None,
            done => Some(done),
        };
        self.until(attempt)??;
        Ok(FileLock { file })
    }
}

/// A file that is locked until this is dropped; see [`JobContext::lock_file`].
///
/// ```
/// # use std::fs::File;
/// # let pool = punctual::Pool::new();
/// let lock = || pool.spawn(|cx| cx.lock_file_shared(File::open("Cargo.toml")?)).wait();
/// let first = lock().unwrap();
/// drop(first);
/// assert!(lock().is_ok());
/// ```
#[derive(Debug)]
#[must_use = "dropping it unlocks the file"]
pub struct FileLock<F: AsFd> {
    file: F,
}

impl<F: AsFd> FileLock<F> {
    /// The file.
    ///
    /// ```
    /// # use std::fs::File;
    /// # let pool = punctual::Pool::new();
    /// let lock = pool.spawn(|cx| cx.lock_file_shared(File::open("Cargo.toml")?)).wait().unwrap();
    /// assert!(lock.get_ref().metadata().unwrap().is_file());
    /// ```
    pub fn get_ref(&self) -> &F {
        &self.file
    }
}

impl<F: AsFd> Drop for FileLock<F> {
    fn drop(&mut self) {
        let _ = flock(&self.file, FlockOperation::Unlock); // it can not fail: we hold it
    }
}
