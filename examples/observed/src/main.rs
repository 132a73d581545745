//! Run with `cargo run -p observed`, and connect to the address that it prints. Look at `/metrics` in a browser, and at the log lines.
//!
//! The metrics are for Prometheus. The log lines are the spans of connections, when they end, and the events within them. The first
//! argument is another address to listen on.

use std::time::Duration;

use axum::{
    Router,
    routing::{any, get},
};
use futures_util::{SinkExt, TryStreamExt};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tokio::net::TcpListener;
use tracing_subscriber::fmt::format::FmtSpan;
use ws_handshake::{WsHandshakeLayer, WsStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_env_filter("ws_handshake=debug,info").with_span_events(FmtSpan::CLOSE).init();
    // Adds `_total`, `_seconds` and `_bytes` to the names, and records a histogram instead of a summary.
    let metrics = PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets_for_metric(Matcher::Full("websocket.server.connection.duration".into()), &BUCKETS)?
        .install_recorder()?;
    ws_handshake::describe_metrics();
    // The recorder needs upkeep, or its memory grows.
    let looked_after = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            looked_after.run_upkeep();
        }
    });

    let app = Router::new()
        .route("/", any(echo).layer(WsHandshakeLayer::new()))
        .route("/metrics", get(async move || metrics.render()));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// In seconds: connections last from one message to days.
const BUCKETS: [f64; 6] = [1.0, 10.0, 60.0, 600.0, 3600.0, 86400.0];

async fn echo(stream: WsStream) {
    let Ok(mut socket) = stream.into_tungstenite(None).await else { return };
    while let Ok(Some(message)) = socket.try_next().await {
        if message.is_text() || message.is_binary() {
            // In the span of the connection.
            tracing::info!(bytes = message.len(), "echo");
            if socket.send(message).await.is_err() {
                return;
            }
        }
    }
}
