//! `Sec-WebSocket-Key` and the `Sec-WebSocket-Accept` that answers it (RFC 6455 §1.3, §4.2.2).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_KEY};
use sha1::{Digest as _, Sha1};

use super::rejection::RejectionKind;

/// The `Sec-WebSocket-Key` of a handshake.
///
/// Holding one means that the field was sent exactly once and is the canonical base64 of 16 bytes, so
/// [`accept`](Self::accept) cannot fail.
///
/// ```
/// use ws_handshake::handshake::Key;
///
/// // RFC 6455 §1.3
/// let key: Key = "dGhlIHNhbXBsZSBub25jZQ==".parse()?;
/// assert_eq!(key.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// # Ok::<_, ws_handshake::handshake::InvalidKey>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; ENCODED]);

impl Key {
    /// Reads the one `Sec-WebSocket-Key` of a request.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, RejectionKind> {
        let mut lines = headers.get_all(SEC_WEBSOCKET_KEY).iter();
        let line = lines.next().ok_or(RejectionKind::KeyMissing)?;
        if lines.next().is_some() {
            // RFC 6455 §11.3.1: "MUST NOT appear more than once in an HTTP request".
            return Err(RejectionKind::KeyRepeated);
        }
        Self::from_bytes(line.as_bytes()).ok_or(RejectionKind::KeyInvalid)
    }

    /// The value of `Sec-WebSocket-Accept` that proves to the client that its key was read.
    #[must_use]
    #[expect(clippy::expect_used, reason = "base64 is visible ASCII, which every field value may hold")]
    pub fn accept(&self) -> HeaderValue {
        let digest = Sha1::new().chain_update(self.0).chain_update(GUID).finalize();
        let mut text = [0; 28];
        let length = STANDARD.encode_slice(digest, &mut text).unwrap_or_default();
        HeaderValue::from_bytes(&text[..length]).expect("base64 is a field value")
    }

    /// The key as the client sent it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    fn from_bytes(text: &[u8]) -> Option<Self> {
        // RFC 6455 §4.2.1: "a base64-encoded value that, when decoded, is 16 bytes in length".
        let key = Self(text.try_into().ok()?);
        // The engine is strict: it takes no trailing bits, and padding only where it belongs. The buffer is longer than
        // 16 bytes because the engine asks for room for what the length of the text might hold.
        let mut nonce = [0; ENCODED / 4 * 3];
        (STANDARD.decode_slice(key.0, &mut nonce) == Ok(16)).then_some(key)
    }
}

impl std::str::FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Self::from_bytes(text.as_bytes()).ok_or(InvalidKey(()))
    }
}

/// The text is not the canonical base64 of 16 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidKey(());

impl std::fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the key is not the canonical base64 of 16 bytes")
    }
}

impl std::error::Error for InvalidKey {}

/// How long the base64 of 16 bytes is.
const ENCODED: usize = 24;

/// What a server appends to the key before it digests it (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_base64_of_16_bytes_is_a_key() {
        let rows = [
            ("the RFC's own", "dGhlIHNhbXBsZSBub25jZQ==", true),
            ("sixteen zero bytes", "AAAAAAAAAAAAAAAAAAAAAA==", true),
            ("with plus and slash", "+/+/+/+/+/+/+/+/+/+/+w==", true),
            ("empty", "", false),
            ("of 15 bytes", "AAAAAAAAAAAAAAAAAAAA", false),
            ("of 17 bytes", "AAAAAAAAAAAAAAAAAAAAAAA=", false),
            ("of 18 bytes, 24 characters", "AAAAAAAAAAAAAAAAAAAAAAAA", false),
            ("without padding", "dGhlIHNhbXBsZSBub25jZQ", false),
            ("with half the padding", "dGhlIHNhbXBsZSBub25jZQ=", false),
            ("with too much padding", "dGhlIHNhbXBsZSBub25jZQ===", false),
            ("with trailing bits set", "dGhlIHNhbXBsZSBub25jZR==", false),
            ("of the URL-safe alphabet", "-_-_-_-_-_-_-_-_-_-_-w==", false),
            ("with a space in it", "dGhlIHNhbXBs ZSBub25jZQ=", false),
            ("with a space before it", " dGhlIHNhbXBsZSBub25jZQ=", false),
            ("not base64 at all", "************************", false),
        ];
        for (name, text, good) in rows {
            assert_eq!(text.parse::<Key>().is_ok(), good, "{name}");
        }
    }
}
