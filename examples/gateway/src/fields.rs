//! Which headers the gateway passes on, and which ones it writes itself.

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, ORIGIN, TRANSFER_ENCODING, VIA},
};
use ws_handshake::{forwarded_for, handshake::Authority};

use super::Gateway;

/// The sender of a request, as the upstream should see it.
pub(super) struct Peer {
    address: HeaderValue,
    host: HeaderValue,
    proto: HeaderValue,
}

impl Peer {
    /// `None` behind a proxy that names no address.
    pub(super) fn of(gateway: &Gateway, peer: SocketAddr, authority: &Authority, headers: &HeaderMap) -> Option<Self> {
        let address: IpAddr = if gateway.behind_proxy { forwarded_for(headers)? } else { peer.ip().to_canonical() };
        let host = match authority.port() {
            Some(port) => format!("{}:{port}", authority.host()),
            None => authority.host().to_owned(),
        };
        let value = |text: &str| HeaderValue::from_str(text).ok();
        Some(Self { address: value(&address.to_string())?, host: value(&host)?, proto: value(&gateway.proto)? })
    }

    /// The headers of a request for the upstream.
    pub(super) fn request_fields(&self, gateway: &Gateway, headers: &HeaderMap) -> HeaderMap {
        // Remove the headers that `Connection` names before you write any. Otherwise a client could have those removed.
        let mut fields = end_to_end(headers);
        let is_dropped = |name: &&HeaderName| {
            let name = as_cgi_reads(name);
            speaks_for_the_peer(&name) || gateway.dropped.contains(&name)
        };
        for name in fields.keys().filter(is_dropped).cloned().collect::<Vec<_>>() {
            fields.remove(name);
        }
        // RFC 9113 §8.2.3: HTTP/2 may send a cookie in pieces, which "MUST be concatenated" before HTTP/1.1.
        let cookies: Vec<_> = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if cookies.len() > 1
            && let Ok(cookie) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
        {
            fields.insert(COOKIE, cookie);
        }
        fields.insert("x-forwarded-for", self.address.clone());
        fields.insert("x-real-ip", self.address.clone());
        fields.insert("x-forwarded-host", self.host.clone());
        fields.insert("x-forwarded-proto", self.proto.clone());
        fields.insert(HOST, self.host.clone());
        // RFC 9110 §7.6.3: a gateway "MUST send an appropriate Via header field in each inbound request message".
        fields.append(VIA, HeaderValue::from_static("1.1 ws-handshake"));
        fields
    }
}

/// All headers except those for one connection alone (RFC 9110 §7.6.1).
pub(super) fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: HashSet<_> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        // These headers are for every recipient. A client that names them makes a mistake, or wants them lost.
        .filter(|name| name != HOST && name != ORIGIN)
        .collect();
    let is_hop_by_hop = |name: &HeaderName| HOP_BY_HOP.contains(&name.as_str()) || named.contains(name);
    let pairs = headers.iter().filter(|(name, _)| !is_hop_by_hop(name));
    let mut fields: HeaderMap = pairs.map(|(name, value)| (name.clone(), value.clone())).collect();
    if headers.contains_key(TRANSFER_ENCODING) {
        // RFC 9112 §6.3: the length is wrong then, and "ought to be handled as an error".
        fields.remove(CONTENT_LENGTH);
    }
    fields
}

/// Whether a message has transfer codings other than one `chunked`, which is all that hyper decodes. Without the header, a body that is
/// still encoded would look plain (RFC 9112 §6.1).
pub(super) fn has_other_codings(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(TRANSFER_ENCODING).iter();
    let codings = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let mut codings = codings.filter(|coding| !coding.is_empty());
    codings.next().is_some_and(|coding| !coding.eq_ignore_ascii_case(b"chunked")) || codings.next().is_some()
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

/// Returns the same name for all spellings that become the same CGI variable.
pub(super) fn as_cgi_reads(name: &HeaderName) -> String {
    name.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// Whether a header says who the peer is, or in CGI, who the upstream's own proxy is.
fn speaks_for_the_peer(name: &str) -> bool {
    const PREFIXES: [&str; 6] =
        ["ssl-client-", "x-client-cert", "x-forwarded", "x-remote-", "x-ssl-", "x-vercel-forwarded"];
    OF_THE_PEER.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Headers that proxies and CDNs write, and that frameworks read.
const OF_THE_PEER: [&str; 35] = [
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-pseudo-ipv4",
    "client-ip",
    "cloudfront-viewer-address",
    "do-connecting-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "forwarded-for",
    "front-end-https",
    "proxy",
    "proxy-client-ip",
    "remote-addr",
    "remote-user",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-appengine-user-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forward-for",
    "x-host",
    "x-original-for",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-proto",
    "x-original-url",
    "x-originating-ip",
    "x-real-ip",
    "x-rewrite-url",
    "x-scheme",
    "x-url-scheme",
];
