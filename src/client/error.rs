//! The errors of the client's handshake.

use std::{error::Error, fmt};

use http::Response;
use hyper::body::Bytes;

use crate::policy::ConfigError;

/// Why a [`WsRequest`](crate::WsRequest) did not become a stream.
///
/// If the server answered, the error holds the answer. You can read a 401 or a redirect, and act on it.
#[derive(Debug)]
pub struct ClientError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ClientErrorKind,
    response: Option<Response<Bytes>>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kind of a [`ClientError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// The request was not sent, because a part of it is wrong. The source is a [`ConfigError`], which says how to correct it.
    RequestInvalid,
    /// The connection failed or does not speak HTTP, or the system gave no randomness for a key. The source says how.
    ConnectionFailed,
    /// The handshake took longer than its [`timeout`](crate::WsRequest::timeout).
    TimedOut,
    /// The server of an HTTP/2 connection has not announced extended `CONNECT` (RFC 8441 §3).
    ExtendedConnectUnsupported,
    /// The server answered with a status that does not accept: not 101, or over HTTP/2 not 200.
    Refused,
    /// `Upgrade` is missing in the answer, or is not `websocket` (RFC 6455 §4.1).
    UpgradeInvalid,
    /// `Connection` does not list `Upgrade` in the answer (RFC 6455 §4.1).
    ConnectionInvalid,
    /// `Sec-WebSocket-Accept` is missing, or is not the answer to the key that was sent (RFC 6455 §4.1).
    AcceptInvalid,
    /// The answer selects a subprotocol that was not offered, or more than one (RFC 6455 §4.1).
    SubprotocolNotOffered,
    /// The answer agrees to an extension that was not offered, or on other terms than offered (RFC 6455 §4.1, RFC 7692 §7.1).
    ExtensionNotOffered,
}

impl ClientError {
    #[cfg(feature = "http2")]
    pub(super) fn extended_connect_unsupported() -> Self {
        Self::of_kind(ClientErrorKind::ExtendedConnectUnsupported)
    }

    /// The server's `response` is invalid or refuses.
    pub(super) fn of_response(kind: ClientErrorKind, response: Response<Bytes>) -> Self {
        Self(Box::new(Inner { kind, response: Some(response), source: None }))
    }

    /// The system gives no randomness for a key.
    pub(super) fn no_randomness(source: getrandom::Error) -> Self {
        Self::caused(ClientErrorKind::ConnectionFailed, source)
    }

    pub(super) fn request_invalid(source: ConfigError) -> Self {
        Self::caused(ClientErrorKind::RequestInvalid, source)
    }

    pub(super) fn connection_failed(source: hyper::Error) -> Self {
        Self::caused(ClientErrorKind::ConnectionFailed, source)
    }

    pub(super) fn timed_out() -> Self {
        Self::of_kind(ClientErrorKind::TimedOut)
    }

    fn of_kind(kind: ClientErrorKind) -> Self {
        Self(Box::new(Inner { kind, response: None, source: None }))
    }

    fn caused(kind: ClientErrorKind, source: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(Inner { kind, response: None, source: Some(Box::new(source)) }))
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ClientErrorKind {
        self.0.kind
    }

    /// The server's answer, if there was one. The body of a refusal is the part that arrived in time, up to 64 KiB.
    #[must_use]
    pub fn response(&self) -> Option<&Response<Bytes>> {
        self.0.response.as_ref()
    }

    /// The server's answer, if there was one.
    #[must_use]
    pub fn into_response(self) -> Option<Response<Bytes>> {
        self.0.response
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0.kind {
            ClientErrorKind::RequestInvalid => "the request is invalid",
            ClientErrorKind::ConnectionFailed => "the connection failed",
            ClientErrorKind::TimedOut => "the handshake timed out",
            ClientErrorKind::ExtendedConnectUnsupported => "the server has not announced extended `CONNECT`",
            ClientErrorKind::Refused => "the server refused the handshake",
            ClientErrorKind::UpgradeInvalid => "`Upgrade` is not `websocket` in the answer",
            ClientErrorKind::ConnectionInvalid => "`Connection` does not list `Upgrade` in the answer",
            ClientErrorKind::AcceptInvalid => "`Sec-WebSocket-Accept` does not answer the key",
            ClientErrorKind::SubprotocolNotOffered => "the answer selects a subprotocol that was not offered",
            ClientErrorKind::ExtensionNotOffered => {
                "the answer agrees to an extension that was not offered, or beyond it"
            }
        };
        f.write_str(text)?;
        match self.response() {
            Some(response) if self.0.kind == ClientErrorKind::Refused => write!(f, " ({})", response.status()),
            _ => Ok(()),
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
