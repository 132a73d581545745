//! Each route echoes, and is protected.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests may panic")]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::Path;

use support::{Program, connects};

#[tokio::test]
async fn each_route_serves_sockets_and_guards_them() {
    let program = Program::run(Path::new(env!("CARGO_BIN_EXE_framing")), &["127.0.0.1:0"]).await;
    let address = &program.address;
    for path in ["/tungstenite", "/fastwebsockets", "/tokio-websockets", "/yawc"] {
        assert!(connects(address, path, &format!("http://{address}")).await, "{path}: its own page");
        assert!(!connects(address, path, "https://evil.com").await, "{path}: a page of somebody else");
    }
}
