//! Keys for limits per peer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName};

/// Identifies the owner of a connection, for [`Connections::limit_per`](crate::Connections::limit_per): an address, a network, or a name
/// that an outer layer has found out.
///
/// ```
/// use std::net::{IpAddr, Ipv6Addr};
/// use ws_handshake::ConnectionKey;
///
/// let user = ConnectionKey::from("alice");
/// // All addresses of a customer count as one peer.
/// let one = ConnectionKey::network("2001:db8:1:2::1".parse::<IpAddr>()?);
/// assert_eq!(one, ConnectionKey::network("2001:db8:1:2:ffff::9".parse::<IpAddr>()?));
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionKey(Key);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Name(Box<str>),
}

impl ConnectionKey {
    /// Makes the key from a peer's network. An IPv4 address is its own network. For an IPv6 address, the network is the first 64 bits,
    /// because a customer who has one address has all of these (RFC 4291 §2.5.4). If a translator (`64:ff9b::/96`, RFC 6052 §2.1) or a
    /// 6to4 router (`2002::/16`, RFC 3056 §2) made the IPv6 address from an IPv4 address, the IPv4 address is the key.
    ///
    /// Providers give many customers 256 or 65,536 such networks. The limit then applies to each network.
    #[must_use]
    pub fn network(address: impl Into<IpAddr>) -> Self {
        let address = match address.into().to_canonical() {
            IpAddr::V6(address) => match embedded(address) {
                Some(address) => address.into(),
                None => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            },
            address @ IpAddr::V4(_) => address,
        };
        Self(Key::Address(address))
    }

    /// Makes the key from the network of the peer that your proxy has seen: the last address in `X-Forwarded-For`.
    ///
    /// Use this only if every request comes through one proxy of yours that adds to that header. Otherwise, clients that reach this server
    /// directly can write any address. Clients can also write the addresses before the last one. The result is `None` if there is no such
    /// address.
    ///
    /// ```
    /// use ws_handshake::{ConnectionKey, Connections};
    ///
    /// let connections = Connections::new().limit_per(20, |parts| ConnectionKey::forwarded(&parts.headers));
    /// ```
    #[must_use]
    pub fn forwarded(headers: &HeaderMap) -> Option<Self> {
        forwarded_for(headers).map(Self::network)
    }
}

/// The IPv4 address that an IPv6 address was made from.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

/// Returns the address of the peer that your proxy has seen: the last one in `X-Forwarded-For`, with the same conditions as
/// [`ConnectionKey::forwarded`]. Use it to pass the address on. `None` if there is no such address.
#[must_use]
pub fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    let line = headers.get_all(FORWARDED_FOR).iter().next_back()?;
    // The client writes the text before the last comma, which may not even be valid text.
    let last = str::from_utf8(line.as_bytes().rsplit(|byte| *byte == b',').next()?).ok()?.trim();
    let address = last.parse::<IpAddr>().or_else(|_| {
        let socket = last.parse::<std::net::SocketAddr>();
        let bracketed = || last.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
        socket.map(|socket| socket.ip()).or_else(|error| bracketed().ok_or(error))
    });
    address.ok().map(|address| address.to_canonical())
}

/// Makes the key from one address. An IPv4 address that is mapped into IPv6 counts as the IPv4 address.
impl From<IpAddr> for ConnectionKey {
    fn from(address: IpAddr) -> Self {
        Self(Key::Address(address.to_canonical()))
    }
}

impl From<&str> for ConnectionKey {
    fn from(name: &str) -> Self {
        Self(Key::Name(name.into()))
    }
}

impl From<String> for ConnectionKey {
    fn from(name: String) -> Self {
        Self(Key::Name(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_addresses_are_those_that_the_proxy_added() {
        let rows: [(&str, &[&str], Option<&str>); 16] = [
            ("nothing", &[], None),
            ("one", &["192.0.2.1"], Some("192.0.2.1")),
            ("the last of a line", &["198.51.100.7, 192.0.2.1"], Some("192.0.2.1")),
            ("behind what is no text", &["\u{ff}, 192.0.2.1"], Some("192.0.2.1")),
            ("what is no text", &["192.0.2.1, \u{ff}"], None),
            ("the last line", &["198.51.100.7", "192.0.2.1"], Some("192.0.2.1")),
            ("with a port", &["192.0.2.1:4711"], Some("192.0.2.1")),
            ("IPv6, by its network", &["2001:db8:1:2:3::4"], Some("2001:db8:1:2::")),
            ("IPv6 in brackets", &["[2001:db8:1:2:3::4]"], Some("2001:db8:1:2::")),
            ("IPv6 with a port", &["[2001:db8:1:2:3::4]:4711"], Some("2001:db8:1:2::")),
            ("IPv4 mapped into IPv6", &["::ffff:192.0.2.1"], Some("192.0.2.1")),
            ("IPv4 behind a translator", &["64:ff9b::192.0.2.1"], Some("192.0.2.1")),
            ("IPv6 beside its prefix", &["64:ff9b:1::192.0.2.1"], Some("64:ff9b:1::")),
            ("IPv4 by 6to4", &["2002:c000:201:5::9"], Some("192.0.2.1")),
            ("what is no address", &["192.0.2.1, unknown"], None),
            ("an empty element", &["192.0.2.1,"], None),
        ];
        for (name, lines, expected) in rows {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", http::HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            let expected = expected.map(|address| ConnectionKey::from(address.parse::<IpAddr>().unwrap()));
            assert_eq!(ConnectionKey::forwarded(&headers), expected, "{name}");
        }
    }
}
