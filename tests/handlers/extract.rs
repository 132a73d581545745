//! What a handler gets, and how it may be written.

use std::net::SocketAddr;

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    debug_handler,
    extract::{ConnectInfo, Path, State},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use axum_extra::extract::{CookieJar, cookie::Cookie};
use http::{HeaderValue, Method, Request, StatusCode, Version};
use tokio::io::AsyncReadExt;
use tower::ServiceExt;
use ws_handshake::{
    Rejection, Subprotocols, UpgradeError, WsHandshakeLayer, WsStream, WsStreamRejection, WsUpgrade,
    testing::TestServer,
};

use crate::{
    common::{Events, Report, events},
    http_version::Over,
};

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
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"hi").await.map_err(|_| UpgradeError::ConnectionClosed)?;
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

fn app() -> (TestServer<Router>, Router, Events) {
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
    (TestServer::new(app.clone()), app, events)
}

#[tokio::test]
async fn other_extractors_stand_beside() {
    let (server, _, mut events) = app();
    let peer = ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711)));
    for over in Over::ALL {
        let ask = |path| over.ask(&server, path).subprotocols(["v1.chat", "v2.chat"]).extension(peer);
        let (stream, head) = ask("/straight/hall").origin("https://example.com").connect().await.unwrap();
        assert_eq!((head.status(), stream.subprotocol()), (over.accepted(), Some("v2.chat")));
        let method = over.pick("GET", "CONNECT");
        assert_eq!(events.next().await, format!("{method} hall 192.0.2.1 ada Some(\"v2.chat\")"));
        let _connected = ask("/decides/hall").connect().await.unwrap();
        assert_eq!(events.next().await, "hall 192.0.2.1 ada None Some(\"v2.chat\")");
    }
}

#[tokio::test]
async fn options_and_results_take_plain_requests_too() {
    let (server, app, _events) = app();
    for over in Over::ALL {
        for path in ["/optional", "/fallible", "/tuple", "/fields"] {
            let (_stream, head) = over.ask(&server, path).connect().await.unwrap();
            assert_eq!(head.status(), over.accepted(), "{path}");
        }
        let refused = over.pick(426, 400);
        let rows = [("/optional", 200), ("/fallible", 418), ("/tuple", refused), ("/references", refused)];
        for (path, status) in rows {
            let version = over.pick(Version::HTTP_11, Version::HTTP_2);
            let page = Request::get(path).version(version).header("host", "example.com").body(Body::empty()).unwrap();
            assert_eq!(app.clone().oneshot(page).await.unwrap().status(), status, "{path}");
        }
        let (mut stream, _) = over.ask(&server, "/question").connect().await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"hi");
    }
}

/// A `get` route never sees a handshake over HTTP/2, whose method is `CONNECT`; `any` serves both.
#[tokio::test]
async fn a_get_route_is_405_over_http2() {
    let (server, ..) = app();
    assert!(Over::Http1.ask(&server, "/get").connect().await.is_ok());
    let refusal = Over::Http2.ask(&server, "/get").connect().await.unwrap_err();
    assert_eq!((refusal.status().as_u16(), &refusal.headers()["allow"]), (405, &HeaderValue::from_static("GET,HEAD")));
}

#[tokio::test]
async fn fields_are_added_and_the_handshake_kept() {
    let (server, ..) = app();
    for over in Over::ALL {
        let (_stream, head) = over.ask(&server, "/tuple").connect().await.unwrap();
        assert_eq!(head.headers()["set-cookie"], "seen=1");
        // That the handshake's own fields are kept is what the client checks.
        let (_stream, head) = over.ask(&server, "/fields").connect().await.unwrap();
        let cookies: Vec<_> = head.headers().get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert_eq!(head.headers()["x-mine"], "yes");
        assert!(head.headers().get_all("sec-websocket-accept").iter().count() <= 1);
        for name in ["sec-websocket-protocol", "sec-websocket-extensions", "content-length", "transfer-encoding"] {
            assert_eq!(head.headers().get(name), None, "{name}");
        }
    }
}

#[tokio::test]
async fn an_error_that_a_handler_returns_says_whose_fault_it_was() {
    let rows = [
        (UpgradeError::ConnectionClosed, 400, "was closed"),
        (UpgradeError::TimedOut, 408, "not handed over in time"),
        (UpgradeError::ServerDraining, 503, "about to stop"),
        (UpgradeError::NotAnswered, 500, "something else than its acceptance"),
        (UpgradeError::Unsupported, 500, "serve it with upgrades"),
    ];
    for (error, status, reason) in rows {
        let response = error.into_response();
        assert_eq!(response.status().as_u16(), status, "{error:?}");
        let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
        let body = str::from_utf8(&body).unwrap();
        assert!(body.contains(reason), "{error:?}: {body}");
        assert_eq!(WsStreamRejection::Upgrade(error).to_string(), body);
    }
}
