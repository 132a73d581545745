//! What the `metrics` facade is told.

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
    routing::any,
};
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tracing::subscriber::NoSubscriber;
use ws_handshake::{Connections, WsHandshakeLayer, WsStream, WsUpgrade, describe_metrics};

use crate::support::{Handshake, Over, serve};

async fn answers(mut stream: WsStream) {
    let mut said = [0; 5];
    let _ = stream.read_exact(&mut said).await;
    let _ = stream.write_all(&said[..3]).await;
    let _ = stream.read(&mut said).await;
    // There is no such IO below, and the stream that comes back is the same.
    drop(stream.downcast::<TokioIo<DuplexStream>>());
}

/// Takes the handshake between two layers, and lets the request go on.
async fn takes(ws: WsUpgrade, request: Request, next: Next) -> Response {
    let answer = next.run(request).await;
    drop(ws);
    answer
}

#[test]
fn handshakes_connections_and_bytes_are_counted() {
    // Also where nobody looks at spans.
    let _unseen = tracing::subscriber::set_default(NoSubscriber::default());
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        describe_metrics();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let connections = Connections::new();
            let layer = WsHandshakeLayer::new().connections(connections.clone());
            let taken = Router::new().route("/taken", any(answers).layer(WsHandshakeLayer::new()));
            let app = Router::new().route("/ws", any(answers)).merge(taken.layer(from_fn(takes))).layer(layer);
            let address = serve(app).await;
            for over in [Over::Http1, Over::Http2] {
                let evil = Handshake::valid().set("origin", "https://evil.com").to("/ws?token=hunter2");
                over.handshake(address, &evil).await;
                let (mut client, _) = over.handshake(address, &Handshake::valid()).await;
                client.send(b"hello").await;
                assert_eq!(client.exactly(3).await, b"hel");
                let text = rendered.render();
                assert!(text.contains("websocket_server_active_connections 1\n"), "{text}");
                client.finish().await;
                client.rest().await;
                connections.wait().await;
                let (_, head) = over.handshake(address, &Handshake::valid().to("/taken")).await;
                assert_eq!(head.status, 500);
            }
        });
    });
    let text = rendered.render();
    for expected in [
        "# TYPE websocket_server_handshakes counter",
        "# HELP websocket_server_io Bytes read from and written to WebSocket connections",
        "websocket_server_active_connections 0\n",
        // One of them by the outer layer, whose handshake is taken before the inner one.
        "websocket_server_handshakes{outcome=\"approved\",network_protocol_version=\"1.1\"} 2",
        "websocket_server_handshakes{outcome=\"approved\",network_protocol_version=\"2\"} 2",
        "error_type=\"UpgradeTaken\",network_protocol_version=\"1.1\"} 1",
        "error_type=\"UpgradeTaken\",network_protocol_version=\"2\"} 1",
        "error_type=\"OriginNotAllowed\",network_protocol_version=\"1.1\"} 1",
        "error_type=\"OriginNotAllowed\",network_protocol_version=\"2\"} 1",
        "websocket_server_io{network_io_direction=\"receive\"} 10",
        "websocket_server_io{network_io_direction=\"transmit\"} 6",
        "websocket_server_connection_duration_count{end=\"eof\",close_reason=\"none\"} 2",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert!(!text.contains("evil") && !text.contains("hunter2"), "{text}");
}
