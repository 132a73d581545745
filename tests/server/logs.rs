//! Log events: reasons, parsed origins and escaped paths, never a query or a header as the client sent it.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    extract::{Request, State, ws::WebSocketUpgrade},
    response::Response,
    routing::any,
};
use futures_util::FutureExt as _;
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, service_fn};
use ws_handshake::{
    AllowHost, AllowOrigin, ConnectionPermit, Connections, UpgradeError, WsHandshakeLayer, WsStream, WsUpgrade,
};

use crate::support::{
    Client, Handshake, Over, echo,
    log::{logged, trace},
    serve,
};

#[tokio::test]
async fn refusals_are_traced_and_nothing_secret_is() {
    trace();
    let address = serve(Router::new().route("/{*path}", any(echo)).layer(WsHandshakeLayer::new())).await;
    let secret = "hunter2";
    let handshake = Handshake::valid()
        .to(&format!("/room%0a?token={secret}"))
        .add("cookie", secret)
        .add("authorization", secret)
        .add("sec-websocket-protocol", secret);
    for (origin, status) in
        [("https://Evil.com", 403), ("https://u:hunter2@evil.com", 400), ("https://example.com", 101)]
    {
        let (_, head) = Client::handshake(address, &handshake.clone().set("origin", origin)).await;
        assert_eq!(head.status, status, "{origin}");
    }
    let text = logged();
    for expected in [
        "reason=pages of this origin may not connect path=/room%0a origin=\"https://evil.com\" host=\"example.com\" version=\"1.1\"",
        "reason=`Origin` is not a serialized origin path=/room%0a",
        "handshake approved path=/room%0a origin=\"https://example.com\" version=\"1.1\"",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert!(!text.contains(secret), "{text}");
}

/// One that no server has brought.
fn a_handshake() -> Request {
    let mut request = http::Request::get("/same").body(axum::body::Body::empty()).unwrap();
    for (name, value) in [
        ("host", "example.com"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        request.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    request
}

#[tokio::test]
async fn a_refusal_says_what_the_operator_can_do_about_it() {
    trace();
    let pending = AllowOrigin::async_predicate(|_, _| std::future::pending());
    let slow = WsHandshakeLayer::new().allow_origin(pending).decision_timeout(Duration::from_millis(1));
    let app = Router::new()
        .route("/listed", any(echo).layer(WsHandshakeLayer::new().allow_host(AllowHost::loopback())))
        .route("/same", any(echo).layer(WsHandshakeLayer::new()))
        .route("/slow", any(echo).layer(slow));
    let address = serve(app.clone()).await;
    for path in ["/listed", "/same", "/slow"] {
        let handshake = Handshake::valid().to(path).set("origin", "https://evil.com");
        let (_, head) = Client::handshake(address, &handshake).await;
        assert!(head.status >= 400, "{path}");
    }
    // Two names of this machine, and one with two ports.
    for origin in ["http://127.0.0.1:3000", "http://localhost:5173"] {
        let handshake = Handshake::valid().to("/same").set("origin", origin).set("host", "localhost:3000");
        assert_eq!(Client::handshake(address, &handshake).await.1.status, 403);
    }
    // Without a connection there is nothing to upgrade.
    assert_eq!(app.oneshot(a_handshake()).await.unwrap().status(), 500);
    let text = logged();
    for (level, expected) in [
        ("INFO", "handshake refused; behind a proxy that rewrites `Host`, the name that it writes has to be listed"),
        (
            "INFO",
            "handshake refused; if the page is yours, list its origin with `add_trusted_origins`, or have the proxy",
        ),
        ("INFO", "handshake refused; if the page is yours, open the socket at `location.host`, because"),
        ("WARN", "handshake refused reason=the decision took too long"),
        ("ERROR", "handshake refused reason=this server cannot upgrade connections"),
    ] {
        let line = text.lines().find(|line| line.contains(expected)).unwrap_or_else(|| panic!("{expected:?}: {text}"));
        assert!(line.contains(level), "{line}");
    }
    let line = |part: &str| text.lines().find(|line| line.contains(part)).unwrap();
    assert!(!line("http://localhost:5173").contains("location.host"), "{text}");
    assert!(line("this host is not served here").contains("host=\"example.com\""), "{text}");
}

#[tokio::test]
async fn control_and_bidirectional_characters_never_reach_a_log_line_raw() {
    trace();
    let address = serve(Router::new().route("/{*path}", any(echo)).layer(WsHandshakeLayer::new())).await;
    let valid = || Handshake::valid().to("/\u{202e}moor/\u{9b}2J");
    let rows = [
        ("approved", valid(), 101),
        ("of a foreign origin", valid().set("origin", "https://evil.com"), 403),
        ("with an origin that is none", valid().set("origin", "https://\u{202e}moc.live"), 400),
        ("with a control character in its origin", valid().set("origin", "https://evil.com\t\u{9b}2J"), 400),
        ("with an authority that is none", valid().set("host", "example\u{202e}.com"), 400),
        ("with a subprotocol that is none", valid().add("sec-websocket-protocol", "\u{202e}"), 400),
    ];
    for (name, handshake, status) in rows {
        let (_, head) = Client::handshake(address, &handshake).await;
        assert_eq!(head.status, status, "{name}");
    }
    let text = logged();
    assert!(text.contains(r"path=/\u{202e}moor/\u{9b}2J"), "{text}");
    let raw = text.chars().find(|c| *c != '\n' && (c.is_control() || !c.is_ascii()));
    assert_eq!(raw, None, "{text}");
}

#[tokio::test]
async fn what_is_dropped_or_fails_is_traced() {
    trace();
    let app = Router::new()
        .route("/well", any(async |_stream: WsStream| http::StatusCode::ACCEPTED))
        .route("/fails", any(async |_stream: WsStream| http::StatusCode::REQUEST_TIMEOUT))
        .route("/withdrawn", any(async |ws: WsUpgrade| drop(ws.on_upgrade(async |_| ()))))
        .route("/page", any(async || "a page"))
        .layer(WsHandshakeLayer::new().report_only(true))
        .route("/bare", any(echo));
    let address = serve(app).await;
    for path in ["/well", "/fails", "/withdrawn", "/page", "/bare"] {
        let handshake =
            Handshake::valid().to(path).set("connection", "upgrade, close").set("origin", "https://evil.com");
        let (mut client, _) = Client::handshake(address, &handshake).await;
        client.rest().await;
    }
    let text = logged();
    for expected in [
        "policy only reports",
        "handshake let through that the policy would refuse reason=pages of this origin may not connect",
        "handler returned after accepting status=202",
        "WARN websocket{path=\"/fails\"",
        "put that layer outside of `WsHandshakeLayer` status=408",
        "handshake accepted, but the upgrade failed error=the handshake was answered with something else",
        "approved handshake answered without being accepted status=200",
        "no `WsHandshakeLayer` has seen",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

#[test]
fn a_handshake_that_is_accepted_outside_of_a_runtime_is_traced() {
    trace();
    let accepts = service_fn(|mut request: Request| {
        let ws = WsUpgrade::take_from(&mut request).unwrap();
        std::future::ready(Ok::<Response, Infallible>(ws.on_upgrade_into(async |stream| drop(stream))))
    });
    let mut request = a_handshake();
    request.extensions_mut().insert(hyper::upgrade::on(http::Request::new(())));
    let answer = WsHandshakeLayer::new().layer(accepts).call(request).now_or_never().unwrap().unwrap();
    assert_eq!(answer.status(), 101);
    assert!(logged().contains("ERROR ws_handshake: no tokio runtime to run an accepted handshake in"));
}

/// A server that stops is no fault, whatever a handler answers that was refused for it.
#[tokio::test]
async fn what_a_handler_answers_whose_handshake_was_refused_is_no_warning() {
    async fn straight(State(closing): State<Connections>, ws: WsUpgrade) -> Result<(), UpgradeError> {
        closing.close();
        ws.accept().await.map(drop)
    }
    for nested in [false, true] {
        trace();
        let connections = Connections::new();
        let inner = WsHandshakeLayer::new();
        let outer = WsHandshakeLayer::new().connections(connections.clone());
        let app = Router::new().route("/ws", any(straight)).with_state(connections);
        let app = if nested { app.layer(inner) } else { app };
        let (_, head) = Client::handshake(serve(app.layer(outer)).await, &Handshake::valid()).await;
        assert_eq!(head.status, 503);
        let mut text = String::new();
        let returned = async {
            while !text.contains("handler returned after its handshake was refused") {
                tokio::task::yield_now().await;
                text += &logged();
            }
        };
        timeout(Duration::from_secs(5), returned).await.expect("it is traced");
        let refused = "INFO ws_handshake: handshake refused although a handler accepts it \
                       reason=this server is about to stop path=/ws origin=\"https://example.com\" version=\"1.1\"";
        assert!(text.contains(refused), "{text}");
        assert!(!text.contains("WARN") && !text.contains("ERROR"), "{text}");
    }
}

#[tokio::test]
async fn what_a_handler_extracts_and_is_not_there_is_traced() {
    trace();
    let connections = WsHandshakeLayer::new().connections(Connections::new());
    let app = Router::new()
        .route("/twice", any(async |_: WsUpgrade, _: WsStream| ()))
        .route("/permit-twice", any(async |_: ConnectionPermit, _: ConnectionPermit| ()).layer(connections))
        .route("/no-connections", any(async |_: ConnectionPermit| ()))
        .layer(WsHandshakeLayer::new());
    let address = serve(app).await;
    for (path, expected) in [
        ("/twice", "a handshake that was extracted before: extract it once path=/twice"),
        ("/permit-twice", "whose stream holds the permit: extract it once, in the handler path=/permit-twice"),
        ("/no-connections", "has no `connections`: set them on the layer path=/no-connections"),
    ] {
        let (_, head) = Client::handshake(address, &Handshake::valid().to(path)).await;
        assert_eq!(head.status, 500, "{path}");
        let text = logged();
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

/// Over HTTP/2 these would have opened the socket.
#[cfg(feature = "http2")]
#[tokio::test]
async fn answers_that_accept_nothing_are_traced() {
    trace();
    let app = Router::new()
        .route("/page", any(async || "a page"))
        .route("/switching", any(async || http::StatusCode::SWITCHING_PROTOCOLS))
        .route("/get", axum::routing::get(echo))
        .layer(WsHandshakeLayer::new());
    let address = serve(app).await;
    for path in ["/page", "/switching", "/get"] {
        Over::Http2.handshake(address, &Handshake::valid().to(path)).await;
    }
    let text = logged();
    for expected in [
        "answer differently status=200 instead=406",
        "answer differently status=101 instead=500",
        "answered 405: its route has to take `CONNECT`",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

#[tokio::test]
async fn a_socket_of_another_extractor_whose_permit_nobody_takes_is_warned_of_once() {
    async fn uncounted(ws: WebSocketUpgrade) -> Response {
        ws.on_upgrade(|_| async {})
    }
    async fn counted(ws: WebSocketUpgrade, permit: ConnectionPermit) -> Response {
        ws.on_upgrade(|_| async { drop(permit) })
    }
    async fn refuses(_: WebSocketUpgrade) -> http::StatusCode {
        http::StatusCode::UNAUTHORIZED
    }
    const WARNING: &str = "a socket that is not counted among the `connections`";
    for over in Over::ALL {
        trace();
        let app = Router::new().route("/uncounted", any(uncounted)).route("/counted", any(counted));
        let app = app.route("/refuses", any(refuses)).route("/own", any(echo));
        let with = app.clone().layer(WsHandshakeLayer::new().connections(Connections::new()));
        let (with, without) = (serve(with).await, serve(app.layer(WsHandshakeLayer::new())).await);
        for (address, path) in [(with, "/counted"), (with, "/refuses"), (with, "/own"), (without, "/uncounted")] {
            let _ = over.handshake(address, &Handshake::valid().to(path)).await;
        }
        assert!(!logged().contains(WARNING), "{over:?}");
        for _ in 0..3 {
            let (_, head) = over.handshake(with, &Handshake::valid().to("/uncounted")).await;
            assert_eq!(head.status, over.accepted());
        }
        let text = logged();
        assert_eq!(text.matches(WARNING).count(), 1, "{over:?}: {text}");
        assert!(text.contains("path=/uncounted"), "{text}");
    }
}

/// Neither answer is another extractor's: one has lost its mark, and one is a page's over HTTP/2, which looks the same as an
/// acceptance and so has a warning of its own.
#[tokio::test]
async fn what_is_no_socket_of_another_extractor_does_not_use_the_warning_up() {
    async fn unmarked(ws: WsUpgrade) -> Response {
        let mut response = ws.on_upgrade(|_| async {});
        response.extensions_mut().clear();
        response
    }
    async fn uncounted(ws: WebSocketUpgrade) -> Response {
        ws.on_upgrade(|_| async {})
    }
    const WARNING: &str = "opened a socket that is not counted";
    trace();
    let app = Router::new().route("/unmarked", any(unmarked)).route("/page", any(async || {}));
    let app = app.route("/uncounted", any(uncounted));
    let address = serve(app.layer(WsHandshakeLayer::new().connections(Connections::new()))).await;
    for over in Over::ALL {
        let _ = over.handshake(address, &Handshake::valid().to("/unmarked")).await;
    }
    assert!(!logged().contains(WARNING));
    for over in Over::ALL {
        let _ = over.handshake(address, &Handshake::valid().to("/page")).await;
        let _ = over.handshake(address, &Handshake::valid().to("/page")).await;
    }
    assert_eq!(logged().matches(WARNING).count(), Over::ALL.len() - 1);
    let _ = Over::Http1.handshake(address, &Handshake::valid().to("/uncounted")).await;
    assert_eq!(logged().matches(WARNING).count(), 1);
}
