//! What the `metrics` facade is told.

use axum::{Router, routing::any};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use ws_handshake::{Connections, WsHandshakeLayer, WsStream, describe_metrics};

use crate::support::{Handshake, Over, serve};

async fn answers(mut stream: WsStream) {
    let mut said = [0; 5];
    let _ = stream.read_exact(&mut said).await;
    let _ = stream.write_all(&said[..3]).await;
    let _ = stream.read(&mut said).await;
}

#[test]
fn handshakes_connections_and_bytes_are_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        describe_metrics();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let connections = Connections::new();
            let layer = WsHandshakeLayer::new().connections(connections.clone());
            let address = serve(Router::new().route("/ws", any(answers)).layer(layer)).await;
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
            }
        });
    });
    let text = rendered.render();
    for expected in [
        "# TYPE websocket_server_handshakes counter",
        "# HELP websocket_server_io Bytes read from and written to WebSocket connections",
        "websocket_server_active_connections 0\n",
        "websocket_server_handshakes{outcome=\"approved\",network_protocol_version=\"1.1\"} 1",
        "websocket_server_handshakes{outcome=\"approved\",network_protocol_version=\"2\"} 1",
        "error_type=\"OriginNotAllowed\",network_protocol_version=\"1.1\"} 1",
        "error_type=\"OriginNotAllowed\",network_protocol_version=\"2\"} 1",
        "websocket_server_io{network_io_direction=\"receive\"} 10",
        "websocket_server_io{network_io_direction=\"transmit\"} 6",
        "websocket_server_connection_duration_count{end=\"eof\"} 2",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert!(!text.contains("evil") && !text.contains("hunter2"), "{text}");
}
