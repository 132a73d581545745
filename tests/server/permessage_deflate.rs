//! permessage-deflate on the stream: agreed on by the layer, done by a framing library, declined by a handler.

use std::hash::{BuildHasher, RandomState};

use axum::{Router, extract::State, routing::any};
use tokio_websockets::{Config, Limits};
use ws_handshake::{DeflateAgreed, PermessageDeflate, UpgradeError, WsHandshakeLayer, WsStream, WsUpgrade};
use yawc::Options;

use crate::{
    framing::{BINARY, FIN, TEXT, app, echo_yawc, frame, message, next, tungstenite, yawc},
    support::{
        Handshake, Over, Report, events,
        log::{logged, trace},
        serve,
    },
};

const RSV1: u8 = 0x40;

/// The offer of a browser.
fn offer(path: &str) -> Handshake {
    Handshake::valid().to(path).add("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")
}

#[tokio::test]
async fn what_is_agreed_on_is_inflated() {
    let deflate = PermessageDeflate::new().server_max_window_bits(10).unwrap().client_no_context_takeover(true);
    let compresses = async |stream| drop(echo_yawc(stream, Options::default().with_balanced_compression()).await);
    let app = app().route("/compresses", any(compresses));
    let address = serve(app.layer(WsHandshakeLayer::new().permessage_deflate(deflate))).await;
    for over in Over::ALL {
        // By default what the client compresses is inflated, and what is sent is not compressed: yawc would cut a message
        // with these bytes at this place.
        let (mut client, _) = over.handshake(address, &offer("/yawc")).await;
        client.send(&frame(FIN | RSV1 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00")).await;
        assert_eq!(next(&mut client).await, (FIN | TEXT, b"Hello".to_vec()));
        let noise = |n: u32| RandomState::new().hash_one(n).to_ne_bytes();
        let mut planted: Vec<u8> = (0..1250).flat_map(noise).collect();
        planted[2039..2043].copy_from_slice(b"\0\0\xff\xff");
        client.send(&frame(FIN | BINARY, &planted)).await;
        assert!(next(&mut client).await == (FIN | BINARY, planted), "{over:?}");

        let (mut client, head) = over.handshake(address, &offer("/compresses")).await;
        head.accepts(*over, "an offer");
        let agreed = "permessage-deflate; client_no_context_takeover; server_max_window_bits=10";
        assert_eq!(head.get("sec-websocket-extensions"), Some(agreed));
        // RFC 7692 §7.2.3.1: "Hello", compressed.
        client.send(&frame(FIN | RSV1 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00")).await;
        client.send(&frame(FIN | TEXT, &[b'x'; 4000])).await;
        let (opcode, hello) = next(&mut client).await;
        assert_eq!(opcode & !RSV1, FIN | TEXT);
        assert!(hello == b"Hello" || opcode & RSV1 != 0, "{over:?}: {hello:?}");
        let (opcode, deflated) = next(&mut client).await;
        assert_eq!(opcode, FIN | RSV1 | TEXT);
        assert!(deflated.len() < 100, "{over:?}: {} bytes", deflated.len());

        // Nothing is still something to be sent.
        for _ in 0..2 {
            client.send(&frame(FIN | TEXT, b"")).await;
            assert_eq!(next(&mut client).await, (FIN | TEXT, Vec::new()));
        }

        // Without an offer there is no agreement.
        let (mut client, head) = over.handshake(address, &Handshake::valid().to("/yawc")).await;
        assert_eq!(head.get("sec-websocket-extensions"), None);
        client.send(&frame(FIN | TEXT, &[b'x'; 4000])).await;
        assert_eq!(next(&mut client).await, (FIN | TEXT, vec![b'x'; 4000]));
    }
}

#[tokio::test]
async fn a_library_that_cannot_inflate_gives_the_stream_back() {
    async fn refused(State(report): State<Report>, mut stream: WsStream) {
        for _ in 0..2 {
            stream = stream.into_tungstenite(None).await.map(drop).map_err(DeflateAgreed::into_stream).unwrap_err();
            stream = stream.into_fastwebsockets().map(drop).map_err(DeflateAgreed::into_stream).unwrap_err();
            let error = stream.into_tokio_websockets(Config::default(), Limits::default()).map(drop).unwrap_err();
            report.say(&error);
            stream = error.into_stream();
        }
        report.say(format!("{:?}", stream.deflate()));
        drop(yawc(stream).await);
    }
    trace();
    let (report, mut events) = events();
    let app = Router::new().route("/ws", any(refused)).with_state(report);
    let address = serve(app.layer(WsHandshakeLayer::new().permessage_deflate(PermessageDeflate::new()))).await;
    for over in Over::ALL {
        let (mut client, _) = over.handshake(address, &offer("/ws")).await;
        for _ in 0..2 {
            assert!(events.next().await.contains("agreed on permessage-deflate"));
        }
        assert!(events.next().await.starts_with("Some(DeflateParams"));
        // It is whole: yawc frames it, and inflates (RFC 7692 §7.2.3.1: "Hello").
        client.send(&frame(FIN | RSV1 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00")).await;
        assert_eq!(message(&mut client).await.0, TEXT);
        assert!(logged().contains("given to a framing library that does not support it"), "{over:?}");
    }
}

#[tokio::test]
async fn a_handler_withdraws_the_extension() {
    async fn declines(State(report): State<Report>, mut ws: WsUpgrade) -> Result<(), UpgradeError> {
        report.say(ws.deflate().is_some());
        ws.decline_deflate();
        report.say(ws.deflate().is_some());
        let stream = ws.accept().await?;
        report.say(stream.deflate().is_some());
        drop(tungstenite(stream).await);
        Ok(())
    }
    let (report, mut events) = events();
    let app = Router::new().route("/ws", any(declines)).with_state(report);
    let address = serve(app.layer(WsHandshakeLayer::new().permessage_deflate(PermessageDeflate::new()))).await;
    for over in Over::ALL {
        let (mut client, head) = over.handshake(address, &offer("/ws")).await;
        head.accepts(*over, "without the extension");
        assert_eq!(head.get("sec-websocket-extensions"), None);
        for expected in ["true", "false", "false"] {
            assert_eq!(events.next().await, expected);
        }
        client.send(&frame(FIN | TEXT, b"plain")).await;
        assert_eq!(message(&mut client).await, (TEXT, b"plain".to_vec()));
    }
}
