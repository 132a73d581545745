//! `Sec-WebSocket-Key` and the `Sec-WebSocket-Accept` that answers it (RFC 6455 §1.3, §4.2.2).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use sha1::{Digest as _, Sha1};

/// The `Sec-WebSocket-Key` of a handshake.
///
/// A `Key` is always the base64 of 16 bytes, so [`accept`](Self::accept) cannot fail. If the key is from a
/// [`ClientHandshake`](super::ClientHandshake), the client also sent it exactly once.
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
    /// The `Sec-WebSocket-Accept` for this key, which proves to the client that the server has read the key.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "base64 is visible ASCII, which every field value may hold"
    )]
    pub fn accept(&self) -> HeaderValue {
        let mut proof = [0; ENCODED + GUID.len()];
        proof[..ENCODED].copy_from_slice(&self.0);
        proof[ENCODED..].copy_from_slice(GUID);
        let digest = Sha1::digest(proof);
        let mut text = [0; 28];
        let length = STANDARD.encode_slice(digest, &mut text).unwrap_or_default();
        HeaderValue::from_bytes(&text[..length]).expect("base64 is a field value")
    }

    /// The key as the client sent it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Makes a client's key from 16 bytes, which have to be random (RFC 6455 §4.1).
    #[cfg(feature = "client")]
    pub(crate) fn from_nonce(nonce: [u8; 16]) -> Self {
        let mut key = [0; ENCODED];
        // The key fits: 16 bytes are 24 characters.
        let _ = STANDARD.encode_slice(nonce, &mut key);
        Self(key)
    }

    pub(super) fn from_bytes(text: &[u8]) -> Option<Self> {
        // RFC 6455 §4.2.1: "a base64-encoded value that, when decoded, is 16 bytes in length".
        let key = Self(text.try_into().ok()?);
        // 22 digits of 6 bits hold 16 bytes and 4 spare bits. Clients that choose random digits set the spare bits too.
        let (digits, padding) = key.0.split_at(22);
        let in_alphabet = digits.iter().fold(true, |all, digit| all & ALPHABET[usize::from(*digit)]);
        (in_alphabet && padding == b"==").then_some(key)
    }
}

impl std::str::FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Self::from_bytes(text.as_bytes()).ok_or(InvalidKey(()))
    }
}

/// The error for a text that is not the base64 of 16 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidKey(());

impl std::fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the key is not the base64 of 16 bytes")
    }
}

impl std::error::Error for InvalidKey {}

/// The length of the base64 of 16 bytes.
const ENCODED: usize = 24;

/// The text that a server appends to the key before hashing (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The digits of base64 (RFC 4648 §4).
const ALPHABET: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0x20;
    while byte < 0x7f {
        table[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use base64::{
        alphabet,
        engine::{GeneralPurpose, GeneralPurposeConfig},
    };

    use super::*;

    #[test]
    fn only_base64_of_16_bytes_is_a_key() {
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
            ("with a spare bit set", "dGhlIHNhbXBsZSBub25jZR==", true),
            ("with a spare bit set, as in RFC 6455 §4.1", "AQIDBAUGBwgJCgsMDQ4PEC==", true),
            ("of the URL-safe alphabet", "-_-_-_-_-_-_-_-_-_-_-w==", false),
            ("with a space in it", "dGhlIHNhbXBs ZSBub25jZQ=", false),
            ("with a space before it", " dGhlIHNhbXBsZSBub25jZQ=", false),
            ("with two digits that are none", "**hlIHNhbXBsZSBub25jZQ==", false),
            ("not base64 at all", "************************", false),
        ];
        for (name, text, good) in rows {
            assert_eq!(text.parse::<Key>().is_ok(), good, "{name}");
        }
    }

    #[test]
    fn a_mistake_says_what_a_key_is() {
        let error = "x".parse::<Key>().unwrap_err();
        assert_eq!(error.to_string(), "the key is not the base64 of 16 bytes");
    }

    #[test]
    fn a_key_is_what_the_base64_crate_decodes_to_16_bytes() {
        let decoder =
            GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
        // Every byte value, at the two kinds of places: within the digits, and where the digits end.
        for place in [3, 21, 22, 23] {
            for byte in 0..=u8::MAX {
                let mut text = *b"dGhlIHNhbXBsZSBub25jZQ==";
                text[place] = byte;
                let is_key = decoder.decode(text).is_ok_and(|bytes| bytes.len() == 16);
                assert_eq!(Key::from_bytes(&text).is_some(), is_key, "{byte} at {place}");
            }
        }
    }
}
