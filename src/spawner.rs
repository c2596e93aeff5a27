//! Starting a pool's threads: by the system, which may give none, or by the leave of a test.

use crate::sync::thread;
use std::io;
use std::sync::Arc;

/// Asked before a thread of this name is started; an error is what the system would have said.
pub(crate) type Gate = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// Starts the workers and the timekeeper's threads.
#[derive(Clone, Default)]
pub(crate) struct Spawner {
    /// Set by tests alone.
    gate: Option<Gate>,
}

impl Spawner {
    pub(crate) fn gated(gate: Gate) -> Self {
        Self { gate: Some(gate) }
    }

    /// Starts a thread; without a size its stack has the standard library's.
    pub(crate) fn start(
        &self,
        name: String,
        stack_size: Option<usize>,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<thread::JoinHandle<()>> {
        if let Some(gate) = &self.gate {
            gate(&name)?;
        }
        let mut builder = thread::Builder::new().name(name);
        if let Some(size) = stack_size {
            builder = builder.stack_size(size);
        }
        builder.spawn(run)
    }
}
