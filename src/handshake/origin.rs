//! `Origin`: which page is connecting (RFC 6454 §7, RFC 6455 §10.2).

use std::{
    borrow::Cow,
    error::Error,
    fmt::{self, Write as _},
    hash::{Hash, Hasher},
    ops::Range,
    str::FromStr,
};

use http::HeaderValue;

use super::authority::{Host, HostPort};

/// A serialized origin: scheme, host and port, or the opaque `null`.
///
/// Origins compare as parsed triples: scheme and host in lower case, the default ports of `http` and `https` left out, and IPv6 addresses
/// as numbers. `ws` and `wss` mean `http` and `https`, because some clients send the URL of their socket. Two origins are equal exactly if
/// they print the same text.
///
/// ```
/// use ws_handshake::Origin;
///
/// let origin: Origin = "https://App.Example.com:443".parse()?;
/// assert_eq!(origin.as_str(), "https://app.example.com");
/// assert_eq!(origin.port(), Some(443));
/// assert_eq!(origin, "wss://app.example.com".parse()?);
/// assert!("https://app.example.com/".parse::<Origin>().is_err());
/// # Ok::<_, ws_handshake::handshake::InvalidOrigin>(())
/// ```
#[derive(Clone)]
pub struct Origin {
    /// The canonical text. It is shared with the request's header if the header was already canonical.
    text: HeaderValue,
    tuple: Option<Tuple>,
}

#[derive(Clone, Copy)]
struct Tuple {
    host_start: u16,
    host_end: u16,
    host: Host<()>,
    port: Option<u16>,
}

impl Origin {
    #[inline]
    pub(super) fn from_value(value: &HeaderValue) -> Option<Self> {
        let text = value.as_bytes();
        if text.len() > MAX_ORIGIN {
            return None;
        }
        if text == b"null" {
            return Some(Self { text: value.clone(), tuple: None });
        }
        let (scheme, rest) = split_scheme(text)?;
        // Pages from files have no host. Some web views send `file://` for them instead of `null`.
        let file = rest.is_empty() && scheme.eq_ignore_ascii_case(b"file");
        let parsed = if file { NO_HOST } else { HostPort::parse(rest)? };
        let port = parsed.port.filter(|port| Some(*port) != default_port(scheme));
        let page_scheme = canonical_scheme(scheme);
        let host_start = u16::try_from(page_scheme.len() + "://".len()).ok()?;
        let mut tuple = Tuple { host_start, host: parsed.host, host_end: host_start + parsed.host_length, port };
        if parsed.canonical && port == parsed.port && *page_scheme == *scheme {
            return Some(Self { text: value.clone(), tuple: Some(tuple) });
        }
        let host = parsed.host.with_name(&rest[..usize::from(parsed.host_length)]);
        let mut canonical = format!("{}://{host}", str::from_utf8(&page_scheme).ok()?);
        tuple.host_end = u16::try_from(canonical.len()).ok()?;
        if let Some(port) = port {
            write!(canonical, ":{port}").ok()?;
        }
        Some(Self { text: HeaderValue::try_from(canonical).ok()?, tuple: Some(tuple) })
    }

    /// The canonical serialization, as a browser would send it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The scheme in lower case, with `https` for `wss` and `http` for `ws`. `None` for an opaque origin.
    #[must_use]
    pub fn scheme(&self) -> Option<&str> {
        str::from_utf8(self.scheme_bytes()?).ok()
    }

    /// The host in lower case, an IPv6 address in brackets. `None` for an opaque origin.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host_span().and_then(|span| self.as_str().get(span))
    }

    /// The port, or the default port of `http` (80) and `https` (443). `None` if neither is known.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.tuple?.port.or_else(|| self.default_port())
    }

    /// Whether this is `null`, which a browser sends for sandboxed frames, files and redirects across origins.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.tuple.is_none()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    pub(crate) fn scheme_bytes(&self) -> Option<&[u8]> {
        self.tuple.map(|tuple| &self.as_bytes()[..usize::from(tuple.host_start) - "://".len()])
    }

    /// The default port of the scheme, which is known only for `http` and `https`.
    pub(crate) fn default_port(&self) -> Option<u16> {
        default_port(self.scheme_bytes()?)
    }

    /// The position of the host in the text. `None` for an opaque origin.
    pub(crate) fn host_span(&self) -> Option<Range<usize>> {
        self.tuple.map(|tuple| tuple.host_start.into()..tuple.host_end.into())
    }

    pub(crate) fn as_host(&self) -> Option<Host<&[u8]>> {
        Some(self.tuple?.host.with_name(&self.as_bytes()[self.host_span()?]))
    }
}

fn split_scheme(text: &[u8]) -> Option<(&[u8], &[u8])> {
    // Nearly every page has one of these schemes.
    for scheme in [&b"https"[..], b"http"] {
        if let Some(rest) = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(b"://")) {
            return Some((scheme, rest));
        }
    }
    let end = text.iter().position(|byte| *byte == b':')?;
    let rest = text[end..].strip_prefix(b"://")?;
    is_scheme(&text[..end]).then_some((&text[..end], rest))
}

/// The scheme of a page, in lower case. The scheme of a socket becomes `http` or `https`.
pub(crate) fn canonical_scheme(scheme: &[u8]) -> Cow<'_, [u8]> {
    match scheme {
        // Nearly every page has one of these schemes.
        b"https" | b"http" => Cow::Borrowed(scheme),
        _ if scheme.eq_ignore_ascii_case(b"ws") => Cow::Borrowed(b"http"),
        _ if scheme.eq_ignore_ascii_case(b"wss") => Cow::Borrowed(b"https"),
        _ if scheme.iter().any(u8::is_ascii_uppercase) => Cow::Owned(scheme.to_ascii_lowercase()),
        _ => Cow::Borrowed(scheme),
    }
}

/// The default port of a scheme, for an origin without a port.
pub(crate) fn default_port(scheme: &[u8]) -> Option<u16> {
    match &*canonical_scheme(scheme) {
        b"http" => Some(80),
        b"https" => Some(443),
        _ => None,
    }
}

/// RFC 3986 §3.1: a letter, then letters, digits, `+`, `-` and `.`.
pub(crate) fn is_scheme(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let value = HeaderValue::from_str(text).map_err(|_| InvalidOrigin(()))?;
        Self::from_value(&value).ok_or(InvalidOrigin(()))
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Origin").field(&self.as_str()).finish()
    }
}

/// The error for a text that is not a serialized origin: `null`, or `scheme://host[:port]` with nothing after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidOrigin(());

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an origin is `null` or `scheme://host[:port]`")
    }
}

impl Error for InvalidOrigin {}

/// The part after `file://`.
const NO_HOST: HostPort = HostPort { host: Host::Name(()), host_length: 0, canonical: true, port: None };

/// The maximum length in bytes, which is more than any scheme, host name and port that a browser sends.
pub(crate) const MAX_ORIGIN: usize = 512;

#[cfg(test)]
mod tests;
