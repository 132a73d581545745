//! What `Debug` shows.

use std::time::Duration;

use axum::{Router, body::Body, extract::State, routing::any};
use http::Request;
use tokio::io::DuplexStream;
use tower::{Layer, Service};
use ws_handshake::{
    AllowOrigin, ConnectionPermit, Connections, Policy, WsHandshakeLayer, WsStream, WsUpgrade,
    handshake::ClientHandshake, testing::TestServer,
};

use crate::common::{Report, events};

#[tokio::test]
async fn what_a_server_is_made_of_shows_what_it_is() {
    let connections = Connections::new().limit(9).limit_per(5, |_| None).rate_per(1, Duration::from_secs(60), |_| None);
    let origins = AllowOrigin::same_origin()
        .or(AllowOrigin::list(["https://a.com"]).unwrap())
        .or(AllowOrigin::predicate(|_, _| false))
        .or(AllowOrigin::async_predicate(|_, _| std::future::pending()))
        .or(AllowOrigin::any());
    let layer = WsHandshakeLayer::new().connections(connections.clone()).handoff_timeout(Duration::from_secs(7));
    let mut service = layer.layer(Router::new());
    let second = Duration::from_secs(1);
    let shutdown = connections.graceful_shutdown(async {}).over(second).deadline(2 * second);
    let rows = [
        (
            format!("{connections:?}"),
            "Connections { len: 0, limits: Limits { all: 9, per_key: [KeyLimit { limit: 5, .. }], rates: [RateLimit { window: 60s, .. }] }, .. }",
        ),
        (format!("{:?}", connections.drain().over(Duration::from_secs(1))), "Drain { over: 1s, deadline: 25s, .. }"),
        (format!("{shutdown:?}"), "GracefulShutdown { drain: Drain { over: 1s, deadline: 2s, .. }"),
        (format!("{origins:?}"), r#"["same_origin", "list", "predicate", "async_predicate", "any"]"#),
        (format!("{layer:?}"), "WsHandshakeLayer { config: Config { policy: Policy {"),
        (format!("{layer:?}"), "handoff_timeout: 7s"),
        (format!("{service:?}"), "WsHandshake { inner: Router"),
        (format!("{:?}", service.call(Request::new(Body::empty()))), "ResponseFuture { .. }"),
        (
            format!("{:?}", TestServer::new(Router::new()).ws("/chat")),
            r#"TestRequest { request: WsRequest { host: "localhost", path: "/chat", .. }, .. }"#,
        ),
    ];
    for (shown, expected) in rows {
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn a_decision_shows_how_far_it_is() {
    let pending = AllowOrigin::async_predicate(|_, _| std::future::pending());
    let request = Request::get("/ws")
        .header("host", "example.com")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("origin", "https://a.com");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let client = ClientHandshake::from_parts(&parts).unwrap().unwrap();
    assert_eq!(format!("{:?}", Policy::new().allow_origin(pending).decide(&client, &parts)), "Deciding::Open");
    let mut ready = Policy::new().decide(&client, &parts);
    assert_eq!(format!("{ready:?}"), "Deciding::Ready");
    let _ = ready.now();
    assert_eq!(format!("{ready:?}"), "Deciding::Taken");
}

#[tokio::test]
async fn what_a_handler_gets_shows_what_it_is() {
    async fn tells(State(report): State<Report>, ws: WsUpgrade) {
        report.say(format!("{ws:?}"));
        let stream = ws.accept().await.unwrap();
        report.say(format!("{stream:?}"));
        report.say(format!("{:?}", stream.closing()));
        let downcast = stream.downcast::<hyper_util::rt::TokioIo<DuplexStream>>().unwrap();
        report.say(format!("{downcast:?}"));
    }
    async fn permit(State(report): State<Report>, permit: ConnectionPermit) {
        report.say(format!("{permit:?}"));
    }
    let (report, mut events) = events();
    let layer = WsHandshakeLayer::new().connections(Connections::new());
    let app = Router::new().route("/ws", any(tells)).route("/permit", any(permit)).layer(layer).with_state(report);
    let server = TestServer::new(app);
    let (client, _): (WsStream, _) = server.ws("/ws").origin("http://localhost").connect().await.unwrap();
    for expected in [
        r#"WsUpgrade { origin: Some(Origin("http://localhost")), subprotocol: None, .. }"#,
        "WsStream { subprotocol: None, .. }",
        "Closing { is_closing: false, reason: None, .. }",
        "Downcast { io: ",
    ] {
        let shown = events.next().await;
        assert!(shown.starts_with(expected), "{shown}");
    }
    drop(client);
    assert!(server.ws("/permit").connect().await.is_err());
    let shown = events.next().await;
    assert!(shown.starts_with("ConnectionPermit { id: ConnectionId("), "{shown}");
}
