//! The shim through which everything is traced and measured: without the features `tracing` and `metrics` it does nothing.
//!
//! A parsed origin or host, the path, the subprotocol answered and static reasons are all that is ever written: never a
//! query, a cookie or a field that the peer chose freely.

mod life;
#[cfg(feature = "metrics")]
mod metered;
#[cfg(not(feature = "metrics"))]
#[path = "observe/unmetered.rs"]
mod metered;
#[cfg(feature = "tracing")]
mod traced;
#[cfg(not(feature = "tracing"))]
#[path = "observe/untraced.rs"]
mod traced;

use http::Uri;

#[cfg(feature = "metrics")]
pub use self::metered::describe_metrics;
#[cfg(any(feature = "fastwebsockets", feature = "tokio-websockets", feature = "tungstenite"))]
pub(super) use self::traced::deflate_not_known;
pub(super) use self::{
    life::{Approved, End, Life},
    traced::{
        ConnectionSpan, accepts_nothing, connect_not_routed, in_current_span, no_runtime, not_accepted, not_extracted,
        reports_only, returned, upgrade_failed,
    },
};
use crate::handshake::{Rejection, ServerHandshake, client::Head};

pub(super) fn approved(server: &ServerHandshake, uri: &Uri) {
    traced::approved(server, uri);
    metered::approved(server.http_version());
}

/// Runs a future in the span of its connection; where that has none, in that of whoever asks for it.
pub(super) fn within<F: Future>(span: Option<ConnectionSpan>, future: F) -> impl Future<Output = F::Output> {
    span.unwrap_or_else(ConnectionSpan::disabled).wrap(future)
}

pub(super) fn refused(rejection: &Rejection, head: Head<'_>) {
    metered::refused(rejection.kind(), head.http_version());
    traced::refused(rejection, head);
}
