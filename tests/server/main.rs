//! The layer and its extractors over real sockets.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod connections;
mod examples;
#[cfg(not(feature = "http2"))]
mod fail_closed;
#[cfg(all(feature = "fastwebsockets", feature = "tokio-websockets", feature = "tungstenite", feature = "yawc"))]
mod framing;
mod gate;
#[cfg(feature = "http2")]
mod http2;
mod lifecycle;
mod logs;
#[cfg(feature = "metrics")]
mod metrics;
mod nesting;
mod proxied;
mod refusals;
mod secrets;
mod stream;
mod support;
mod tungstenite;
mod unaccepted;
