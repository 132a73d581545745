//! The client's end, against servers that keep the rules and servers that lie.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod answers;
mod framing;
mod http2;
mod layer;
mod loops;
mod request;
mod support;
mod test_server;
