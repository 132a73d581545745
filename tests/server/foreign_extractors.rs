//! Extractors of other crates behind the layer: they work unchanged, and the layer decides every handshake first.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{FromRequestParts, ws::WebSocketUpgrade},
    response::{IntoResponse, Response},
    routing::any,
};
use futures_util::{SinkExt, StreamExt};
#[cfg(feature = "http2")]
use http::{HeaderValue, header::SEC_WEBSOCKET_KEY};
use http::{StatusCode, request::Parts};
use ws_handshake::WsHandshakeLayer;

#[cfg(feature = "http2")]
use crate::support::http2;
use crate::support::{Client, Handshake, Over, serve};

/// Sends one masked text frame, and reads the one that comes back.
async fn echoes_a_frame(over: Over, address: SocketAddr, path: &str) {
    for origin in ["https://evil.com", "null"] {
        let handshake = Handshake::valid().to(path).set("origin", origin);
        assert_eq!(over.handshake(address, &handshake).await.1.status, 403, "{path}");
    }
    let (mut client, head) = over.handshake(address, &Handshake::valid().to(path)).await;
    head.accepts(over, path);
    client.send(b"\x81\x82\0\0\0\0hi").await;
    assert_eq!(client.exactly(4).await, b"\x81\x02hi", "{path}");
}

async fn with_axum(ws: WebSocketUpgrade) -> Response {
    ws.on_upgrade(async |mut socket| {
        while let Some(Ok(message)) = socket.next().await {
            let _ = socket.send(message).await;
        }
    })
}

async fn with_fastwebsockets(ws: fastwebsockets::upgrade::IncomingUpgrade) -> impl IntoResponse {
    let (response, socket) = ws.upgrade().unwrap();
    tokio::spawn(async move {
        let mut socket = socket.await.unwrap();
        while let Ok(frame) = socket.read_frame().await {
            let echo = fastwebsockets::Frame::new(true, frame.opcode, None, frame.payload);
            let _ = socket.write_frame(echo).await;
        }
    });
    response
}

async fn with_yawc(ws: yawc::IncomingUpgrade) -> impl IntoResponse {
    let (response, socket) = ws.upgrade(yawc::Options::default()).unwrap();
    tokio::spawn(async move {
        let mut socket = socket.await.unwrap();
        while let Some(frame) = socket.next().await {
            let _ = socket.send(frame).await;
        }
    });
    response
}

/// Each behind one layer, and behind two.
async fn servers() -> [SocketAddr; 2] {
    let app = Router::new()
        .route("/axum", any(with_axum))
        .route("/fastwebsockets", any(with_fastwebsockets))
        .route("/yawc", any(with_yawc))
        .layer(WsHandshakeLayer::new());
    [serve(app.clone()).await, serve(app.layer(WsHandshakeLayer::new())).await]
}

#[tokio::test]
async fn they_work_unchanged_and_their_handshake_is_decided() {
    for address in servers().await {
        for path in ["/axum", "/fastwebsockets", "/yawc"] {
            echoes_a_frame(Over::Http1, address, path).await;
        }
    }
}

/// Only axum's knows HTTP/2. What the others answer opens no socket.
#[cfg(feature = "http2")]
#[tokio::test]
async fn over_http2_only_axums_extractor_opens_a_socket() {
    for address in servers().await {
        echoes_a_frame(Over::Http2, address, "/axum").await;
        for path in ["/fastwebsockets", "/yawc"] {
            // Proxies that turn HTTP/1.1 into HTTP/2 leave the key in.
            for (key, status) in [(None, 400), (Some("dGhlIHNhbXBsZSBub25jZQ=="), 500)] {
                let mut request = Handshake::valid().to(path).request();
                request.headers_mut().extend(key.map(|key| (SEC_WEBSOCKET_KEY, HeaderValue::from_static(key))));
                let (_, mut answer) = http2::ask(&mut http2::connect(address).await, request);
                assert_eq!(answer.answer().await.unwrap().status, status, "{path} {key:?}");
            }
        }
    }
}

/// Looks at the WebSocket fields alone, as lax extractors do, and says whether it was let upgrade.
pub(crate) struct Lax;

impl<S: Sync> FromRequestParts<S> for Lax {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let fields = ["sec-websocket-version", "sec-websocket-key"];
        let marked = fields.iter().any(|field| parts.headers.contains_key(*field));
        let can_upgrade = parts.extensions.get::<hyper::upgrade::OnUpgrade>().is_some();
        if marked && can_upgrade { Ok(Self) } else { Err(StatusCode::NO_CONTENT) }
    }
}

#[tokio::test]
async fn disguised_handshakes_never_reach_a_lax_extractor() {
    let bare = Router::new().fallback(any(async |_: Lax| ()));
    let open = serve(bare.clone()).await;
    let guarded = serve(bare.layer(WsHandshakeLayer::new())).await;
    let valid = || Handshake::valid().set("origin", "https://evil.com");
    let rows = [
        ("another upgrade", valid().set("upgrade", "x")),
        ("an upgrade like it", valid().set("upgrade", "websocket/13")),
        ("without a version", valid().set("upgrade", "x").without("sec-websocket-version")),
        ("without a key", valid().set("upgrade", "x").without("sec-websocket-key")),
    ];
    for (name, handshake) in rows {
        let (_, head) = Client::handshake(open, &handshake).await;
        assert_eq!(head.status, 200, "{name}: the lax extractor is not lax");
        let (_, head) = Client::handshake(guarded, &handshake).await;
        assert_eq!(head.status, 400, "{name}");
    }
    // Over HTTP/2 every CONNECT can upgrade. Without `:protocol` it has no path either.
    let refused = if cfg!(feature = "http2") { 400 } else { 501 };
    for (name, handshake) in [("plain CONNECT", valid().protocol(None)), ("for another", valid().protocol(Some("x")))] {
        let (_, head) = Over::Http2.handshake(open, &handshake).await;
        assert_eq!(head.status, 200, "{name}: the lax extractor is not lax");
        let (_, head) = Over::Http2.handshake(guarded, &handshake).await;
        assert_eq!(head.status, refused, "{name}");
    }
}
