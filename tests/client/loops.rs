//! The loops of the guide, one for each framing library: they echo, keep a peer that answers pings, drop one that is gone, and close
//! with the right code.

use std::{error::Error, time::Duration};

use axum::{Router, routing::any};
use fastwebsockets::{OpCode, Payload};
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use tokio::{
    sync::mpsc,
    time::{interval, sleep, timeout},
};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{
        CloseFrame,
        frame::{
            Frame,
            coding::{CloseCode, Data, OpCode as DataOpCode},
        },
    },
};
use ws_handshake::{CloseHandle, CloseReason, Connections, WsHandshakeLayer, WsStream, testing::TestServer};

const PING: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(75);
const GRACE: Duration = Duration::from_secs(5);

type BoxError = Box<dyn Error + Send + Sync>;
type Ended = Result<(), BoxError>;

async fn tungstenite(stream: WsStream) -> Ended {
    let mut closing = stream.closing();
    let mut socket = stream.into_tungstenite(None).await?;
    let mut pings = interval(PING);
    loop {
        tokio::select! {
            message = socket.try_next() => match message? {
                Some(message) if message.is_text() => socket.send(message).await?,
                Some(_) => {}
                None => return Ok(()),
            },
            _ = pings.tick() => socket.send(Message::Ping("".into())).await?,
            () = &mut closing => break,
        }
    }
    let code = CloseCode::from(closing.close_code());
    socket.close(Some(CloseFrame { code, reason: "".into() })).await?;
    while socket.try_next().await?.is_some() {}
    Ok(())
}

async fn tokio_websockets(stream: WsStream) -> Ended {
    let mut closing = stream.closing();
    let mut socket =
        stream.into_tokio_websockets(tokio_websockets::Config::default(), tokio_websockets::Limits::default())?;
    let mut pings = interval(PING);
    loop {
        tokio::select! {
            message = socket.try_next() => match message? {
                Some(message) if message.is_text() => socket.send(message).await?,
                Some(_) => {}
                None => return Ok(()),
            },
            _ = pings.tick() => socket.send(tokio_websockets::Message::ping("")).await?,
            () = &mut closing => break,
        }
    }
    let code = tokio_websockets::CloseCode::try_from(closing.close_code())?;
    socket.send(tokio_websockets::Message::close(Some(code), "")).await?;
    while socket.try_next().await?.is_some() {}
    Ok(())
}

async fn fastwebsockets(stream: WsStream) -> Ended {
    let mut closing = stream.closing();
    let (read, mut write) = stream.into_fastwebsockets()?.split(tokio::io::split);
    let mut read = fastwebsockets::FragmentCollectorRead::new(read);
    let (sender, mut frames) = mpsc::channel::<fastwebsockets::Frame<'_>>(8);
    let reads = async move {
        loop {
            // The answers to pings and closes go to the other future, too.
            let frame = read.read_frame(&mut |frame| sender.send(frame)).await?;
            match frame.opcode {
                OpCode::Close => return Ok(()),
                OpCode::Text => {
                    let text = Payload::Owned(frame.payload.to_vec());
                    let _ = sender.send(fastwebsockets::Frame::text(text)).await;
                }
                _ => {}
            }
        }
    };
    let writes = async move {
        let mut pings = interval(PING);
        let mut has_closed = false;
        loop {
            let frame = tokio::select! {
                frame = frames.recv() => frame,
                _ = pings.tick() => Some(fastwebsockets::Frame::new(true, OpCode::Ping, None, Payload::Borrowed(b""))),
                () = &mut closing, if !has_closed => Some(fastwebsockets::Frame::close(closing.close_code(), b"")),
            };
            let Some(frame) = frame else { return Ok(()) };
            // One close frame, and nothing after it.
            if !has_closed {
                has_closed = frame.opcode == OpCode::Close;
                write.write_frame(frame).await?;
            }
        }
    };
    tokio::try_join!(reads, writes).map(|_| ()).map_err(|error: fastwebsockets::WebSocketError| error.into())
}

async fn yawc(stream: WsStream) -> Ended {
    let mut closing = stream.closing();
    let mut socket = stream.into_yawc(yawc::Options::default().with_utf8())?;
    let mut pings = interval(PING);
    loop {
        tokio::select! {
            frame = socket.next() => match frame {
                Some(frame) if !frame.opcode().is_control() => socket.send(frame).await?,
                Some(_) => {}
                None => return Ok(()),
            },
            _ = pings.tick() => socket.send(yawc::frame::Frame::ping("")).await?,
            () = &mut closing => break,
        }
    }
    socket.send(yawc::frame::Frame::close(yawc::close::CloseCode::from(closing.close_code()), "")).await?;
    while socket.next().await.is_some() {}
    Ok(())
}

/// Without pings.
async fn short(stream: WsStream) -> Ended {
    let mut closing = stream.closing();
    let mut socket = stream.into_tungstenite(None).await?.take_until(&mut closing);
    while let Some(message) = socket.try_next().await? {
        if message.is_text() {
            socket.send(message).await?;
        }
    }
    let mut socket = socket.into_inner();
    let code = CloseCode::from(closing.close_code());
    socket.close(Some(CloseFrame { code, reason: "".into() })).await?;
    while socket.try_next().await?.is_some() {}
    Ok(())
}

const PATHS: [&str; 4] = ["/tungstenite", "/tokio-websockets", "/fastwebsockets", "/yawc"];

/// A server with a route for each loop. The handles of its connections come through the channel.
fn server(connections: &Connections) -> (TestServer<Router>, mpsc::UnboundedReceiver<CloseHandle>) {
    let (sender, handles) = mpsc::unbounded_channel();
    let route = |run: fn(WsStream) -> futures_util::future::BoxFuture<'static, Ended>| {
        let sender = sender.clone();
        any(async move |stream: WsStream| {
            let _ = sender.send(stream.permit().unwrap().close_handle());
            drop(run(stream).await);
        })
    };
    let app = Router::new()
        .route("/tungstenite", route(|stream| Box::pin(tungstenite(stream))))
        .route("/tokio-websockets", route(|stream| Box::pin(tokio_websockets(stream))))
        .route("/fastwebsockets", route(|stream| Box::pin(fastwebsockets(stream))))
        .route("/short", route(|stream| Box::pin(short(stream))))
        .route("/yawc", route(|stream| Box::pin(yawc(stream))))
        .layer(WsHandshakeLayer::new().connections(connections.clone()));
    (TestServer::new(app), handles)
}

#[tokio::test(start_paused = true)]
async fn pings_keep_a_peer_that_answers_and_not_one_that_is_gone() {
    for path in PATHS {
        let connections = Connections::new().idle_timeout(IDLE).grace(GRACE);
        let (server, _handles) = server(&connections);
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

#[tokio::test(start_paused = true)]
async fn a_message_in_fragments_is_echoed_and_a_close_is_sent_once() {
    let data = |text: &'static str, opcode, last| Message::Frame(Frame::message(text, DataOpCode::Data(opcode), last));
    for path in PATHS.into_iter().chain(["/short"]) {
        let connections = Connections::new().grace(GRACE);
        let (server, mut handles) = server(&connections);
        let (stream, _) = server.ws(path).connect().await.unwrap();
        let mut peer = stream.into_tungstenite(None).await.unwrap();
        let fragments = [
            data("one, ", Data::Text, false),
            data("two, ", Data::Continue, false),
            data("three", Data::Continue, true),
        ];
        for fragment in fragments {
            peer.send(fragment).await.unwrap();
        }
        peer.send(Message::text("more")).await.unwrap();
        let mut echoed = Vec::new();
        while echoed.len() < 2 {
            let message = peer.next().await.unwrap().unwrap();
            if !message.is_ping() {
                echoed.push(message);
            }
        }
        assert_eq!(echoed, [Message::text("one, two, three"), Message::text("more")], "{path}");

        handles.recv().await.unwrap().close(CloseReason::Application(4003));
        let closed = timeout(GRACE, async {
            let mut closes = Vec::new();
            while let Some(Ok(message)) = peer.next().await {
                if let Message::Close(frame) = message {
                    closes.push(u16::from(frame.unwrap().code));
                }
            }
            closes
        });
        assert_eq!(closed.await.expect(path), [4003], "{path}");
        timeout(GRACE, connections.wait()).await.expect(path);
    }
}
