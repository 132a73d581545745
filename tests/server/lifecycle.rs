//! Clients that vanish, handlers that fail, and many at once.

use axum::{Router, extract::State, routing::any};
use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use ws_handshake::{WsHandshakeLayer, WsStream, WsUpgrade};

use crate::support::{Client, Handshake, Over, Report, echo, echo_by_callback, events, serve};

struct OnDrop(Report, &'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.say(self.1);
    }
}

#[tokio::test]
async fn a_client_that_vanishes_ends_the_handler_that_has_not_accepted() {
    async fn never_accepts(State(report): State<Report>, ws: WsUpgrade) {
        let _dropped = OnDrop(report.clone(), "dropped");
        report.say("runs");
        std::future::pending::<()>().await;
        drop(ws);
    }
    let (report, mut events) = events();
    let app = Router::new().route("/ws", any(never_accepts)).route("/echo", any(echo));
    let address = serve(app.layer(WsHandshakeLayer::new()).with_state(report)).await;
    for over in Over::ALL {
        let client = over.ask(address, &Handshake::valid(), b"").await;
        assert_eq!(events.next().await, "runs");
        // It keeps nobody else waiting.
        let (mut other, head) = over.handshake(address, &Handshake::valid().to("/echo")).await;
        head.accepts(*over, "another client");
        other.send(b"hello").await;
        assert_eq!(other.exactly(5).await, b"hello");
        drop(client);
        assert_eq!(events.next().await, "dropped");
    }
}

#[tokio::test]
async fn a_client_that_vanishes_later_is_the_end_of_the_stream() {
    async fn reads(State(report): State<Report>, mut stream: WsStream) {
        let mut bytes = vec![0; 3];
        stream.read_exact(&mut bytes).await.unwrap();
        report.say(String::from_utf8_lossy(&bytes));
        bytes.clear();
        let _ = stream.read_to_end(&mut bytes).await;
        report.say(format!("{} more", bytes.len()));
    }
    let (report, mut events) = events();
    let app = Router::new().route("/ws", any(reads)).layer(WsHandshakeLayer::new()).with_state(report);
    let address = serve(app).await;
    for over in Over::ALL {
        let (mut client, _) = over.handshake(address, &Handshake::valid()).await;
        client.send(b"abc").await;
        assert_eq!(events.next().await, "abc", "{over:?}");
        drop(client);
        assert_eq!(events.next().await, "0 more", "{over:?}");
    }
}

#[tokio::test]
async fn a_handler_that_panics_ends_its_own_connection() {
    async fn before(_ws: WsUpgrade) {
        panic!("before the answer");
    }
    async fn after(_stream: WsStream) {
        panic!("after the answer");
    }
    async fn in_the_callback(ws: WsUpgrade) -> axum::response::Response {
        ws.on_upgrade(async |_| panic!("in the callback"))
    }
    let app = Router::new()
        .route("/before", any(before))
        .route("/after", any(after))
        .route("/callback", any(in_the_callback))
        .route("/echo", any(echo))
        .layer(WsHandshakeLayer::new());
    let address = serve(app).await;
    for over in Over::ALL {
        for (path, accepted) in [("/before", false), ("/after", true), ("/callback", true)] {
            let mut client = over.ask(address, &Handshake::valid().to(path), b"").await;
            let status = client.answer().await.map(|head| head.status);
            assert_eq!(status, accepted.then_some(over.accepted()), "{over:?} {path}");
            assert_eq!(client.rest().await, b"", "{over:?} {path}");
        }
        let (mut client, head) = over.handshake(address, &Handshake::valid().to("/echo")).await;
        head.accepts(*over, "the next");
        client.send(b"hello").await;
        assert_eq!(client.exactly(5).await, b"hello");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_handshakes_at_once() {
    let app = Router::new().route("/straight", any(echo)).route("/callback", any(echo_by_callback));
    let address = serve(app.layer(WsHandshakeLayer::new())).await;
    let one = async |n: usize| {
        let handshake = Handshake::valid().to(if n.is_multiple_of(2) { "/straight" } else { "/callback" });
        let (mut client, head) = Client::handshake(address, &handshake).await;
        assert_eq!(head.status, 101);
        let said = format!("{n:08}");
        client.send(said.as_bytes()).await;
        assert_eq!(client.exactly(8).await, said.as_bytes());
        client
    };
    let clients = join_all((0..2000).map(one)).await;
    assert_eq!(clients.len(), 2000);
}
