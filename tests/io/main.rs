//! The feature `io`: blocking calls that end when their job is stopped, and at its deadline; and what
//! they leave as it was.
#![cfg(unix)]

mod blocked;
mod children;
mod connections;
mod locks;
mod names;
mod places;
mod streams;
#[path = "../laws/support.rs"]
#[allow(dead_code, reason = "shared with others, who use the rest")]
mod support;
