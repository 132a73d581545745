//! The doctor on servers with known results. `ci/interop.sh` tests more servers, in other languages and over TLS.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

use axum::{
    Router,
    extract::{Request, ws::WebSocketUpgrade},
    http::{StatusCode, header::ORIGIN},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::any,
};
use tokio::{net::TcpListener, process::Command};
use ws_handshake::{AllowHost, WsHandshakeLayer};

/// The report of the doctor, and its exit status.
async fn examine(app: Router, path: &str) -> (String, i32) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{path}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async { axum::serve(listener, app).await });
    let tests = std::env::current_exe().unwrap();
    let built = tests.ancestors().nth(2).unwrap();
    let output = Command::new(built.join("examples/doctor")).arg(&url).output().await.unwrap();
    serving.abort();
    (String::from_utf8(output.stdout).unwrap().replace(&url, "URL"), output.status.code().unwrap())
}

fn app() -> Router {
    Router::new().route("/ws", any(async |ws: WebSocketUpgrade| ws.on_upgrade(async |_| {})))
}

/// A faulty check: compares only a part of the origin, and leaves the connection open.
async fn refuse_evil(request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).map_or(&b""[..], |origin| origin.as_bytes());
    if origin == b"https://evil.example" || origin == b"null" {
        return StatusCode::FORBIDDEN.into_response();
    }
    next.run(request).await
}

#[tokio::test]
async fn each_verdict_is_right() {
    let guarded = app().layer(WsHandshakeLayer::new());
    let listed = app().layer(WsHandshakeLayer::new().allow_host(AllowHost::loopback()));
    let wrong_place = Router::new().layer(WsHandshakeLayer::new()).merge(app());
    let loose = app().layer(from_fn(refuse_evil));
    let rows = [
        (guarded.clone(), "/ws", 0, "Pages of other origins cannot connect", "DNS rebinding     CONNECTS\n"),
        (
            listed,
            "/ws",
            0,
            "Pages of other origins cannot connect",
            "DNS rebinding     gets 403 Forbidden: this host is not served here\n",
        ),
        (
            guarded,
            "/other",
            2,
            "Nothing can be told: your own page cannot connect",
            "your own page     gets 404 Not Found, from http",
        ),
        (app(), "/ws", 1, "Pages of other sites can connect", "another site      CONNECTS: https://evil.example"),
        (
            wrong_place,
            "/ws",
            1,
            "Pages of other sites can connect",
            "null              CONNECTS: null (a sandboxed frame",
        ),
        (loose, "/ws", 1, "Pages of some other origins can connect", "behind a refusal  the connection STAYS OPEN\n"),
    ];
    for (app, path, expected, verdict, row) in rows {
        let (report, status) = examine(app, path).await;
        assert!(report.starts_with(&format!("URL: {verdict}.")) && report.contains(row), "{report}");
        assert_eq!(status, expected, "{report}");
    }
}
