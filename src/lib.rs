//! Blocking work that ends on time, or says exactly why not.
//!
//! `punctual` runs blocking jobs (database calls, name look-ups, files, hashing, FFI) on threads of
//! its own, and hands back a future for each. A job can have a deadline for its whole life, for its
//! time in the queue and for its run. It can be cancelled by its handle, a token, its parent or a
//! shutdown. One that has not started ends at once, without a worker; one that runs is told, and its
//! handle resolves at its deadline even if it does not listen. Every error says which job, in which
//! phase, after how long.
//!
//! ```
//! use punctual::{JobError, Phase, Pool};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let pool = Pool::builder().name("db").threads(0..=64).queue_limit(10_000).build().unwrap();
//! let sum = pool
//!     .job()
//!     .name("report")
//!     .timeout(Duration::from_millis(250))
//!     .spawn(|cx| {
//!         let mut sum = 0_u64;
//!         for row in 0..1000 {
//!             cx.check()?; // one load: has anybody asked this job to stop?
//!             sum += row;
//!         }
//!         Ok::<_, punctual::Stopped>(sum)
//!     })
//!     .await;
//! match sum {
//!     Ok(sum) => assert_eq!(sum, 499_500),
//!     Err(JobError::TimedOut(stop)) if stop.phase() == Phase::Queued => { /* safe to retry */ }
//!     Err(other) => eprintln!("{other}"),
//! }
//! # }
//! ```
//!
//! # As a drop-in
//! [`spawn_blocking`] has the shape of `tokio::task::spawn_blocking`; change the `use` line. With the
//! feature `tokio` (on by default) a job runs inside the runtime context of its spawner. The handles
//! are plain futures for any executor, and [`JobHandle::wait`] needs none.
//!
//! # When to use what
//!
//! | for | take |
//! |---|---|
//! | one blocking call | [`Pool::spawn_blocking`]; or [`Pool::job`], with a name, deadlines, a token, and a body that looks whether to stop |
//! | calls of one kind that must not starve others, or each other | a [`Lane`]: `pool.lane("thumbnails").limit(4).queue_limit(100)`; an [`elastic`](Lane::elastic) one for what blocks for long |
//! | modules that are to have nothing in common: threads, limits, shutdown | a [`Pool`] for each |
//! | a few jobs, whose outcomes you take as they are ready | a [`JobSet`]; what is left when it is dropped is stopped |
//! | jobs that borrow from your stack | [`Pool::scope`]: returns when all have really ended; [`scope_with`](Pool::scope_with) fails fast, or takes the first success |
//! | one job for each of many inputs | [`Pool::map`]: a stream and a `for` loop, with backpressure |
//! | a call that is sometimes slow | [`Pool::hedge`]: a second try, the first value wins |
//! | submitting no more than can be queued | [`Pool::reserve`], which waits for a place; [`Pool::try_spawn`], which hands the body back |
//! | a server that sheds load early | [`Lane::load`] and its `predicted_wait` |
//! | what may hang: a mount, a host | [`Job::key`], and [`spare_threads`](Builder::spare_threads) |
//!
//! A lane can do what a pool can: `spawn`, `map`, `scope`, `hedge`, `reserve` and the rest are there by
//! the same names, and [`JobSet::on`] takes either.
//!
//! # Several jobs
//! A [`JobSet`] gives the outcomes of its jobs as they are ready, and stops them when it is dropped.
//! [`Pool::map`] runs a job for each input, so many at a time, and gives the outcomes in order or as
//! they are ready: to an async task, or to a `for` loop. [`Pool::hedge`] tries again what takes too
//! long. Settings are those of [one job](Job), in the same words.
//!
//! ```
//! use std::time::Duration;
//!
//! let pool = punctual::Pool::new();
//! let each = pool.job().name("read").timeout(Duration::from_secs(5));
//! for bytes in each.map(["Cargo.toml", "README.md"], |_, path| std::fs::read(path)).in_flight(8) {
//!     assert!(!bytes.unwrap().is_empty());
//! }
//! ```
//!
//! # Calls that end
//! A body that is blocked hears no stop. So it blocks in what ends with its job, which every call of its
//! context does: with an error of the job, which `?` turns into an [`std::io::Error`] where one is wanted.
//!
//! | to wait for | take |
//! |---|---|
//! | time | [`sleep`](JobContext::sleep) |
//! | a message | [`recv`](JobContext::recv): std's channels, and with the feature `crossbeam-channel` that crate's |
//! | what can only be tried: a lock, a file, a state | [`until`](JobContext::until) |
//! | what somebody else can cut short: a statement, a condition variable | [`interruptible`](JobContext::interruptible) |
//! | bytes: a socket, a pipe, a terminal | `io`, of the feature `io` |
//! | a connection, to make or to accept | `connect`, `connect_unix`, `accept`, of the feature `io` |
//! | a child process | `wait_child`, `output`, of the feature `io`: on a stop it is killed and reaped |
//! | a file's lock | `lock_file`, of the feature `io` |
//! | a host's addresses | `resolve`, of the feature `io`: on a stop it is left to go on, one thread for each name |
//!
//! The feature `io` is for Unix, and complete on Linux; elsewhere it adds nothing.
//!
//! What other crates block in ends, too. Each of these recipes is a file of `examples/`, with a function to
//! take along, and says what happens at a stop:
//!
//! | what ends | recipe |
//! |---|---|
//! | a statement of SQLite, and its wait for a lock | `sqlite.rs`, for `rusqlite` |
//! | a statement of PostgreSQL, at the server, too | `postgres.rs`, for `postgres` |
//! | a wait for a connection of a pool | `checkout.rs`, for `r2d2` |
//! | a wait for a `Condvar` | `condvar.rs` |
//! | a computation | `steps.rs`: a picture, row by row, by `png` |
//!
//! # In a server
//! The feature `tower`, off by default, is for axum, tonic and all else that is made of `tower` services: a
//! layer that reads how long a request may take and hears of clients that are gone, and a service that
//! does a request's blocking work on a [`Lane`], ends it with the request, and sheds what would come too
//! late. It is the module `tower`.
//!
//! # Seeing it
//! [`Pool::metrics`] is a snapshot: where the jobs are, how those ended that were there, how long they
//! waited and ran; [`Pool::lanes`] has that of each lane. [`Pool::overdue`] names the bodies that are
//! late. An [`Observer`] is told of each step of each job. Three features, off by default, bring that to
//! others:
//!
//! | feature | what it does |
//! |---|---|
//! | `tracing` | each job has a span, a child of its spawner's, and runs inside; a panic that nobody sees is an error event |
//! | `metrics` | a `Publisher` brings a pool's metrics to the recorder of the crate `metrics`: Prometheus and others |
//! | `serde` | metrics, reports and what is known of a job can be written; metrics can be read |
//!
//! A span of `tracing` has the target `punctual`, the name `job` and the level `INFO`, and is as long as
//! the job's life, from `spawn` until its outcome is decided. Its fields: `id`; `name` and `lane`, if it has
//! them; `queue_wait_ms`, from its start on; and in the end `outcome`: `returned`, `failed`, `panicked`,
//! `cancelled`, `timed_out` or `rejected`, as in the metrics. The event of an unseen panic has that target,
//! too.
//!
//! # The laws
//! Each is a module of tests in `tests/laws/`.
//!
//! 1. **One outcome.** Every job has exactly one outcome, decided once, whatever panics, fails or
//!    shuts down; no handle hangs.
//! 2. **Queued means never ran.** A job stopped or refused in phase [`Queued`](Phase::Queued) never
//!    had its body called, and everything the body captured has been dropped when the outcome is
//!    seen. A slow or panicking destructor delays nobody else's deadline.
//! 3. **Ok means ran once, to the end.**
//! 4. **The body has the last word.** After a stop request, a body that still returns `Ok(v)` before
//!    its handle resolved yields `Ok(v)`. A body that returns `Err(_)` or unwinds through
//!    [`checkpoint`] after the request yields `Cancelled` or `TimedOut` with phase
//!    [`Running`](Phase::Running), the `Err` kept. A panic stays a panic.
//! 5. **Punctual.** A handle with a deadline resolves by deadline + grace whatever the body does;
//!    never before the deadline as timed out. A value that comes later goes to the job's
//!    [`on_late`](Job::on_late), or is dropped on the worker. [`JobHandle::stopped`] waits for the
//!    body's real end.
//! 6. **A queued job needs no worker to end.** Cancel, timeout and shutdown resolve it at once, and
//!    free its place in the queue and its lane's permit at once, while every worker is busy.
//! 7. **Told is told.** Once a stop is requested, [`check`](JobContext::check) fails for ever with
//!    the first cause; each [`on_stop`](JobContext::on_stop) callback runs exactly once; one that
//!    panics stops neither the others nor the canceller.
//! 8. **`cancel()` says what it hit**: `Some(Queued)`, `Some(Running)`, or `None` when the outcome
//!    was already decided. Idempotent; the first cause wins.
//! 9. **No stray stops.** A stop aimed at one job is never seen by another.
//! 10. **Nothing is lost.** What was accepted is what has an outcome, waits or runs. A drain finishes
//!     every accepted job; the report of a shutdown names exactly the jobs that never started and
//!     those still running.
//! 11. **Bounds hold.** As many jobs wait as the limit allows, and no more, under any number of
//!     submitters; there are no more threads than allowed, [spare ones](Builder::spare_threads)
//!     included, but for those that law 12 needs. A [`Lane`] never exceeds its limit, and a job's permit is held until its body has
//!     really returned, overdue or not.
//! 12. **Progress.** Waiting, inside a job, for another job of the same pool can not deadlock the pool:
//!     [`wait`](JobHandle::wait) on a queued job runs it right there, and on a running one lets a spare
//!     thread take the waiter's place. A queued one that can not be run there (the wait has a limit, or
//!     the job's lane is at its own) has a thread made for it, if need be beyond the spare ones. Nothing
//!     else is ever run on a waiting thread.
//! 13. **Context stays home.** [`current`] is the job's own inside its body and what the body calls,
//!     and `None` elsewhere.
//! 14. **User code runs under no lock of ours**: bodies, destructors, wakers, hooks. A panic in any
//!     of them kills no worker and harms no other job.
//! 15. **Inheritance.** A job spawned through a [context](JobContext::job) gets the earlier of its
//!     parent's deadline and its own and is stopped with its parent; its own stop never stops the
//!     parent. So is one that is spawned in a [scope](Pool::scope) in its parent's body.
//! 16. **Time is safe.** `Duration::MAX`, zero, and deadlines in the past are all fine; the clock is
//!     monotonic; nothing overflows.
//! 17. **A lost handle loses no failure.** Dropping a handle detaches; a panic nobody can see any
//!     more reaches the pool's [`on_unseen_panic`](Builder::on_unseen_panic). In a
//!     [scope](Pool::scope), it goes on where that ends.
//!
//! # What is not promised
//! A body that never looks can not be stopped from outside: no safe way exists to end a thread. Its
//! handle resolves on time all the same, and [`Pool::overdue`] names it; its thread is busy until it
//! returns. A process that exits ends its threads, whatever they are at: [`drain_on_exit`]. A
//! captured value whose destructor panics while the body's own panic unwinds aborts the process, as
//! everywhere in Rust. After `fork` a child has none of the threads: use `exec`.
//!
//! Some things end every Rust program, and this crate changes nothing about them. A failed allocation
//! aborts; bound what may be queued by [`queue_limit`](Builder::queue_limit). A body that overflows its
//! stack does: set [`thread_stack_size`](Builder::thread_stack_size). Where panics abort
//! (`panic = "abort"`), the first one of a body does, and there is no [`JobError::Panicked`]. So do
//! clones of a handle that are forgotten without end, when their counter overflows.
//!
//! A body that waits for another job of its own pool by other means than that handle's
//! [`wait`](JobHandle::wait), such as a channel or `block_on`, holds its thread meanwhile. What is
//! [too late](Rejection::TooLate) is an estimate, by what jobs of that name, lane or place in the source
//! have lately taken; [`Order::Fifo`] does without.
//!
//! Times are counted by [`Instant`](std::time::Instant): changes of the wall clock move none of them.
//! While the machine sleeps that clock stands still on Linux, and deadlines with it.
//!
//! # Layers
//! Imports point down this table, never up or sideways; `tests/tidy.rs` reads it.
//!
//! | layer | modules | role |
//! |---|---|---|
//! | 0 | `sync` | the names of std's, loom's or shuttle's primitives, and what time it is |
//! | 1 | `unwind` `deadline` `moment` `priority` `histogram` | catching user panics · time that can not overflow · what a clock showed, as a number · the classes of the queue · how long something took, many times |
//! | 2 | `clock` `spawner` `park` `wakers` `places` `lifecycle` `idle` `stop` `forecast` | what time it is for a pool · starting threads · blocking on a future · lists of wakers · the places in a queue and who waits for one · stages of a pool, only rising · who is parked and whom to wake · causes, callbacks, the `CancellationToken` bridge · how long jobs take |
//! | 3 | `info` `timekeeper` | what is known of a job from outside · one thread that notices deadlines; knows no job |
//! | 4 | `error` | all public errors |
//! | 5 | `job` | one job: its cell, its word of state, its two faces |
//! | 6 | `queue` `metrics` `observer` `aside` | push, and find in policy order · counters · who watches a pool · user code that holds nobody up |
//! | 7 | `worker` `publish` | one thread: find, run, or park · metrics through the facade of that name |
//! | 8 | `bulkhead` | how many jobs of a lane run |
//! | 9 | `share` | a pool, or a lane of it, as its jobs know it |
//! | 10 | `pool` | the one door |
//! | 11 | `builder` `shutdown` `lane` | settings of a pool · its end · bulkheads |
//! | 12 | `permit` `load` | reserved places · how much there is to do |
//! | 13 | `submit` | settings of one job |
//! | 14 | `default_pool` `scope` `hedge` `testing` `io` | the global pool and the drop-in · jobs that borrow from the stack · a second try of slow work · virtual time · blocking calls that end with their job |
//! | 15 | `set` `tower` | several jobs together · deadlines of requests, and their work on a lane |
//! | 16 | `map` | one job for each of many inputs |
//! | 17 | `scenarios` | the assembled pool under shuttle; tests of a build for that only |

mod aside;
mod builder;
mod bulkhead;
#[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "only tests move a clock"))]
mod clock;
mod deadline;
mod default_pool;
mod error;
mod forecast;
mod hedge;
mod histogram;
mod idle;
mod info;
#[cfg(all(unix, feature = "io"))]
mod io;
mod job;
mod lane;
mod lifecycle;
mod load;
mod map;
mod metrics;
mod moment;
mod observer;
mod park;
mod permit;
mod places;
mod pool;
mod priority;
#[cfg(feature = "metrics")]
mod publish;
mod queue;
#[cfg(all(test, punctual_shuttle))]
mod scenarios;
mod scope;
mod set;
mod share;
mod shutdown;
#[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "only tests let threads fail"))]
mod spawner;
mod stop;
mod submit;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod timekeeper;
#[cfg(feature = "tower")]
pub mod tower;
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
pub use hedge::Hedge;
pub use histogram::Latencies;
pub use info::{JobId, JobInfo};
#[cfg(all(unix, feature = "io"))]
pub use io::{FileLock, Io, Listener};
pub use job::{
    AbortHandle, CancelOnDrop, Ended, JobContext, JobHandle, JoinHandle, Receive, StopGuard,
    checkpoint, current,
};
pub use lane::Lane;
pub use load::Load;
pub use map::{Map, MapIter};
pub use metrics::{LaneMetrics, Metrics};
pub use observer::{Observer, Outcome};
pub use permit::{Permit, Reserve};
pub use pool::Pool;
pub use priority::Priority;
#[cfg(feature = "metrics")]
pub use publish::Publisher;
pub use queue::Order;
pub use scope::{Scope, ScopePolicy, ScopedHandle, ScopedJob};
pub use set::JobSet;
pub use share::WhenFull;
pub use shutdown::{Shutdown, ShutdownReport};
pub use stop::{Cause, Phase};
pub use submit::{Job, LateJob, SpawnOn, TrySpawnError};

/// The README's example runs, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
