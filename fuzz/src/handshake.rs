//! A valid handshake, to which the fuzzer adds something.

use http::{Request, request::Builder};

pub(crate) fn handshake(host: &str) -> Builder {
    Request::get("/ws")
        .header("host", host)
        .header("upgrade", "websocket")
        .header("connection", "upgrade")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}
