//! permessage-deflate: what clients offer, and what is agreed on (RFC 7692 §5, §7).

use std::{fmt, mem};

use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};

use super::grammar::Cursor;

/// The parameters of permessage-deflate that both ends have agreed on (RFC 7692 §7.1).
///
/// Its `Display` is the extension as `Sec-WebSocket-Extensions` answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: Option<u8>,
    pub(crate) client_max_window_bits: Option<u8>,
}

impl DeflateParams {
    /// Whether the server forgets its window after each message.
    #[must_use]
    pub fn server_no_context_takeover(&self) -> bool {
        self.server_no_context_takeover
    }

    /// Whether the client forgets its window after each message.
    #[must_use]
    pub fn client_no_context_takeover(&self) -> bool {
        self.client_no_context_takeover
    }

    /// The base-2 logarithm of the largest window that the server may compress with, in bytes: 9 to 15.
    #[must_use]
    pub fn server_max_window_bits(&self) -> u8 {
        self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }

    /// The base-2 logarithm of the largest window that the client may compress with, in bytes: 8 to 15.
    #[must_use]
    pub fn client_max_window_bits(&self) -> u8 {
        self.client_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }

    pub(super) fn to_field(self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.to_string()).ok()
    }
}

impl fmt::Display for DeflateParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            write!(f, "; {SERVER_NO_CONTEXT_TAKEOVER}")?;
        }
        if self.client_no_context_takeover {
            write!(f, "; {CLIENT_NO_CONTEXT_TAKEOVER}")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; {SERVER_MAX_WINDOW_BITS}={bits}")?;
        }
        if let Some(bits) = self.client_max_window_bits {
            write!(f, "; {CLIENT_MAX_WINDOW_BITS}={bits}")?;
        }
        Ok(())
    }
}

/// One offer of permessage-deflate that is valid (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeflateOffer {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: Option<u8>,
    /// The client uses at most this many bits, and can be told to use less. `None`: it cannot be told.
    pub(crate) client_max_window_bits: Option<u8>,
}

impl DeflateOffer {
    /// The first offer that `accept` takes, in the client's order. The fields have to be well formed.
    ///
    /// RFC 7692 §7: an offer with a parameter that is unknown, repeated or has an invalid value is declined, and the
    /// next one is looked at.
    pub(crate) fn first<T>(headers: &HeaderMap, accept: impl Fn(Self) -> Option<T>) -> Option<T> {
        headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().find_map(|line| {
            let mut cursor = Cursor::new(line.as_bytes());
            loop {
                cursor.skip_empty_elements();
                let name = cursor.token()?;
                let offer = Self::read(&mut cursor);
                if let Some(accepted) = offer.filter(|_| name == NAME.as_bytes()).and_then(&accept) {
                    return Some(accepted);
                }
            }
        })
    }

    /// Reads the parameters behind the name, all of them, and gives an offer if all are valid.
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut offer = Self::default();
        let mut valid = true;
        while cursor.take(b';') {
            let name = cursor.token();
            let value = if cursor.take(b'=') { Some(cursor.value()) } else { None };
            valid &= name.is_some_and(|name| offer.add(name, value));
        }
        valid.then_some(offer)
    }

    /// Takes a parameter in; `false` if it is not one of an offer, or one that the offer has already had (RFC 7692 §7.1).
    fn add(&mut self, name: &[u8], value: Option<&[u8]>) -> bool {
        let bits = value.map(window_bits);
        match (str::from_utf8(name), bits) {
            // RFC 7692 §7.1.1: these have no value.
            (Ok(SERVER_NO_CONTEXT_TAKEOVER), None) => !mem::replace(&mut self.server_no_context_takeover, true),
            (Ok(CLIENT_NO_CONTEXT_TAKEOVER), None) => !mem::replace(&mut self.client_no_context_takeover, true),
            // RFC 7692 §7.1.2.1: this has one always, §7.1.2.2: and this may have one.
            (Ok(SERVER_MAX_WINDOW_BITS), Some(Some(bits))) => self.server_max_window_bits.replace(bits).is_none(),
            (Ok(CLIENT_MAX_WINDOW_BITS), None) => self.client_max_window_bits.replace(MAX_WINDOW_BITS).is_none(),
            (Ok(CLIENT_MAX_WINDOW_BITS), Some(Some(bits))) => self.client_max_window_bits.replace(bits).is_none(),
            _ => false,
        }
    }
}

/// RFC 7692 §7.1.2.1: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
fn window_bits(value: &[u8]) -> Option<u8> {
    // A quoted string may escape any character.
    let mut digits = value.iter().filter(|byte| !matches!(byte, b'"' | b'\\'));
    match (digits.next(), digits.next(), digits.next()) {
        (Some(digit @ b'8'..=b'9'), None, None) => Some(digit - b'0'),
        (Some(b'1'), Some(digit @ b'0'..=b'5'), None) => Some(10 + digit - b'0'),
        _ => None,
    }
}

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// RFC 7692 §7.1.2: what holds where nothing is agreed on: windows of 32,768 bytes.
pub(crate) const MAX_WINDOW_BITS: u8 = 15;
