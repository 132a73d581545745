//! Run with `cargo bench -p ws-handshake --all-features --bench reads`: counts the instructions of a read of 64 bytes, with and without
//! lifetimes, with valgrind's callgrind. The benchmark fails if lifetimes add more than 1 %.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]
#![allow(clippy::cast_precision_loss, reason = "a ratio of counts is rounded anyway")]

#[path = "shared/callgrind.rs"]
mod callgrind;

use std::time::Duration;

use axum::{Router, routing::any};
use callgrind::{asked, instructions};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use ws_handshake::{Connections, WsHandshakeLayer, WsStream};

fn main() {
    if let Some((case, rounds)) = asked() {
        return run(&case, rounds);
    }
    let [bare, counted, living] = ["no connections", "connections", "lifetimes"].map(instructions);
    println!("{:<40} {bare:>7}", "a read of 64 bytes");
    println!("{:<40} {counted:>7} {:.3}", "with connections", counted as f64 / bare as f64);
    let ratio = living as f64 / counted as f64;
    println!("{:<40} {living:>7} {ratio:.3} of that", "with an age and an idle timeout");
    assert!(ratio <= 1.01, "lifetimes cost more than 1 %");
}

fn run(case: &str, rounds: u32) {
    const SIZE: usize = 64;
    let bytes = SIZE * rounds as usize;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let hour = Duration::from_secs(3600);
    let layer = match case {
        "no connections" => WsHandshakeLayer::new(),
        "connections" => WsHandshakeLayer::new().connections(Connections::new()),
        _ => WsHandshakeLayer::new().connections(Connections::new().max_age(hour).idle_timeout(hour)),
    };
    let reads = async move |mut stream: WsStream| {
        let mut buffer = [0; SIZE];
        while stream.read_exact(&mut buffer).await.is_ok() {}
        let _ = stream.write_all(b"done").await;
    };
    let app = Router::new().route("/ws", any(reads)).layer(layer);
    runtime.block_on(async {
        let (mut client, server) = duplex(bytes + 4096);
        let service = TowerToHyperService::new(app);
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service).with_upgrades());
        let request = "GET /ws HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.write_all(request.as_bytes()).await.unwrap();
        client.write_all(&vec![b'x'; bytes]).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert!(answer.ends_with(b"done"));
    });
}
