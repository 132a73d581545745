//! Checks the server's answer against the request (RFC 6455 §4.1, the client's list; RFC 8441 §5).

use http::{
    HeaderMap, HeaderValue,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};

use super::error::ClientErrorKind;
use crate::{
    grammar::{elements, lists},
    handshake::{DeflateParams, Key, extension},
};

/// The parts of the request that the answer has to match.
pub(super) struct Asked {
    /// `None` over HTTP/2.
    pub(super) key: Option<Key>,
    /// The headers of the request, including the offers.
    pub(super) headers: HeaderMap,
}

/// The agreement of client and server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) subprotocol: Option<HeaderValue>,
    pub(super) deflate: Option<DeflateParams>,
}

impl Asked {
    /// Checks the headers of an answer whose status accepts.
    pub(super) fn check(&self, answer: &HeaderMap) -> Result<Answered, ClientErrorKind> {
        if let Some(key) = &self.key {
            // RFC 6455 §4.1: "a value that is not an ASCII case-insensitive match for the value "websocket"".
            if !once(answer, UPGRADE).is_some_and(|line| line.as_bytes().eq_ignore_ascii_case(b"websocket")) {
                return Err(ClientErrorKind::UpgradeInvalid);
            }
            // RFC 6455 §4.1: "a token that is an ASCII case-insensitive match for the value "Upgrade"".
            if !answer.get_all(CONNECTION).iter().any(|line| lists(line, "Upgrade")) {
                return Err(ClientErrorKind::ConnectionInvalid);
            }
            // RFC 6455 §4.1: "but ignoring any leading and trailing whitespace", which is not part of a header's value.
            if once(answer, SEC_WEBSOCKET_ACCEPT) != Some(&key.accept()) {
                return Err(ClientErrorKind::AcceptInvalid);
            }
        }
        let deflate = extension::agreed(&self.headers, answer).map_err(|_| ClientErrorKind::ExtensionNotOffered)?;
        let subprotocol = if answer.contains_key(SEC_WEBSOCKET_PROTOCOL) {
            let selected = once(answer, SEC_WEBSOCKET_PROTOCOL).filter(|selected| self.offers(selected));
            Some(selected.ok_or(ClientErrorKind::SubprotocolNotOffered)?.clone())
        } else {
            None
        };
        Ok(Answered { subprotocol, deflate })
    }

    fn offers(&self, subprotocol: &HeaderValue) -> bool {
        let lines = self.headers.get_all(SEC_WEBSOCKET_PROTOCOL);
        lines.iter().flat_map(|line| elements(line.as_bytes())).any(|offered| offered == subprotocol.as_bytes())
    }
}

/// The single line of a header. `None` if there are none, or several.
fn once(headers: &HeaderMap, name: http::HeaderName) -> Option<&HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn asked() -> Asked {
        let mut headers = HeaderMap::new();
        headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("v2.chat, v1.chat"));
        headers.append("sec-websocket-extensions", HeaderValue::from_static("permessage-deflate"));
        Asked { key: "dGhlIHNhbXBsZSBub25jZQ==".parse().ok(), headers }
    }

    fn valid() -> HeaderMap {
        [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("sec-websocket-protocol", "v1.chat"),
            ("sec-websocket-extensions", "permessage-deflate"),
        ]
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .into_iter()
        .collect()
    }

    #[test]
    fn an_answer_to_what_was_asked_is_taken() {
        let answered = asked().check(&valid()).unwrap();
        assert_eq!(answered.subprotocol.unwrap(), "v1.chat");
        assert_eq!(answered.deflate.unwrap().to_string(), "permessage-deflate");

        let mut plain = valid();
        plain.remove("sec-websocket-protocol");
        plain.remove("sec-websocket-extensions");
        plain.insert("upgrade", HeaderValue::from_static("WebSocket"));
        plain.insert("connection", HeaderValue::from_static("keep-alive, upgrade"));
        assert_eq!(asked().check(&plain), Ok(Answered { subprotocol: None, deflate: None }));
    }

    #[test]
    fn each_lie_of_the_list_has_its_own_kind() {
        use ClientErrorKind::*;
        #[rustfmt::skip]
        let rows: &[(&str, &[&str], ClientErrorKind)] = &[
            ("upgrade", &[], UpgradeInvalid),
            ("upgrade", &["h2c"], UpgradeInvalid),
            ("upgrade", &["websocket, h2c"], UpgradeInvalid),
            ("upgrade", &["websocket", "websocket"], UpgradeInvalid),
            ("connection", &[], ConnectionInvalid),
            ("connection", &["close"], ConnectionInvalid),
            ("connection", &["upgraded"], ConnectionInvalid),
            ("sec-websocket-accept", &[], AcceptInvalid),
            ("sec-websocket-accept", &["dGhlIHNhbXBsZSBub25jZQ=="], AcceptInvalid),
            ("sec-websocket-accept", &["S3pPLMBiTxaQ9kYGzzhZRbK+xOo="], AcceptInvalid),
            ("sec-websocket-accept", &["s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="], AcceptInvalid),
            ("sec-websocket-protocol", &["v3.chat"], SubprotocolNotOffered),
            ("sec-websocket-protocol", &["V1.chat"], SubprotocolNotOffered),
            ("sec-websocket-protocol", &[""], SubprotocolNotOffered),
            ("sec-websocket-protocol", &["v1.chat, v2.chat"], SubprotocolNotOffered),
            ("sec-websocket-protocol", &["v1.chat", "v1.chat"], SubprotocolNotOffered),
            ("sec-websocket-extensions", &["x-foo"], ExtensionNotOffered),
            ("sec-websocket-extensions", &["permessage-deflate; client_max_window_bits=10"], ExtensionNotOffered),
            ("sec-websocket-extensions", &["permessage-deflate", "permessage-deflate"], ExtensionNotOffered),
        ];
        for (name, lines, kind) in rows {
            let mut answer = valid();
            answer.remove(*name);
            for line in *lines {
                answer.append(*name, HeaderValue::from_static(line));
            }
            assert_eq!(asked().check(&answer), Err(*kind), "{name} {lines:?}");
        }
    }

    #[test]
    fn over_http2_there_is_no_key_to_be_answered() {
        let asked = Asked { key: None, headers: HeaderMap::new() };
        assert!(asked.check(&HeaderMap::new()).is_ok());
        assert_eq!(asked.check(&valid()), Err(ClientErrorKind::ExtensionNotOffered));
    }
}
