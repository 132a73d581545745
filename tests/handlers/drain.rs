//! A drain: which streams it asks to close, which it ends, and what it refuses meanwhile.

use std::time::Duration;

use axum::{
    Router,
    extract::{State, ws::WebSocketUpgrade},
    response::Response,
    routing::any,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};
use ws_handshake::{AllowOrigin, Connections, WsHandshakeLayer, WsStream, testing::TestServer};

use crate::{
    common::{Report, SOON, echo, events},
    http_version::Over,
    support::{layer, len, refusal},
};

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_undecided_when_a_drain_begins_is_refused() {
    let slow = AllowOrigin::async_predicate(|_, _| async move {
        sleep(Duration::from_secs(3)).await;
        true
    });
    // By a layer that counts it, or by one within.
    for (over, within) in Over::ALL.iter().flat_map(|over| [(over, false), (over, true)]) {
        let connections = Connections::new();
        let counting = layer(&connections);
        let app = Router::new().route("/ws", any(echo));
        let app = if within {
            let slow = WsHandshakeLayer::new().allow_origin(slow.clone());
            app.layer(slow).layer(counting.allow_origin(AllowOrigin::any()))
        } else {
            app.layer(counting.allow_origin(slow.clone()))
        };
        let server = TestServer::new(app);
        let (stream, _) = over.ask(&server, "/ws").origin("https://evil.com").connect().await.unwrap();
        drop(stream);
        len(&connections, 0).await;
        let undecided = tokio::spawn(over.ask(&server, "/ws").origin("https://evil.com").connect());
        len(&connections, 1).await;
        let drained = connections.drain().over(Duration::ZERO).deadline(Duration::from_secs(1)).await;
        assert_eq!((drained.closed, drained.aborted), (0, 1), "{over:?}");
        let refusal = undecided.await.unwrap().unwrap_err();
        assert_eq!((refusal.status().as_u16(), refusal.headers().contains_key("retry-after")), (503, true), "{over:?}");
    }
}

/// The layer that waits for a predicate does not hand the handshake on: another extractor would accept it.
#[tokio::test(start_paused = true)]
async fn another_extractor_gets_no_handshake_that_was_undecided_when_the_connections_were_closed() {
    async fn foreign(ws: WebSocketUpgrade) -> Response {
        ws.on_upgrade(async |_| ())
    }
    let slow = AllowOrigin::async_predicate(|_, _| async move {
        sleep(Duration::from_secs(3)).await;
        true
    });
    for (over, layers) in Over::ALL.iter().flat_map(|over| (1..=3).map(move |layers| (over, layers))) {
        let (connections, others) = (Connections::new(), Connections::new());
        let (closed, other) =
            (layer(&connections).allow_origin(AllowOrigin::any()), layer(&others).allow_origin(AllowOrigin::any()));
        let undecided = WsHandshakeLayer::new().allow_origin(slow.clone());
        let app = Router::new().route("/ws", any(foreign));
        let app = match layers {
            1 => app.layer(undecided.connections(connections.clone())),
            2 => app.layer(undecided).layer(closed),
            _ => app.layer(undecided).layer(other).layer(closed),
        };
        let server = TestServer::new(app);
        let asking = tokio::spawn(over.ask(&server, "/ws").origin("https://evil.com").connect());
        len(&connections, 1).await;
        connections.close();
        assert_eq!(asking.await.unwrap().unwrap_err().status(), 503, "{over:?}, {layers} layers");
        len(&connections, 0).await;
        len(&others, 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_ended_without_being_asked_to_close_closes_too() {
    async fn waits(State(report): State<Report>, stream: WsStream) {
        stream.closing().await;
        report.say("closing");
    }
    let (report, mut events) = events();
    let connections = Connections::new();
    let app = Router::new().route("/ws", any(waits)).with_state(report);
    let _connected = TestServer::new(app.layer(layer(&connections))).ws("/ws").connect().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let drained = connections.drain().over(Duration::ZERO).deadline(Duration::ZERO).await;
    assert_eq!((drained.closed, drained.aborted), (0, 1));
    assert_eq!(events.next().await, "closing");
}

#[tokio::test(start_paused = true)]
async fn a_drain_asks_then_ends_and_lets_nobody_in() {
    /// Closes when it is asked to, with a last word.
    async fn polite(mut stream: WsStream) {
        stream.closing().await;
        stream.write_all(b"bye").await.unwrap();
        stream.shutdown().await.unwrap();
    }
    /// Reads for as long as there is anything.
    async fn reads(State(report): State<Report>, mut stream: WsStream) {
        let read = stream.read(&mut [0; 8]).await;
        report.say(format!("read {read:?}"));
        let written = stream.write(b"too late").await.map_err(|error| error.kind());
        report.say(format!("write {written:?}"));
    }
    /// Writes to a client that reads nothing.
    async fn writes(State(report): State<Report>, mut stream: WsStream) {
        let error = loop {
            if let Err(error) = stream.write_all(&[0; 8192]).await {
                break error;
            }
        };
        report.say(format!("wrote {:?}", error.kind()));
    }
    for over in Over::ALL {
        let connections = Connections::new();
        let (report, mut events) = events();
        let app = Router::new()
            .route("/polite", any(polite))
            .route("/reads", any(reads))
            .route("/writes", any(writes))
            .layer(layer(&connections))
            .with_state(report);
        let server = TestServer::new(app);
        let mut streams = Vec::new();
        for path in ["/polite", "/polite", "/reads", "/writes"] {
            streams.push(over.ask(&server, path).connect().await.unwrap().0);
        }
        // Until the writer is held back.
        sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        let draining = tokio::spawn(
            connections.drain().over(Duration::from_secs(5)).deadline(Duration::from_secs(40)).into_future(),
        );
        let refusal = refusal(over.ask(&server, "/polite")).await;
        assert_eq!((refusal.status().as_u16(), refusal.headers().contains_key("retry-after")), (503, true), "{over:?}");
        for polite in &mut streams[..2] {
            let mut said = Vec::new();
            polite.read_to_end(&mut said).await.unwrap();
            assert_eq!(said, b"bye", "{over:?}");
        }
        assert!(start.elapsed() <= Duration::from_secs(5), "{over:?}: it waits for nobody");
        let drained = draining.await.unwrap();
        assert_eq!((drained.closed, drained.aborted, start.elapsed().as_secs()), (2, 2, 40), "{over:?}");
        let mut said = [events.next().await, events.next().await, events.next().await];
        said.sort();
        assert_eq!(said, ["read Ok(0)", "write Err(ConnectionAborted)", "wrote ConnectionAborted"], "{over:?}");
        timeout(SOON, connections.wait()).await.expect("all have gone");
    }
}
