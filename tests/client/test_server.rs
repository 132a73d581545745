//! `testing::TestServer`: the client and the layer in memory.

use std::time::Duration;

use axum::{Router, routing::any};
use tokio::time::Instant;
use ws_handshake::{ClientErrorKind, WsHandshakeLayer, testing::TestServer};

use crate::support::{app, converse};

#[tokio::test]
async fn in_memory_the_answers_are_those_over_sockets() {
    let server = TestServer::new(app());
    for http2 in [false, true] {
        let ask = |origin: &str| {
            let asked = server.ws("/chat").origin(origin).subprotocols(["v1.chat"]);
            if http2 { asked.http2() } else { asked }
        };
        let secure = if http2 { "wss://app.example.com/chat" } else { "ws://app.example.com/chat" };
        let (stream, response) = ask("http://localhost").connect().await.unwrap();
        assert_eq!(response.status(), if http2 { 200 } else { 101 });
        assert_eq!(response.headers()["sec-websocket-protocol"], "v1.chat");
        converse(stream).await;
        // Over HTTP/2 the request itself says that it came by https.
        let downgraded = server.ws(secure).origin("http://app.example.com");
        let downgraded = if http2 { downgraded.http2() } else { downgraded }.connect().await;
        assert_eq!(downgraded.is_err_and(|refusal| refusal.status() == 403), http2);
        let named = server.ws(secure).origin("https://app.example.com");
        assert!(if http2 { named.http2() } else { named }.connect().await.is_ok());
        let other = server.ws("/chat").header("host", "app.example.com").origin("http://app.example.com");
        assert!(if http2 { other.http2() } else { other }.connect().await.is_ok());
    }
    let refusal = server.ws("/elsewhere").connect().await.unwrap_err();
    assert_eq!((refusal.status().as_u16(), &refusal.headers()["connection"]), (404, &"close".parse().unwrap()));
}

#[tokio::test]
#[should_panic(expected = "test_server.rs:")]
async fn no_answer_in_memory_is_a_panic() {
    async fn panics(_ws: ws_handshake::WsUpgrade) {
        panic!("before the answer");
    }
    let app = Router::new().route("/", any(panics));
    let app = app.layer(WsHandshakeLayer::new());
    let error = TestServer::new(app.clone()).ws("/").try_connect().await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::ConnectionFailed);
    drop(TestServer::new(app).ws("/").connect().await);
}

#[tokio::test]
#[should_panic(expected = "the request is invalid: `nowhere` is not a path: write `/nowhere`")]
async fn a_request_written_wrongly_is_a_panic() {
    drop(TestServer::new(app()).ws("nowhere").connect().await);
}

/// A handler that never accepts, in no time at all.
#[tokio::test(start_paused = true)]
async fn timeouts_take_no_time_in_memory() {
    let never = async |ws: ws_handshake::WsUpgrade| {
        std::future::pending::<()>().await;
        drop(ws);
    };
    let server = TestServer::new(Router::new().route("/", any(never)).layer(WsHandshakeLayer::new()));
    let start = Instant::now();
    let error = server.ws("/").timeout(Duration::from_secs(29)).try_connect().await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::TimedOut);
    assert_eq!(start.elapsed(), Duration::from_secs(29));
    let answer = server.ws("/").timeout(Duration::from_secs(3600)).connect().await.unwrap_err();
    assert_eq!(answer.status(), 503, "the layer answers for it");
}
