//! What is traced: events and spans of the `tracing` crate.

use std::fmt;

use http::{StatusCode, Uri};
use tracing::{Instrument, Level, Span, field::Empty};

use super::super::upgrade_error::UpgradeError;
use crate::handshake::{Authority, Origin, Rejection, RejectionKind, ServerHandshake, client::Head};

pub(super) fn approved(server: &ServerHandshake, uri: &Uri) {
    tracing::debug!(target: TARGET,
        path = %Escaped(uri.path()),
        origin = server.origin().map(Origin::as_str),
        subprotocol = server.subprotocol(),
        version = server.http_version(),
        "handshake approved",
    );
    if let Some(reported) = server.reported() {
        tracing::warn!(target: TARGET,
            reason = %reported,
            path = %Escaped(uri.path()),
            origin = server.origin().map(Origin::as_str),
            version = server.http_version(),
            "handshake let through that would be refused",
        );
    }
}

pub(super) fn refused(rejection: &Rejection, head: Head<'_>) {
    let (origin, host) = (head.named_origin(), head.named_authority());
    let (origin, host) = (origin.as_ref().map(Origin::as_str), host.as_ref().map(Authority::as_str));
    let path = Escaped(head.path());
    let version = head.http_version();
    match rejection.kind() {
        RejectionKind::OriginNotAllowed => tracing::info!(target: TARGET,
            reason = %rejection, %path, origin, host, version,
            "handshake refused; origins of your own that are served under another host or scheme, as behind a proxy \
             that rewrites `Host` or `:scheme`, have to be listed",
        ),
        RejectionKind::HostNotAllowed => tracing::info!(target: TARGET,
            reason = %rejection, %path, origin, host, version,
            "handshake refused; behind a proxy that rewrites `Host`, the name that it writes has to be listed",
        ),
        RejectionKind::DecisionTimedOut => {
            tracing::warn!(target: TARGET, reason = %rejection, %path, origin, version, "handshake refused");
        }
        RejectionKind::ExtendedConnectUnsupported => tracing::warn!(target: TARGET,
            reason = %rejection, %path, origin, version,
            "handshake refused; turn on the feature `http2` of ws-handshake, or have the server not announce extended \
             `CONNECT`",
        ),
        RejectionKind::UpgradeUnsupported => {
            tracing::error!(target: TARGET, reason = %rejection, %path, origin, version, "handshake refused");
        }
        _ => tracing::info!(target: TARGET, reason = %rejection, %path, origin, version, "handshake refused"),
    }
}

pub(in super::super) fn not_extracted(kind: RejectionKind, head: Head<'_>) {
    let path = Escaped(head.path());
    match kind {
        RejectionKind::LayerMissing => {
            tracing::error!(target: TARGET, %path,
                "a handler extracts a handshake that no `WsHandshakeLayer` has seen: add one around its route"
            );
        }
        RejectionKind::UpgradeTaken => {
            tracing::error!(target: TARGET, %path,
                "a handler extracts a handshake that was extracted before: extract it once"
            );
        }
        _ => {}
    }
}

pub(in super::super) fn not_accepted(status: StatusCode) {
    let status = status.as_u16();
    tracing::debug!(target: TARGET, status, "approved handshake answered without being accepted");
}

pub(in super::super) fn connect_not_routed() {
    tracing::warn!(target: TARGET,
        "approved handshake over HTTP/2 answered 405: its route has to take `CONNECT`, as `any(handler)` does"
    );
}

pub(in super::super) fn accepts_nothing(status: StatusCode, instead: StatusCode) {
    let (status, instead) = (status.as_u16(), instead.as_u16());
    tracing::warn!(target: TARGET, status, instead,
        "a handler or a fallback answered a handshake over HTTP/2 with a status that would open the socket: accept \
         the `WsUpgrade`, or answer with another"
    );
}

#[cfg(any(feature = "fastwebsockets", feature = "tokio-websockets", feature = "tungstenite"))]
pub(in super::super) fn deflate_not_known() {
    tracing::warn!(target: TARGET,
        "a stream that agreed on permessage-deflate is given to a framing library without it: take `permessage_deflate` off \
         its route, or call `decline_deflate` before accepting"
    );
}

pub(in super::super) fn upgrade_failed(error: UpgradeError) {
    tracing::warn!(target: TARGET, %error, "accepted handshake came to nothing");
}

pub(in super::super) fn returned(status: Option<StatusCode>) {
    let failed = status.is_some_and(|status| status.is_server_error());
    let status = status.map(|status| status.as_u16());
    if failed {
        tracing::warn!(target: TARGET, status, "handler failed after accepting; its answer is dropped");
    } else {
        tracing::debug!(target: TARGET, status, "handler returned after accepting; its answer is dropped");
    }
}

pub(in super::super) fn no_runtime() {
    tracing::error!(target: TARGET, "no tokio runtime to run an accepted handshake in: serve from within one");
}

pub(in super::super) fn reports_only() {
    tracing::warn!(target: TARGET, "the WebSocket handshake policy only reports: foreign origins and hosts are let through");
}

pub(in super::super) fn in_current_span<F: Future>(future: F) -> impl Future<Output = F::Output> {
    future.in_current_span()
}

/// The path of a request that may become a connection; kept only where somebody looks at the spans of connections.
#[derive(Debug)]
pub(in super::super) struct Path(Box<str>);

impl Path {
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let looked_at = tracing::span_enabled!(target: TARGET, Level::INFO);
        looked_at.then(|| Self(Escaped(uri.path()).to_string().into()))
    }
}

/// The span of one connection, from its acceptance to its end.
#[derive(Clone, Debug)]
pub(in super::super) struct ConnectionSpan(Span);

impl ConnectionSpan {
    /// It follows from the span of the request, which may end now.
    pub(super) fn new(server: &ServerHandshake, path: &Path) -> Self {
        let span = tracing::info_span!(target: TARGET, parent: None, "websocket",
            path = &*path.0,
            origin = server.origin().map(Origin::as_str),
            version = server.http_version(),
            subprotocol = Empty,
            bytes_read = Empty,
            bytes_written = Empty,
            end = Empty,
        );
        span.follows_from(Span::current());
        Self(span)
    }

    pub(super) fn disabled() -> Self {
        Self(Span::none())
    }

    /// Whether nobody looks at it.
    pub(super) fn is_disabled(&self) -> bool {
        self.0.is_disabled()
    }

    pub(super) fn open(&self, subprotocol: Option<&str>) {
        if let Some(subprotocol) = subprotocol {
            self.0.record("subprotocol", subprotocol);
        }
    }

    pub(super) fn end(&self, read: u64, written: u64, end: &'static str) {
        self.0.record("bytes_read", read).record("bytes_written", written).record("end", end);
        tracing::debug!(target: TARGET, parent: &self.0, bytes_read = read, bytes_written = written, end, "connection ended");
    }

    /// Runs a future in this span, or, where nobody looks at it, in that of whoever asks for it.
    pub(in super::super) fn wrap<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        let span = if self.is_disabled() { Span::current() } else { self.0 };
        future.instrument(span)
    }
}

/// What a filter names: the crate, whatever its modules are called.
const TARGET: &str = "ws_handshake";

/// A path that cannot forge a log line: printable ASCII, and at most 256 bytes of it.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut escaped = self.0.chars().flat_map(char::escape_default);
        escaped.by_ref().take(256).try_for_each(|c| fmt::Write::write_char(f, c))?;
        if escaped.next().is_some() { f.write_str("...") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_and_cut() {
        assert_eq!(Escaped("/chat").to_string(), "/chat");
        assert_eq!(Escaped("/\u{202e}\r\n\u{1b}").to_string(), "/\\u{202e}\\r\\n\\u{1b}");
        assert_eq!(Escaped(&"a".repeat(256)).to_string(), "a".repeat(256));
        assert_eq!(Escaped(&"a".repeat(257)).to_string(), "a".repeat(256) + "...");
    }
}
