//! What is traced: reasons, parsed origins and escaped paths, never a query or a field as the peer sent it.

use std::{
    cell::RefCell,
    io::{self, Write as _},
    sync::Once,
    time::Duration,
};

use axum::{Router, routing::any};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::{Instrument, Level, span::Id};
use tracing_subscriber::{
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};
use ws_handshake::{Connections, Subprotocols, WsHandshakeLayer, WsStream, WsUpgrade};

use crate::support::{Client, Handshake, Over, echo, serve};

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
        let subscriber = subscriber.with_max_level(Level::DEBUG).finish().with(Follows);
        tracing::subscriber::set_global_default(subscriber).unwrap();
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
        "reason=pages of this origin may not connect path=/room%0a origin=\"https://evil.com\" host=\"example.com\" version=\"1.1\"",
        "reason=`Origin` is not a serialized origin path=/room%0a",
        "handshake approved path=/room%0a origin=\"https://example.com\" version=\"1.1\"",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert!(!text.contains(secret), "{text}");
}

#[tokio::test]
async fn control_and_bidirectional_characters_never_reach_a_log_line_raw() {
    trace();
    let address = serve(Router::new().route("/{*path}", any(echo)).layer(WsHandshakeLayer::new())).await;
    let valid = || Handshake::valid().to("/\u{202e}moor/\u{9b}2J");
    let rows = [
        ("approved", valid(), 101),
        ("of a foreign origin", valid().set("origin", "https://evil.com"), 403),
        ("with an origin that is none", valid().set("origin", "https://\u{202e}moc.live"), 400),
        ("with a control character in its origin", valid().set("origin", "https://evil.com\t\u{9b}2J"), 400),
        ("with an authority that is none", valid().set("host", "example\u{202e}.com"), 400),
        ("with a subprotocol that is none", valid().add("sec-websocket-protocol", "\u{202e}"), 400),
    ];
    for (name, handshake, status) in rows {
        let (_, head) = Client::handshake(address, &handshake).await;
        assert_eq!(head.status, status, "{name}");
    }
    let text = logged();
    assert!(text.contains(r"path=/\u{202e}moor/\u{9b}2J"), "{text}");
    let raw = text.chars().find(|c| *c != '\n' && (c.is_control() || !c.is_ascii()));
    assert_eq!(raw, None, "{text}");
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

/// Says what the span of a connection follows from, as soon as it does.
struct Follows;

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Follows {
    fn on_follows_from(&self, span: &Id, follows: &Id, context: Context<'_, S>) {
        let name = |id| context.metadata(id).map_or("nothing", |metadata| metadata.name());
        LOG.with_borrow_mut(|log| writeln!(log, "{} follows from {}", name(span), name(follows)).unwrap());
    }
}

#[tokio::test]
async fn a_connection_has_a_span_of_its_own_that_tells_how_it_went() {
    trace();
    let straight = any(async |mut stream: WsStream| {
        tracing::info!("straight goes on");
        let _ = stream.read_exact(&mut [0; 5]).await;
        let _ = stream.write_all(b"abc").await;
    });
    let callback = any(async |ws: WsUpgrade| {
        ws.on_upgrade(async |mut stream| {
            tracing::info!("callback runs");
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
    });
    let taken = any(async |stream: WsStream| {
        tracing::info!("taken apart");
        drop(stream.into_parts());
    });
    let drained = any(async |mut stream: WsStream| {
        tracing::info!("drained");
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let connections = Connections::new();
    let layer = WsHandshakeLayer::new().subprotocols(Subprotocols::new(["v1.chat"]).unwrap());
    let app = Router::new()
        .route("/straight", straight)
        .route("/callback", callback)
        .route("/taken", taken)
        .route("/drained", drained)
        .layer(layer.connections(connections.clone()));
    let in_a_span = axum::middleware::from_fn(async |request: axum::extract::Request, next: axum::middleware::Next| {
        next.run(request).instrument(tracing::info_span!("the_request")).await
    });
    let address = serve(app.layer(in_a_span)).await;
    for over in Over::ALL {
        for (path, said, end) in [
            ("/straight", "straight goes on", "bytes_read=5 bytes_written=3 end=\"dropped\""),
            ("/callback", "callback runs", "bytes_read=5 bytes_written=0 end=\"eof\""),
            ("/taken", "taken apart", "bytes_read=0 bytes_written=0 end=\"taken\""),
        ] {
            let handshake = Handshake::valid().to(path).add("sec-websocket-protocol", "v1.chat");
            let (mut client, _) = over.handshake(address, &handshake).await;
            client.try_send(b"hello").await;
            if path != "/taken" {
                client.finish().await;
            }
            client.rest().await;
            connections.wait().await;
            let text = logged();
            let version = over.pick("1.1", "2");
            let span = format!(
                "websocket{{path=\"{path}\" origin=\"https://example.com\" version=\"{version}\" subprotocol=\"v1.chat\""
            );
            for expected in [said, end] {
                let line = text.lines().find(|line| line.contains(expected));
                let line = line.unwrap_or_else(|| panic!("{expected:?} is not in {text}"));
                assert!(line.contains(&span) && !line.contains("the_request"), "{over:?}: {line}");
            }
            assert!(text.contains("websocket follows from the_request"), "{over:?}: {text}");
        }
    }
    let (_client, _) = Client::handshake(address, &Handshake::valid().to("/drained")).await;
    let drained = connections.drain(Duration::ZERO, Duration::ZERO).await;
    assert_eq!(drained.ended, 1);
    connections.wait().await;
    assert!(logged().contains("bytes_read=0 bytes_written=0 end=\"drained\""));
}

/// Where nobody looks at the spans of connections, what a handler says stays in that of its request.
#[test]
fn without_a_span_of_its_own_the_rest_of_a_handler_stays_in_that_of_its_request() {
    let subscriber = tracing_subscriber::fmt().with_writer(|| ThisThread).with_ansi(false);
    let subscriber = subscriber.with_env_filter("ws_handshake=warn,info").finish();
    LOG.take();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let handler = any(async |_stream: WsStream| tracing::info!("straight goes on"));
            let layer = tower_http::trace::TraceLayer::new_for_http()
                .make_span_with(|_: &axum::extract::Request| tracing::info_span!("the_request"));
            let address = serve(Router::new().route("/ws", handler).layer(WsHandshakeLayer::new()).layer(layer)).await;
            let (mut client, _) = Client::handshake(address, &Handshake::valid()).await;
            client.rest().await;
        });
    });
    let text = logged();
    let line = text.lines().find(|line| line.contains("straight goes on")).expect(&text);
    assert!(line.contains("the_request") && !line.contains("websocket{"), "{line}");
}
