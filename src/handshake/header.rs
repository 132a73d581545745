//! Which headers the handshake itself writes.

use http::{
    HeaderName,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE},
};

/// Whether a header belongs to the handshake, so handlers and clients cannot add it: `Connection`, `Upgrade`, `Content-Length`,
/// `Transfer-Encoding` and all `Sec-WebSocket-*`.
pub(crate) fn belongs_to_handshake(name: &HeaderName) -> bool {
    [CONNECTION, UPGRADE, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name)
        || name.as_str().starts_with("sec-websocket-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_of_the_handshake() {
        let own =
            ["connection", "upgrade", "content-length", "transfer-encoding", "sec-websocket-accept", "sec-websocket-x"];
        for name in own {
            assert!(belongs_to_handshake(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["set-cookie", "sec-fetch-site", "origin", "host", "keep-alive", "x-upgrade"] {
            assert!(!belongs_to_handshake(&HeaderName::from_static(name)), "{name}");
        }
    }
}
