//! Handlers that do not answer: after a while the layer answers for them, and their places are free.

use std::time::Duration;

use axum::{
    Router,
    extract::{State, ws::WebSocketUpgrade},
    response::Response,
    routing::any,
};
use tokio::time::{Instant, sleep};
use ws_handshake::{AllowOrigin, Connections, WsHandshakeLayer, WsUpgrade, testing::TestServer};

use crate::{
    common::{Report, events},
    http_version::Over,
    support::{layer, len, refusal},
};

/// Accepts in a task after some seconds, and never answers itself.
async fn accepts_in_a_task(State(report): State<Report>, ws: WsUpgrade) {
    tokio::spawn(async move {
        sleep(Duration::from_secs(31)).await;
        report.say(format!("{:?}", ws.accept().await.err()));
    });
    std::future::pending::<()>().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_answer_is_dropped_and_its_place_is_free() {
    for over in Over::ALL {
        for nested in [false, true] {
            let (report, mut events) = events();
            let connections = Connections::new().limit_per(1, |_| None);
            let app = Router::new().route("/ws", any(accepts_in_a_task)).with_state(report).layer(layer(&connections));
            let app = if nested { app.layer(WsHandshakeLayer::new()) } else { app };
            let server = TestServer::new(app);
            let start = Instant::now();
            let refused = refusal(over.ask(&server, "/ws").timeout(Duration::from_secs(60))).await;
            assert_eq!(start.elapsed().as_secs(), 30, "{over:?}");
            assert_eq!((refused.status().as_u16(), refused.body()), (503, &"the answer took too long".into()));
            assert_eq!((connections.len(), connections.len_of(None)), (0, 0), "{over:?}");
            assert_eq!(events.next().await, "Some(NotAnswered)", "{over:?}, nested: {nested}");
        }
    }
}

/// Pins what hyper does: it hands a connection over behind any answer that is the last one.
#[tokio::test(start_paused = true)]
async fn another_extractor_that_waits_for_its_upgrade_keeps_its_socket_behind_the_refusal_over_http1() {
    async fn upgrades_and_waits(State(report): State<Report>, ws: WebSocketUpgrade) -> Response {
        let failed = report.clone();
        let ws = ws.on_failed_upgrade(move |_| failed.say("failed"));
        let response = ws.on_upgrade(async move |_| report.say("opened"));
        sleep(Duration::from_secs(60)).await;
        response
    }
    for over in Over::ALL {
        let (report, mut events) = events();
        let app = Router::new().route("/ws", any(upgrades_and_waits)).with_state(report);
        let server = TestServer::new(app.layer(WsHandshakeLayer::new()));
        assert_eq!(refusal(over.ask(&server, "/ws").timeout(Duration::from_secs(60))).await.status(), 503);
        assert_eq!(events.next().await, over.pick("opened", "failed"));
    }
}

#[tokio::test(start_paused = true)]
async fn predicates_and_handler_share_the_time() {
    async fn handler(ws: WsUpgrade) {
        sleep(Duration::from_secs(4)).await;
        let mut stream = ws.accept().await.unwrap();
        sleep(Duration::from_secs(3600)).await;
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"hello").await.unwrap();
    }
    let slow = AllowOrigin::async_predicate(|_, _| async {
        sleep(Duration::from_secs(3)).await;
        true
    });
    for over in Over::ALL {
        let connections = Connections::new();
        let app = |timeout| {
            let layer = layer(&connections).allow_origin(slow.clone()).answer_timeout(Duration::from_secs(timeout));
            TestServer::new(Router::new().route("/ws", any(handler)).layer(layer))
        };
        let ask = |server: &TestServer<Router>| over.ask(server, "/ws").origin("https://example.com");
        for (timeout, kind) in [(6, "the answer took too long"), (2, "the decision took too long")] {
            let start = Instant::now();
            let refused = refusal(ask(&app(timeout))).await;
            assert_eq!((start.elapsed().as_secs(), refused.body()), (timeout, &kind.into()), "{over:?}");
            len(&connections, 0).await;
        }
        // The time is that of the answer: the stream lives on.
        let server = app(8);
        let (mut stream, _) = ask(&server).connect().await.unwrap();
        let mut said = [0; 5];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut said).await.unwrap();
        assert_eq!(&said, b"hello");
    }
}
