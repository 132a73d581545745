//! How long connections live: their age, idle peers, and permits that expire.

use std::time::Duration;

use axum::{
    Router,
    extract::{State, ws::WebSocketUpgrade},
    response::Response,
    routing::any,
};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufWriter, duplex},
    time::{Instant, sleep, timeout},
};
use ws_handshake::{CloseReason, ConnectionPermit, Connections, WsRequest, WsStream, WsUpgrade, testing::TestServer};

use crate::{
    common::{Report, events},
    http_version::Over,
    support::{layer, len},
};

/// Reads until the end, and says when it was asked to close and when it was ended.
async fn reads(State(report): State<Report>, mut stream: WsStream) {
    let start = Instant::now();
    let closing = stream.closing();
    tokio::spawn({
        let (report, mut closing) = (report.clone(), closing.clone());
        async move {
            (&mut closing).await;
            report.say(format!("{:?} after {} s", closing.reason(), start.elapsed().as_secs()));
        }
    });
    let mut buffer = [0; 64];
    while stream.read(&mut buffer).await.unwrap() > 0 {}
    report.say(format!("ended after {} s", start.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_peer_is_silent_is_asked_to_close_and_ended() {
    for over in Over::ALL {
        let (report, mut events) = events();
        let connections = Connections::new().idle_timeout(Duration::from_secs(60)).grace(Duration::from_secs(5));
        let app = Router::new().route("/ws", any(reads)).with_state(report).layer(layer(&connections));
        let (mut peer, _) = over.ask(&TestServer::new(app), "/ws").connect().await.unwrap();
        for _ in 0..10 {
            sleep(Duration::from_secs(50)).await;
            peer.write_all(b"a pong").await.unwrap();
        }
        sleep(Duration::from_secs(61)).await;
        assert_eq!(events.next().await, "Some(IdleTimeout) after 560 s", "{over:?}");
        // What it sends now is too late.
        peer.write_all(b"a pong").await.unwrap();
        assert_eq!(events.next().await, "ended after 565 s", "{over:?}");
        len(&connections, 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_extractor_has_an_age_and_no_idle_timeout() {
    async fn foreign(State(report): State<Report>, ws: WebSocketUpgrade, permit: ConnectionPermit) -> Response {
        ws.on_upgrade(async move |mut socket| {
            let start = Instant::now();
            let mut closing = permit.closing();
            tokio::select! {
                _ = socket.recv() => unreachable!("the peer is silent"),
                () = &mut closing => {}
            }
            report.say(format!("{:?} {}", closing.reason(), start.elapsed().as_secs() >= 90));
        })
    }
    async fn apart(State(report): State<Report>, stream: WsStream) {
        let start = Instant::now();
        let parts = stream.into_parts();
        let mut closing = parts.permit.as_ref().unwrap().closing();
        (&mut closing).await;
        report.say(format!("{:?} {}", closing.reason(), start.elapsed().as_secs() >= 90));
    }
    for over in Over::ALL {
        for path in ["/foreign", "/apart"] {
            let (report, mut events) = events();
            let connections = Connections::new().idle_timeout(Duration::from_secs(3)).max_age(Duration::from_secs(100));
            let app = Router::new().route("/foreign", any(foreign)).route("/apart", any(apart)).with_state(report);
            let server = TestServer::new(app.layer(layer(&connections)));
            let _peer = over.ask(&server, path).connect().await.unwrap();
            sleep(Duration::from_secs(111)).await;
            assert_eq!(events.next().await, "Some(MaxAge) true", "{over:?} {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_and_a_shutdown_that_wait_for_the_peer_end_with_the_grace() {
    async fn writes(State(report): State<Report>, mut stream: WsStream) {
        stream.permit().unwrap().close(CloseReason::Application(4000));
        // More than any buffer has room for.
        while timeout(Duration::from_secs(1), stream.write_all(&[0; 1 << 10])).await.is_ok() {}
        report.say(format!("{:?}", stream.shutdown().await.map_err(|error| error.kind())));
        report.say(format!("{:?}", stream.write_all(b"x").await.map_err(|error| error.kind())));
    }
    let (report, mut events) = events();
    let connections = Connections::new().grace(Duration::from_secs(3));
    let app = Router::new().route("/ws", any(writes)).with_state(report).layer(layer(&connections));
    let (client, server) = duplex(1 << 16);
    // As with TLS, a shutdown has something to write.
    let io = TokioIo::new(BufWriter::new(server));
    tokio::spawn(http1::Builder::new().serve_connection(io, TowerToHyperService::new(app)).with_upgrades());
    let start = Instant::now();
    let _peer = WsRequest::new("ws://localhost/ws").connect(client).await.unwrap();
    assert_eq!(events.next().await, "Err(ConnectionAborted)");
    assert!((3..=4).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(events.next().await, "Err(ConnectionAborted)");
}

#[tokio::test(start_paused = true)]
async fn a_stream_closes_when_its_token_expires_or_the_application_says_so() {
    async fn expires(State(report): State<Report>, stream: WsStream) {
        stream.permit().unwrap().close_at(Instant::now() + Duration::from_secs(20));
        reads(State(report), stream).await;
    }
    async fn closes(State(report): State<Report>, ws: WsUpgrade) {
        let id = ws.id();
        let stream = ws.accept().await.unwrap();
        let permit = stream.permit().unwrap();
        assert_eq!(permit.id(), id);
        permit.close(CloseReason::Application(4001));
        reads(State(report), stream).await;
    }
    for over in Over::ALL {
        let (report, mut events) = events();
        let connections = Connections::new().grace(Duration::from_secs(3));
        let app = Router::new().route("/expires", any(expires)).route("/closes", any(closes)).with_state(report);
        // On two `Connections`, of which the outer one holds the place too.
        let others = Connections::new().grace(Duration::from_secs(60));
        let server = TestServer::new(app.layer(layer(&connections)).layer(layer(&others)));
        let _peer = over.ask(&server, "/expires").connect().await.unwrap();
        sleep(Duration::from_secs(20)).await;
        assert_eq!(events.next().await, "Some(Expired) after 20 s", "{over:?}");
        assert_eq!(events.next().await, "ended after 23 s", "{over:?}");
        let _peer = over.ask(&server, "/closes").connect().await.unwrap();
        assert_eq!(events.next().await, "Some(Application(4001)) after 0 s", "{over:?}");
        assert_eq!(events.next().await, "ended after 3 s", "{over:?}");
        len(&connections, 0).await;
        len(&others, 0).await;
    }
}
