//! The example `gateway`, run as its users run it, between clients and upstreams that send what they are told.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod http;
mod support;
mod websocket;
