//! What can go wrong once a handshake is approved.

use std::{error::Error, fmt};

/// Why an approved handshake did not become a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The request was answered with something else than the acceptance, so that the connection went on as HTTP.
    NotAnswered,
    /// The layer's [`Connections`](crate::Connections) were closed after the handshake was approved and before it was answered,
    /// by [`close`](crate::Connections::close) or by a drain. The layer has refused the handshake: 503 with `Retry-After`.
    ServerDraining,
    /// The connection was closed before it was handed over. In most cases the client went away; hyper does not say who closed
    /// it.
    ConnectionClosed,
    /// The acceptance was passed on, and the connection was not handed over within the
    /// [`handoff_timeout`](crate::WsHandshakeLayer::handoff_timeout): it could not be written, or a layer outside
    /// replaced it.
    TimedOut,
    /// The server does not hand connections over: hyper's `http1::Connection` has to be served `with_upgrades`.
    Unsupported,
}

impl UpgradeError {
    pub(super) fn from_hyper(error: &hyper::Error) -> Self {
        // hyper calls it the user's error when its connection was not told to give the IO away. Every other error means that
        // its connection ended.
        if error.is_user() { Self::Unsupported } else { Self::ConnectionClosed }
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnswered => "the handshake was answered with something else than its acceptance",
            Self::ServerDraining => "this server is about to stop",
            Self::ConnectionClosed => "the connection was closed before it was handed over",
            Self::TimedOut => "the connection was not handed over in time",
            Self::Unsupported => "the server does not hand connections over: serve it with upgrades",
        })
    }
}

impl Error for UpgradeError {}
