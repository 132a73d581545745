//! Without the feature `http2`, on a server that speaks HTTP/2 all the same: nothing gets through undecided.

use axum::{Router, extract::ws::WebSocketUpgrade, routing::any};
use ws_handshake::{AllowOrigin, WsHandshakeLayer, WsUpgrade};

use crate::{
    foreign_extractors::Lax,
    support::{Handshake, Over, echo, log, serve},
};

#[tokio::test]
async fn extended_connect_is_refused_and_the_log_names_the_feature() {
    log::trace();
    let bare = Router::new()
        .route("/axum", any(async |ws: WebSocketUpgrade| ws.on_upgrade(async |_| ())))
        .route("/lax", any(async |_: Lax| ()))
        .route("/ws", any(echo))
        .route("/option", any(async |ws: Option<WsUpgrade>| assert!(ws.is_none())));
    let open = serve(bare.clone()).await;
    let guarded = serve(bare.clone().layer(WsHandshakeLayer::new())).await;
    let lenient = serve(bare.layer(WsHandshakeLayer::new().allow_origin(AllowOrigin::any()).report_only(true))).await;
    for path in ["/axum", "/lax"] {
        let handshake = Handshake::valid().to(path).set("origin", "https://evil.com");
        let (_, head) = Over::Http2.handshake(open, &handshake).await;
        head.accepts(Over::Http2, "without the layer the server speaks HTTP/2");
        for address in [guarded, lenient] {
            for protocol in [Some("websocket"), Some("WebSocket"), Some("x"), None] {
                let (mut client, head) = Over::Http2.handshake(address, &handshake.clone().protocol(protocol)).await;
                assert_eq!((head.status, head.get("connection")), (501, None), "{path} {protocol:?}");
                assert_eq!(client.rest().await, b"WebSockets over HTTP/2 are not enabled on this server");
            }
        }
    }
    let text = log::logged();
    assert!(text.contains("turn on the feature `http2` of ws-handshake"), "{text}");

    // Without a layer nobody has decided it, whatever it asks for.
    for path in ["/ws", "/option"] {
        let (mut client, head) = Over::Http2.handshake(open, &Handshake::valid().to(path)).await;
        assert_eq!(head.status, 500, "{path}");
        assert!(String::from_utf8(client.rest().await).unwrap().contains("WsHandshakeLayer"), "{path}");
    }
}
