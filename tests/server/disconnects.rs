//! Clients that vanish: before the handler accepts, before the answer is sent, and later.

use axum::{Router, extract::State, routing::any};
use tokio::io::AsyncReadExt;
use ws_handshake::{WsHandshakeLayer, WsStream, WsUpgrade};

use crate::{
    accept::accept,
    gate::app,
    support::{Handshake, Over, Report, echo, events, serve},
};

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
async fn a_client_that_vanishes_before_the_answer_is_an_error() {
    struct Dropped(Option<tokio::sync::oneshot::Sender<()>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.take().map(|gone| gone.send(()));
        }
    }
    async fn slow(State(report): State<Report>, ws: WsUpgrade) {
        let (gone, client_gone) = tokio::sync::oneshot::channel();
        let _dropped = Dropped(Some(gone));
        report.say("handler runs");
        tokio::spawn(async move {
            client_gone.await.unwrap();
            accept(ws, report).await;
        });
        std::future::pending::<()>().await;
    }
    let (address, mut events) = app(slow).await;
    for over in Over::ALL {
        let client = over.ask(address, &Handshake::valid(), b"").await;
        assert_eq!(events.next().await, "handler runs");
        drop(client);
        assert_eq!(events.next().await, "ConnectionClosed");
    }
}
