//! The host and port of a pattern, for origins and hosts alike.

use super::config_error::ConfigError;
use crate::handshake::authority::{self, Host, is_label, is_number, parse_port};

/// `host[:port]`, where the host may begin with `*.` and the port may be `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct HostPattern {
    /// In lower case, and without the `*.` of a wildcard.
    pub(super) host: String,
    /// Whether the names below `host` are meant, and not `host` itself.
    pub(super) wildcard: bool,
    pub(super) port: PortPattern,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PortPattern {
    Absent,
    Any,
    Exactly(u16),
}

impl HostPattern {
    /// Parses `text`, which is all of `value` or what follows its scheme.
    pub(super) fn parse(value: &str, text: &str) -> Result<Self, ConfigError> {
        let error = |message: &str| ConfigError::new(value, message);
        if let Some(end) = text.find(['/', '?', '#', '\\']) {
            let right = &value[..value.len() - text.len() + end];
            return Err(error(&format!("can never match: nothing may follow host and port: write `{right}`")));
        }
        if text.contains('@') {
            return Err(error("can never match: leave the user information before `@` out"));
        }
        if !text.is_ascii() {
            return Err(error("can never match: browsers send a name like this in punycode: write it as `xn--...`"));
        }
        if text.contains('%') {
            return Err(error("can never match: write the host without `%`: no escapes, and no zone after an address"));
        }
        let (text, wildcard) = match text.strip_prefix("*.") {
            Some(below) => (below, true),
            None => (text, false),
        };
        let (host, port) = authority::split_port(text)
            .ok_or_else(|| error("is no host: write an IPv6 address in brackets, and the port behind them"))?;
        let port = match port {
            None => PortPattern::Absent,
            Some("*") => PortPattern::Any,
            Some(digits) => PortPattern::Exactly(
                parse_port(digits)
                    .ok_or_else(|| error("has no valid port: write 0 to 65535 without leading zeros, or `*`"))?,
            ),
        };
        if wildcard {
            check_wildcard(host).map_err(error)?;
        }
        let host = Host::parse(host).ok_or_else(|| error(fault(host)))?.to_string();
        Ok(Self { host, wildcard, port })
    }
}

fn check_wildcard(below: &str) -> Result<(), &'static str> {
    let last = below.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    if below.starts_with('[') || !last.is_empty() && is_number(last) {
        return Err("can never match: an address has no names below it: write the address itself");
    }
    if last == below.trim_end_matches('.') && !last.is_empty() && !last.eq_ignore_ascii_case("localhost") {
        return Err(
            "means too much: it admits a whole top-level domain: name at least two labels, as in `*.example.com`",
        );
    }
    Ok(())
}

/// Why `host` is none, for somebody who meant one.
fn fault(host: &str) -> &'static str {
    let labels = host.strip_suffix('.').unwrap_or(host);
    let last = labels.rsplit('.').next().unwrap_or_default();
    if host.is_empty() {
        "names no host: write one, as in `example.com`"
    } else if host == "*" {
        "means too much: name hosts, with `*.` before a domain for all names below it"
    } else if host.contains('*') {
        "can never match: a `*` stands alone before the first dot, as in `*.example.com`"
    } else if host.starts_with('[') {
        "is no IPv6 address: write it as in `[2001:db8::1]`, without a zone"
    } else if labels.split('.').any(str::is_empty) {
        "can never match: a name has no empty labels: take the stray dot out"
    } else if labels.split('.').all(is_label) && is_number(last) {
        "can never match: browsers send an IPv4 address as four decimal numbers: write it as in `127.0.0.1`"
    } else {
        "is no host: write letters, digits, hyphens and dots, and at most 253 of them"
    }
}
