//! The span of a connection: its fields, how it ends, and what it follows from.

use std::time::Duration;

use axum::{Router, routing::any};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::Instrument;
use ws_handshake::{Connections, Subprotocols, WsHandshakeLayer, WsStream, WsUpgrade};

use crate::support::{
    Client, Handshake, Over,
    log::{ThisThread, logged, trace},
    serve,
};

#[tokio::test]
async fn a_connection_has_a_span_of_its_own_that_tells_how_it_went() {
    trace();
    let straight = any(async |mut stream: WsStream| {
        tracing::info!("straight goes on");
        let _ = stream.read_exact(&mut [0; 4]).await;
        // Nothing fits into it, so that nothing read is no end.
        let _ = stream.read(&mut []).await;
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
            ("/straight", "straight goes on", "bytes_read=4 bytes_written=3 end=\"dropped\" close_reason=\"none\""),
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
    let drained = connections.drain().over(Duration::ZERO).deadline(Duration::ZERO).await;
    assert_eq!(drained.aborted, 1);
    connections.wait().await;
    assert!(logged().contains("bytes_read=0 bytes_written=0 end=\"ended\" close_reason=\"drain\""));
}

/// Where nobody looks at the spans of connections, what a handler says stays in that of its request.
#[test]
fn without_a_span_of_its_own_the_rest_of_a_handler_stays_in_that_of_its_request() {
    let subscriber = tracing_subscriber::fmt().with_writer(|| ThisThread).with_ansi(false);
    let subscriber = subscriber.with_env_filter("ws_handshake=warn,info").finish();
    drop(logged());
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let handler = any(async |_stream: WsStream| tracing::info!("straight goes on"));
            let layer = tower_http::trace::TraceLayer::new_for_http()
                .make_span_with(|_: &axum::extract::Request| tracing::info_span!("the_request"));
            // Where connections are counted, a warning needs the path, and there is a span that nobody looks at.
            for ours in [WsHandshakeLayer::new(), WsHandshakeLayer::new().connections(Connections::new())] {
                let app = Router::new().route("/ws", handler.clone()).layer(ours).layer(layer.clone());
                let (mut client, _) = Client::handshake(serve(app).await, &Handshake::valid()).await;
                client.rest().await;
            }
        });
    });
    let text = logged();
    let said: Vec<_> = text.lines().filter(|line| line.contains("straight goes on")).collect();
    assert_eq!(said.len(), 2, "{text}");
    for line in said {
        assert!(line.contains("the_request") && !line.contains("websocket{"), "{line}");
    }
}
