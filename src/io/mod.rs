//! Blocking calls that end when their job is stopped, or at its deadline.
//!
//! # Rules
//! 1. **Try first, then poll, then try.** A call is made such that it does not block, and only if it
//!    would have is there a `poll`, on the descriptor, on the thread's wake-up descriptor, and with the
//!    time left. After that it is tried again. A blocking call after a `poll` is none that ends: others
//!    may have taken what was there, and a long write blocks whatever there is room for.
//! 2. **What is somebody else's stays as it is.** `O_NONBLOCK` belongs to the open file description,
//!    which other processes may share. So each call says for itself that it must not block, or a
//!    description is used that is our own.
//! 3. **Done is reported.** What was read, written, accepted or reaped is given, stop or not. A call
//!    begun after the stop fails and does nothing.
//! 4. No signals: they interrupt whatever the thread is at, and std answers them by trying again.

mod child;
mod lock;
mod net;
mod nowait;
mod resolve;
mod stream;
mod wake;

pub use lock::FileLock;
pub use net::Listener;
pub use stream::Io;
