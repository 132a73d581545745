//! A handshake as Chromium sends it, with the full decision and with an unchecked answer.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
    request::Parts,
};
use hyper::body::Bytes;
use sha1::{Digest as _, Sha1};
use ws_handshake::{AllowOrigin, OriginList, Policy, Subprotocols, handshake::ClientHandshake};

/// The headers that Chromium sends.
const FIELDS: [(&str, &str); 13] = [
    ("host", "api.example.com"),
    ("connection", "Upgrade"),
    ("pragma", "no-cache"),
    ("cache-control", "no-cache"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    ),
    ("upgrade", "websocket"),
    ("origin", "https://app500.example.com"),
    ("sec-websocket-version", "13"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-US,en;q=0.9"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
    ("sec-websocket-protocol", "v1.chat, v3.chat"),
];

pub(crate) fn policy() -> Policy {
    Policy::new()
        .allow_origin(AllowOrigin::from(origins(1000)))
        .subprotocols(Subprotocols::new(["v4.chat", "v3.chat", "v2.chat", "v1.chat"]).unwrap())
}

pub(crate) fn origins(length: u32) -> OriginList {
    OriginList::new((0..length).map(|n| format!("https://app{n}.example.com"))).unwrap()
}

/// The head as hyper reads it: each value is a part of one buffer.
pub(crate) fn parts() -> Parts {
    let mut buffer = Bytes::from(FIELDS.map(|(_, value)| value).concat());
    let mut request = Request::get("/chat").body(()).unwrap();
    for (name, value) in FIELDS {
        let value = HeaderValue::from_maybe_shared(buffer.split_to(value.len())).unwrap();
        request.headers_mut().append(HeaderName::from_static(name), value);
    }
    request.into_parts().0
}

pub(crate) fn decision(policy: &Policy, parts: &Parts) -> Response<()> {
    let client = ClientHandshake::from_parts(parts).unwrap().unwrap();
    policy.decide(&client, parts).now().unwrap().unwrap().response()
}

/// The response as axum's `extract::ws` writes it, which checks only the key.
pub(crate) fn unchecked(parts: &Parts) -> Response<()> {
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, HeaderValue::from_static("upgrade"))
        .header(UPGRADE, HeaderValue::from_static("websocket"))
        .header(SEC_WEBSOCKET_ACCEPT, accept(parts))
        .body(())
        .unwrap()
}

/// The same without the builder's moves.
pub(crate) fn unchecked_lean(parts: &Parts) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept(parts));
    response
}

fn accept(parts: &Parts) -> HeaderValue {
    let key = parts.headers.get(SEC_WEBSOCKET_KEY).unwrap();
    let mut digest = Sha1::default();
    digest.update(key.as_bytes());
    digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    HeaderValue::from_maybe_shared(Bytes::from(STANDARD.encode(digest.finalize()))).unwrap()
}
