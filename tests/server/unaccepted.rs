//! An answer that does not accept the handshake is the last answer of its connection.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, Query, Request},
    middleware::{Next, from_fn},
    response::{Html, IntoResponse, Response},
    routing::{any, get},
};
use http::{HeaderValue, StatusCode, header};
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

#[tokio::test]
async fn a_handler_may_refuse_by_any_answer() {
    let handler = async |ws: WsUpgrade, request: Request| -> Result<Response, StatusCode> {
        match request.uri().query() {
            Some("login") => Ok((StatusCode::FOUND, [("location", "/login")]).into_response()),
            Some("auth") => Ok((StatusCode::UNAUTHORIZED, [("www-authenticate", "Basic")]).into_response()),
            Some("error") => Err(StatusCode::SERVICE_UNAVAILABLE),
            _ => Ok(ws.on_upgrade(echo)),
        }
    };
    let address = serve(Router::new().route("/ws", any(handler)).layer(WsHandshakeLayer::new())).await;
    for over in Over::ALL {
        for (query, status) in [("login", 302), ("auth", 401), ("error", 503)] {
            let (_, head) = over.handshake(address, &Handshake::valid().to(&format!("/ws?{query}"))).await;
            assert_eq!((head.status, head.get("connection")), (status, over.closing()), "{over:?} {query}");
            assert!(head.get("sec-websocket-accept").is_none(), "{query}");
        }
        let (_, head) = over.handshake(address, &Handshake::valid()).await;
        head.accepts(*over, "accepted");
    }
}
