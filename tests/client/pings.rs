//! The pings of the guide, with each framing library: they keep a peer's connection, and not that of a peer that is gone.

use std::time::Duration;

use axum::{Router, routing::any};
use fastwebsockets::{Frame as FastFrame, OpCode, Payload, WebSocketError};
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use tokio::{
    sync::mpsc,
    time::{interval, sleep, timeout},
};
use tokio_tungstenite::tungstenite::Message;
use tokio_websockets::{Config, Limits, Message as OtherMessage};
use ws_handshake::{Connections, WsHandshakeLayer, WsStream, testing::TestServer};
use yawc::{Options, frame::Frame};

const PING: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(75);
const GRACE: Duration = Duration::from_secs(5);

async fn tungstenite(stream: WsStream) {
    let mut socket = stream.into_tungstenite(None).await.unwrap();
    let mut pings = interval(PING);
    loop {
        tokio::select! {
            message = socket.try_next() => if !matches!(message, Ok(Some(_))) { return },
            _ = pings.tick() => if socket.send(Message::Ping("".into())).await.is_err() { return },
        }
    }
}

async fn tokio_websockets(stream: WsStream) {
    let mut socket = stream.into_tokio_websockets(Config::default(), Limits::default()).unwrap();
    let mut pings = interval(PING);
    loop {
        tokio::select! {
            message = socket.try_next() => if !matches!(message, Ok(Some(_))) { return },
            _ = pings.tick() => if socket.send(OtherMessage::ping("")).await.is_err() { return },
        }
    }
}

async fn fastwebsockets(stream: WsStream) {
    let (mut read, mut write) = stream.into_fastwebsockets().unwrap().split(tokio::io::split);
    let (sender, mut frames) = mpsc::channel::<FastFrame<'_>>(8);
    let reads = async move {
        loop {
            let frame = read.read_frame(&mut |frame| sender.send(frame)).await?;
            if frame.opcode == OpCode::Close {
                return Ok(());
            }
        }
    };
    let writes = async move {
        let mut pings = interval(PING);
        loop {
            let frame = tokio::select! {
                frame = frames.recv() => frame,
                _ = pings.tick() => Some(FastFrame::new(true, OpCode::Ping, None, Payload::Borrowed(b""))),
            };
            let Some(frame) = frame else { return Ok::<_, WebSocketError>(()) };
            write.write_frame(frame).await?;
        }
    };
    let _ = tokio::try_join!(reads, writes);
}

async fn yawc(stream: WsStream) {
    let mut socket = stream.into_yawc(Options::default()).unwrap();
    let mut pings = interval(PING);
    loop {
        tokio::select! {
            frame = socket.next() => if frame.is_none() { return },
            _ = pings.tick() => if socket.send(Frame::ping("")).await.is_err() { return },
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pings_keep_a_peer_that_answers_and_not_one_that_is_gone() {
    for path in ["/tungstenite", "/tokio-websockets", "/fastwebsockets", "/yawc"] {
        let connections = Connections::new().idle_timeout(IDLE).grace(GRACE);
        let app = Router::new()
            .route("/tungstenite", any(tungstenite))
            .route("/tokio-websockets", any(tokio_websockets))
            .route("/fastwebsockets", any(fastwebsockets))
            .route("/yawc", any(yawc))
            .layer(WsHandshakeLayer::new().connections(connections.clone()));
        let server = TestServer::new(app);
        for http2 in [false, true] {
            let ask = server.ws(path);
            let (stream, _) = if http2 { ask.http2() } else { ask }.connect().await.unwrap();
            let mut peer = stream.into_tungstenite(None).await.unwrap();
            // It answers pings while it reads.
            let read = timeout(Duration::from_secs(3600), async {
                while let Some(Ok(message)) = peer.next().await {
                    assert!(message.is_ping(), "{message:?}");
                }
            });
            assert!(read.await.is_err(), "{path}: it is open for an hour");
            assert_eq!(connections.len(), 1, "{path}");
            sleep(IDLE + GRACE + Duration::from_secs(2)).await;
            assert_eq!(connections.len(), 0, "{path}: it reads no more, and is gone");
        }
    }
}
