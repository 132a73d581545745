//! The metrics that Prometheus reads.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::Path;

use tokio::time::timeout;

use support::{Program, SOON, connects, http};

#[tokio::test]
async fn what_is_observed_can_be_scraped() {
    let example = Program::run(Path::new(env!("CARGO_BIN_EXE_observed")), &["127.0.0.1:0"]).await;
    let address = &example.address;
    assert!(connects(address, "/", &format!("http://{address}")).await);
    assert!(!connects(address, "/", "https://evil.com").await);
    let scrape = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let counted = async {
        loop {
            let text = http(address, &scrape).await;
            if text.contains("websocket_server_active_connections 0") {
                return text;
            }
        }
    };
    let text = timeout(SOON, counted).await.expect("the connection is still counted");
    for expected in [
        "outcome=\"approved\"",
        "error_type=\"OriginNotAllowed\"",
        "websocket_server_io_bytes_total{",
        "websocket_server_connection_duration_seconds_bucket{end=\"dropped\",close_reason=\"none\",le=\"+Inf\"} 1",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}
