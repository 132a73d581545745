//! The layer and its handlers in memory, where a socket would add nothing.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod abandoned;
mod answer_timeout;
#[path = "../common/mod.rs"]
mod common;
mod debug;
mod drain;
mod extract;
mod guarded;
mod http_version;
mod layers;
mod lifetimes;
mod limits;
mod negotiation;
mod nesting;
mod permit;
mod support;
