//! Whatever answers a handshake without accepting it is the last answer of its connection.

use std::time::Duration;

use axum::{
    Router,
    extract::{FromRequestParts, Path, Query, Request},
    middleware::{Next, from_fn},
    response::{Html, Response},
    routing::{any, get},
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use tower_http::timeout::TimeoutLayer;
use ws_handshake::{WsHandshakeLayer, WsUpgrade};

use crate::support::{Client, Handshake, Over, Report, echo, events, serve};

/// A second request, which stands behind one that is refused.
pub(crate) const SECOND: &[u8] = b"GET /admin HTTP/1.1\r\nhost: example.com\r\n\r\n";

/// Routes that leave in every way there is, and `/admin`, which says when it is served.
pub(crate) fn app(report: Report) -> Router {
    Router::new()
        .route("/ws", any(echo))
        .route("/401", any(async |_: WsUpgrade| StatusCode::UNAUTHORIZED))
        .route("/page", any(async |_: Option<WsUpgrade>| Html("a page")))
        .route("/keep-alive", any(async || [("connection", "keep-alive")]))
        .route("/closing", any(async || [("connection", "X-Hop, Close")]))
        .route("/odd", any(async || [("connection", HeaderValue::from_bytes(b"close, \xff").unwrap())]))
        .route("/number/{n}", any(async |_: Path<u32>, _: WsUpgrade| ()))
        .route("/query", any(async |_: Query<Vec<(String, u32)>>, _: WsUpgrade| ()))
        .route("/get-only", get(async || "never asked for by POST"))
        .route("/admin", get(async move || report.say("served")))
        .layer(WsHandshakeLayer::new())
}

/// Upgrades that are answered with something else, and its status.
pub(crate) fn refused() -> Vec<(&'static str, Handshake, u16)> {
    let valid = Handshake::valid;
    vec![
        ("refused by the layer", valid().set("origin", "https://evil.com"), 403),
        ("refused as malformed", valid().without("sec-websocket-key"), 400),
        ("of another version", valid().set("sec-websocket-version", "777"), 426),
        ("refused with a body announced", valid().add("content-length", &SECOND.len().to_string()), 400),
        ("disguised", valid().set("upgrade", "x"), 400),
        ("no such route", valid().to("/nowhere"), 404),
        ("answered 401 by the handler", valid().to("/401"), 401),
        ("answered by a page", valid().to("/page"), 200),
        ("answered with keep-alive", valid().to("/keep-alive"), 200),
        ("answered with close among others", valid().to("/closing"), 200),
        ("answered with a line that hyper does not read", valid().to("/odd"), 200),
        ("refused by an extractor for the path", valid().to("/number/x"), 400),
        ("refused by an extractor for the query", valid().to("/query?a=b"), 400),
    ]
}

#[tokio::test]
async fn an_answer_from_outside_is_the_last_one_where_the_outermost_layer_closes() {
    // As the guide has it.
    async fn close(request: Request, next: Next) -> Response {
        let upgrades = request.headers().contains_key(header::UPGRADE);
        let mut response = next.run(request).await;
        if upgrades && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
    let (report, mut events) = events();
    let slow = any(async |_: WsUpgrade| std::future::pending::<()>().await);
    let late = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_millis(100));
    let open = app(report).route("/slow", slow.layer(WsHandshakeLayer::new())).layer(late);
    let closing = serve(open.clone().layer(from_fn(close))).await;
    let ask = async |address| {
        let mut client = Client::connect(address).await;
        client.send(&[&Handshake::valid().to("/slow").bytes()[..], SECOND].concat()).await;
        let head = client.head().await;
        assert_eq!(head.status, 408);
        (client, head.get("connection").map(str::to_owned))
    };
    let (mut client, connection) = ask(closing).await;
    assert_eq!((connection.as_deref(), client.rest().await), (Some("close"), Vec::new()));
    // Without it, the second request is what comes next.
    let (_client, connection) = ask(serve(open).await).await;
    assert_eq!((connection, events.next().await.as_str()), (None, "served"));
}

#[tokio::test]
async fn a_second_request_is_never_served() {
    let (report, mut events) = events();
    let address = serve(app(report)).await;
    for (name, handshake, status) in refused() {
        for together in [true, false] {
            let mut client = Client::connect(address).await;
            if together {
                client.send(&[handshake.bytes(), SECOND.to_vec()].concat()).await;
            } else {
                client.send(&handshake.bytes()).await;
            }
            let head = client.head().await;
            assert_eq!(head.status, status, "{name}");
            let connection = head.get("connection").unwrap_or_default().to_ascii_lowercase();
            assert!(connection.split(',').any(|token| token.trim() == "close"), "{name}: {connection}");
            if !together {
                // The server may have closed already.
                client.try_send(SECOND).await;
            }
            let rest = client.rest().await;
            let answers = |window: &[u8]| window.starts_with(b"HTTP/1.1 ") && window[9].is_ascii_digit();
            assert!(!rest.windows(10).any(answers), "{name}: a second answer");
        }
    }
    assert_eq!(events.unread(), [""; 0]);
    // The route itself is there, and serves whoever asks for it properly.
    let mut client = Client::connect(address).await;
    client.send(SECOND).await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(events.next().await, "served");
}

#[tokio::test]
async fn a_plain_request_leaves_the_connection_open() {
    let app = Router::new().route("/", get(async || "page")).layer(WsHandshakeLayer::new());
    let address = serve(app).await;
    let mut client = Client::connect(address).await;
    for _ in 0..3 {
        client.send(b"GET / HTTP/1.1\r\nhost: example.com\r\n\r\n").await;
        let head = client.head().await;
        assert_eq!((head.status, head.get("connection")), (200, None));
        assert_eq!(client.exactly(4).await, b"page");
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
