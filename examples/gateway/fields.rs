//! Which fields go on, and which are the gateway's own to write.

use std::net::{IpAddr, SocketAddr};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, HOST, ORIGIN},
};
use ws_handshake::handshake::Authority;

use super::Gateway;

/// Who sends a request, as the upstream is to be told.
pub(super) struct Peer {
    address: IpAddr,
    host: HeaderValue,
    proto: HeaderValue,
}

impl Peer {
    /// `None` behind a proxy that names no address.
    pub(super) fn of(gateway: &Gateway, peer: SocketAddr, authority: &Authority, headers: &HeaderMap) -> Option<Self> {
        let address = if gateway.behind_proxy { last_forwarded(headers)? } else { peer.ip().to_canonical() };
        let host = match authority.port() {
            Some(port) => format!("{}:{port}", authority.host()),
            None => authority.host().to_owned(),
        };
        Some(Self { address, host: host.try_into().ok()?, proto: gateway.proto.as_str().try_into().ok()? })
    }

    /// The fields of a request as they go to the upstream.
    pub(super) fn request_fields(&self, headers: &HeaderMap) -> HeaderMap {
        // What `Connection` names goes before anything of ours is written: else a client could have that removed.
        let mut fields = end_to_end(headers);
        for name in fields.keys().filter(|name| speaks_for_the_peer(name)).cloned().collect::<Vec<_>>() {
            fields.remove(name);
        }
        let address = HeaderValue::from_str(&self.address.to_string()).unwrap_or(HeaderValue::from_static("unknown"));
        fields.insert("x-forwarded-for", address.clone());
        fields.insert("x-real-ip", address);
        fields.insert("x-forwarded-host", self.host.clone());
        fields.insert("x-forwarded-proto", self.proto.clone());
        fields.insert(HOST, self.host.clone());
        fields
    }
}

/// The fields of a response as they go to the client.
pub(super) fn response_fields(headers: &HeaderMap) -> HeaderMap {
    end_to_end(headers)
}

/// All fields but those that are for one connection alone (RFC 9110 §7.6.1).
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<_> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        // These are for every recipient: to name them is a mistake, or an attempt to have them lost.
        .filter(|name| name != HOST && name != ORIGIN)
        .collect();
    let is_hop_by_hop = |name: &HeaderName| HOP_BY_HOP.contains(&name.as_str()) || named.contains(name);
    headers.iter().filter(|(name, _)| !is_hop_by_hop(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a field says who the peer is, also in the spelling that becomes the same name in CGI's variables.
fn speaks_for_the_peer(name: &HeaderName) -> bool {
    let name = name.as_str().replace('_', "-");
    name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-")
}

/// The last address in `X-Forwarded-For`.
fn last_forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let line = headers.get_all("x-forwarded-for").iter().next_back()?;
    let last = str::from_utf8(line.as_bytes().rsplit(|byte| *byte == b',').next()?).ok()?.trim();
    last.parse().or_else(|_| last.parse().map(|address: SocketAddr| address.ip())).ok()
}
