//! `Origin`: who wrote the page that connects (RFC 6454 §7, RFC 6455 §10.2).

use std::{
    borrow::Cow,
    error::Error,
    fmt::{self, Write as _},
    hash::{Hash, Hasher},
    ops::Range,
    str::FromStr,
};

use http::{HeaderMap, HeaderValue, header::ORIGIN};

use super::{
    authority::{Host, HostPort},
    rejection::RejectionKind,
};

/// A serialized origin: scheme, host and port, or the opaque `null`.
///
/// Origins compare as parsed triples: scheme and host in lower case, the default ports of http and https left out,
/// IPv6 addresses as numbers, and nothing else. Two of them are equal exactly when they print alike.
///
/// ```
/// use ws_handshake::Origin;
///
/// let origin: Origin = "https://App.Example.com:443".parse()?;
/// assert_eq!(origin.as_str(), "https://app.example.com");
/// assert_eq!(origin.port(), Some(443));
/// assert!("https://app.example.com/".parse::<Origin>().is_err());
/// # Ok::<_, ws_handshake::handshake::InvalidOrigin>(())
/// ```
#[derive(Clone)]
pub struct Origin {
    /// The canonical text; shared with the request's field wherever that was canonical already.
    text: HeaderValue,
    tuple: Option<Tuple>,
}

#[derive(Clone, Copy)]
struct Tuple {
    scheme_end: usize,
    host: Host<()>,
    host_end: usize,
    port: Option<u16>,
}

impl Origin {
    /// Reads the one `Origin` of a request, if there is one.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, RejectionKind> {
        let mut lines = headers.get_all(ORIGIN).iter();
        let Some(line) = lines.next() else {
            return Ok(None);
        };
        if lines.next().is_some() {
            return Err(RejectionKind::OriginRepeated);
        }
        Self::from_value(line).map(Some).ok_or(RejectionKind::OriginInvalid)
    }

    fn from_value(value: &HeaderValue) -> Option<Self> {
        if value.len() > MAX_ORIGIN {
            return None;
        }
        let text = value.to_str().ok()?;
        if text == "null" {
            return Some(Self { text: value.clone(), tuple: None });
        }
        let (scheme, rest) = text.split_once("://")?;
        if !is_scheme(scheme) {
            return None;
        }
        let HostPort { host, text: name, port } = match rest {
            // Pages from files have no host; web views that do not say `null` for them send this.
            "" if scheme.eq_ignore_ascii_case("file") => HostPort { host: Host::Name(""), text: "", port: None },
            _ => HostPort::parse(rest)?,
        };
        let folded = port.filter(|port| Some(*port) != default_port(scheme));
        let mut tuple = Tuple {
            scheme_end: scheme.len(),
            host: host.without_name(),
            host_end: scheme.len() + "://".len() + name.len(),
            port: folded,
        };
        let canonical_host = host.canonical(name);
        let unchanged = matches!(canonical_host, Cow::Borrowed(_)) && port == folded;
        if unchanged && !scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Some(Self { text: value.clone(), tuple: Some(tuple) });
        }
        let mut canonical = format!("{}://{canonical_host}", scheme.to_ascii_lowercase());
        tuple.host_end = canonical.len();
        if let Some(port) = folded {
            write!(canonical, ":{port}").ok()?;
        }
        Some(Self { text: HeaderValue::try_from(canonical).ok()?, tuple: Some(tuple) })
    }

    /// The canonical serialization, as a browser would send it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.to_str().unwrap_or_default()
    }

    /// The scheme in lower case; `None` for an opaque origin.
    #[must_use]
    pub fn scheme(&self) -> Option<&str> {
        self.tuple.and_then(|tuple| self.as_str().get(..tuple.scheme_end))
    }

    /// The host in lower case, an IPv6 address in its brackets; `None` for an opaque origin.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host_span().and_then(|span| self.as_str().get(span))
    }

    /// The port, or the default one of http (80) and https (443); `None` where neither is known.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.tuple.and_then(|tuple| tuple.port.or_else(|| default_port(self.scheme()?)))
    }

    /// Whether this is `null`, which a browser sends for sandboxed frames, files and redirects across origins.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.tuple.is_none()
    }

    /// Where the host stands in the text; `None` for an opaque origin.
    pub(crate) fn host_span(&self) -> Option<Range<usize>> {
        self.tuple.map(|tuple| tuple.scheme_end + "://".len()..tuple.host_end)
    }

    pub(crate) fn as_host(&self) -> Option<Host<&str>> {
        self.tuple.map(|tuple| tuple.host.with_name(self.host().unwrap_or_default()))
    }
}

/// The port that a scheme stands for, where an origin leaves it out.
pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    match scheme.len() {
        4 if scheme.eq_ignore_ascii_case("http") => Some(80),
        5 if scheme.eq_ignore_ascii_case("https") => Some(443),
        _ => None,
    }
}

/// RFC 3986 §3.1: a letter, then letters, digits, `+`, `-` and `.`.
pub(crate) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
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

/// The text is not a serialized origin: `null`, or `scheme://host[:port]` with nothing behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidOrigin(());

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an origin is `null` or `scheme://host[:port]`")
    }
}

impl Error for InvalidOrigin {}

/// More than any scheme, host name and port that a browser sends.
const MAX_ORIGIN: usize = 512;

#[cfg(test)]
mod tests;
