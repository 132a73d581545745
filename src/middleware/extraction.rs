//! How a handler takes what the layer has left in its request.

use http::Extensions;

use super::{extended_connect, report};
use crate::handshake::{Rejection, RejectionKind, client::RequestHead};

/// What `take` finds in the request, or why there is nothing: no layer has left anything in a request that is no handshake,
/// nor in one that no layer has seen.
pub(super) fn extract<T>(
    head: RequestHead<'_>, extensions: &Extensions, take: impl FnOnce(&Extensions) -> Option<Result<T, RejectionKind>>,
) -> Result<T, Rejection> {
    let missing = || {
        let protocol = extended_connect::protocol(head.method(), extensions);
        let asks = head.asks_for_websocket(protocol);
        Err(if asks { RejectionKind::LayerMissing } else { RejectionKind::HandshakeMissing })
    };
    take(extensions).unwrap_or_else(missing).map_err(|kind| {
        report::not_extracted(kind, head);
        head.reject(kind)
    })
}
