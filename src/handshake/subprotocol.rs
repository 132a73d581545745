//! What the client offers in `Sec-WebSocket-Protocol` (RFC 6455 §4.1, §4.2.2).

use http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_PROTOCOL};

use super::{
    grammar::{is_token, joined, list},
    rejection::RejectionKind,
};

/// The subprotocols that a client offers, in its order of preference.
///
/// Holding one means that every name is a token, that none is offered twice and that there are at most 32.
#[derive(Clone, Debug, Default)]
pub struct OfferedSubprotocols(Option<HeaderValue>);

impl OfferedSubprotocols {
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, RejectionKind> {
        let field = joined(headers, &SEC_WEBSOCKET_PROTOCOL);
        if let Some(field) = &field {
            check(field.as_bytes())?;
        }
        Ok(Self(field))
    }

    /// The names, the most preferred first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let line = self.0.as_ref().map_or(&[][..], HeaderValue::as_bytes);
        list(line).filter_map(|name| str::from_utf8(name).ok())
    }

    /// Whether `name` is among them. Names compare with regard to case.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|offered| offered == name)
    }
}

fn check(field: &[u8]) -> Result<(), RejectionKind> {
    let mut seen = [&[][..]; MAX_OFFERS];
    let mut count = 0;
    for name in list(field) {
        // RFC 6455 §4.1: the elements are "non-empty strings with characters in the range U+0021 to U+007E not including
        // separator characters", which is a token, "and MUST all be unique strings".
        if !is_token(name) {
            return Err(RejectionKind::SubprotocolInvalid);
        }
        if seen[..count].contains(&name) {
            return Err(RejectionKind::SubprotocolRepeated);
        }
        *seen.get_mut(count).ok_or(RejectionKind::SubprotocolsTooMany)? = name;
        count += 1;
    }
    // RFC 9110 §5.6.1.2: for `1#element`, "at least one non-empty element is required".
    if count == 0 { Err(RejectionKind::SubprotocolInvalid) } else { Ok(()) }
}

/// How many subprotocols are read before a client is refused.
const MAX_OFFERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Vec<String>, RejectionKind> {
        let headers = lines.iter().map(|line| (SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(line).unwrap())).collect();
        let offered = OfferedSubprotocols::from_headers(&headers)?;
        Ok(offered.iter().map(String::from).collect())
    }

    #[test]
    fn offers_keep_the_order_of_the_client() {
        let rows: &[(&str, &[&str], &[&str])] = &[
            ("none", &[], &[]),
            ("one", &["chat"], &["chat"]),
            ("several", &["v2.chat, v1.chat"], &["v2.chat", "v1.chat"]),
            ("over lines", &["b", "a,c"], &["b", "a", "c"]),
            ("with empty elements", &[",b ,,\ta,"], &["b", "a"]),
            ("that differ in case", &["chat, Chat"], &["chat", "Chat"]),
        ];
        for (name, lines, offered) in rows {
            assert_eq!(read(lines).unwrap(), *offered, "{name}");
        }
    }

    #[test]
    fn malformed_offers_are_refused() {
        let many: Vec<_> = (0..33).map(|n| format!("p{n}")).collect();
        let enough = many[..32].join(",");
        let many = many.join(",");
        let rows: &[(&str, &[&str], RejectionKind)] = &[
            ("empty", &[""], RejectionKind::SubprotocolInvalid),
            ("commas alone", &[", ,"], RejectionKind::SubprotocolInvalid),
            ("a space inside", &["a b"], RejectionKind::SubprotocolInvalid),
            ("a slash", &["a/b"], RejectionKind::SubprotocolInvalid),
            ("quoted", &["\"a\""], RejectionKind::SubprotocolInvalid),
            ("twice on a line", &["a, b, a"], RejectionKind::SubprotocolRepeated),
            ("twice over lines", &["a", "a"], RejectionKind::SubprotocolRepeated),
            ("more than 32", &[&many], RejectionKind::SubprotocolsTooMany),
        ];
        for (name, lines, kind) in rows {
            assert_eq!(read(lines), Err(*kind), "{name}");
        }
        assert_eq!(read(&[&enough]).unwrap().len(), 32);
    }
}
