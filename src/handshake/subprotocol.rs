//! Reads the client's offers in `Sec-WebSocket-Protocol` (RFC 6455 §4.1, §4.2.2).

use std::sync::Arc;

use http::HeaderValue;
#[cfg(feature = "tower")]
use http::{Request, header::SEC_WEBSOCKET_PROTOCOL};

use super::rejection::RejectionKind;
use crate::grammar::{elements, is_token};

/// The subprotocols that a client offers, in the client's order.
///
/// Every name is a token, or a name that the server lists although it is not a token. No name is offered twice, and there are at most 32.
#[derive(Clone, Debug, Default)]
pub struct OfferedSubprotocols(Option<HeaderValue>);

impl OfferedSubprotocols {
    /// Reads all lines of the header, and shows each name to `visit`, because a second pass would take as long. Names that are not tokens
    /// have to be listed.
    pub(crate) fn from_field(
        field: HeaderValue, is_listed: impl Fn(&[u8]) -> bool, mut visit: impl FnMut(&[u8]),
    ) -> Result<Self, RejectionKind> {
        let mut seen = [&[][..]; MAX_OFFERS];
        for (count, name) in elements(field.as_bytes()).enumerate() {
            // RFC 6455 §4.1: the elements are "non-empty strings with characters in the range U+0021 to U+007E not including
            // separator characters", which is a token.
            if !is_token(name) && !is_listed(name) {
                return Err(RejectionKind::SubprotocolInvalid);
            }
            // RFC 6455 §4.1: the elements "MUST all be unique strings".
            if seen[..count].contains(&name) {
                return Err(RejectionKind::SubprotocolRepeated);
            }
            *seen.get_mut(count).ok_or(RejectionKind::SubprotocolsTooMany)? = name;
            visit(name);
        }
        Ok(Self(Some(field)))
    }

    /// Removes secret names. If there are any, returns all offered names, in a value that no `Debug` shows.
    ///
    /// If an outer layer has already removed secrets, `before` has the original list. That list then says which name follows which.
    pub(super) fn split_off(&mut self, secrets: &SecretNames, before: Option<&OfferedBefore>) -> Option<Self> {
        let before = before.map(|OfferedBefore(all)| all).filter(|all| self.iter().all(|name| all.contains(name)));
        let all = before.unwrap_or(self);
        let hidden: Vec<_> = all.pairs().filter(|pair| secrets.have(*pair)).map(|(_, name)| name).collect();
        if hidden.is_empty() {
            return None;
        }
        let others: Vec<_> = self.iter().filter(|name| !hidden.contains(name)).collect();
        let others = HeaderValue::try_from(others.join(", ")).ok().filter(|field| !field.is_empty());
        let mut all = all.0.clone()?;
        all.set_sensitive(true);
        self.0 = others;
        Some(Self(Some(all)))
    }

    /// The names as a header value, if there are any.
    #[cfg(feature = "tower")]
    pub(crate) fn to_field(&self) -> Option<HeaderValue> {
        self.0.clone()
    }

    /// The names, the most preferred first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let names = elements(self.0.as_ref().map_or(&[], HeaderValue::as_bytes));
        names.filter_map(|name| str::from_utf8(name).ok())
    }

    /// Whether the client offered `name`. The case of letters matters.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|offered| offered == name)
    }

    /// The secrets that `mark` announces.
    pub(super) fn secrets<'a>(&'a self, secrets: &SecretNames, mark: &str) -> impl Iterator<Item = &'a str> {
        self.pairs().filter_map(|pair| secrets.announced_by(mark, pair))
    }

    /// Each name, with the name before it.
    fn pairs(&self) -> impl Iterator<Item = Pair<'_>> {
        let mut before = None;
        self.iter().map(move |name| (before.replace(name), name))
    }
}

/// An offered name, after the name before it.
type Pair<'a> = (Option<&'a str>, &'a str);

/// All names that a client offered, in the extensions of a request whose header has lost its secrets.
#[derive(Clone)]
pub(crate) struct OfferedBefore(pub(super) OfferedSubprotocols);

/// Removes secret names from all lines of the header. A malformed header is removed as a whole.
#[cfg(feature = "tower")]
pub(crate) fn strip_secrets<B>(request: &mut Request<B>, secrets: &SecretNames, is_listed: impl Fn(&[u8]) -> bool) {
    let lines = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    if lines.is_empty() {
        return;
    }
    let field = HeaderValue::try_from(lines.join(&b", "[..])).ok();
    let offered = field.and_then(|field| OfferedSubprotocols::from_field(field, is_listed, |_| ()).ok());
    let others = match offered {
        Some(mut offered) => match offered.split_off(secrets, request.extensions().get()) {
            Some(all) => {
                request.extensions_mut().insert(OfferedBefore(all));
                offered.0
            }
            None => return,
        },
        None => None,
    };
    request.headers_mut().remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(others) = others {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, others);
    }
}

/// Which of the offered names are secrets.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecretNames(Arc<[SecretName]>);

/// The text that announces a secret.
#[derive(Clone, Debug)]
pub(crate) enum SecretName {
    /// The secret follows this prefix, in the same name.
    Prefix(Box<str>),
    /// The secret is the name after this one.
    After(Box<str>),
}

impl SecretNames {
    pub(crate) fn push(&mut self, secret: SecretName) {
        self.0 = self.0.iter().cloned().chain([secret]).collect();
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the secret names of an earlier policy.
    #[cfg(feature = "tower")]
    pub(super) fn extend(&mut self, before: &Self) {
        self.0 = self.0.iter().chain(before.0.iter()).cloned().collect();
    }

    /// Whether a name that announces a secret would itself be a secret, because it begins with a secret prefix.
    pub(crate) fn conflict_with(&self, secret: &SecretName) -> bool {
        self.0.iter().any(|known| match (known, secret) {
            (SecretName::Prefix(prefix), SecretName::After(mark))
            | (SecretName::After(mark), SecretName::Prefix(prefix)) => behind(prefix, mark).is_some(),
            _ => false,
        })
    }

    fn have(&self, pair: Pair<'_>) -> bool {
        self.0.iter().any(|secret| secret.of(pair).is_some())
    }

    fn announced_by<'a>(&self, mark: &str, pair: Pair<'a>) -> Option<&'a str> {
        self.0.iter().filter(|secret| secret.mark().eq_ignore_ascii_case(mark)).find_map(|secret| secret.of(pair))
    }
}

impl SecretName {
    pub(crate) fn mark(&self) -> &str {
        let (Self::Prefix(mark) | Self::After(mark)) = self;
        mark
    }

    /// The secret in a name, if there is one.
    fn of<'a>(&self, (before, name): Pair<'a>) -> Option<&'a str> {
        match self {
            Self::Prefix(prefix) => behind(prefix, name),
            Self::After(mark) => before.is_some_and(|before| before.eq_ignore_ascii_case(mark)).then_some(name),
        }
    }
}

/// The part of a name after a secret prefix, if the name has the prefix.
///
/// For subprotocols, the case of letters matters. For secrets it does not: a prefix in another case still announces a secret.
pub(crate) fn behind<'a>(prefix: &str, name: &'a str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The largest number of subprotocols. A client that offers more is refused.
const MAX_OFFERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &str) -> Result<Vec<String>, RejectionKind> {
        let offered = OfferedSubprotocols::from_field(
            HeaderValue::from_str(field).unwrap(),
            |name| name == b"k8s.io/v1",
            |_| (),
        )?;
        Ok(offered.iter().map(String::from).collect())
    }

    #[test]
    fn offers_keep_the_order_of_the_client() {
        let rows: [(&str, &str, &[&str]); 7] = [
            ("one", "chat", &["chat"]),
            ("several", "v2.chat, v1.chat", &["v2.chat", "v1.chat"]),
            ("with empty elements", ",b ,,\ta,", &["b", "a"]),
            ("that differ in case", "chat, Chat", &["chat", "Chat"]),
            ("no token, but listed", "k8s.io/v1, a", &["k8s.io/v1", "a"]),
            ("empty", "", &[]),
            ("commas alone", ", \t,", &[]),
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
            ("a space inside", "a b", RejectionKind::SubprotocolInvalid),
            ("a slash", "a/b", RejectionKind::SubprotocolInvalid),
            ("quoted", "\"a\"", RejectionKind::SubprotocolInvalid),
            ("no token, and nearly listed", "a, k8s.io/v2", RejectionKind::SubprotocolInvalid),
            ("twice, and no token", "k8s.io/v1, k8s.io/v1", RejectionKind::SubprotocolRepeated),
            ("twice on a line", "a, b, a", RejectionKind::SubprotocolRepeated),
            ("more than 32", &many, RejectionKind::SubprotocolsTooMany),
        ];
        for (name, field, kind) in rows {
            assert_eq!(read(field), Err(kind), "{name}");
        }
        assert_eq!(read(&enough).unwrap().len(), 32);
    }
}
