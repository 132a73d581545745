//! How a handler takes what the layer has put into its request.

use http::Extensions;

use super::{extended_connect, report};
use crate::handshake::{Rejection, RejectionKind, client::RequestHead};

/// Returns what `take` finds in the request, or the reason why there is nothing. Either the request is not a handshake, or no layer has
/// seen the request.
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
