//! Run with `cargo bench -p ws-handshake --all-features --bench floods`: what a flood costs the server, and the clients that it serves
//! meanwhile.
//!
//! The server is a separate process on loopback, and each flood is limited in time and number. The benchmark fails if memory or files are
//! not free after a flood, if a flood takes more memory than allowed, or if another client is not served. `-- --write` writes
//! docs/results/floods.md.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]
#![allow(clippy::cast_precision_loss, reason = "figures are rounded anyway")]

mod floods;
mod report;
mod server;
#[path = "../connections/support.rs"]
#[allow(dead_code, reason = "the floods need less of it")]
mod support;
mod visitors;

use std::time::Duration;

use floods::Flood;
use support::Server;
use tokio::time::sleep;
use visitors::Visitors;

/// The cost of a flood.
struct Flooded {
    name: &'static str,
    /// The flood's own result.
    came: String,
    /// The 50th and the 99th percentile of a visit, while the floods' client is idle, and during the flood.
    quiet: [Duration; 2],
    during: [Duration; 2],
    visits: usize,
    back: bool,
    /// Before the flood, the maximum, and after: allocated bytes, and open files.
    heap: [u64; 3],
    files: [usize; 3],
}

#[tokio::main]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--serve") {
        return server::run().await;
    }
    let mut all = Vec::new();
    for flood in floods::ALL {
        let flooded = measure(&flood).await;
        println!("{}", report::line(&flooded));
        let Flood { name, most_heap, .. } = flood;
        assert!(flooded.visits > 0, "{name}: nobody else was served");
        assert!(flooded.back, "{name}: memory or files are not back");
        assert!(flooded.heap[1] - flooded.heap[0] < most_heap, "{name}: it took more than {most_heap} bytes");
        all.push(flooded);
    }
    if arguments.iter().any(|argument| argument == "--write") {
        report::write(&all);
    }
}

async fn measure(flood: &Flood) -> Flooded {
    let server = Server::start("");
    let visitors = Visitors::start(server.address(), flood.visited);
    sleep(Duration::from_secs(2)).await;
    let quiet = visitors.percentiles();
    let before = usage(&server).await;
    let came = (flood.run)(server.address()).await;
    let visits = visitors.count();
    let during = visitors.percentiles();
    let most = server.get("/most").await.parse().unwrap();
    // The server frees what it held after its timeouts.
    let mut after = usage(&server).await;
    for _ in 0..50 {
        if is_back(before, after) {
            break;
        }
        sleep(Duration::from_millis(200)).await;
        after = usage(&server).await;
    }
    visitors.stop().await;
    Flooded {
        name: flood.name,
        came,
        quiet,
        during,
        visits,
        back: is_back(before, after),
        heap: [before.heap, most, after.heap],
        files: [before.files, after.most_files, after.files],
    }
}

#[derive(Clone, Copy)]
struct Usage {
    heap: u64,
    files: usize,
    most_files: usize,
}

async fn usage(server: &Server) -> Usage {
    let files = server.get("/files").await;
    let (files, most_files) = files.split_once(' ').unwrap();
    Usage { heap: server.heap().await, files: files.parse().unwrap(), most_files: most_files.parse().unwrap() }
}

/// Visitors come and go meanwhile.
fn is_back(before: Usage, after: Usage) -> bool {
    after.files <= before.files + 2 && after.heap < before.heap + (1 << 20)
}
