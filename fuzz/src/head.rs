//! The head of a request: read, decided and answered by the pure functions.

use http::{HeaderMap, Method, Request, Response, Version, request::Parts};
use ws_handshake::{
    Policy, Rejection,
    RejectionKind::{AuthorityInvalid, AuthorityMismatched},
    handshake::{ClientHandshake, ServerHandshake},
};

use crate::oracle::{accept, is_key, lines, lists, tempts};

/// Reads the text of a request over HTTP/1, and again as if it came over HTTP/2, with `Upgrade` as `:protocol`.
///
/// Approved requests follow the rules in `over_http1` and `over_http2`. Requests that follow these rules are refused only because of their
/// host. A refusal is a 4xx of fixed texts.
pub fn head(data: &[u8]) {
    let Some(mut parts) = parse(data) else { return };
    decide(&parts, ClientHandshake::from_parts(&parts), over_http1(&parts));

    parts.version = Version::HTTP_2;
    let protocol = parts.headers.get("upgrade").and_then(|line| line.to_str().ok()).unwrap_or_default();
    decide(&parts, ClientHandshake::from_extended_connect(&parts, protocol), over_http2(&parts, protocol));
    assert!(!matches!(ClientHandshake::from_parts(&parts), Ok(Some(_))), "read without `:protocol`");
}

/// Parses as hyper does.
fn parse(data: &[u8]) -> Option<Parts> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    if !request.parse(data).is_ok_and(|status| status.is_complete()) {
        return None;
    }
    let version = if request.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let mut builder = Request::builder().version(version).method(request.method?).uri(request.path?);
    for field in request.headers {
        builder = builder.header(field.name, field.value);
    }
    Some(builder.body(()).ok()?.into_parts().0)
}

/// The result of the rules below for a request.
#[derive(Clone, Copy)]
struct Expected {
    asks: bool,
    right: bool,
}

/// RFC 6455 §4.2.1, except whether the host is well formed and agrees with the target.
fn over_http1(parts: &Parts) -> Expected {
    let field = |name| lines(&parts.headers, name);
    let is_zero = |length: &&[u8]| !length.is_empty() && length.iter().all(|digit| *digit == b'0');
    Expected {
        asks: parts.version == Version::HTTP_11 && lists(&field("upgrade"), "websocket"),
        right: parts.method == Method::GET
            && field("host").len() == 1
            && field("content-length").iter().all(is_zero)
            && field("transfer-encoding").is_empty()
            && lists(&field("connection"), "upgrade")
            && field("sec-websocket-version") == [b"13"]
            && matches!(field("sec-websocket-key")[..], [key] if is_key(key)),
    }
}

/// RFC 8441 §5, with the same exception.
fn over_http2(parts: &Parts, protocol: &str) -> Expected {
    let field = |name| lines(&parts.headers, name);
    Expected {
        asks: parts.method == Method::CONNECT && protocol.trim().eq_ignore_ascii_case("websocket"),
        right: parts.uri.authority().is_some()
            && field("host").len() <= 1
            && field("content-length").is_empty()
            && field("transfer-encoding").is_empty()
            && field("sec-websocket-version") == [b"13"],
    }
}

fn decide(parts: &Parts, read: Result<Option<ClientHandshake>, Rejection>, Expected { asks, right }: Expected) {
    match read {
        Ok(None) => {
            assert!(!(asks || tempts(&parts.method, &parts.headers)), "passes undecided");
        }
        Err(rejection) => {
            let of_host = matches!(rejection.kind(), AuthorityInvalid | AuthorityMismatched);
            assert!(!(asks && right) || of_host, "refused: {rejection}");
            check_refusal(&rejection, parts.version);
        }
        Ok(Some(client)) => {
            assert!(asks && right, "taken for a handshake");
            match Policy::new().decide(&client, parts).now().expect("no predicate is asynchronous") {
                Ok(server) => check_acceptance(&server, &parts.headers, parts.version),
                Err(rejection) => check_refusal(&rejection, parts.version),
            }
        }
    }
}

fn check_acceptance(server: &ServerHandshake, request: &HeaderMap, version: Version) {
    assert!(lines(request, "origin").len() <= 1, "approved with two origins");
    let sites = lines(request, "sec-fetch-site");
    assert!(sites.iter().all(|site| [&b"same-origin"[..], b"none"].contains(site)), "approved from another site");

    let response = server.response::<()>();
    if version == Version::HTTP_2 {
        assert_eq!(response.status(), 200);
        assert!(response.headers().is_empty());
        return;
    }
    let accept = accept(request["sec-websocket-key"].as_bytes());
    assert_eq!(response.status(), 101);
    let fields = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", &accept)];
    assert_eq!(response.headers().len(), fields.len());
    for (name, value) in fields {
        assert_eq!(response.headers()[name], value, "{name}");
    }
}

/// The body is `'static`, so it contains nothing from the peer.
fn check_refusal(rejection: &Rejection, version: Version) {
    let response: Response<&'static str> = rejection.response();
    assert!(response.status().is_client_error(), "{}", response.status());
    for (name, value) in response.headers() {
        assert!(FIELDS.iter().any(|field| *field == (name.as_str(), value.as_bytes())), "{name}: {value:?}");
    }
    let closes = lists(&lines(response.headers(), "connection"), "close");
    assert_eq!(closes, version < Version::HTTP_2, "closes");
}

/// All headers that a refusal may have.
const FIELDS: [(&str, &[u8]); 8] = [
    ("allow", b"GET"),
    ("cache-control", b"no-store"),
    ("connection", b"close"),
    ("connection", b"upgrade, close"),
    ("content-type", b"text/plain; charset=utf-8"),
    ("sec-websocket-version", b"13"),
    ("upgrade", b"websocket"),
    ("x-content-type-options", b"nosniff"),
];
