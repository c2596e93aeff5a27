//! Blocking work that ends on time, or says exactly why not.

mod builder;
mod deadline;
mod default_pool;
mod error;
mod idle;
mod info;
mod job;
mod lifecycle;
mod metrics;
mod park;
mod pool;
mod priority;
mod queue;
mod shutdown;
mod stop;
mod submit;
mod sync;
mod timekeeper;
mod unwind;
mod wakers;
mod worker;

pub use builder::Builder;
pub use deadline::Deadline;
pub use default_pool::{
    DefaultPoolInUse, DrainOnExit, default_pool, drain_on_exit, set_default_pool, spawn,
    spawn_blocking,
};
pub use error::{BuildError, Checked, JobError, JoinError, Panic, Rejection, Stop, Stopped};
pub use info::{JobId, JobInfo};
pub use job::{
    AbortHandle, CancelOnDrop, Ended, JobContext, JobHandle, JoinHandle, StopGuard, checkpoint,
    current,
};
pub use metrics::Metrics;
pub use pool::{Permit, Pool};
pub use priority::Priority;
pub use shutdown::{Shutdown, ShutdownReport};
pub use stop::{Cause, Phase};
pub use submit::{Job, LateJob};
