//! The span of a connection that may still come.

use std::sync::OnceLock;

use tracing::Level;

use super::{
    connection_record::ConnectionRecord, connection_span::ConnectionSpan, escaped_path::EscapedPath, events::TARGET,
    metrics,
};
use crate::connections::{Closing, ConnectionId};

/// The span of an approved handshake that may become a connection. Boxed, because it is moved several times, and empty if no subscriber is
/// interested. Therefore its texts are passed as functions.
#[derive(Debug)]
pub(crate) struct PendingSpan(Option<Box<Pending>>);

#[derive(Debug)]
struct Pending {
    id: ConnectionId,
    path: Box<str>,
    span: OnceLock<ConnectionSpan>,
}

impl PendingSpan {
    /// If a handshake is `counted`, a warning may need the path too.
    pub(crate) fn new(id: ConnectionId, path: &str, counted: bool) -> Self {
        let warned_of = || counted && tracing::enabled!(target: TARGET, Level::WARN);
        let looked_at = tracing::span_enabled!(target: TARGET, Level::INFO) || warned_of();
        let pending = || Pending { id, path: EscapedPath(path).to_string().into(), span: OnceLock::new() };
        Self(looked_at.then(|| Box::new(pending())))
    }

    /// The escaped path of the request, if a subscriber is interested.
    pub(crate) fn path(&self) -> Option<&str> {
        self.0.as_ref().map(|pending| &*pending.path)
    }

    /// Starts the connection's span, when the response is on its way.
    pub(crate) fn begin<'a>(&self, origin: impl FnOnce() -> Option<&'a str>, version: &str) -> Option<ConnectionSpan> {
        let pending = self.0.as_ref()?;
        let span = pending.span.get_or_init(|| ConnectionSpan::new(pending.id, &pending.path, origin(), version));
        Some(span.clone())
    }

    /// Starts the connection's record, when there is a stream.
    pub(crate) fn open<'a>(
        &self, origin: impl FnOnce() -> Option<&'a str>, version: &str, subprotocol: impl FnOnce() -> Option<&'a str>,
        closing: impl FnOnce() -> Closing,
    ) -> ConnectionRecord {
        let span = self.begin(origin, version).filter(|span| !span.is_disabled());
        if span.is_none() && !metrics::ENABLED {
            return ConnectionRecord::default();
        }
        if let Some(span) = &span
            && let Some(subprotocol) = subprotocol()
        {
            span.record_subprotocol(subprotocol);
        }
        ConnectionRecord::new(span, closing())
    }
}
