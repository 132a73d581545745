//! One strict parser for host and port, in `Host`, `:authority`, absolute-form targets, `Origin` and patterns.
//!
//! `http::uri::Authority` accepts `a.com:99999`, `[::1]x` and `u@a.com`. If two parsers read such a host differently, an attacker can
//! bypass a check. So this parser reads every host.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    net::{Ipv4Addr, Ipv6Addr},
    ops::Range,
};

use http::{HeaderValue, uri};

/// The host and port that a request names, as the client wrote them.
///
/// An `Authority` always holds one well-formed host, with a port up to 65535 or no port. The host is a name of non-empty labels, a dotted
/// IPv4 address or an IPv6 address in brackets.
#[derive(Clone, Debug)]
pub struct Authority {
    text: Text,
    parsed: HostPort,
}

impl Authority {
    pub(super) fn from_host_field(line: &HeaderValue) -> Option<Self> {
        let parsed = HostPort::parse(line.as_bytes())?;
        Some(Self { text: Text::Field(line.clone()), parsed })
    }

    pub(super) fn from_uri(authority: &uri::Authority) -> Option<Self> {
        let parsed = HostPort::parse(authority.as_str().as_bytes())?;
        Some(Self { text: Text::Uri(authority.clone()), parsed })
    }

    /// The host as sent: in the original case, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        str::from_utf8(self.name()).unwrap_or_default()
    }

    /// The port, if one was sent.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.parsed.port
    }

    /// Host and port as sent.
    #[cfg(feature = "tower")]
    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(self.text()).unwrap_or_default()
    }

    /// The host as a browser prints it. Most often this is the host as sent.
    pub(crate) fn canonical_host(&self) -> Cow<'_, str> {
        if self.parsed.canonical { Cow::Borrowed(self.host()) } else { Cow::Owned(self.as_host().to_string()) }
    }

    pub(crate) fn as_host(&self) -> Host<&[u8]> {
        self.parsed.host.with_name(self.name())
    }

    /// Whether both name the same host and port. `default` stands for a missing port.
    pub(super) fn agrees_with(&self, other: &Self, default: Option<u16>) -> bool {
        self.as_host() == other.as_host() && self.port().or(default) == other.port().or(default)
    }

    fn name(&self) -> &[u8] {
        &self.text()[..usize::from(self.parsed.host_length)]
    }

    fn text(&self) -> &[u8] {
        match &self.text {
            Text::Field(value) => value.as_bytes(),
            Text::Uri(authority) => authority.as_str().as_bytes(),
        }
    }
}

/// The text of an [`Authority`], shared with the request.
#[derive(Clone, Debug)]
enum Text {
    Field(HeaderValue),
    Uri(uri::Authority),
}

/// A parsed `host[:port]`, with nothing around it: no user information, no whitespace, no percent sign, no empty port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostPort {
    pub(crate) host: Host<()>,
    /// The length of the host in the text, with the brackets of an IPv6 address.
    pub(crate) host_length: u16,
    /// Whether the host is written as a browser prints it.
    pub(crate) canonical: bool,
    pub(crate) port: Option<u16>,
}

impl HostPort {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut parsed = if text.first() == Some(&b'[') { Self::parse_v6(text)? } else { Self::parse_name(text)? };
        parsed.port = match &text[usize::from(parsed.host_length)..] {
            [] => None,
            [b':', digits @ ..] => Some(parse_port(digits)?),
            _ => return None,
        };
        Some(parsed)
    }

    fn parse_v6(text: &[u8]) -> Option<Self> {
        let end = text.iter().position(|byte| *byte == b']')?;
        let written = str::from_utf8(&text[..=end]).ok()?;
        // `Ipv6Addr` accepts no zone identifier, because zones mean nothing on other machines (RFC 6874 §4).
        let host = Host::V6(written[1..end].parse().ok()?);
        let canonical = write!(Expected(written), "{}", host.with_name(b"")).is_ok();
        Some(Self { host, host_length: u16::try_from(end + 1).ok()?, canonical, port: None })
    }

    fn parse_name(text: &[u8]) -> Option<Self> {
        let (mut label, mut upper) = (0, false);
        let mut length = text.len();
        for (at, &byte) in text.iter().enumerate() {
            if LOWER[usize::from(byte)] {
                continue;
            }
            match byte {
                b'A'..=b'Z' => upper = true,
                // A name has no empty labels.
                b'.' if at > label => label = at + 1,
                b':' => {
                    length = at;
                    break;
                }
                _ => return None,
            }
        }
        let name = &text[..length];
        // For a resolver, "a.com." is the same machine as "a.com". For a browser it is another host, so here too.
        let last = match name {
            [labels @ .., b'.'] => labels.rsplit(|byte| *byte == b'.').next()?,
            _ => &name[label..],
        };
        let host_length = u16::try_from(length).ok().filter(|length| *length <= MAX_NAME)?;
        let mut host = Host::Name(());
        // An empty name has an empty label. This label counts as a number, and then is not an address either.
        if is_number(last) {
            // WHATWG URL, "ends in a number": such a host is an IPv4 address or invalid. `Ipv4Addr` accepts only four decimal numbers with
            // dots, so `127.1` and `0x7f.1` are invalid too: no browser sends them.
            host = Host::V4(str::from_utf8(name).ok()?.parse().ok()?);
        }
        Some(Self { host, host_length, canonical: !upper, port: None })
    }
}

/// Parses a decimal port, without sign or leading zeros.
pub(crate) fn parse_port(digits: &[u8]) -> Option<u16> {
    let plain = digits == b"0" || !digits.is_empty() && digits[0] != b'0';
    plain.then_some(digits)?.iter().try_fold(0_u16, |port, byte| {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        port.checked_mul(10)?.checked_add(digit.into())
    })
}

/// A host: a name, compared without regard to case, or an address, compared by value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Host<N> {
    Name(N),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl Host<()> {
    pub(crate) fn with_name(self, name: &[u8]) -> Host<&[u8]> {
        match self {
            Self::Name(()) => Host::Name(name),
            Self::V4(address) => Host::V4(address),
            Self::V6(address) => Host::V6(address),
        }
    }
}

impl Host<&[u8]> {
    /// Whether the host is a loopback name or address.
    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            // RFC 6761 §6.3: `localhost` and the names below it never leave the machine.
            Self::Name(name) => {
                name.rsplit(|byte| *byte == b'.').next().is_some_and(|top| top.eq_ignore_ascii_case(b"localhost"))
            }
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.is_loopback(),
        }
    }
}

impl PartialEq for Host<&[u8]> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::V4(a), Self::V4(b)) => a == b,
            (Self::V6(a), Self::V6(b)) => a == b,
            _ => false,
        }
    }
}

/// Prints the host as a browser does: in lower case, an IPv6 address as the WHATWG serializes it.
impl fmt::Display for Host<&[u8]> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.iter().try_for_each(|byte| f.write_char(byte.to_ascii_lowercase().into())),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write_v6(f, *address),
        }
    }
}

/// WHATWG URL, "IPv6 serializer". `std` prints `::ffff:1.2.3.4` where browsers send `[::ffff:102:304]`.
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

/// A writer that fails as soon as the written text differs from this text: a comparison without allocation.
struct Expected<'a>(&'a str);

impl fmt::Write for Expected<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// Whether a browser would read the label as a number, decimal or hexadecimal.
pub(crate) fn is_number(label: &[u8]) -> bool {
    match label {
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

/// The bytes of a label in lower case: letters, digits, hyphens, and the underscores that container networks use.
const LOWER: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0x20;
    while byte < 0x7f {
        table[byte as usize] = matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        byte += 1;
    }
    table
};

/// RFC 1035 §2.3.4 allows 255 octets on the wire: 253 characters, and a final dot.
const MAX_NAME: u16 = 254;

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
            assert!(HostPort::parse(text.as_bytes()).is_none(), "{text:?} passed");
        }
        assert!(HostPort::parse("a".repeat(255).as_bytes()).is_none());
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
            let parsed = HostPort::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is refused"));
            let host = &text[..usize::from(parsed.host_length)];
            assert_eq!(parsed.host.with_name(host.as_bytes()).to_string(), printed, "{text}");
            assert_eq!((parsed.port, parsed.canonical), (port, host == printed), "{text}");
        }
    }

    #[test]
    fn names_compare_without_case_and_addresses_by_value() {
        let rows = [
            ("a.com", "A.COM", true),
            ("a.com", "a.com.", false),
            ("[::1]", "[0::1]", true),
            ("[::ffff:1.2.3.4]", "1.2.3.4", false),
            ("[::1]", "[::2]", false),
            ("1.2.3.4", "1.2.3.4", true),
            ("1.2.3.4", "1.2.3.5", false),
            ("a.com", "b.com", false),
        ];
        for (a, b, equal) in rows {
            let host = |text: &'static str| HostPort::parse(text.as_bytes()).unwrap().host.with_name(text.as_bytes());
            assert_eq!(host(a) == host(b), equal, "{a} and {b}");
        }
    }
}
