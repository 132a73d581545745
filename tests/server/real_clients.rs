//! What clients in use send although other servers refuse it, over both versions of HTTP.

use axum::{Router, extract::ws::WebSocketUpgrade, response::Response, routing::any};
use ws_handshake::{AllowOrigin, Subprotocols, WsHandshakeLayer};

use crate::support::{Handshake, Over, echo, serve};

/// As kubectl has it.
const NO_TOKEN: &str = "SPDY/3.1+portforward.k8s.io";

/// The name of a row, what the client sends, and which subprotocol is answered.
type Row = (&'static str, Handshake, Option<&'static str>);

fn rows(over: Over) -> Vec<Row> {
    let valid = Handshake::valid;
    // Over HTTP/2 the request says that it came by https, where no page of http is of the same origin.
    let scheme = over.pick("ws", "wss");
    let from = |host: &str, origin: &str| valid().set("host", host).set("origin", origin);
    vec![
        ("the key of RFC 6455 §4.1", valid().set("sec-websocket-key", "AQIDBAUGBwgJCgsMDQ4PEC=="), None),
        ("a key of random digits", valid().set("sec-websocket-key", "Zb7Kq0xVfR2mTeXyWc9+u/=="), None),
        ("the URL of the socket", from("example.com:443", "wss://example.com"), None),
        (
            "the URL of the socket by its address",
            from("192.168.1.5:8080", &format!("{scheme}://192.168.1.5:8080")),
            None,
        ),
        ("a listed URL", valid().set("origin", "wss://listed.example"), None),
        ("an Electron app", valid().set("origin", "app://."), None),
        ("a Qt app", valid().set("origin", "qrc://"), None),
        ("an EV charger", valid().set("origin", "https://github.com/gilmaimon/TinyWebsockets"), None),
        (
            "an extension of Firefox",
            valid().set("origin", "moz-extension://0fb5a1b6-4f1b-4c3e-9d3f-1c2d3e4f5a6b"),
            None,
        ),
        ("empty lists", valid().add("sec-websocket-protocol", "").add("sec-websocket-extensions", ""), None),
        ("a name that is no token", valid().add("sec-websocket-protocol", NO_TOKEN), Some(NO_TOKEN)),
        (
            "such a name behind a token",
            valid().add("sec-websocket-protocol", &format!("v1.chat, {NO_TOKEN}")),
            Some(NO_TOKEN),
        ),
    ]
}

fn layer() -> WsHandshakeLayer {
    let origins = AllowOrigin::same_origin()
        .or(AllowOrigin::list(["wss://listed.example", "moz-extension://*"]).unwrap())
        .or(AllowOrigin::exact(["app://.", "qrc://", "https://github.com/gilmaimon/TinyWebsockets"]).unwrap());
    WsHandshakeLayer::new().allow_origin(origins).subprotocols(Subprotocols::new([NO_TOKEN]).unwrap())
}

#[tokio::test]
async fn they_are_let_in() {
    async fn foreign(ws: WebSocketUpgrade) -> Response {
        ws.protocols([NO_TOKEN]).on_upgrade(async |_| ())
    }
    let app = Router::new().route("/ws", any(echo)).route("/foreign", any(foreign)).layer(layer());
    let address = serve(app).await;
    for over in Over::ALL {
        for path in ["/ws", "/foreign"] {
            for (name, handshake, subprotocol) in rows(*over) {
                let (_client, head) = over.handshake(address, &handshake.to(path)).await;
                let answered = (head.status, head.get("sec-websocket-protocol"));
                assert_eq!(answered, (over.accepted(), subprotocol), "{name}, {over:?} {path}");
            }
        }
    }
}

#[tokio::test]
async fn others_are_refused_as_before() {
    let address = serve(Router::new().route("/ws", any(echo)).layer(layer())).await;
    let valid = Handshake::valid;
    #[rustfmt::skip]
    let rows = [
        ("the URL of another socket", valid().set("origin", "wss://evil.example"), 403),
        ("nearly a listed origin", valid().set("origin", "app://.."), 400),
        ("an extension of another browser", valid().set("origin", "chrome-extension://abcdef"), 403),
        ("another name that is no token", valid().add("sec-websocket-protocol", "SPDY/3.1"), 400),
    ];
    for over in Over::ALL {
        for (name, handshake, status) in &rows {
            let (_client, head) = over.handshake(address, handshake).await;
            assert_eq!(head.status, *status, "{name}, {over:?}");
        }
    }
}
