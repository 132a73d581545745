//! What the client offers in `Sec-WebSocket-Protocol` (RFC 6455 §4.1, §4.2.2).

use std::sync::Arc;

use http::HeaderValue;
#[cfg(feature = "tower")]
use http::{HeaderMap, header::SEC_WEBSOCKET_PROTOCOL};

use super::rejection::RejectionKind;
use crate::grammar::Tokens;

/// The subprotocols that a client offers, in its order of preference.
///
/// Holding one means that every name is a token, that none is offered twice and that there are at most 32.
#[derive(Clone, Debug, Default)]
pub struct OfferedSubprotocols(Option<HeaderValue>);

impl OfferedSubprotocols {
    /// Reads the field, all of its lines, and shows each name to `visit` on the way: a second reading would take as long.
    pub(crate) fn from_field(field: HeaderValue, mut visit: impl FnMut(&[u8])) -> Result<Self, RejectionKind> {
        let mut names = Tokens::new(field.as_bytes());
        let mut seen = [&[][..]; MAX_OFFERS];
        let mut count = 0;
        for name in names.by_ref() {
            // RFC 6455 §4.1: the elements "MUST all be unique strings".
            if seen[..count].contains(&name) {
                return Err(RejectionKind::SubprotocolRepeated);
            }
            *seen.get_mut(count).ok_or(RejectionKind::SubprotocolsTooMany)? = name;
            count += 1;
            visit(name);
        }
        // RFC 6455 §4.1: the elements are "non-empty strings with characters in the range U+0021 to U+007E not including
        // separator characters", which is a token; RFC 9110 §5.6.1.2: "at least one non-empty element is required".
        if count == 0 || !names.are_read() {
            return Err(RejectionKind::SubprotocolInvalid);
        }
        Ok(Self(Some(field)))
    }

    /// Takes the names that have one of the prefixes out. What comes back are these, if there are any; they show in no
    /// `Debug`.
    pub(super) fn split_off(&mut self, prefixes: &SecretPrefixes) -> Option<Self> {
        if !self.iter().any(|name| prefixes.begin(name)) {
            return None;
        }
        let field = |secrets| {
            let names: Vec<_> = self.iter().filter(|name| prefixes.begin(name) == secrets).collect();
            HeaderValue::try_from(names.join(", ")).ok().filter(|field| !field.is_empty())
        };
        let (others, mut secrets) = (field(false), field(true)?);
        secrets.set_sensitive(true);
        self.0 = others;
        Some(Self(Some(secrets)))
    }

    /// The names as a field, unless there are none.
    #[cfg(feature = "tower")]
    pub(crate) fn to_field(&self) -> Option<HeaderValue> {
        self.0.clone()
    }

    /// The names, the most preferred first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let names = Tokens::new(self.0.as_ref().map_or(&[], HeaderValue::as_bytes));
        names.filter_map(|name| str::from_utf8(name).ok())
    }

    /// Whether `name` is among them. Names compare with regard to case.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|offered| offered == name)
    }
}

/// The names on one line of the field, up to its first fault.
#[cfg(feature = "client")]
pub(crate) fn names(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    Tokens::new(line.as_bytes())
}

/// Takes names that have one of the prefixes out of the field, all of its lines; a field that is malformed goes as a whole.
#[cfg(feature = "tower")]
pub(crate) fn strip_secrets(headers: &mut HeaderMap, prefixes: &SecretPrefixes) {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    if lines.is_empty() {
        return;
    }
    let field = HeaderValue::try_from(lines.join(&b", "[..])).ok();
    let offered = field.and_then(|field| OfferedSubprotocols::from_field(field, |_| ()).ok());
    let others = match offered {
        Some(mut offered) => match offered.split_off(prefixes) {
            Some(_) => offered.0,
            None => return,
        },
        None => None,
    };
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(others) = others {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, others);
    }
}

/// What secrets begin with.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecretPrefixes(Arc<[Box<str>]>);

impl SecretPrefixes {
    pub(crate) fn push(&mut self, prefix: &str) {
        self.0 = self.0.iter().cloned().chain([prefix.into()]).collect();
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, prefix: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(prefix))
    }

    /// Whether `name` has one of them.
    fn begin(&self, name: &str) -> bool {
        self.0.iter().any(|prefix| behind(prefix, name).is_some())
    }
}

/// What stands behind a secret prefix, if a name has it.
///
/// Subprotocols compare with regard to case. A secret under a prefix that is merely spelt otherwise is one all the same.
pub(crate) fn behind<'a>(prefix: &str, name: &'a str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// How many subprotocols are read before a client is refused.
const MAX_OFFERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &str) -> Result<Vec<String>, RejectionKind> {
        let offered = OfferedSubprotocols::from_field(HeaderValue::from_str(field).unwrap(), |_| ())?;
        Ok(offered.iter().map(String::from).collect())
    }

    #[test]
    fn offers_keep_the_order_of_the_client() {
        let rows: [(&str, &str, &[&str]); 4] = [
            ("one", "chat", &["chat"]),
            ("several", "v2.chat, v1.chat", &["v2.chat", "v1.chat"]),
            ("with empty elements", ",b ,,\ta,", &["b", "a"]),
            ("that differ in case", "chat, Chat", &["chat", "Chat"]),
        ];
        for (name, field, offered) in rows {
            assert_eq!(read(field).unwrap(), *offered, "{name}");
        }
    }

    #[test]
    fn malformed_offers_are_refused() {
        let many: Vec<_> = (0..33).map(|n| format!("p{n}")).collect();
        let enough = many[..32].join(",");
        let many = many.join(",");
        let rows = [
            ("empty", "", RejectionKind::SubprotocolInvalid),
            ("commas alone", ", ,", RejectionKind::SubprotocolInvalid),
            ("a space inside", "a b", RejectionKind::SubprotocolInvalid),
            ("a slash", "a/b", RejectionKind::SubprotocolInvalid),
            ("quoted", "\"a\"", RejectionKind::SubprotocolInvalid),
            ("twice on a line", "a, b, a", RejectionKind::SubprotocolRepeated),
            ("more than 32", &many, RejectionKind::SubprotocolsTooMany),
        ];
        for (name, field, kind) in rows {
            assert_eq!(read(field), Err(kind), "{name}");
        }
        assert_eq!(read(&enough).unwrap().len(), 32);
    }
}
