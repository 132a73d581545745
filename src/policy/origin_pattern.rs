//! One entry of a list of origins.

use std::{fmt, str::FromStr};

use super::{
    config_error::ConfigError,
    entry::check_entry,
    host_pattern::{HostPattern, PortPattern},
};
use crate::handshake::{
    Origin,
    origin::{canonical_scheme, default_port, is_scheme},
};

/// One entry of a list of origins: `null`, `scheme://host[:port]` or `scheme://*`. The host may begin with `*.`, and the port may be `*`.
///
/// `*.example.com` matches one or more whole labels before `example.com`, and never `example.com` itself. There is no list of public
/// suffixes, so `*.github.io` admits the pages of everybody who publishes there. Without a port, the default port of `http` (80) or `https`
/// (443) counts. `ws` and `wss` mean `http` and `https`.
///
/// `moz-extension://*` matches every origin of that scheme, because a browser chooses a random host for each installation. Pages on the web
/// have no such scheme. `http://*` and `https://*` would match every page, so each is a [`ConfigError`].
///
/// ```
/// use ws_handshake::OriginPattern;
///
/// let pattern: OriginPattern = "https://*.example.com".parse()?;
/// assert!(pattern.matches(&"https://a.b.example.com".parse()?));
/// assert!(!pattern.matches(&"https://example.com".parse()?));
/// assert!(!pattern.matches(&"https://evil-example.com".parse()?));
/// assert!(!pattern.matches(&"http://a.example.com".parse()?));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OriginPattern(pub(super) Pattern);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pattern {
    /// `null` or `file://`: an origin without a host, which matches as written.
    Text(String),
    /// Any host and port of the scheme.
    Scheme(String),
    Tuple {
        scheme: String,
        host: HostPattern,
    },
}

impl OriginPattern {
    /// Whether this pattern matches pages of `origin`.
    #[must_use]
    pub fn matches(&self, origin: &Origin) -> bool {
        let (scheme, host) = match &self.0 {
            Pattern::Text(text) => return text == origin.as_str(),
            Pattern::Scheme(scheme) => return origin.scheme() == Some(scheme),
            Pattern::Tuple { scheme, host } => (scheme, host),
        };
        let port = match host.port {
            PortPattern::Any => true,
            PortPattern::Absent => origin.port() == default_port(scheme.as_bytes()),
            PortPattern::Exactly(port) => origin.port() == Some(port),
        };
        port && origin.scheme() == Some(scheme) && origin.host().is_some_and(|name| host.matches(name))
    }
}

impl HostPattern {
    /// Whether `name` matches. No wildcard has part of an address after `*.`, so addresses need no check.
    fn matches(&self, name: &str) -> bool {
        if !self.wildcard {
            return name == self.host;
        }
        name.strip_suffix(self.host.as_str()).is_some_and(|labels| labels.ends_with('.'))
    }
}

impl FromStr for OriginPattern {
    type Err = ConfigError;

    fn from_str(value: &str) -> Result<Self, ConfigError> {
        let error = |message: &str| ConfigError::new(value, message);
        check_entry(value)?;
        if value == "null" || value.eq_ignore_ascii_case("file://") {
            return Ok(Self(Pattern::Text(value.to_ascii_lowercase())));
        }
        if value == "*" {
            return Err(error("matches too much: list origins, or use `AllowOrigin::any()` to admit every page"));
        }
        let Some((scheme, rest)) = value.split_once("://") else {
            return Err(error("has no scheme: write it before the host, as in `https://example.com`"));
        };
        if !is_scheme(scheme.as_bytes()) {
            return Err(error(
                "has no valid scheme: write one without spaces or wildcards, as in `https://example.com`",
            ));
        }
        let scheme = String::from_utf8_lossy(&canonical_scheme(scheme.as_bytes())).into_owned();
        if rest == "*" {
            if matches!(scheme.as_str(), "http" | "https" | "file" | "null") {
                return Err(error(
                    "matches too much: list hosts, with `*.` before a domain for all names below it, or decide with \
                     `AllowOrigin::predicate`",
                ));
            }
            return Ok(Self(Pattern::Scheme(scheme)));
        }
        let is_page = matches!(scheme.as_str(), "http" | "https");
        let mut host =
            HostPattern::parse(value, rest).map_err(|error| if is_page { error } else { or_exact(error, &scheme) })?;
        if let PortPattern::Exactly(port) = host.port
            && Some(port) == default_port(scheme.as_bytes())
        {
            host.port = PortPattern::Absent;
        }
        Ok(Self(Pattern::Tuple { scheme, host }))
    }
}

/// Adds a hint, because apps and devices send an `Origin` that is not a serialized origin.
fn or_exact(error: ConfigError, scheme: &str) -> ConfigError {
    error.with(&format!(
        "; `AllowOrigin::exact` compares any value byte for byte, and `{scheme}://*` matches every origin of the scheme"
    ))
}

/// Same as [`FromStr`], for your own types with `#[serde(try_from = "String")]`.
impl TryFrom<String> for OriginPattern {
    type Error = ConfigError;

    fn try_from(pattern: String) -> Result<Self, ConfigError> {
        pattern.parse()
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::Text(text) => f.write_str(text),
            Pattern::Scheme(scheme) => write!(f, "{scheme}://*"),
            Pattern::Tuple { scheme, host } => {
                let wildcard = if host.wildcard { "*." } else { "" };
                write!(f, "{scheme}://{wildcard}{}", host.host)?;
                match host.port {
                    PortPattern::Absent => Ok(()),
                    PortPattern::Any => f.write_str(":*"),
                    PortPattern::Exactly(port) => write!(f, ":{port}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_say_how_to_write_it_right() {
        #[rustfmt::skip]
        let rows = [
            ("https://example.com/", "write `https://example.com`"),
            ("https://example.com/chat", "write `https://example.com`"),
            ("https://example.com:8443?x", "write `https://example.com:8443`"),
            ("https://me@example.com", "remove the user information before `@`"),
            ("example.com", "write it before the host, as in `https://example.com`"),
            ("//example.com", "write it before the host"),
            ("*://example.com", "write one without spaces or wildcards"),
            (" https://example.com", "has whitespace around it: write `https://example.com`"),
            ("https://a.com https://b.com", "has whitespace in it: list each entry separately"),
            ("https://10.0.0.0/8", "can never match: it is a network: list each host separately"),
            ("https://[fd00::]/8", "can never match: it is a network: list each host separately"),
            ("https://10.0.0.1/", "can never match: nothing may follow host and port: write `https://10.0.0.1`"),
            ("https://example.com\n", "has whitespace around it: write `https://example.com`"),
            ("https://a.com,https://b.com", "list each separately"),
            ("ws://example.com/ws?x", "nothing may follow host and port: write `ws://example.com`"),
            ("https://b\u{fc}cher.example", "write it as `xn--...`"),
            ("*", "use `AllowOrigin::any()`"),
            ("", "has no scheme"),
            ("https://", "has no host"),
            ("https://*", "or decide with `AllowOrigin::predicate`"),
            ("WSS://*", "or decide with `AllowOrigin::predicate`"),
            ("http://*", "matches too much"),
            ("ws://*", "matches too much"),
            ("file://*", "matches too much"),
            ("null://*", "matches too much"),
            ("moz-extension://*:*", "`moz-extension://*` matches every origin of the scheme"),
            ("app://.", "`AllowOrigin::exact` compares any value byte for byte"),
            ("qrc://", "`AllowOrigin::exact` compares any value byte for byte"),
            ("moz-extension://*/", "nothing may follow host and port: write `moz-extension://*`"),
            ("chrome-extension://a*", "a `*` must be the whole first label"),
            ("https://*.com", "write at least two labels"),
            ("https://*.com.", "write at least two labels"),
            ("https://*.", "has no host"),
            ("https://*.*.example.com", "a `*` must be the whole first label"),
            ("https://a*.example.com", "a `*` must be the whole first label"),
            ("https://a.*.com", "a `*` must be the whole first label"),
            ("https://*.1.2.3.4", "an address has no names below it"),
            ("https://*.[::1]", "an address has no names below it"),
            ("https://*.example.1", "an address has no names below it"),
            ("https://*.0x1", "an address has no names below it"),
            ("https://127.1", "write it as in `127.0.0.1`"),
            ("https://0x7f.1", "write it as in `127.0.0.1`"),
            ("https://010.0.0.1", "write it as in `127.0.0.1`"),
            ("https://256.0.0.1", "write it as in `127.0.0.1`"),
            ("https://[fe80::1%25eth0]", "no zone after an address"),
            ("https://%61.com", "no escapes"),
            ("https://[::1", "write it in brackets"),
            ("https://::1", "an address in brackets"),
            ("https://[1::2::3]", "as in `[2001:db8::1]`"),
            ("https://a..com", "remove the extra dot"),
            ("https://.a.com", "remove the extra dot"),
            ("https://a.com..", "remove the extra dot"),
            ("https://a b.com", "has whitespace in it"),
            ("https://a.com:99999", "write 0 to 65535"),
            ("https://a.com:", "write 0 to 65535"),
            ("https://a.com:080", "without leading zeros"),
            ("https://a.com:8*", "write 0 to 65535"),
            ("https://[::1]x", "is not a host"),
            ("NULL", "has no scheme"),
        ];
        for (value, advice) in rows {
            let error = value.parse::<OriginPattern>().expect_err(value);
            assert_eq!(error.value(), value);
            assert!(error.to_string().contains(advice), "{value}: {error}");
        }
    }

    #[test]
    fn patterns_match_what_they_say() {
        #[rustfmt::skip]
        let rows = [
            ("null", "null", true),
            ("null", "file://", false),
            ("file://", "file://", true),
            ("https://a.com", "https://a.com:443", true),
            ("https://a.com", "https://a.com:444", false),
            ("https://a.com", "http://a.com:443", false),
            ("https://a.com", "https://b.com", false),
            ("https://a.com", "null", false),
            ("https://a.com:444", "https://a.com:444", true),
            ("https://a.com:444", "https://a.com", false),
            ("https://a.com:*", "https://a.com:444", true),
            ("https://*.a.com", "https://x.y.a.com", true),
            ("https://*.a.com", "https://a.com", false),
            ("https://*.a.com", "https://xa.com", false),
            ("https://*.a.com", "https://a.com.evil.com", false),
            ("https://[::1]", "https://[0::1]", true),
            ("wss://a.com", "https://a.com", true),
            ("https://a.com", "wss://a.com", true),
            ("ws://a.com", "https://a.com", false),
            ("moz-extension://*", "moz-extension://a:1", true),
            ("moz-extension://*", "chrome-extension://a", false),
        ];
        for (pattern, origin, matches) in rows {
            let pattern: OriginPattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(&origin.parse().unwrap()), matches, "{origin} under {pattern}");
        }
    }

    #[test]
    fn patterns_print_in_canonical_form() {
        let rows = [
            ("null", "null"),
            ("FILE://", "file://"),
            ("HTTPS://Example.COM:443", "https://example.com"),
            ("http://*.Example.com:8080", "http://*.example.com:8080"),
            ("https://example.com:*", "https://example.com:*"),
            ("http://[0:0::1]:3000", "http://[::1]:3000"),
            ("tauri://localhost", "tauri://localhost"),
            ("http://*.localhost", "http://*.localhost"),
            ("https://example.com.", "https://example.com."),
            ("wss://example.com", "https://example.com"),
            ("ws://*.example.com:80", "http://*.example.com"),
            ("Moz-Extension://*", "moz-extension://*"),
        ];
        for (value, printed) in rows {
            assert_eq!(value.parse::<OriginPattern>().unwrap().to_string(), printed, "{value}");
        }
    }
}
