//! What a handler gets, and how it may be written.

use std::net::SocketAddr;

use axum::{
    Extension, Router,
    body::Bytes,
    debug_handler,
    extract::{ConnectInfo, Path, State},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use axum_extra::extract::{CookieJar, cookie::Cookie};
use http::{HeaderValue, Method, StatusCode};
use ws_handshake::{NotOffered, Rejection, Subprotocols, UpgradeError, WsHandshakeLayer, WsStream, WsUpgrade};

use crate::support::{Handshake, Over, Report, events, serve};

#[derive(Clone)]
struct User(&'static str);

#[debug_handler]
async fn straight(
    State(report): State<Report>, Path(room): Path<String>, ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(User(user)): Extension<User>, method: Method, stream: WsStream,
) {
    let subprotocol = stream.subprotocol();
    report.say(format!("{method} {room} {} {user} {subprotocol:?}", peer.ip()));
}

#[debug_handler]
async fn decides(
    State(report): State<Report>, ws: WsUpgrade, Path(room): Path<String>, ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(User(user)): Extension<User>, _body: Bytes,
) -> Response {
    let origin = ws.origin().map(ToString::to_string);
    report.say(format!("{room} {} {user} {origin:?} {:?}", peer.ip(), ws.subprotocol()));
    ws.on_upgrade(async |_| ())
}

#[debug_handler]
async fn optional(ws: Option<WsUpgrade>) -> impl IntoResponse {
    match ws {
        Some(ws) => ws.on_upgrade(async |_| ()),
        None => "page".into_response(),
    }
}

#[debug_handler]
async fn fallible(ws: Result<WsUpgrade, Rejection>) -> Response {
    match ws {
        Ok(ws) => ws.on_upgrade(async |_| ()),
        Err(rejection) => (StatusCode::IM_A_TEAPOT, rejection.to_string()).into_response(),
    }
}

#[debug_handler]
async fn in_a_tuple(jar: CookieJar, ws: WsUpgrade) -> (CookieJar, Response) {
    (jar.add(Cookie::new("seen", "1")), ws.on_upgrade(async |_| ()))
}

struct AppError(UpgradeError);

impl From<UpgradeError> for AppError {
    fn from(error: UpgradeError) -> Self {
        Self(error)
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

#[debug_handler]
async fn with_question_marks(ws: WsUpgrade) -> Result<(), AppError> {
    let mut stream = ws.accept().await?;
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"hi").await.map_err(|_| UpgradeError::ClientGone)?;
    Ok(())
}

#[debug_handler]
async fn with_fields(mut ws: WsUpgrade) -> Result<(), UpgradeError> {
    for (name, value) in [
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-mine", "yes"),
        ("connection", "close"),
        ("upgrade", "h2c"),
        ("sec-websocket-accept", "forged"),
        ("sec-websocket-protocol", "forged"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
    ] {
        ws.headers_mut().append(name, value.parse().unwrap());
    }
    ws.accept().await.map(drop)
}

/// Handlers may hold these across an await, by reference too.
#[test]
fn what_a_handler_holds_is_send_sync_and_unpin() {
    fn check<T: Send + Sync + Unpin>() {}
    check::<WsUpgrade>();
    check::<WsStream>();
}

#[debug_handler]
async fn holds_references(mut ws: WsUpgrade) -> StatusCode {
    let (shared, pause) = (&ws, tokio::task::yield_now());
    pause.await;
    let _ = shared.origin();
    let unique = &mut ws;
    tokio::task::yield_now().await;
    let _ = unique.headers_mut();
    StatusCode::NO_CONTENT
}

async fn app() -> (SocketAddr, crate::support::Events) {
    let (report, events) = events();
    let app = Router::new()
        .route("/straight/{room}", any(straight))
        .route("/decides/{room}", any(decides))
        .route("/optional", any(optional))
        .route("/fallible", any(fallible))
        .route("/tuple", any(in_a_tuple))
        .route("/question", any(with_question_marks))
        .route("/get", get(with_question_marks))
        .route("/fields", any(with_fields))
        .route("/references", any(holds_references))
        .layer(WsHandshakeLayer::new().subprotocols(Subprotocols::new(["v2.chat", "v1.chat"]).unwrap()))
        .layer(Extension(User("ada")))
        .with_state(report);
    (serve(app).await, events)
}

#[tokio::test]
async fn other_extractors_stand_beside() {
    let (address, mut events) = app().await;
    let valid = |path: &str| Handshake::valid().to(path).add("sec-websocket-protocol", "v1.chat, v2.chat");
    for over in Over::ALL {
        let (_client, head) = over.handshake(address, &valid("/straight/hall")).await;
        head.accepts(*over, "straight");
        assert_eq!(head.get("sec-websocket-protocol"), Some("v2.chat"));
        let method = over.pick("GET", "CONNECT");
        assert_eq!(events.next().await, format!("{method} hall 127.0.0.1 ada Some(\"v2.chat\")"));
        let (_client, head) = over.handshake(address, &valid("/decides/hall").without("origin")).await;
        head.accepts(*over, "decides");
        assert_eq!(events.next().await, "hall 127.0.0.1 ada None Some(\"v2.chat\")");
    }
}

#[tokio::test]
async fn options_and_results_take_plain_requests_too() {
    let (address, _events) = app().await;
    for over in Over::ALL {
        for path in ["/optional", "/fallible", "/tuple", "/fields"] {
            let (_client, head) = over.handshake(address, &Handshake::valid().to(path)).await;
            head.accepts(*over, path);
        }
        let refused = over.pick(426, 400);
        let rows = [("/optional", 200), ("/fallible", 418), ("/tuple", refused), ("/references", refused)];
        for (path, status) in rows {
            let (_client, head) = over.handshake(address, &Handshake::page(path)).await;
            assert_eq!(head.status, status, "{path}");
        }
        let (mut client, _) = over.handshake(address, &Handshake::valid().to("/question")).await;
        assert_eq!(client.rest().await, b"hi");
    }
}

/// A `get` route never sees a handshake over HTTP/2, whose method is `CONNECT`; `any` serves both.
#[cfg(feature = "http2")]
#[tokio::test]
async fn a_get_route_is_405_over_http2() {
    let (address, _events) = app().await;
    let (_client, head) = Over::Http1.handshake(address, &Handshake::valid().to("/get")).await;
    head.accepts(Over::Http1, "by GET");
    let (_client, head) = Over::Http2.handshake(address, &Handshake::valid().to("/get")).await;
    assert_eq!((head.status, head.get("allow")), (405, Some("GET,HEAD")));
}

#[tokio::test]
async fn fields_are_added_and_the_handshake_kept() {
    let (address, _events) = app().await;
    for over in Over::ALL {
        let (_client, head) = over.handshake(address, &Handshake::valid().to("/tuple")).await;
        assert_eq!(head.get("set-cookie"), Some("seen=1"));
        let (_client, head) = over.handshake(address, &Handshake::valid().to("/fields")).await;
        head.accepts(*over, "with fields");
        let cookies: Vec<_> = head.headers.get_all("set-cookie").iter().collect();
        assert_eq!(
            (cookies.as_slice(), head.get("x-mine")),
            (&["a=1", "b=2"].map(HeaderValue::from_static).each_ref()[..], Some("yes"))
        );
        assert!(head.headers.get_all("sec-websocket-accept").iter().count() <= 1);
        for name in ["sec-websocket-protocol", "sec-websocket-extensions", "content-length", "transfer-encoding"] {
            assert_eq!(head.get(name), None, "{name}");
        }
    }
}

#[tokio::test]
async fn a_handler_selects_among_what_is_offered_and_spoken() {
    async fn selects(State(report): State<Report>, mut ws: WsUpgrade) -> Response {
        let offered: Vec<_> = ws.offered_subprotocols().map(String::from).collect();
        report.say(offered.join(" "));
        for name in ["unknown", "unoffered", "v1"] {
            report.say(format!("{name} {}", ws.select_subprotocol(name) == Ok::<(), NotOffered>(())));
        }
        let subprotocol = ws.subprotocol().map(String::from);
        ws.on_upgrade(async move |stream| report.say(format!("{subprotocol:?} {:?}", stream.subprotocol())))
    }
    let (report, mut events) = events();
    let layer = || WsHandshakeLayer::new();
    let spoken = Subprotocols::new(["v2", "v1", "unoffered"]).unwrap();
    let app = Router::new()
        .route("/spoken", any(selects).layer(layer().subprotocols(spoken)))
        .route("/free", any(selects).layer(layer()))
        .with_state(report);
    let address = serve(app).await;
    let rows = [("/spoken", false), ("/free", true)];
    for (over, (path, unknown)) in Over::ALL.iter().flat_map(|over| rows.map(|row| (over, row))) {
        let offer = Handshake::valid()
            .to(path)
            .add("sec-websocket-protocol", "unknown, v1")
            .add("sec-websocket-protocol", "v2");
        let (_client, head) = over.handshake(address, &offer).await;
        head.accepts(*over, path);
        assert_eq!(head.get("sec-websocket-protocol"), Some("v1"), "{path}");
        assert_eq!(events.next().await, "unknown v1 v2");
        assert_eq!(events.next().await, format!("unknown {unknown}"));
        assert_eq!(events.next().await, "unoffered false");
        assert_eq!(events.next().await, "v1 true");
        assert_eq!(events.next().await, "Some(\"v1\") Some(\"v1\")");
    }
}
