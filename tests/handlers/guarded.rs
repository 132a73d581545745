//! `assert_guarded`: passes for applications that refuse pages of other origins, and says what is wrong with others.

use std::time::Duration;

use axum::{
    Router,
    extract::{Request, ws::WebSocketUpgrade},
    http::{Method, StatusCode, header::ORIGIN},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use ws_handshake::{
    AllowOrigin, Connections, WsHandshakeLayer, WsStream,
    testing::{TestServer, assert_guarded},
};

async fn foreign_extractor(ws: WebSocketUpgrade) -> Response {
    ws.on_upgrade(async |_| {})
}

fn app() -> Router {
    Router::new().route("/ws", any(foreign_extractor)).route("/stream", any(async |stream: WsStream| drop(stream)))
}

/// A check of `Origin` by the application's own code.
fn checked(check: impl Fn(&Request) -> bool + Clone + Send + Sync + 'static, closes: bool) -> Router {
    app().layer(from_fn(move |request: Request, next: Next| {
        let passes = check(&request);
        async move {
            match (passes, closes) {
                (true, _) => next.run(request).await,
                (false, true) => (StatusCode::FORBIDDEN, [("connection", "keep-alive, Close")]).into_response(),
                (false, false) => StatusCode::FORBIDDEN.into_response(),
            }
        }
    }))
}

fn origin(request: &Request) -> &str {
    request.headers().get(ORIGIN).map_or("", |origin| origin.to_str().unwrap())
}

/// What the assertion says, if it fails.
async fn failure(assertion: impl Future<Output = ()> + Send + 'static) -> Option<String> {
    let panic = tokio::spawn(assertion).await.err()?.into_panic();
    Some(*panic.downcast::<String>().unwrap())
}

#[tokio::test]
async fn the_layer_in_its_place_passes() {
    assert_guarded(app().layer(WsHandshakeLayer::new()), "/ws").await;
    assert_guarded(app().layer(WsHandshakeLayer::new()), "/stream").await;
    let http1 = Router::new().route("/ws", get(foreign_extractor));
    assert_guarded(http1.layer(WsHandshakeLayer::new()), "/ws").await;
    let listed = WsHandshakeLayer::new().allow_origin(AllowOrigin::list(["https://app.example.com"]).unwrap());
    let server = TestServer::new(app().layer(listed));
    server.ws("/ws").origin("https://app.example.com").assert_guarded().await;
    server.ws("wss://app.example.com/ws").assert_guarded().await;
    assert_guarded(checked(|request| origin(request) == "http://localhost", true), "/ws").await;
}

#[tokio::test]
async fn what_lets_foreign_pages_in_fails() {
    let wrong_place = Router::new().layer(WsHandshakeLayer::new()).merge(app());
    let port =
        WsHandshakeLayer::new().allow_origin(AllowOrigin::predicate(|origin, _| origin.host() == Some("localhost")));
    let rows = [
        ("no layer", app(), "https://evil.example (another site), null (a sandboxed frame or a local file)"),
        ("a layer before the routes", wrong_place, "https://evil.example (another site), null"),
        (
            "a predicate that ignores the port",
            app().layer(port),
            "foreign pages can connect: http://localhost:8443 (has another port).",
        ),
        (
            "a comparison of the beginning",
            checked(|request| origin(request).starts_with("http://localhost"), true),
            "connect: http://localhost.evil.example (begins with your host), http://localhost:8443 (has another port).",
        ),
        (
            "a check of HTTP/1.1 alone",
            checked(|request| request.method() == Method::CONNECT || origin(request) == "http://localhost", true),
            "https://evil.example (another site), null",
        ),
    ];
    for (name, app, expected) in rows {
        let said = failure(assert_guarded(app, "/ws")).await.unwrap_or_else(|| panic!("{name}: it passes"));
        assert!(said.contains("tests/handlers/guarded.rs") && said.contains(expected), "{name}: {said}");
    }
}

#[tokio::test]
async fn what_cannot_be_told_fails() {
    let guarded = || app().layer(WsHandshakeLayer::new());
    let rows = [
        (
            "another path",
            "/other",
            "your own page http://localhost cannot connect, so nothing can be told about others",
        ),
        ("an origin that no page has", "ws", "write `/ws`"),
    ];
    for (name, path, expected) in rows {
        let said = failure(assert_guarded(guarded(), path)).await.unwrap_or_else(|| panic!("{name}: it passes"));
        assert!(said.contains(expected), "{name}: {said}");
    }
    let limited = Connections::new().rate_per(1, Duration::from_secs(60), |_| None);
    let limited = WsHandshakeLayer::new().allow_origin(AllowOrigin::any()).connections(limited);
    let said = failure(assert_guarded(app().layer(limited), "/ws")).await.unwrap();
    assert!(
        said.contains("for another reason than the page: https://evil.example gets 429 Too Many Requests, null"),
        "{said}"
    );
    let listed = WsHandshakeLayer::new().allow_origin(AllowOrigin::list(["https://app.example.com"]).unwrap());
    let said = failure(assert_guarded(app().layer(listed), "/ws")).await.unwrap();
    assert!(said.contains("403 Forbidden): pages of this origin may not connect"), "{said}");
}

#[tokio::test]
async fn a_connection_that_stays_open_behind_a_refusal_fails() {
    let said =
        failure(assert_guarded(checked(|request| origin(request) == "http://localhost", false), "/ws")).await.unwrap();
    assert!(said.contains("the connection stays open behind a refusal of https://evil.example, null, "), "{said}");
}
