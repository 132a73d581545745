//! Servers for the client to talk to, and what is said to them.

use std::time::Duration;

use axum::{Router, routing::any};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpListener,
    time::timeout,
};
use ws_handshake::{ClientError, PermessageDeflate, Subprotocols, WsHandshakeLayer, WsRequest, WsStream};

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

async fn echo(stream: WsStream) {
    let (mut read, mut write) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

/// An application behind the layer.
pub(crate) fn app() -> Router {
    let layer = WsHandshakeLayer::new()
        .subprotocols(Subprotocols::new(["v1.chat"]).unwrap())
        .permessage_deflate(PermessageDeflate::new());
    Router::new().route("/chat", any(echo)).layer(layer)
}

pub(crate) async fn converse(mut stream: WsStream) {
    for said in [&b"hello"[..], &vec![b'x'; 100_000]] {
        let (mut read, mut write) = tokio::io::split(stream);
        let mut echoed = vec![0; said.len()];
        let (written, read_back) = tokio::join!(write.write_all(said), read.read_exact(&mut echoed));
        written.unwrap();
        read_back.unwrap();
        assert!(echoed == said);
        stream = read.unsplit(write);
    }
    stream.shutdown().await.unwrap();
    assert_eq!(timeout(SOON, stream.read(&mut [0])).await.unwrap().unwrap(), 0);
}

pub(crate) async fn serve(app: Router) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}
