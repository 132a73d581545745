//! Extracting `WsUpgrade` or `WsStream` where there is no handshake to extract.

use axum::{Router, response::IntoResponse, routing::any};
use http::StatusCode;
use ws_handshake::{Rejection, WsHandshakeLayer, WsUpgrade};

use crate::{
    refusals::{app, strict},
    support::{Client, Handshake, Over, echo, serve},
};

#[tokio::test]
async fn extracting_from_a_plain_request_is_426() {
    let address = serve(app(strict())).await;
    let mut client = Client::connect(address).await;
    // It was no handshake, so that the connection goes on.
    for _ in 0..2 {
        client.send(&Handshake::page("/ws").bytes()).await;
        let head = client.head().await;
        assert_eq!((head.status, head.get("x-kind")), (426, Some("HandshakeMissing")));
        assert_eq!((head.get("upgrade"), head.get("connection")), (Some("websocket"), Some("upgrade")));
        client.exactly(head.get("content-length").unwrap().parse().unwrap()).await;
    }
    // Over HTTP/2 there is nothing to be upgraded to.
    let others = Handshake::valid().without("sec-websocket-version");
    let rows = [
        ("a page", Handshake::page("/ws")),
        ("a plain CONNECT", others.clone().protocol(None)),
        ("another protocol", others.protocol(Some("connect-udp"))),
    ];
    for (name, request) in rows {
        let (_, head) = Over::Http2.handshake(address, &request).await;
        assert_eq!((head.status, head.get("x-kind")), (400, Some("HandshakeMissing")), "{name}");
        assert_eq!((head.get("upgrade"), head.get("connection")), (None, None), "{name}");
    }
}

#[tokio::test]
async fn extracting_without_a_layer_or_twice_is_500() {
    async fn twice(_first: WsUpgrade, second: Result<WsUpgrade, Rejection>) -> axum::response::Response {
        second.map(|_| ()).unwrap_err().into_response()
    }
    async fn optional(ws: Option<WsUpgrade>) -> StatusCode {
        if ws.is_some() { StatusCode::IM_A_TEAPOT } else { StatusCode::NO_CONTENT }
    }
    let bare = Router::new().route("/ws", any(echo)).route("/optional", any(optional));
    let address = serve(bare.merge(Router::new().route("/twice", any(twice)).layer(WsHandshakeLayer::new()))).await;
    for over in Over::ALL {
        for (path, named) in
            [("/ws", "WsHandshakeLayer"), ("/optional", "WsHandshakeLayer"), ("/twice", "extracted before")]
        {
            let (mut client, head) =
                over.handshake(address, &Handshake::valid().to(path).set("connection", "upgrade, close")).await;
            assert_eq!(head.status, 500, "{path}");
            let body = String::from_utf8(client.rest().await).unwrap();
            assert!(body.contains(named), "{path}: {body}");
        }
        let (_, head) = over.handshake(address, &Handshake::page("/optional")).await;
        assert_eq!(head.status, 204);
    }
}

#[tokio::test]
async fn a_request_without_a_connection_is_500() {
    use tower::ServiceExt;
    let request = http::Request::get("/ws")
        .header("host", "example.com")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = app(WsHandshakeLayer::new()).oneshot(request).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-kind"]),
        (500, &"UpgradeUnsupported".parse().unwrap())
    );
}
