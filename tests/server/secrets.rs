//! Tokens that come in subprotocols.

use axum::{
    Router,
    extract::{Request, State, ws::WebSocketUpgrade},
    middleware::{Next, from_fn},
    response::Response,
    routing::any,
};
use http::HeaderMap;
use ws_handshake::{Subprotocols, WsHandshakeLayer, WsStream, WsUpgrade};

use crate::{
    logs::{logged, trace},
    support::{Handshake, Over, Report, events, serve},
};

const SECRET: &str = "aHVudGVyMg";

fn offering(names: &str, path: &str) -> Handshake {
    Handshake::valid().to(path).add("sec-websocket-protocol", names)
}

/// Tells all that it can find out, and tries to select the secret.
async fn tells(State(report): State<Report>, headers: HeaderMap, mut ws: WsUpgrade) -> Response {
    let field = headers.get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
    let offered: Vec<_> = ws.offered_subprotocols().collect();
    report.say(format!("field {field:?} offered {offered:?} secret {:?}", ws.secret_subprotocol("bearer.")));
    let shown = format!("{ws:?}");
    assert!(!shown.contains(SECRET), "{shown}");
    ws.select_subprotocol(&format!("bearer.{SECRET}")).unwrap_err();
    ws.on_upgrade(async |stream: WsStream| assert!(!format!("{stream:?}").contains(SECRET)))
}

async fn foreign(State(report): State<Report>, ws: WebSocketUpgrade) -> Response {
    let secret = format!("bearer.{SECRET}");
    let ws = ws.protocols(["v1.chat".to_owned(), secret]);
    report.say(format!("selected {:?}", ws.selected_protocol()));
    ws.on_upgrade(async |_| ())
}

#[tokio::test]
async fn a_secret_reaches_the_handler_and_nobody_else() {
    trace();
    let (report, mut events) = events();
    let subprotocols = || Subprotocols::new(["v2.chat", "v1.chat"]).unwrap();
    let layer = || WsHandshakeLayer::new().subprotocols(subprotocols().secret_prefix("bearer.").unwrap());
    let other = WsHandshakeLayer::new().subprotocols(subprotocols().secret_prefix("ticket.").unwrap());
    let nested = Router::new().route("/nested", any(tells)).layer(other);
    let logs_the_head = from_fn(async |request: Request, next: Next| {
        tracing::info!(headers = ?request.headers(), "a layer inside logs the head");
        next.run(request).await
    });
    let app = Router::new()
        .route("/ws", any(tells))
        .route("/foreign", any(foreign))
        .merge(nested)
        .layer(logs_the_head)
        .layer(layer())
        .with_state(report);
    let address = serve(app).await;
    for over in Over::ALL {
        #[rustfmt::skip]
        let rows = [
            ("/ws", "v1.chat, bearer.aHVudGVyMg", Some("v1.chat"), r#"field Some("v1.chat") offered ["v1.chat"] secret Some("aHVudGVyMg")"#),
            ("/ws", "bearer.aHVudGVyMg,v1.chat,v2.chat", Some("v2.chat"), r#"field Some("v1.chat, v2.chat") offered ["v1.chat", "v2.chat"] secret Some("aHVudGVyMg")"#),
            ("/ws", "bearer.aHVudGVyMg", None, r#"field None offered [] secret Some("aHVudGVyMg")"#),
            ("/ws", "bearer.aHVudGVyMg, bearer.x", None, r#"field None offered [] secret Some("aHVudGVyMg")"#),
            ("/ws", "v1.chat", Some("v1.chat"), r#"field Some("v1.chat") offered ["v1.chat"] secret None"#),
            ("/ws", "v1.chat, Bearer.no", Some("v1.chat"), r#"field Some("v1.chat, Bearer.no") offered ["v1.chat", "Bearer.no"] secret None"#),
            ("/nested", "v1.chat, bearer.aHVudGVyMg, ticket.t", Some("v1.chat"), r#"field Some("v1.chat") offered ["v1.chat"] secret Some("aHVudGVyMg")"#),
            ("/foreign", "bearer.aHVudGVyMg, v1.chat", Some("v1.chat"), r#"selected Some("v1.chat")"#),
        ];
        for (path, names, selected, told) in rows {
            let name = format!("{over:?} {path} {names}");
            let (mut client, head) = over.handshake(address, &offering(names, path)).await;
            assert_eq!((head.status, head.get("sec-websocket-protocol")), (over.accepted(), selected), "{name}");
            assert_eq!(events.next().await, told, "{name}");
            client.finish().await;
            client.rest().await;
        }
        // A refusal does not show it either.
        let evil = offering("bearer.aHVudGVyMg", "/ws").set("origin", "https://evil.com");
        let (mut client, head) = over.handshake(address, &evil).await;
        assert_eq!(head.status, 403);
        assert!(!format!("{:?}", head.headers).contains(SECRET));
        assert!(!String::from_utf8(client.rest().await).unwrap().contains(SECRET));
    }
    let text = logged();
    assert!(text.contains("a layer inside logs the head") && !text.contains(SECRET), "{text}");
}

#[test]
fn floor_1_keeps_it_out_of_its_debug() {
    let request = http::Request::get("/ws")
        .header("host", "example.com")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "bearer.aHVudGVyMg, v1.chat");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let client = ws_handshake::handshake::ClientHandshake::from_parts(&parts).unwrap().unwrap();
    assert!(!format!("{client:?}").contains(SECRET));
    let subprotocols = Subprotocols::new(["v1.chat"]).unwrap().secret_prefix("bearer.").unwrap();
    let policy = ws_handshake::Policy::new().subprotocols(subprotocols);
    let server = policy.decide(&client, &parts).into_ready().unwrap().unwrap();
    let shown = format!("{server:?}");
    assert!(shown.contains("v1.chat") && !shown.contains(SECRET), "{shown}");
    assert_eq!((server.secret_subprotocol("bearer."), server.secret_subprotocol("ticket.")), (Some(SECRET), None));
}
