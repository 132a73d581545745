//! The shim through which everything is traced: without the feature `tracing` it does nothing.
//!
//! A parsed origin or host, the path and static reasons are all that is ever written: never a query, a cookie or a field
//! that the peer chose freely.

#[cfg(feature = "tracing")]
mod traced {
    use std::fmt;

    use http::{StatusCode, Uri};
    use tracing::Instrument;

    use super::super::upgrade_error::UpgradeError;
    use crate::handshake::{Authority, Origin, Rejection, RejectionKind, ServerHandshake, client::Head};

    pub(in super::super) fn approved(server: &ServerHandshake, uri: &Uri) {
        tracing::debug!(target: TARGET,
            path = %Escaped(uri.path()),
            origin = server.origin().map(Origin::as_str),
            subprotocol = server.subprotocol(),
            "handshake approved",
        );
        if let Some(reported) = server.reported() {
            tracing::warn!(target: TARGET,
                reason = %reported,
                path = %Escaped(uri.path()),
                origin = server.origin().map(Origin::as_str),
                "handshake let through that would be refused",
            );
        }
    }

    pub(in super::super) fn refused(rejection: &Rejection, head: Head<'_>) {
        let (origin, host) = (head.named_origin(), head.named_authority());
        let (origin, host) = (origin.as_ref().map(Origin::as_str), host.as_ref().map(Authority::as_str));
        let path = Escaped(head.path());
        match rejection.kind() {
            RejectionKind::OriginNotAllowed => tracing::info!(target: TARGET,
                reason = %rejection, %path, origin, host,
                "handshake refused; origins of your own that are served under another host or scheme, as behind a proxy \
                 that rewrites `Host` or `:scheme`, have to be listed",
            ),
            RejectionKind::HostNotAllowed => tracing::info!(target: TARGET,
                reason = %rejection, %path, origin, host,
                "handshake refused; behind a proxy that rewrites `Host`, the name that it writes has to be listed",
            ),
            RejectionKind::DecisionTimedOut => {
                tracing::warn!(target: TARGET, reason = %rejection, %path, origin, "handshake refused");
            }
            RejectionKind::ExtendedConnectUnsupported => tracing::warn!(target: TARGET,
                reason = %rejection, %path, origin,
                "handshake refused; turn on the feature `http2` of ws-handshake, or have the server not announce extended \
                 `CONNECT`",
            ),
            RejectionKind::UpgradeUnsupported => {
                tracing::error!(target: TARGET, reason = %rejection, %path, origin, "handshake refused");
            }
            _ => tracing::info!(target: TARGET, reason = %rejection, %path, origin, "handshake refused"),
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

    pub(in super::super) fn upgrade_failed(error: UpgradeError) {
        tracing::warn!(target: TARGET, %error, "accepted handshake came to nothing");
    }

    pub(in super::super) fn returned(status: Option<StatusCode>) {
        let status = status.map(|status| status.as_u16());
        tracing::debug!(target: TARGET, status, "handler returned after accepting; its answer is dropped");
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
}

#[cfg(not(feature = "tracing"))]
mod silent {
    use http::{StatusCode, Uri};

    use super::super::upgrade_error::UpgradeError;
    use crate::handshake::{Rejection, RejectionKind, ServerHandshake, client::Head};

    pub(in super::super) fn approved(_: &ServerHandshake, _: &Uri) {}
    pub(in super::super) fn refused(_: &Rejection, _: Head<'_>) {}
    pub(in super::super) fn not_extracted(_: RejectionKind, _: Head<'_>) {}
    pub(in super::super) fn not_accepted(_: StatusCode) {}
    pub(in super::super) fn connect_not_routed() {}
    pub(in super::super) fn accepts_nothing(_: StatusCode, _: StatusCode) {}
    pub(in super::super) fn upgrade_failed(_: UpgradeError) {}
    pub(in super::super) fn returned(_: Option<StatusCode>) {}
    pub(in super::super) fn no_runtime() {}
    pub(in super::super) fn reports_only() {}
    pub(in super::super) fn in_current_span<F: Future>(future: F) -> F {
        future
    }
}

#[cfg(not(feature = "tracing"))]
pub(super) use silent::*;
#[cfg(feature = "tracing")]
pub(super) use traced::*;
