//! The span of a connection.

use tracing::{Instrument, Span, field::Empty};

use super::events::TARGET;
use crate::connections::ConnectionId;

/// The span of one connection, from its acceptance to its end.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionSpan(Span);

impl ConnectionSpan {
    /// The span follows from the request's span, which may end now.
    pub(crate) fn new(id: ConnectionId, path: &str, origin: Option<&str>, version: &str) -> Self {
        let span = tracing::info_span!(target: TARGET, parent: None, "websocket",
            %id,
            path,
            origin,
            version,
            subprotocol = Empty,
            bytes_read = Empty,
            bytes_written = Empty,
            end = Empty,
            close_reason = Empty,
        );
        span.follows_from(Span::current());
        Self(span)
    }

    /// Whether no subscriber is interested.
    pub(crate) fn is_disabled(&self) -> bool {
        self.0.is_disabled()
    }

    pub(crate) fn record_subprotocol(&self, subprotocol: &str) {
        self.0.record("subprotocol", subprotocol);
    }

    pub(crate) fn end(&self, read: u64, written: u64, end: &'static str, close_reason: &'static str) {
        self.0.record("bytes_read", read).record("bytes_written", written).record("end", end);
        self.0.record("close_reason", close_reason);
        tracing::debug!(target: TARGET, parent: &self.0, bytes_read = read, bytes_written = written, end, close_reason,
            "connection ended"
        );
    }
}

/// Runs a future in the connection's span. If there is no span, or it is disabled, the future runs in the current span.
pub(crate) fn within<F: Future>(span: Option<ConnectionSpan>, future: F) -> impl Future<Output = F::Output> {
    let span = span.filter(|span| !span.is_disabled());
    future.instrument(span.map_or_else(Span::current, |ConnectionSpan(span)| span))
}
