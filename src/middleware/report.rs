//! Logs and counts handshakes for the operator.

use http::Uri;
use tracing::Level;

use super::{handoff::Handoff, upgrade_error::UpgradeError};
use crate::{
    connections::ConnectionId,
    handshake::{Authority, Origin, Rejection, RejectionKind, ServerHandshake, client::RequestHead},
    observe::{
        events::{self, RequestFields},
        metrics,
    },
};

pub(super) fn handshake_approved(id: ConnectionId, server: &ServerHandshake, uri: &Uri) {
    let version = server.http_version();
    metrics::handshake_approved(version);
    let reported = server.reported();
    if reported.is_none() && !events::handshake_approved_is_enabled() {
        return;
    }
    let origin = server.origin().map(Origin::as_str);
    let request = RequestFields { path: uri.path(), origin, host: None, version };
    events::handshake_approved(id, request, server.subprotocol());
    if let Some(reported) = reported {
        events::handshake_reported(id, request, reported);
    }
}

pub(super) fn handshake_refused(rejection: &Rejection, head: RequestHead<'_>) {
    let kind = rejection.kind();
    metrics::handshake_refused(kind.as_str(), head.http_version());
    let origin = head.named_origin();
    // The host matters only if a rule compares it.
    let compared = matches!(kind, RejectionKind::OriginNotAllowed | RejectionKind::HostNotAllowed);
    let host = if compared { head.named_authority() } else { None };
    let (level, advice) = match kind {
        RejectionKind::OriginNotAllowed if are_this_machine(origin.as_ref(), host.as_ref()) => (
            Level::INFO,
            Some(
                "if the page is yours, open the socket at `location.host`, because `localhost` and `127.0.0.1` are two \
                 origins; or list its origin with `add_trusted_origins`, or have the proxy in front keep `Host` and `:scheme`",
            ),
        ),
        RejectionKind::OriginNotAllowed => (
            Level::INFO,
            Some(
                "if the page is yours, list its origin with `add_trusted_origins`, or have the proxy in front keep `Host` and \
                 `:scheme`",
            ),
        ),
        RejectionKind::HostNotAllowed => {
            (Level::INFO, Some("behind a proxy that rewrites `Host`, the name that it writes has to be listed"))
        }
        RejectionKind::ExtendedConnectUnsupported => (
            Level::WARN,
            Some("turn on the feature `http2` of ws-handshake, or have the server not announce extended `CONNECT`"),
        ),
        RejectionKind::DecisionTimedOut => (Level::WARN, None),
        RejectionKind::UpgradeUnsupported => (Level::ERROR, None),
        _ => (Level::INFO, None),
    };
    let request = RequestFields {
        path: head.path(),
        origin: origin.as_ref().map(Origin::as_str),
        host: host.as_ref().map(Authority::as_str),
        version: head.http_version(),
    };
    events::handshake_refused(level, request, rejection, advice);
}

/// Whether both are names of this machine, for example if a page of `127.0.0.1` opens a socket at `localhost`.
fn are_this_machine(origin: Option<&Origin>, host: Option<&Authority>) -> bool {
    let page = origin.filter(|origin| matches!(origin.scheme(), Some("http" | "https"))).and_then(Origin::as_host);
    let (Some(page), Some(host)) = (page, host.map(Authority::as_host)) else { return false };
    page.is_loopback() && host.is_loopback() && page != host
}

/// Reports a refused handshake that was counted as approved: a handler accepts it too late, or does not answer in time.
pub(super) fn approved_handshake_refused(rejection: &Rejection, handoff: &Handoff) {
    let refused = match rejection.kind() {
        RejectionKind::AnswerTimedOut => events::unanswered_handshake_refused,
        _ => events::accepted_handshake_refused,
    };
    let Handoff { id, server, .. } = handoff;
    refused(*id, handoff.path(), server.origin().map(Origin::as_str), server.http_version(), rejection);
}

/// Reports an accepted handshake that did not become a stream, if no handler gets the error.
pub(super) fn upgrade_failed(id: ConnectionId, error: UpgradeError) {
    // A server that stops is not a fault, and its refusal has been logged.
    if error != UpgradeError::ServerDraining {
        events::upgrade_failed(id, &error);
    }
}

/// Reports that a handler or an inner layer could not take what it asked for.
pub(super) fn not_extracted(kind: RejectionKind, head: RequestHead<'_>) {
    match kind {
        RejectionKind::LayerMissing => events::layer_missing(head.path()),
        RejectionKind::UpgradeTaken => events::upgrade_taken(head.path()),
        RejectionKind::PermitTaken => events::permit_taken(head.path()),
        RejectionKind::ConnectionsMissing => events::connections_missing(head.path()),
        _ => {}
    }
}
