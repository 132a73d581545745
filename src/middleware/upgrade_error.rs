//! Errors after a handshake is approved.

use std::{error::Error, fmt};

/// Why an approved handshake did not become a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The request got another response than the acceptance, so the connection went on as HTTP.
    NotAnswered,
    /// The layer's [`Connections`](crate::Connections) were closed between the approval of the handshake and its response, by
    /// [`close`](crate::Connections::close) or a drain. The layer has refused the handshake: 503 with `Retry-After`.
    ServerDraining,
    /// The connection was closed before it was handed over. In most cases the client disconnected; hyper does not say who closed the
    /// connection.
    ConnectionClosed,
    /// The response was passed on, but the connection was not handed over within the
    /// [`handoff_timeout`](crate::WsHandshakeLayer::handoff_timeout). The server could not write the response, or an outer layer replaced
    /// it.
    TimedOut,
    /// The server does not hand over connections: hyper's `http1::Connection` has to be served `with_upgrades`.
    Unsupported,
}

impl UpgradeError {
    pub(super) fn from_hyper(error: &hyper::Error) -> Self {
        // If the connection was not told to hand over its IO, hyper calls this the user's error. Every other error means that the
        // connection ended.
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
