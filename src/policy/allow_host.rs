//! Which hosts a handshake may name.

use std::{collections::HashMap, str::FromStr, sync::Arc};

use super::{
    config_error::ConfigError,
    entry::{check_entry, comma_separated},
    host_pattern::{HostPattern, PortPattern},
};
use crate::handshake::Authority;

/// The host names of this server, to protect it against DNS rebinding.
///
/// With DNS rebinding, an attacker makes the host name of a page resolve to this server. The page then has the same origin as its requests,
/// so the same-origin rule alone lets the page in. But the page cannot send your real host name in `Host`, which this list requires. The
/// layer checks the list for handshakes only.
///
/// ```
/// use ws_handshake::{AllowHost, Policy};
///
/// let policy = Policy::new().allow_host(AllowHost::list(["chat.example.com", "*.internal.example"])?);
/// let local = Policy::new().allow_host(AllowHost::loopback());
/// # Ok::<_, ws_handshake::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct AllowHost {
    hosts: Arc<Hosts>,
    loopback: bool,
}

/// The allowed ports for each host, and for the names below each host.
#[derive(Clone, Debug, Default)]
struct Hosts {
    exact: HashMap<String, Vec<PortPattern>>,
    below: HashMap<String, Vec<PortPattern>>,
}

impl AllowHost {
    /// Admits the listed hosts: `name[:port]`, `*.name[:port]` for the names below `name`, or an IP address.
    ///
    /// An entry without a port admits any port, because rebinding is about names. An entry with a port admits only requests that name this
    /// port, and most requests name none. If a proxy rewrites `Host`, list the name that the proxy writes. An empty list admits no
    /// handshake.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for the first entry that no request can name.
    pub fn list<I>(hosts: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let mut list = Hosts::default();
        for value in hosts {
            let value = value.as_ref();
            check_entry(value)?;
            if value.contains("://") {
                return Err(ConfigError::new(value, "is an origin: write the host alone, without its scheme"));
            }
            let HostPattern { host, wildcard, port } = HostPattern::parse(value, value)?;
            let map = if wildcard { &mut list.below } else { &mut list.exact };
            map.entry(host).or_default().push(port);
        }
        Ok(Self { hosts: Arc::new(list), loopback: false })
    }

    /// Admits `localhost`, the names below `localhost`, `127.0.0.0/8` and `[::1]`, on any port. Use it for servers that listen on loopback.
    pub fn loopback() -> Self {
        Self { hosts: Arc::default(), loopback: true }
    }

    /// Admits the hosts that at least one of the two admits.
    ///
    /// ```
    /// use ws_handshake::AllowHost;
    ///
    /// let allow = AllowHost::loopback().or(AllowHost::list(["chat.example.com"])?);
    /// # Ok::<_, ws_handshake::ConfigError>(())
    /// ```
    pub fn or(mut self, other: impl Into<Self>) -> Self {
        let other = other.into();
        let hosts = Arc::make_mut(&mut self.hosts);
        for (host, ports) in &other.hosts.exact {
            hosts.exact.entry(host.clone()).or_default().extend(ports);
        }
        for (host, ports) in &other.hosts.below {
            hosts.below.entry(host.clone()).or_default().extend(ports);
        }
        self.loopback |= other.loopback;
        self
    }

    /// Whether `authority` is one of these hosts. The layer calls this for handshakes. Your app can call it for plain requests, with
    /// [`handshake::request_authority`](crate::handshake::request_authority).
    ///
    /// ```
    /// use http::{Request, StatusCode};
    /// use ws_handshake::{AllowHost, handshake::request_authority};
    ///
    /// fn guard<B>(hosts: &AllowHost, request: &Request<B>) -> Result<(), StatusCode> {
    ///     let authority = request_authority(request).map_err(|rejection| rejection.status())?;
    ///     if hosts.allows(&authority) { Ok(()) } else { Err(StatusCode::FORBIDDEN) }
    /// }
    /// ```
    #[must_use]
    pub fn allows(&self, authority: &Authority) -> bool {
        if self.loopback && authority.as_host().is_loopback() {
            return true;
        }
        let name = authority.canonical_host();
        let lists = |map: &HashMap<String, Vec<PortPattern>>, host: &str| {
            map.get(host).is_some_and(|ports| ports.iter().any(|port| port.admits(authority.port())))
        };
        lists(&self.hosts.exact, &name)
            || name.match_indices('.').any(|(dot, _)| lists(&self.hosts.below, &name[dot + 1..]))
    }
}

/// Parses a comma-separated list, such as one from an environment variable. The entries are those of [`AllowHost::list`]. An empty text is
/// an empty list, which admits no handshake.
///
/// ```
/// use ws_handshake::AllowHost;
///
/// let allow: AllowHost = "chat.example.com, *.internal.example".parse()?;
/// # Ok::<_, ws_handshake::ConfigError>(())
/// ```
impl FromStr for AllowHost {
    type Err = ConfigError;

    fn from_str(list: &str) -> Result<Self, ConfigError> {
        Self::list(comma_separated(list)?)
    }
}

/// Same as [`FromStr`], for your own types with `#[serde(try_from = "String")]`.
impl TryFrom<String> for AllowHost {
    type Error = ConfigError;

    fn try_from(list: String) -> Result<Self, ConfigError> {
        list.parse()
    }
}

impl PortPattern {
    fn admits(self, port: Option<u16>) -> bool {
        match self {
            Self::Absent | Self::Any => true,
            Self::Exactly(exactly) => port == Some(exactly),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::ClientHandshake;

    fn authority(host: &str) -> Authority {
        let request = http::Request::get("/")
            .header("host", host)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(())
            .unwrap();
        ClientHandshake::from_request(&request).unwrap().unwrap().authority().clone()
    }

    #[test]
    fn listed_hosts_are_admitted_on_their_ports() {
        let list = ["a.com", "B.com:8080", "*.c.com", "*.d.com:1", "10.0.0.1", "[::1]:80", "e.com:*"];
        let allow = AllowHost::list(list).unwrap();
        let rows = [
            ("a.com", true),
            ("A.COM:99", true),
            ("a.com.", false),
            ("x.a.com", false),
            ("b.com:8080", true),
            ("b.com", false),
            ("b.com:80", false),
            ("x.c.com:5", true),
            ("x.y.C.com", true),
            ("c.com", false),
            ("xc.com", false),
            ("c.com.evil.com", false),
            ("x.d.com:1", true),
            ("x.d.com", false),
            ("10.0.0.1:9", true),
            ("10.0.0.2", false),
            ("[0::1]:80", true),
            ("[::1]", false),
            ("e.com:7", true),
        ];
        for (host, allowed) in rows {
            assert_eq!(allow.allows(&authority(host)), allowed, "{host}");
        }
    }

    #[test]
    fn either_of_two_admits() {
        let either = AllowHost::loopback().or(AllowHost::list(["a.com:1", "*.b.com"]).unwrap());
        let either = either.or("a.com:2".parse::<AllowHost>().unwrap());
        for (host, allowed) in [
            ("localhost", true),
            ("a.com:1", true),
            ("a.com:2", true),
            ("a.com:3", false),
            ("x.b.com", true),
            ("c.com", false),
        ] {
            assert_eq!(either.allows(&authority(host)), allowed, "{host}");
        }
        let listed = AllowHost::list(["a.com"]).unwrap().or(AllowHost::list(["b.com"]).unwrap());
        assert!(!listed.allows(&authority("localhost")));
    }

    #[test]
    fn a_list_is_read_from_one_text() {
        let allow: AllowHost = " a.com ,b.com:8080".parse().unwrap();
        for (host, allowed) in [("a.com", true), ("b.com:8080", true), ("b.com", false)] {
            assert_eq!(allow.allows(&authority(host)), allowed, "{host}");
        }
        assert!(!AllowHost::try_from(String::new()).unwrap().allows(&authority("a.com")));
        assert_eq!("a.com,https://b.com".parse::<AllowHost>().unwrap_err().value(), "https://b.com");
    }

    #[test]
    fn loopback_is_what_never_leaves_the_machine() {
        let rows = [
            ("localhost", true),
            ("LOCALHOST:3000", true),
            ("app.localhost:1", true),
            ("127.0.0.1", true),
            ("127.9.9.9:80", true),
            ("[::1]:3000", true),
            ("[::ffff:7f00:1]", false),
            ("localhost.evil.com", false),
            ("notlocalhost", false),
            ("localhost.", false),
            ("0.0.0.0", false),
            ("rebound.example:3000", false),
        ];
        for (host, allowed) in rows {
            assert_eq!(AllowHost::loopback().allows(&authority(host)), allowed, "{host}");
        }
    }

    #[test]
    fn mistakes_say_how_to_write_it_right() {
        for wrong in [
            "",
            "*",
            "*.com",
            "a.com,b.com",
            "a.com ",
            "https://a.com",
            "a.com/",
            "a..com",
            "127.1",
            "[::1",
            "a.com:99999",
            "u@a.com",
            "a.com b.com",
            "10.0.0.0/8",
            "ä.com",
        ] {
            let error = AllowHost::list([wrong]).unwrap_err();
            assert_eq!(error.value(), wrong);
        }
        assert!(AllowHost::list(["*.localhost"]).is_ok());
    }
}
