//! What is traced: reasons, parsed origins and escaped paths, never a query or a field as the peer sent it.

use std::{cell::RefCell, io, sync::Once};

use axum::{Router, routing::any};
use tracing::{Instrument, Level};
use ws_handshake::{WsHandshakeLayer, WsStream, WsUpgrade};

#[cfg(feature = "http2")]
use crate::support::Over;
use crate::support::{Client, Handshake, echo, serve};

thread_local! {
    /// What was traced on this thread, on which a test's runtime runs all its tasks.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct ThisThread;

impl io::Write for ThisThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Traces everything. One subscriber serves all threads: what is set for one alone may miss what another has turned off.
pub(crate) fn trace() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_writer(|| ThisThread).with_ansi(false);
        tracing::subscriber::set_global_default(subscriber.with_max_level(Level::DEBUG).finish()).unwrap();
    });
    LOG.take();
}

pub(crate) fn logged() -> String {
    String::from_utf8(LOG.take()).unwrap()
}

#[tokio::test]
async fn refusals_are_traced_and_nothing_secret_is() {
    trace();
    let address = serve(Router::new().route("/{*path}", any(echo)).layer(WsHandshakeLayer::new())).await;
    let secret = "hunter2";
    let handshake = Handshake::valid()
        .to(&format!("/room%0a?token={secret}"))
        .add("cookie", secret)
        .add("authorization", secret)
        .add("sec-websocket-protocol", secret);
    for (origin, status) in
        [("https://Evil.com", 403), ("https://u:hunter2@evil.com", 400), ("https://example.com", 101)]
    {
        let (_, head) = Client::handshake(address, &handshake.clone().set("origin", origin)).await;
        assert_eq!(head.status, status, "{origin}");
    }
    let text = logged();
    for expected in [
        "reason=pages of this origin may not connect path=/room%0a origin=\"https://evil.com\" host=\"example.com\"",
        "reason=`Origin` is not a serialized origin path=/room%0a",
        "handshake approved path=/room%0a origin=\"https://example.com\"",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert!(!text.contains(secret), "{text}");
}

#[tokio::test]
async fn what_is_dropped_or_fails_is_traced() {
    trace();
    let app = Router::new()
        .route("/teapot", any(async |_stream: WsStream| http::StatusCode::IM_A_TEAPOT))
        .route("/withdrawn", any(async |ws: WsUpgrade| drop(ws.on_upgrade(async |_| ()))))
        .layer(WsHandshakeLayer::new().report_only())
        .route("/bare", any(echo));
    let address = serve(app).await;
    for path in ["/teapot", "/withdrawn", "/bare"] {
        let handshake =
            Handshake::valid().to(path).set("connection", "upgrade, close").set("origin", "https://evil.com");
        let (mut client, _) = Client::handshake(address, &handshake).await;
        client.rest().await;
    }
    let text = logged();
    for expected in [
        "policy only reports",
        "handshake let through that would be refused reason=pages of this origin may not connect",
        "its answer is dropped status=418",
        "accepted handshake came to nothing error=the handshake was answered with something else",
        "no `WsHandshakeLayer` has seen",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

/// Over HTTP/2 these would have opened the socket.
#[cfg(feature = "http2")]
#[tokio::test]
async fn answers_that_accept_nothing_are_traced() {
    trace();
    let app = Router::new()
        .route("/page", any(async || "a page"))
        .route("/switching", any(async || http::StatusCode::SWITCHING_PROTOCOLS))
        .route("/get", axum::routing::get(echo))
        .layer(WsHandshakeLayer::new());
    let address = serve(app).await;
    for path in ["/page", "/switching", "/get"] {
        Over::Http2.handshake(address, &Handshake::valid().to(path)).await;
    }
    let text = logged();
    for expected in [
        "answer with another status=200 instead=406",
        "answer with another status=101 instead=500",
        "answered 405: its route has to take `CONNECT`",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

#[tokio::test]
async fn the_rest_of_a_handler_stays_in_the_span_of_its_request() {
    trace();
    let straight = any(async |_stream: WsStream| tracing::info!("straight goes on"));
    let callback = any(async |ws: WsUpgrade| ws.on_upgrade(async |_| tracing::info!("callback runs")));
    let app = Router::new().route("/straight", straight).route("/callback", callback).layer(WsHandshakeLayer::new());
    let in_a_span = axum::middleware::from_fn(async |request: axum::extract::Request, next: axum::middleware::Next| {
        next.run(request).instrument(tracing::info_span!("the_request")).await
    });
    let address = serve(app.layer(in_a_span)).await;
    for path in ["/straight", "/callback"] {
        let (mut client, _) = Client::handshake(address, &Handshake::valid().to(path)).await;
        client.rest().await;
    }
    let text = logged();
    for expected in ["straight goes on", "callback runs"] {
        let line = text.lines().find(|line| line.contains(expected)).expect(expected);
        assert!(line.contains("the_request"), "{line}");
    }
}
