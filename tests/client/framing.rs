//! Each framing library in the client's role, in memory, over both versions of HTTP, against tungstenite on the server.

use axum::{Router, routing::any};
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload};
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_websockets::{Config, Limits, Message as OtherMessage};
use ws_handshake::{PermessageDeflate, WsHandshakeLayer, WsStream, testing::TestServer};
use yawc::{Options, frame::OpCode as YawcOpCode};

use crate::support::{accepting, ask, request};

async fn tungstenite(stream: WsStream) {
    let mut socket = stream.into_tungstenite(None).await.unwrap();
    while let Ok(Some(message)) = socket.try_next().await {
        if message.is_text() || message.is_binary() {
            socket.send(message).await.unwrap();
        }
    }
}

async fn yawc(stream: WsStream) {
    let mut socket = stream.into_yawc(Options::default().with_balanced_compression()).unwrap();
    while let Ok(frame) = socket.next_frame().await {
        if matches!(frame.opcode(), YawcOpCode::Text | YawcOpCode::Binary) {
            socket.send(frame).await.unwrap();
        }
    }
}

fn server() -> TestServer<Router> {
    let deflate = |terms| any(yawc).layer(WsHandshakeLayer::new().permessage_deflate(terms));
    let small = PermessageDeflate::new().client_max_window_bits(9).unwrap().server_max_window_bits(10).unwrap();
    let forgetful = PermessageDeflate::new().client_no_context_takeover(true).server_no_context_takeover(true);
    let app = Router::new()
        .route("/plain", any(tungstenite).layer(WsHandshakeLayer::new()))
        .route("/deflate", deflate(PermessageDeflate::new()))
        .route("/small", deflate(small))
        .route("/forgetful", deflate(forgetful));
    TestServer::new(app)
}

async fn streams(path: &str, offer: Option<PermessageDeflate>) -> [WsStream; 2] {
    let ask = || match offer {
        Some(offer) => server().ws(path).permessage_deflate(offer),
        None => server().ws(path),
    };
    [ask().connect().await.unwrap().0, ask().http2().connect().await.unwrap().0]
}

const LARGE: usize = 300_000;

#[tokio::test]
async fn tungstenite_is_a_client() {
    for stream in streams("/plain", None).await {
        // A stream that gives nothing away is the client's end as before.
        let stream = stream.downcast::<TokioIo<TcpStream>>().unwrap_err();
        let mut socket = stream.into_tungstenite(None).await.unwrap();
        for message in [Message::text("hello"), Message::binary(vec![b'x'; LARGE])] {
            let (mut write, mut read) = (&mut socket).split();
            let (sent, echoed) = tokio::join!(write.send(message.clone()), read.next());
            sent.unwrap();
            assert!(echoed.unwrap().unwrap() == message);
        }
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    }
}

#[tokio::test]
async fn tokio_websockets_is_a_client() {
    for stream in streams("/plain", None).await {
        let mut socket = stream.into_tokio_websockets(Config::default(), Limits::default()).unwrap();
        for message in [OtherMessage::text("hello"), OtherMessage::binary(vec![b'x'; 30_000])] {
            socket.send(message.clone()).await.unwrap();
            assert!(socket.next().await.unwrap().unwrap().as_payload()[..] == message.as_payload()[..]);
        }
        // The server may be gone by the time that this is done.
        let _ = socket.close().await;
    }
}

#[tokio::test]
async fn fastwebsockets_is_a_client() {
    for stream in streams("/plain", None).await {
        let mut socket = FragmentCollector::new(stream.into_fastwebsockets().unwrap());
        for payload in [b"hello".to_vec(), vec![b'x'; 30_000]] {
            socket.write_frame(Frame::binary(Payload::Owned(payload.clone()))).await.unwrap();
            let frame = socket.read_frame().await.unwrap();
            assert!(frame.opcode == OpCode::Binary && *frame.payload == payload[..]);
        }
        socket.write_frame(Frame::close(1000, b"")).await.unwrap();
        assert!(socket.read_frame().await.unwrap().opcode == OpCode::Close);
    }
}

#[tokio::test]
async fn yawc_is_a_client_and_compresses_as_agreed() {
    let new = PermessageDeflate::new;
    #[rustfmt::skip]
    let rows = [
        ("/plain", None, None),
        ("/plain", Some(new()), None),
        ("/deflate", None, None),
        ("/deflate", Some(new()), Some("permessage-deflate")),
        ("/deflate", Some(new().client_no_context_takeover(true)), Some("permessage-deflate; client_no_context_takeover")),
        ("/deflate", Some(new().server_max_window_bits(9).unwrap()), Some("permessage-deflate; server_max_window_bits=9")),
        ("/deflate", Some(new().client_max_window_bits(11).unwrap()), Some("permessage-deflate; client_max_window_bits=11")),
        ("/small", Some(new()), Some("permessage-deflate; server_max_window_bits=10; client_max_window_bits=9")),
        ("/forgetful", Some(new()), Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover")),
    ];
    for (path, offer, agreed) in rows {
        for stream in streams(path, offer).await {
            assert_eq!(stream.deflate().map(|params| params.to_string()).as_deref(), agreed, "{path}");
            let mut socket = stream.into_yawc(Options::default().with_balanced_compression()).unwrap();
            for payload in
                [b"hello hello hello".to_vec(), vec![b'x'; 30_000], b"hello hello hello".to_vec(), Vec::new()]
            {
                socket.send(yawc::frame::Frame::binary(payload.clone())).await.unwrap();
                let frame = socket.next_frame().await.unwrap();
                assert!(frame.payload() == &payload[..], "{path}");
            }
        }
    }
}

/// zlib has no window of 8 bits, which a server may still demand of a client (RFC 7692 §7.1.2.2).
#[tokio::test]
async fn yawc_compresses_only_within_the_window_that_is_agreed_on() {
    const RSV1: u8 = 0x40;
    for (params, compresses) in
        [("", true), ("; client_max_window_bits=9", true), ("; client_max_window_bits=8", false)]
    {
        let answer =
            move |head: &str| accepting(head, &format!("Sec-WebSocket-Extensions: permessage-deflate{params}\r\n"));
        let (connected, mut server) = ask(request(), answer).await;
        let mut socket = connected.unwrap().0.into_yawc(Options::default().with_balanced_compression()).unwrap();
        socket.send(yawc::frame::Frame::binary(vec![b'x'; 1000])).await.unwrap();
        assert_eq!(server.read_u8().await.unwrap() & RSV1 != 0, compresses, "{params}");
    }
}

#[tokio::test]
async fn a_client_that_cannot_inflate_has_its_stream_back() {
    for stream in streams("/deflate", Some(PermessageDeflate::new())).await {
        let error = stream.into_tungstenite(None).await.unwrap_err();
        assert!(error.to_string().contains("agreed on permessage-deflate"), "{error}");
        let mut socket = error.into_stream().into_yawc(Options::default()).unwrap();
        socket.send(yawc::frame::Frame::text("hello")).await.unwrap();
        assert_eq!(socket.next_frame().await.unwrap().payload(), &b"hello"[..]);
    }
}
