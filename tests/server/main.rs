//! The layer and its extractors over real sockets.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod clients;
mod compose;
mod examples;
mod extract;
mod gate;
mod leaving;
mod lifecycle;
mod logs;
mod refusals;
mod stream;
mod support;
