//! Servers for the client to talk to.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use ws_handshake::{ClientError, WsRequest, WsStream};

/// Longer than anything here takes.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A request that offers something of everything.
pub(crate) fn request() -> WsRequest {
    WsRequest::new("ws://example.com/chat?room=1")
        .origin("https://App.example.com:443")
        .subprotocols(["v2.chat", "v1.chat"])
        .extensions("permessage-deflate; client_max_window_bits, x-other")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
}

/// Sends a request to a server that reads its head, answers by what `answer` makes of it, and gives its end back.
pub(crate) async fn ask(
    request: WsRequest, answer: impl FnOnce(&str) -> Vec<u8> + Send + 'static,
) -> (Result<(WsStream, http::Response<()>), ClientError>, DuplexStream) {
    let (client, mut server) = duplex(1 << 20);
    let serving = tokio::spawn(async move {
        let head = read_head(&mut server).await;
        server.write_all(&answer(&head)).await.unwrap();
        server
    });
    (request.connect(client).await, serving.await.unwrap())
}

pub(crate) async fn read_head(server: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(server.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The value of a field of a head.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.split_once(": ").filter(|(field, _)| field.eq_ignore_ascii_case(name)))
        .map(|(_, value)| value)
}

/// The answer to the key of a request, by other code than the crate's.
pub(crate) fn accept(head: &str) -> String {
    let key = field(head, "sec-websocket-key").unwrap();
    STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")))
}

/// An answer that accepts, with other fields behind its own.
pub(crate) fn accepting(head: &str, fields: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n{fields}\r\n",
        accept(head)
    )
    .into_bytes()
}
