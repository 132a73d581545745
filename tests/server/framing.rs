//! Each framing library on the stream, over each version of HTTP.

use std::time::Duration;

use axum::{Router, response::Response, routing::any};
use fastwebsockets::{FragmentCollector, OpCode};
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use tokio::time::timeout;
use tokio_websockets::{Config, Limits};
use ws_handshake::{Connections, WsHandshakeLayer, WsStream, WsUpgrade};
use yawc::{Options, frame::OpCode as YawcOpCode};

use crate::support::{Client, Handshake, Over, SOON, serve};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) async fn tungstenite(stream: WsStream) -> Result<()> {
    let mut socket = stream.into_tungstenite(None).await?;
    while let Some(message) = socket.try_next().await? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn fastwebsockets(stream: WsStream) -> Result<()> {
    let mut socket = FragmentCollector::new(stream.into_fastwebsockets()?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}

async fn tokio_websockets(stream: WsStream) -> Result<()> {
    let mut socket = stream.into_tokio_websockets(Config::default(), Limits::default())?;
    while let Some(message) = socket.try_next().await? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

pub(crate) async fn yawc(stream: WsStream) -> Result<()> {
    // A message of 1 MiB is above its default.
    echo_yawc(stream, Options::default().with_utf8().with_limits(4 << 20, 8 << 20)).await
}

pub(crate) async fn echo_yawc(stream: WsStream, options: Options) -> Result<()> {
    let mut socket = stream.into_yawc(options)?;
    while let Some(frame) = socket.next().await {
        if matches!(frame.opcode(), YawcOpCode::Text | YawcOpCode::Binary) {
            socket.send(frame).await?;
        }
    }
    Ok(())
}

pub(crate) fn app() -> Router {
    Router::new()
        .route("/tungstenite", any(async |stream| drop(tungstenite(stream).await)))
        .route("/fastwebsockets", any(async |stream| drop(fastwebsockets(stream).await)))
        .route("/tokio-websockets", any(async |stream| drop(tokio_websockets(stream).await)))
        .route("/yawc", any(async |stream| drop(yawc(stream).await)))
        .route("/callback", any(callback))
}

async fn callback(ws: WsUpgrade) -> Response {
    ws.on_upgrade(async |stream| drop(tungstenite(stream).await))
}

const PATHS: [&str; 5] = ["/tungstenite", "/fastwebsockets", "/tokio-websockets", "/yawc", "/callback"];
const CONTINUATION: u8 = 0x0;

pub(crate) const TEXT: u8 = 0x1;

pub(crate) const BINARY: u8 = 0x2;

const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

pub(crate) const FIN: u8 = 0x80;

/// A frame of the client's, masked with zeros (RFC 6455 §5.2).
pub(crate) fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![head];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..=125) => frame.push(0x80 | length.to_be_bytes()[1]),
        Ok(length) => {
            frame.push(0xfe);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0xff);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The next frame of the server's: its first byte, and the payload.
pub(crate) async fn next(client: &mut Client) -> (u8, Vec<u8>) {
    let head = client.exactly(2).await;
    let length = match head[1] {
        126 => client.exactly(2).await.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
        127 => client.exactly(8).await.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
        length => length.into(),
    };
    (head[0], client.exactly(length).await)
}

/// The next message: its opcode, and the payload of all its frames. Other frames may come between.
pub(crate) async fn message(client: &mut Client) -> (u8, Vec<u8>) {
    let (mut head, mut message) = next(client).await;
    let opcode = head & 0xf;
    while head & FIN == 0 {
        let (next_head, payload) = next(client).await;
        assert_eq!(next_head & 0xf, CONTINUATION);
        message.extend(payload);
        head = next_head;
    }
    (opcode, message)
}

#[tokio::test]
async fn messages_pings_and_closes_go_through_each() {
    let address = serve(app().layer(WsHandshakeLayer::new())).await;
    let large: Vec<u8> = (0..1_500_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    for (over, path) in Over::ALL.iter().flat_map(|over| PATHS.map(|path| (over, path))) {
        // What comes with the request is not lost.
        let mut client = over.ask(address, &Handshake::valid().to(path), &frame(FIN | TEXT, b"early")).await;
        client.head().await.accepts(*over, path);
        assert_eq!(message(&mut client).await, (TEXT, b"early".to_vec()), "{over:?} {path}");

        client.send(&frame(FIN | BINARY, &large)).await;
        assert!(message(&mut client).await == (BINARY, large.clone()), "{over:?} {path}: a large message");

        let pieces = [(TEXT, "he"), (CONTINUATION, "l"), (FIN | PING, "are you there?"), (FIN | CONTINUATION, "lo")];
        for (head, payload) in pieces {
            client.send(&frame(head, payload.as_bytes())).await;
        }
        assert_eq!(next(&mut client).await, (FIN | PONG, b"are you there?".to_vec()), "{over:?} {path}");
        assert_eq!(message(&mut client).await, (TEXT, b"hello".to_vec()), "{over:?} {path}");

        client.send(&frame(FIN | CLOSE, b"\x03\xe8")).await;
        assert_eq!(next(&mut client).await, (FIN | CLOSE, b"\x03\xe8".to_vec()), "{over:?} {path}");
        assert_eq!(client.rest().await, b"", "{over:?} {path}");
    }
}

#[tokio::test]
async fn a_drain_ends_what_each_has_taken() {
    for over in Over::ALL {
        let connections = Connections::new();
        let address = serve(app().layer(WsHandshakeLayer::new().connections(connections.clone()))).await;
        let mut clients = Vec::new();
        for path in PATHS {
            let (mut client, head) = over.handshake(address, &Handshake::valid().to(path)).await;
            head.accepts(*over, path);
            client.send(&frame(FIN | TEXT, b"hello")).await;
            assert_eq!(message(&mut client).await, (TEXT, b"hello".to_vec()), "{over:?} {path}");
            clients.push(client);
        }
        let drained = connections.drain().over(Duration::ZERO).deadline(Duration::from_millis(100)).await;
        assert_eq!((drained.closed, drained.aborted), (0, PATHS.len()), "{over:?}");
        for client in &mut clients {
            client.rest().await;
        }
        timeout(SOON, connections.wait()).await.expect("all have gone");
    }
}
