//! One strict parser of host and port, for `Host`, `:authority`, absolute-form targets, `Origin` and patterns.
//!
//! `http::uri::Authority` takes `a.com:99999`, `[::1]x` and `u@a.com`; two readers that differ about such a host are how
//! a check is got round, so everything that names one goes through here.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    net::{Ipv4Addr, Ipv6Addr},
    ops::Range,
};

use http::{HeaderValue, uri};

/// The host and port that a request names, as its client wrote them.
///
/// Holding one means that the request names exactly one host: a name of non-empty labels, a dotted IPv4 address or an
/// IPv6 address in brackets, with a port up to 65535 or none.
#[derive(Clone, Debug)]
pub struct Authority {
    text: Text,
    name: Range<usize>,
    host: Host<()>,
    port: Option<u16>,
}

impl Authority {
    pub(super) fn from_host_field(line: &HeaderValue) -> Option<Self> {
        Self::new(Text::Field(line.clone()))
    }

    pub(super) fn from_uri(authority: &uri::Authority) -> Option<Self> {
        Self::new(Text::Uri(authority.clone()))
    }

    fn new(text: Text) -> Option<Self> {
        let HostPort { host, text: name, port } = HostPort::parse(text.as_str())?;
        let (host, name) = (host.without_name(), 0..name.len());
        Some(Self { text, name, host, port })
    }

    /// The host as it was sent: not folded to lower case, an IPv6 address in its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.text.as_str().get(self.name.clone()).unwrap_or_default()
    }

    /// The port, where one was sent.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    pub(crate) fn as_host(&self) -> Host<&str> {
        self.host.with_name(self.host())
    }

    /// Whether both name the same host and port, where a port left out is `default`.
    pub(super) fn agrees_with(&self, other: &Self, default: Option<u16>) -> bool {
        self.as_host() == other.as_host() && self.port.or(default) == other.port.or(default)
    }
}

/// Where the text of an [`Authority`] lives: shared with the request it was read from.
#[derive(Clone, Debug)]
enum Text {
    Field(HeaderValue),
    Uri(uri::Authority),
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            // What is no visible ASCII reads as empty, which is no host.
            Self::Field(value) => value.to_str().unwrap_or_default(),
            Self::Uri(authority) => authority.as_str(),
        }
    }
}

/// A host and port taken apart, in the words of whoever wrote them.
#[derive(Debug)]
pub(crate) struct HostPort<'a> {
    pub(crate) host: Host<&'a str>,
    /// The host as written, with the brackets of an IPv6 address.
    pub(crate) text: &'a str,
    pub(crate) port: Option<u16>,
}

impl<'a> HostPort<'a> {
    /// Parses `host[:port]`, and nothing around it: no user information, no whitespace, no percent sign, no empty port.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (text, port) = split_port(text)?;
        let port = match port {
            Some(digits) => Some(parse_port(digits)?),
            None => None,
        };
        Some(Self { host: Host::parse(text)?, text, port })
    }
}

/// Splits `host[:port]` at the colon that is not part of an IPv6 address.
pub(crate) fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let end = if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
    let (host, rest) = text.split_at(end);
    match rest.strip_prefix(':') {
        Some(port) => Some((host, Some(port))),
        None => rest.is_empty().then_some((host, None)),
    }
}

/// A port in decimal, without sign or leading zeros.
pub(crate) fn parse_port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    plain.then(|| digits.parse().ok())?
}

/// A host: a name, which compares without regard to case, or an address, which compares by value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Host<N> {
    Name(N),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl<'a> Host<&'a str> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            // `Ipv6Addr` takes no zone identifier: those mean nothing beyond the machine that wrote them (RFC 6874 §4).
            return inner.strip_suffix(']')?.parse().ok().map(Self::V6);
        }
        if text.len() > MAX_NAME {
            return None;
        }
        // "a.com." is the name of the same machine to a resolver, and another host to a browser: it stays another host.
        let labels = text.strip_suffix('.').unwrap_or(text);
        if !labels.split('.').all(is_label) {
            return None;
        }
        let last = labels.rsplit('.').next().unwrap_or_default();
        if is_number(last) {
            // WHATWG URL, "ends in a number": such a host is an IPv4 address or nothing. `Ipv4Addr` takes the dotted
            // form of four decimals alone, so that `127.1` and `0x7f.1` are nothing too: no browser sends them.
            return text.parse().ok().map(Self::V4);
        }
        Some(Self::Name(text))
    }

    /// The host as a browser prints it, which is `written` itself wherever that is so already.
    pub(crate) fn canonical(self, written: &'a str) -> Cow<'a, str> {
        let unchanged = match self {
            Self::Name(_) => !written.bytes().any(|byte| byte.is_ascii_uppercase()),
            Self::V4(_) => true,
            Self::V6(_) => write!(Expected(written), "{self}").is_ok(),
        };
        if unchanged { Cow::Borrowed(written) } else { Cow::Owned(self.to_string()) }
    }

    pub(super) fn without_name(self) -> Host<()> {
        match self {
            Self::Name(_) => Host::Name(()),
            Self::V4(address) => Host::V4(address),
            Self::V6(address) => Host::V6(address),
        }
    }
}

impl Host<()> {
    pub(crate) fn with_name(self, name: &str) -> Host<&str> {
        match self {
            Self::Name(()) => Host::Name(name),
            Self::V4(address) => Host::V4(address),
            Self::V6(address) => Host::V6(address),
        }
    }
}

impl PartialEq for Host<&str> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::V4(a), Self::V4(b)) => a == b,
            (Self::V6(a), Self::V6(b)) => a == b,
            _ => false,
        }
    }
}

/// As a browser prints it: in lower case, an IPv6 address as the WHATWG serializes it.
impl fmt::Display for Host<&str> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.chars().try_for_each(|c| f.write_char(c.to_ascii_lowercase())),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write_v6(f, *address),
        }
    }
}

/// WHATWG URL, "IPv6 serializer". `std` differs: it prints `::ffff:1.2.3.4` where browsers send `[::ffff:102:304]`.
fn write_v6(f: &mut fmt::Formatter<'_>, address: Ipv6Addr) -> fmt::Result {
    let pieces = address.segments();
    let zeros = longest_zeros(&pieces);
    let join = |f: &mut fmt::Formatter<'_>, pieces: &[u16]| {
        pieces.iter().enumerate().try_for_each(|(at, piece)| {
            if at > 0 {
                f.write_char(':')?;
            }
            write!(f, "{piece:x}")
        })
    };
    f.write_char('[')?;
    if zeros.len() > 1 {
        join(f, &pieces[..zeros.start])?;
        f.write_str("::")?;
        join(f, &pieces[zeros.end..])?;
    } else {
        join(f, &pieces)?;
    }
    f.write_char(']')
}

/// The first longest run of zeros.
fn longest_zeros(pieces: &[u16; 8]) -> Range<usize> {
    let mut longest = 0..0;
    let mut start = 0;
    for (at, piece) in pieces.iter().enumerate() {
        if *piece != 0 {
            start = at + 1;
        } else if at + 1 - start > longest.len() {
            longest = start..at + 1;
        }
    }
    longest
}

/// Takes what is written only as long as it is this text: a comparison that allocates nothing.
struct Expected<'a>(&'a str);

impl fmt::Write for Expected<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// Letters, digits, hyphens, and the underscores that container networks use; never empty.
pub(crate) fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether a browser would read the label as a number, decimal or hexadecimal.
pub(crate) fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// RFC 1035 §2.3.4 allows 255 octets on the wire: 253 characters, and a final dot.
const MAX_NAME: usize = 254;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_http_crate_lets_through_is_refused() {
        #[rustfmt::skip]
        let bad = [
            "", ".", "..", ".a.com", "a..com", "a.com..", " a.com", "a.com ", "a b", "a.com\t", "a.com:", "a.com:+80",
            "a.com:99999", "a.com:65536", "a.com:080", "a.com:00", "a.com:80:80", "a.com:x", ":80", "u@a.com", "u:p@a.com",
            "a.com/", "a.com?", "a.com#", "a%2ecom", "a.com\\", "a,b", "ä.com", "[::1", "::1", "[::1]x", "[::1]:", "[]",
            "[::1%25eth0]", "[fe80::1%eth0]", "[1.2.3.4]", "[v1.a]", "127.1", "0x7f.1", "0x7f000001", "2130706433", "1.2.3",
            "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4.", "a.com.1", "a.0x", "*", "*.a.com",
        ];
        for text in bad {
            assert!(HostPort::parse(text).is_none(), "{text:?} passed");
        }
        assert!(HostPort::parse(&"a".repeat(MAX_NAME + 1)).is_none());
    }

    #[test]
    fn hosts_and_ports_are_taken_apart() {
        let rows = [
            ("a.com", "a.com", None),
            ("A.Com:8080", "a.com", Some(8080)),
            ("a.com.", "a.com.", None),
            ("my_service:0", "my_service", Some(0)),
            ("-a-.b--c", "-a-.b--c", None),
            ("1a.2b.c3", "1a.2b.c3", None),
            ("127.0.0.1:65535", "127.0.0.1", Some(65535)),
            ("[::1]:80", "[::1]", Some(80)),
            ("[0:0:0:0:0:0:0:1]", "[::1]", None),
            ("[::FFFF:1.2.3.4]", "[::ffff:102:304]", None),
            ("[::]", "[::]", None),
            ("[1:0:0:2:0:0:0:3]", "[1:0:0:2::3]", None),
            ("[1:0:2:0:3:0:4:0]", "[1:0:2:0:3:0:4:0]", None),
            ("[0:0:1:2:0:0:3:4]", "[::1:2:0:0:3:4]", None),
            ("[1:2:3:4:5:6:0:0]", "[1:2:3:4:5:6::]", None),
        ];
        for (text, printed, port) in rows {
            let parsed = HostPort::parse(text).unwrap_or_else(|| panic!("{text} is refused"));
            assert_eq!((parsed.host.to_string().as_str(), parsed.port), (printed, port), "{text}");
        }
    }

    #[test]
    fn names_compare_without_case_and_addresses_by_value() {
        let rows = [
            ("a.com", "A.COM", true),
            ("a.com", "a.com.", false),
            ("[::1]", "[0::1]", true),
            ("[::ffff:1.2.3.4]", "1.2.3.4", false),
        ];
        for (a, b, equal) in rows {
            assert_eq!(Host::parse(a) == Host::parse(b), equal, "{a} and {b}");
        }
    }
}
