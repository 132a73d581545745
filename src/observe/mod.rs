//! Logs and metrics for operators: events and spans of the `tracing` crate, and metrics.
//!
//! This module takes texts and numbers. It logs a parsed origin or host, the path, the response's subprotocol and static reasons. It never
//! logs a query, a cookie, or a header that the peer chose freely.

mod connection_record;
mod connection_span;
mod escaped_path;
pub(crate) mod events;
pub(crate) mod metrics;
mod pending_span;

#[cfg(feature = "metrics")]
pub use self::metrics::describe_metrics;
pub(crate) use self::{
    connection_record::{ConnectionRecord, EndReason},
    connection_span::{ConnectionSpan, within},
    pending_span::PendingSpan,
};
