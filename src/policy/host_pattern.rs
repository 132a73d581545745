//! Parses the host and port of a pattern, for lists of origins and lists of hosts.

use std::net::IpAddr;

use super::config_error::ConfigError;
use crate::handshake::authority::{HostPort, is_number, parse_port};

/// `host[:port]`, where the host may begin with `*.` and the port may be `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct HostPattern {
    /// In lower case, and without the `*.` of a wildcard.
    pub(super) host: String,
    /// Whether the pattern matches the names below `host`, and not `host` itself.
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
    /// Parses `text`, which is all of `value` or the part after the scheme.
    pub(super) fn parse(value: &str, text: &str) -> Result<Self, ConfigError> {
        let error = |message: &str| ConfigError::new(value, message);
        if let Some(end) = text.find(['/', '?', '#', '\\']) {
            if is_network(text) {
                return Err(error("can never match: it is a network: list each host separately"));
            }
            let right = &value[..value.len() - text.len() + end];
            return Err(error(&format!("can never match: nothing may follow host and port: write `{right}`")));
        }
        if text.contains('@') {
            return Err(error("can never match: remove the user information before `@`"));
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
        let (text, any_port) = match text.strip_suffix(":*") {
            Some(host) => (host, true),
            None => (text, false),
        };
        if wildcard {
            check_wildcard(text).map_err(error)?;
        }
        let parsed = HostPort::parse(text.as_bytes()).filter(|parsed| !(any_port && parsed.port.is_some()));
        let parsed = parsed.ok_or_else(|| error(fault(text)))?;
        let host = parsed.host.with_name(&text.as_bytes()[..parsed.host_length.into()]).to_string();
        let port = match parsed.port {
            _ if any_port => PortPattern::Any,
            Some(port) => PortPattern::Exactly(port),
            None => PortPattern::Absent,
        };
        Ok(Self { host, wildcard, port })
    }
}

/// Whether `text` is `address/length`.
fn is_network(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let address = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
    length.parse::<u8>().is_ok() && address.parse::<IpAddr>().is_ok()
}

fn check_wildcard(below: &str) -> Result<(), &'static str> {
    let name = host_part(below).trim_end_matches('.');
    let last = name.rsplit('.').next().unwrap_or_default();
    if below.starts_with('[') || !last.is_empty() && is_number(last.as_bytes()) {
        return Err("can never match: an address has no names below it: write the address itself");
    }
    if last == name && !last.is_empty() && !last.eq_ignore_ascii_case("localhost") {
        return Err(
            "matches too much: it admits a whole top-level domain: write at least two labels, as in `*.example.com`",
        );
    }
    Ok(())
}

/// Says what is wrong with `text`, which is not a `host[:port]`.
fn fault(text: &str) -> &'static str {
    let host = host_part(text);
    let port = text[host.len()..].strip_prefix(':');
    let labels = host.strip_suffix('.').unwrap_or(host);
    let last = labels.rsplit('.').next().unwrap_or_default();
    if host.starts_with('[') && (!host.ends_with(']') || HostPort::parse(host.as_bytes()).is_none()) {
        "is not an IPv6 address: write it in brackets, as in `[2001:db8::1]`, without a zone"
    } else if text.matches(':').count() > 1 && !host.starts_with('[') {
        "has no valid port, or is not an IPv6 address: write one port from 0 to 65535, and an address in brackets"
    } else if port.is_some_and(|port| parse_port(port.as_bytes()).is_none()) {
        "has no valid port: write 0 to 65535 without leading zeros, or `*`"
    } else if host.is_empty() {
        "has no host: write one, as in `example.com`"
    } else if host == "*" {
        "matches too much: list hosts, with `*.` before a domain for all names below it"
    } else if host.contains('*') {
        "can never match: a `*` must be the whole first label, as in `*.example.com`"
    } else if labels.split('.').any(str::is_empty) {
        "can never match: a name has no empty labels: remove the extra dot"
    } else if is_number(last.as_bytes()) {
        "can never match: browsers send an IPv4 address as four decimal numbers: write it as in `127.0.0.1`"
    } else {
        "is not a host: write at most 253 letters, digits, hyphens and dots"
    }
}

/// The part before the port.
fn host_part(text: &str) -> &str {
    let end = if text.starts_with('[') { text.find(']').map(|end| end + 1) } else { text.find(':') };
    &text[..end.unwrap_or(text.len())]
}
