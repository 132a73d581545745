//! Connection limits: a permit lives as long as its stream.

use std::time::Duration;

use axum::{
    Router,
    extract::{State, ws::WebSocketUpgrade},
    response::Response,
    routing::any,
};
use http::StatusCode;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use ws_handshake::{Connections, WsHandshakeLayer, WsStream, WsUpgrade};

use crate::support::{Client, Handshake, Over, Report, SOON, echo, echo_by_callback, events, serve};

/// Waits until as many connections are open.
async fn len(connections: &Connections, expected: usize, name: &str) {
    let counted = async {
        while connections.len() != expected {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let Err(_) = timeout(SOON, counted).await else { return };
    panic!("{name}: {} connections are open, not {expected}", connections.len());
}

/// hyper reads nothing while it has a byte that nobody has asked for, and so does not notice that the client is gone: see
/// docs/results/hyper-early-byte.md.
#[tokio::test]
async fn clients_that_hyper_does_not_see_leave_hold_their_places_until_the_answer_is_late() {
    const LIMIT: usize = 5;
    async fn never(State(report): State<Report>, _ws: WsUpgrade) {
        report.say("runs");
        std::future::pending::<()>().await;
    }
    for (answer_timeout, left) in [(Duration::from_millis(100), 0), (Duration::from_secs(3600), LIMIT)] {
        let (report, mut events) = events();
        let connections = Connections::new().limit(LIMIT);
        let layer = WsHandshakeLayer::new().connections(connections.clone()).answer_timeout(answer_timeout);
        let app = Router::new().route("/never", any(never)).route("/ws", any(echo)).layer(layer).with_state(report);
        let address = serve(app).await;
        for _ in 0..LIMIT {
            let mut attacker = TcpStream::connect(address).await.unwrap();
            attacker.write_all(&[&Handshake::valid().to("/never").bytes()[..], b"x"].concat()).await.unwrap();
            assert_eq!(events.next().await, "runs");
            // With this its end is a reset.
            attacker.set_zero_linger().unwrap();
        }
        sleep(Duration::from_millis(500)).await;
        len(&connections, left, "after the attack").await;
        let (_, head) = Client::handshake(address, &Handshake::valid()).await;
        assert_eq!(head.status, if left == 0 { 101 } else { 503 }, "{answer_timeout:?}");
    }
}

#[tokio::test]
async fn a_permit_lives_as_long_as_its_stream_in_every_form() {
    async fn refuses(_ws: WsUpgrade) -> StatusCode {
        StatusCode::UNAUTHORIZED
    }
    async fn panics(mut stream: WsStream) {
        let _ = stream.read_u8().await;
        panic!("with a stream");
    }
    async fn foreign(ws: WebSocketUpgrade) -> Response {
        ws.on_upgrade(async |mut socket| while socket.recv().await.is_some() {})
    }
    async fn gives_up(stream: WsStream) {
        let mut upgraded = TokioIo::new(stream.into_upgraded());
        let _ = upgraded.read_u8().await;
    }
    async fn in_parts(stream: WsStream) {
        let parts = stream.into_parts();
        let _ = TokioIo::new(parts.upgraded).read_u8().await;
        drop(parts.permit);
    }
    let connections = Connections::new().limit(1);
    let app = Router::new()
        .route("/straight", any(echo))
        .route("/callback", any(echo_by_callback))
        .route("/refuses", any(refuses))
        .route("/panics", any(panics))
        .route("/foreign", any(foreign))
        .route("/upgraded", any(gives_up))
        .route("/parts", any(in_parts))
        .layer(WsHandshakeLayer::new().connections(connections.clone()));
    let address = serve(app).await;
    for over in Over::ALL {
        for (path, status, held) in [
            ("/straight", over.accepted(), 1),
            ("/callback", over.accepted(), 1),
            ("/refuses", 401, 0),
            ("/panics", over.accepted(), 1),
            ("/foreign", over.accepted(), 0),
            ("/upgraded", over.accepted(), 0),
            ("/parts", over.accepted(), 1),
            ("/nowhere", 404, 0),
        ] {
            let name = format!("{over:?} {path}");
            let (mut client, head) = over.handshake(address, &Handshake::valid().to(path)).await;
            assert_eq!(head.status, status, "{name}");
            len(&connections, held, &name).await;
            if held == 1 {
                let (_, head) = over.handshake(address, &Handshake::valid().to("/straight")).await;
                assert_eq!((head.status, head.get("connection")), (503, over.closing()), "{name}");
                let seconds: u16 = head.get("retry-after").unwrap().parse().unwrap();
                assert!((5..=15).contains(&seconds), "{name}: {seconds}");
            }
            client.try_send(b"x").await;
            drop(client);
            len(&connections, 0, &name).await;
        }
    }
}

#[tokio::test]
async fn a_handshake_that_is_not_answered_holds_its_permit() {
    async fn never(State(report): State<Report>, ws: WsUpgrade) {
        report.say("runs");
        std::future::pending::<()>().await;
        drop(ws);
    }
    let (report, mut events) = events();
    let connections = Connections::new();
    let app = Router::new().route("/ws", any(never)).with_state(report);
    let address = serve(app.layer(WsHandshakeLayer::new().connections(connections.clone()))).await;
    for over in Over::ALL {
        let client = over.ask(address, &Handshake::valid(), b"").await;
        assert_eq!(events.next().await, "runs");
        assert_eq!(connections.len(), 1);
        drop(client);
        len(&connections, 0, "a client that vanishes").await;
    }
}

#[tokio::test]
async fn io_that_was_taken_out_keeps_its_permit_and_hears_the_signal() {
    async fn takes(State(report): State<Report>, stream: WsStream) {
        let Ok(parts) = stream.downcast::<TokioIo<TcpStream>>() else { panic!("no TCP stream below") };
        let permit = parts.permit.expect("a permit");
        report.say("connected");
        permit.closing().await;
        report.say("closing");
    }
    let connections = Connections::new();
    let (report, mut events) = events();
    let app = Router::new().route("/ws", any(takes)).with_state(report);
    let address = serve(app.layer(WsHandshakeLayer::new().connections(connections.clone()))).await;
    let (_client, _) = Over::Http1.handshake(address, &Handshake::valid()).await;
    assert_eq!(events.next().await, "connected");
    assert_eq!(connections.len(), 1);
    let drained = connections.drain().over(Duration::ZERO).deadline(SOON).await;
    assert_eq!((events.next().await.as_str(), drained.closed, drained.aborted), ("closing", 1, 0));
}
