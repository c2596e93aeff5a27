//! The example `service`, run as a user runs it: a child process that each test asks over a socket.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may, and so may what helps it")]

mod client;
mod data;
mod ends;
mod limits;
mod routes;
mod server;
mod strangers;
