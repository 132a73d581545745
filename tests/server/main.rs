//! The layer and its extractors over real sockets.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

mod accept;
mod disconnects;
mod extract;
#[cfg(not(feature = "http2"))]
mod fail_closed;
mod foreign_extractors;
#[cfg(all(feature = "fastwebsockets", feature = "tokio-websockets", feature = "tungstenite", feature = "yawc"))]
mod framing;
mod gate;
mod graceful_shutdown;
#[cfg(feature = "http2")]
mod http2;
mod limits;
mod logs;
#[cfg(feature = "metrics")]
mod metrics;
mod nesting;
#[cfg(all(feature = "fastwebsockets", feature = "tokio-websockets", feature = "tungstenite", feature = "yawc"))]
mod permessage_deflate;
mod proxied;
mod real_clients;
mod refusals;
mod secrets;
mod services;
mod spans;
mod stream;
mod support;
mod tungstenite;
mod unaccepted;
