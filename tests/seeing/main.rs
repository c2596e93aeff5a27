//! What can be seen of a pool: its metrics, its observer, its spans.
//!
//! With the features `tracing`, `metrics` and `serde` there is more of it; so this is also run with
//! `--all-features`.

#[path = "../laws/support.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod support;

#[cfg(feature = "metrics")]
mod facade;
mod lanes;
mod metrics;
mod observer;
#[cfg(feature = "serde")]
mod serial;

#[cfg(feature = "tracing")]
mod spans;
