//! Whether this server compresses messages, and with how much memory (RFC 7692).

use super::config_error::ConfigError;
use crate::handshake::deflate::{DeflateOffer, DeflateParams, MAX_WINDOW_BITS};

/// The terms on which this server agrees to permessage-deflate (RFC 7692).
///
/// If client and server agree on permessage-deflate, the framing library has to compress and inflate as agreed. Use this only with a
/// framing library that supports permessage-deflate.
///
/// If one message contains a secret and text that an attacker chooses, the length of the compressed message reveals the secret (CRIME,
/// BREACH). `server_no_context_takeover` protects one message from another, but not the parts of one message.
///
/// ```
/// use ws_handshake::{PermessageDeflate, Policy};
///
/// let deflate = PermessageDeflate::new().server_no_context_takeover(true).server_max_window_bits(12)?;
/// let policy = Policy::new().permessage_deflate(deflate);
/// # Ok::<_, ws_handshake::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct PermessageDeflate {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: u8,
    client_max_window_bits: u8,
}

impl PermessageDeflate {
    /// Agrees to any valid offer, and asks nothing of the client.
    pub fn new() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: MAX_WINDOW_BITS,
            client_max_window_bits: MAX_WINDOW_BITS,
        }
    }

    /// Whether this server forgets its window after each message. Messages then compress less, but a framing library that shares windows
    /// among its sockets saves the memory of one between messages. The default is to do this only for clients that ask (RFC 7692 §7.1.1.1).
    pub fn server_no_context_takeover(mut self, forget: bool) -> Self {
        self.server_no_context_takeover = forget;
        self
    }

    /// Whether clients have to forget their window after each message. A framing library that shares windows among its sockets then saves
    /// the memory of one between messages. The default is that each client decides (RFC 7692 §7.1.1.2).
    pub fn client_no_context_takeover(mut self, forget: bool) -> Self {
        self.client_no_context_takeover = forget;
        self
    }

    /// Sets the largest window that this server compresses with, as the base-2 logarithm of its bytes: 9 to 15. The default is 15, which is
    /// 32 KiB (RFC 7692 §7.1.2.1).
    ///
    /// If an offer demands a smaller window, the server agrees, down to 9. The server declines an offer that demands 8, because zlib has no
    /// such window.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for a number outside of 9 to 15.
    pub fn server_max_window_bits(mut self, bits: u8) -> Result<Self, ConfigError> {
        self.server_max_window_bits = checked(bits)?;
        Ok(self)
    }

    /// Sets the largest window that clients may compress with, as the base-2 logarithm of its bytes: 9 to 15. The default is 15, which is
    /// 32 KiB (RFC 7692 §7.1.2.2).
    ///
    /// Below 15, the server declines offers without `client_max_window_bits`, because such a client does not let the server limit its
    /// window.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for a number outside of 9 to 15.
    pub fn client_max_window_bits(mut self, bits: u8) -> Result<Self, ConfigError> {
        self.client_max_window_bits = checked(bits)?;
        Ok(self)
    }

    /// The parameters for the first acceptable offer, if there is one.
    pub(super) fn select(self, headers: &http::HeaderMap) -> Option<DeflateParams> {
        DeflateOffer::first(headers, |offer| self.answer(offer))
    }

    /// Writes these terms as a client's offer.
    #[cfg(feature = "client")]
    pub(crate) fn offer(self) -> String {
        let params = DeflateParams {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: below_max(self.server_max_window_bits),
            client_max_window_bits: below_max(self.client_max_window_bits),
        };
        let mut offer = params.to_string();
        if self.client_max_window_bits == MAX_WINDOW_BITS {
            // RFC 7692 §7.1.2.2: without this parameter, the server may not ask this client for a smaller window.
            offer.push_str("; client_max_window_bits");
        }
        offer
    }

    /// The answer to one offer. The answer never goes beyond the offer.
    fn answer(self, offer: DeflateOffer) -> Option<DeflateParams> {
        let server_max_window_bits = match offer.server_max_window_bits {
            Some(bits) if bits < MIN_WINDOW_BITS => return None,
            // RFC 7692 §7.1.2.1: accepted "with the same or smaller value".
            Some(bits) => Some(bits.min(self.server_max_window_bits)),
            None => below_max(self.server_max_window_bits),
        };
        let client_max_window_bits = match offer.client_max_window_bits {
            Some(bits) => below_max(bits.min(self.client_max_window_bits)),
            // RFC 7692 §7.1.2.2: if the offer lacks this parameter, the answer "MUST NOT include" it.
            None if self.client_max_window_bits < MAX_WINDOW_BITS => return None,
            None => None,
        };
        Some(DeflateParams {
            server_no_context_takeover: offer.server_no_context_takeover || self.server_no_context_takeover,
            client_no_context_takeover: offer.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
        })
    }
}

impl Default for PermessageDeflate {
    fn default() -> Self {
        Self::new()
    }
}

/// Leaves out a parameter that equals its default.
fn below_max(bits: u8) -> Option<u8> {
    (bits < MAX_WINDOW_BITS).then_some(bits)
}

fn checked(bits: u8) -> Result<u8, ConfigError> {
    if (MIN_WINDOW_BITS..=MAX_WINDOW_BITS).contains(&bits) {
        return Ok(bits);
    }
    Err(ConfigError::new(&bits.to_string(), "is not a window of zlib: write a number from 9 to 15"))
}

/// zlib has no smaller window, although RFC 7692 §7.1.2 also allows 8.
const MIN_WINDOW_BITS: u8 = 9;

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};

    use super::*;

    fn answer(deflate: PermessageDeflate, lines: &[&str]) -> Option<String> {
        let lines = lines.iter().map(|line| (SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(line).unwrap()));
        deflate.select(&lines.collect::<HeaderMap>()).map(|params| params.to_string())
    }

    #[test]
    fn the_parameters_are_those_of_the_answer() {
        let offers = |offer| HeaderMap::from_iter([(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(offer))]);
        let select = |offer| PermessageDeflate::new().select(&offers(offer)).unwrap();
        let rows = [
            ("permessage-deflate", (false, false, 15, 15)),
            ("permessage-deflate; server_no_context_takeover", (true, false, 15, 15)),
            ("permessage-deflate; client_no_context_takeover", (false, true, 15, 15)),
            ("permessage-deflate; server_max_window_bits=9; client_max_window_bits=8", (false, false, 9, 8)),
        ];
        for (offer, expected) in rows {
            let params = select(offer);
            let takeovers = (params.server_no_context_takeover(), params.client_no_context_takeover());
            let windows = (params.server_max_window_bits(), params.client_max_window_bits());
            assert_eq!((takeovers.0, takeovers.1, windows.0, windows.1), expected, "{offer}");
        }
    }

    #[test]
    fn offers_are_answered_within_their_terms() {
        let new = PermessageDeflate::new;
        let small = new().server_max_window_bits(10).unwrap().client_max_window_bits(11).unwrap();
        let forgetful = new().server_no_context_takeover(true).client_no_context_takeover(true);
        #[rustfmt::skip]
        let rows: &[(&str, PermessageDeflate, &[&str], Option<&str>)] = &[
            ("nothing", new(), &[], None),
            ("bare", new(), &["permessage-deflate"], Some("")),
            ("as browsers send it", new(), &["permessage-deflate; client_max_window_bits"], Some("")),
            ("behind others", new(), &["x-other; a=b, , permessage-deflate"], Some("")),
            ("on a second line", new(), &["x-other", "permessage-deflate"], Some("")),
            ("takeovers are echoed", new(), &["permessage-deflate; client_no_context_takeover; server_no_context_takeover"],
                Some("; server_no_context_takeover; client_no_context_takeover")),
            ("a demand for a smaller window is met", new(), &["permessage-deflate; server_max_window_bits=10"], Some("; server_max_window_bits=10")),
            ("a demand for the largest is met", new(), &["permessage-deflate; server_max_window_bits=15"], Some("; server_max_window_bits=15")),
            ("the client's own limit is kept", new(), &["permessage-deflate; client_max_window_bits=8"], Some("; client_max_window_bits=8")),
            ("the client's largest needs no word", new(), &["permessage-deflate; client_max_window_bits=15"], Some("")),
            ("quoted", new(), &["permessage-deflate; client_max_window_bits = \"\\1\\0\""], Some("; client_max_window_bits=10")),
            ("a window that zlib has not", new(), &["permessage-deflate; server_max_window_bits=8"], None),
            ("the next offer then", new(), &["permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9"], Some("; server_max_window_bits=9")),
            ("the first that is acceptable", new(), &["permessage-deflate; server_max_window_bits=12, permessage-deflate"], Some("; server_max_window_bits=12")),
            ("the server's own limits", small, &["permessage-deflate; client_max_window_bits"], Some("; server_max_window_bits=10; client_max_window_bits=11")),
            ("the smaller of two limits", small, &["permessage-deflate; server_max_window_bits=9; client_max_window_bits=9"], Some("; server_max_window_bits=9; client_max_window_bits=9")),
            ("the server's where it is the smaller", small, &["permessage-deflate; server_max_window_bits=15; client_max_window_bits=15"], Some("; server_max_window_bits=10; client_max_window_bits=11")),
            ("a client that cannot be told", small, &["permessage-deflate"], None),
            ("the server's own takeovers", forgetful, &["permessage-deflate"], Some("; server_no_context_takeover; client_no_context_takeover")),
        ];
        for (name, deflate, lines, expected) in rows {
            let expected = expected.map(|parameters| format!("permessage-deflate{parameters}"));
            assert_eq!(answer(*deflate, lines), expected, "{name}");
        }
    }

    /// RFC 7692 §7.1: each of these is declined, and the next offer is checked.
    #[test]
    fn invalid_offers_are_declined() {
        #[rustfmt::skip]
        let rows = [
            "x-unknown", "x-unknown=1", "server_no_context_takeover=1", "client_no_context_takeover=true",
            "server_max_window_bits", "server_max_window_bits=7", "server_max_window_bits=16", "server_max_window_bits=010",
            "server_max_window_bits=+9", "server_max_window_bits=9x", "server_max_window_bits=150", "client_max_window_bits=0",
            "client_max_window_bits=08", "client_max_window_bits=x", "Client_Max_Window_Bits", "client_max_window_bits=1",
            "server_no_context_takeover; server_no_context_takeover", "client_no_context_takeover; client_no_context_takeover",
            "server_max_window_bits=9; server_max_window_bits=9", "client_max_window_bits; client_max_window_bits=9",
        ];
        for parameters in rows {
            let offer = format!("permessage-deflate; {parameters}");
            assert_eq!(answer(PermessageDeflate::new(), &[&offer]), None, "{parameters}");
            let next = format!("{offer}; client_max_window_bits=12, permessage-deflate; server_max_window_bits=11");
            let expected = Some("permessage-deflate; server_max_window_bits=11");
            assert_eq!(answer(PermessageDeflate::new(), &[&next]).as_deref(), expected, "{parameters}");
        }
    }

    #[test]
    fn windows_outside_of_zlibs_are_mistakes() {
        for bits in [0, 8, 16, 255] {
            for error in [
                PermessageDeflate::new().server_max_window_bits(bits),
                PermessageDeflate::new().client_max_window_bits(bits),
            ] {
                assert!(error.unwrap_err().to_string().ends_with("write a number from 9 to 15"));
            }
        }
        assert!(PermessageDeflate::new().server_max_window_bits(9).is_ok());
    }
}
