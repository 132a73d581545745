//! The example `gateway`, run as users run it, between clients and upstreams that send what the tests say.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod http;
mod support;
mod websocket;
