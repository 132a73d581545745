//! permessage-deflate: the client's offers, and the agreed parameters (RFC 7692 §5, §7).

use std::{fmt, mem};

use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};

use crate::grammar::Cursor;

/// The parameters of permessage-deflate that client and server have agreed on (RFC 7692 §7.1).
///
/// `Display` writes the extension as in the `Sec-WebSocket-Extensions` of the answer.
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

    pub(crate) fn to_field(self) -> Option<HeaderValue> {
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

/// One valid offer of permessage-deflate (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeflateOffer {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: Option<u8>,
    /// The client uses at most this many bits, and the server may ask for fewer. `None`: the server may not ask.
    pub(crate) client_max_window_bits: Option<u8>,
}

impl DeflateOffer {
    /// The first offer that `accept` takes, in the client's order. The headers have to be well formed.
    ///
    /// RFC 7692 §7: an offer with a parameter that is unknown, repeated or has an invalid value is declined, and the next one is checked.
    pub(crate) fn first<T>(headers: &HeaderMap, accept: impl Fn(Self) -> Option<T>) -> Option<T> {
        Self::all(headers).find_map(accept)
    }

    /// The valid offers, in the client's order.
    fn all(headers: &HeaderMap) -> impl Iterator<Item = Self> {
        elements(headers, false).filter_map(|(name, offer)| offer.filter(|_| name == NAME.as_bytes()))
    }

    /// Reads all parameters after the name. Returns an offer, or an `answer`, if all are valid.
    fn read(cursor: &mut Cursor<'_>, answer: bool) -> Option<Self> {
        let mut offer = Self::default();
        let mut valid = true;
        while cursor.take(b';') {
            let name = cursor.token();
            let value = if cursor.take(b'=') { Some(cursor.value()) } else { None };
            valid &= name.is_some_and(|name| offer.add(name, value, answer));
        }
        valid.then_some(offer)
    }

    /// Adds a parameter. Returns `false` if it does not belong in an offer, or in an `answer`, or is repeated (RFC 7692 §7.1).
    fn add(&mut self, name: &[u8], value: Option<&[u8]>, answer: bool) -> bool {
        let bits = value.map(window_bits);
        match (str::from_utf8(name), bits) {
            // RFC 7692 §7.1.1: these have no value.
            (Ok(SERVER_NO_CONTEXT_TAKEOVER), None) => !mem::replace(&mut self.server_no_context_takeover, true),
            (Ok(CLIENT_NO_CONTEXT_TAKEOVER), None) => !mem::replace(&mut self.client_no_context_takeover, true),
            // RFC 7692 §7.1.2.1: this one always has a value. §7.1.2.2: the next may have one in an offer, and has one in an answer.
            (Ok(SERVER_MAX_WINDOW_BITS), Some(Some(bits))) => self.server_max_window_bits.replace(bits).is_none(),
            (Ok(CLIENT_MAX_WINDOW_BITS), None) if !answer => {
                self.client_max_window_bits.replace(MAX_WINDOW_BITS).is_none()
            }
            (Ok(CLIENT_MAX_WINDOW_BITS), Some(Some(bits))) => self.client_max_window_bits.replace(bits).is_none(),
            _ => false,
        }
    }

    /// The agreed parameters if the server answers this offer with `answer`. `None` if `answer` goes beyond the offer (RFC 7692 §7.1).
    #[cfg(any(feature = "tower", test))]
    fn agree(self, answer: Self) -> Option<DeflateParams> {
        // RFC 7692 §7.1.1.1, §7.1.2.1: the answer has to meet what the client demands of the server, and may go further.
        let keeps_window = self.server_no_context_takeover && !answer.server_no_context_takeover;
        let too_large = |most| answer.server_max_window_bits.is_none_or(|bits| bits > most);
        // RFC 7692 §7.1.2.2: the answer may limit the client's window only if the client offers that, and may never enlarge it.
        let told = answer
            .client_max_window_bits
            .is_some_and(|bits| self.client_max_window_bits.is_none_or(|most| bits > most));
        if keeps_window || self.server_max_window_bits.is_some_and(too_large) || told {
            return None;
        }
        // RFC 7692 §7.1.1.2, §7.1.2.2: the client keeps its own promises, whether the answer repeats them or not.
        let own = self.client_max_window_bits.filter(|bits| *bits < MAX_WINDOW_BITS);
        Some(DeflateParams {
            server_no_context_takeover: answer.server_no_context_takeover,
            client_no_context_takeover: answer.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits: answer.server_max_window_bits,
            client_max_window_bits: answer.client_max_window_bits.or(own),
        })
    }
}

/// The extensions in all lines of the header, with their parameters if these are valid for permessage-deflate. Each line ends at the first
/// malformed extension.
fn elements(headers: &HeaderMap, answer: bool) -> impl Iterator<Item = (&[u8], Option<DeflateOffer>)> {
    headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().flat_map(move |line| {
        let mut cursor = Cursor::new(line.as_bytes());
        std::iter::from_fn(move || {
            cursor.skip_empty_elements();
            Some((cursor.token()?, DeflateOffer::read(&mut cursor, answer)))
        })
    })
}

/// The error for an answer that agrees to an extension that was not offered, goes beyond the offer, or is malformed.
#[cfg(any(feature = "tower", test))]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BeyondOffer;

/// The parameters of permessage-deflate, if the answer agrees on it. The headers of request and answer have to be well formed.
///
/// RFC 6455 §4.1: an answer with "an extension that was not present in the client's handshake" fails the connection.
#[cfg(any(feature = "tower", test))]
pub(super) fn agreed(offered: &HeaderMap, answered: &HeaderMap) -> Result<Option<DeflateParams>, BeyondOffer> {
    let mut agreed = None;
    for (name, answer) in elements(answered, true) {
        if !elements(offered, false).any(|(offer, _)| offer == name) {
            return Err(BeyondOffer);
        }
        if name != NAME.as_bytes() {
            continue;
        }
        let answer = answer.ok_or(BeyondOffer)?;
        let params = DeflateOffer::first(offered, |offer| offer.agree(answer)).ok_or(BeyondOffer)?;
        // Two agreements would both use the same bit of a frame.
        if agreed.replace(params).is_some() {
            return Err(BeyondOffer);
        }
    }
    Ok(agreed)
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

/// RFC 7692 §7.1.2: the default if nothing is agreed on: windows of 32,768 bytes.
pub(crate) const MAX_WINDOW_BITS: u8 = 15;
