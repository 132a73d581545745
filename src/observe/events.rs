//! The log events: one for each decided handshake, and one for each later problem.

use std::fmt;

use tracing::Level;

use super::escaped_path::EscapedPath;
use crate::connections::ConnectionId;

/// The target for filters: the crate's name, which does not depend on module names.
pub(crate) const TARGET: &str = "ws_handshake";

/// The parts of a request that may be logged.
#[derive(Clone, Copy)]
pub(crate) struct RequestFields<'a> {
    pub(crate) path: &'a str,
    /// The parsed origin.
    pub(crate) origin: Option<&'a str>,
    /// The parsed host.
    pub(crate) host: Option<&'a str>,
    pub(crate) version: &'static str,
}

pub(crate) fn handshake_approved(id: ConnectionId, request: RequestFields<'_>, subprotocol: Option<&str>) {
    let RequestFields { path, origin, version, .. } = request;
    tracing::debug!(target: TARGET, %id, path = %EscapedPath(path), origin, subprotocol, version, "handshake approved");
}

/// Whether a subscriber reads these events, because building their text costs time.
pub(crate) fn handshake_approved_is_enabled() -> bool {
    tracing::enabled!(target: TARGET, Level::DEBUG)
}

/// A policy that only reports has let a handshake through.
pub(crate) fn handshake_reported(id: ConnectionId, request: RequestFields<'_>, reason: &dyn fmt::Display) {
    let RequestFields { path, origin, version, .. } = request;
    tracing::warn!(target: TARGET, %id, %reason, path = %EscapedPath(path), origin, version,
        "handshake let through that the policy would refuse"
    );
}

/// `advice` says what the operator can do about the refusal.
pub(crate) fn handshake_refused(
    level: Level, request: RequestFields<'_>, reason: &dyn fmt::Display, advice: Option<&'static str>,
) {
    let RequestFields { path, origin, host, version } = request;
    let path = EscapedPath(path);
    let (separator, advice) = advice.map_or(("", ""), |advice| ("; ", advice));
    macro_rules! refused {
        ($level:expr) => {
            tracing::event!(target: TARGET, $level, %reason, %path, origin, host, version,
                "handshake refused{separator}{advice}"
            )
        };
    }
    match level {
        Level::ERROR => refused!(Level::ERROR),
        Level::WARN => refused!(Level::WARN),
        _ => refused!(Level::INFO),
    }
}

/// The server began to stop after a handshake was approved and before its handler accepted. The path is already escaped.
pub(crate) fn accepted_handshake_refused(
    id: ConnectionId, path: Option<&str>, origin: Option<&str>, version: &str, reason: &dyn fmt::Display,
) {
    tracing::info!(target: TARGET, id = %id, %reason, path = path.map(tracing::field::display), origin, version,
        "handshake refused although a handler accepts it"
    );
}

/// The path is already escaped.
pub(crate) fn unanswered_handshake_refused(
    id: ConnectionId, path: Option<&str>, origin: Option<&str>, version: &str, reason: &dyn fmt::Display,
) {
    tracing::warn!(target: TARGET, %id, %reason, path = path.map(tracing::field::display), origin, version,
        "handshake refused because its handler did not answer in time"
    );
}

pub(crate) fn layer_missing(path: &str) {
    tracing::error!(target: TARGET, path = %EscapedPath(path),
        "a handler extracts a handshake that no `WsHandshakeLayer` has seen: add the layer to the handler's route"
    );
}

pub(crate) fn upgrade_taken(path: &str) {
    tracing::error!(target: TARGET, path = %EscapedPath(path),
        "a handler extracts a handshake that was extracted before: extract it once"
    );
}

pub(crate) fn permit_taken(path: &str) {
    tracing::error!(target: TARGET, path = %EscapedPath(path),
        "a `ConnectionPermit` is extracted twice, between two layers, or together with `WsUpgrade` or `WsStream`, whose stream \
         holds the permit: extract it once, in the handler"
    );
}

pub(crate) fn connections_missing(path: &str) {
    tracing::error!(target: TARGET, path = %EscapedPath(path),
        "a handler extracts a `ConnectionPermit`, but its `WsHandshakeLayer` has no `connections`: set them on the layer"
    );
}

/// Another extractor opened a socket, and its handler has no permit.
pub(crate) fn permit_unclaimed(id: ConnectionId, path: Option<&str>) {
    tracing::warn!(target: TARGET, %id, path = path.map(tracing::field::display),
        "a handler that uses another extractor opened a socket that is not counted among the `connections` of its layer, and \
         that no drain closes: take a `ConnectionPermit` in the handler, and keep it for as long as the socket lives (logged \
         once)"
    );
}

pub(crate) fn not_accepted(id: ConnectionId, status: u16) {
    tracing::debug!(target: TARGET, %id, status, "approved handshake answered without being accepted");
}

pub(crate) fn connect_not_routed(id: ConnectionId) {
    tracing::warn!(target: TARGET, %id,
        "approved handshake over HTTP/2 answered 405: its route has to take `CONNECT`, as `any(handler)` does"
    );
}

pub(crate) fn accepts_nothing(id: ConnectionId, status: u16, instead: u16) {
    tracing::warn!(target: TARGET, %id, status, instead,
        "a handler or a fallback answered a handshake over HTTP/2 with a status that would open the socket: accept \
         the `WsUpgrade`, or answer differently"
    );
}

#[cfg(any(feature = "fastwebsockets", feature = "tokio-websockets", feature = "tungstenite"))]
pub(crate) fn deflate_not_known() {
    tracing::warn!(target: TARGET,
        "a stream with permessage-deflate is given to a framing library that does not support it: remove `permessage_deflate` \
         from its route, or call `decline_deflate` before accepting"
    );
}

pub(crate) fn upgrade_failed(id: ConnectionId, error: &dyn fmt::Display) {
    tracing::warn!(target: TARGET, %id, %error, "handshake accepted, but the upgrade failed");
}

/// A handler has returned after accepting, with a status unless it failed.
pub(crate) fn handler_returned(id: ConnectionId, status: Option<u16>) {
    if status.is_some_and(|status| (200..300).contains(&status)) {
        tracing::debug!(target: TARGET, %id, status, "handler returned after accepting");
    } else {
        tracing::warn!(target: TARGET, %id, status,
            "a handler returned an error after accepting, and the client does not get this response: if another layer answered, such as a \
             timeout, put that layer outside of `WsHandshakeLayer`"
        );
    }
}

/// A handler accepted a handshake that the layer then refused. The handler has now returned, with a status unless it failed.
pub(crate) fn refused_handler_returned(id: ConnectionId, status: Option<u16>) {
    tracing::debug!(target: TARGET, %id, status, "handler returned after its handshake was refused; its answer is dropped");
}

pub(crate) fn no_runtime() {
    tracing::error!(target: TARGET, "no tokio runtime to run an accepted handshake in: run the server in a tokio runtime");
}

pub(crate) fn reports_only() {
    tracing::warn!(target: TARGET, "the WebSocket handshake policy only reports: foreign origins and hosts are let through");
}
