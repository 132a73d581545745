//! Run with `cargo bench --features testing --bench handshake`: measures the parts of a handshake, with criterion.
//!
//! Compare times only on the same machine. Figures that must not depend on the machine are counted: see `--bench decision`, and
//! `comparisons`, which also measures the other crates.
#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs, reason = "a benchmark may panic")]

#[path = "decision/cases.rs"]
mod cases;

use std::hint::black_box;

use axum::{
    Router,
    body::Body,
    extract::ws::WebSocketUpgrade,
    http::Request,
    routing::{any, get},
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;
use ws_handshake::{Origin, WsHandshakeLayer, WsStream, testing::TestServer};

criterion_group!(benches, decision, origins, page, in_memory);
criterion_main!(benches);

/// The pure functions: read a request, decide with 1,000 origins and 4 subprotocols, and write the head. Next to an answer that checks
/// only the key.
fn decision(criterion: &mut Criterion) {
    let (policy, parts) = (cases::policy(), cases::parts());
    let mut group = criterion.benchmark_group("decision");
    group.bench_function("unchecked", |bench| bench.iter(|| cases::unchecked(black_box(&parts))));
    group.bench_function("unchecked, lean", |bench| bench.iter(|| cases::unchecked_lean(black_box(&parts))));
    group.bench_function("whole", |bench| bench.iter(|| cases::decision(black_box(&policy), black_box(&parts))));
}

fn origins(criterion: &mut Criterion) {
    let origin: Origin = "https://app5.example.com".parse().unwrap();
    let mut group = criterion.benchmark_group("origin, by how many are listed");
    for length in [10, 1_000, 1_000_000] {
        let list = cases::origins(length);
        group.bench_with_input(BenchmarkId::from_parameter(length), &list, |bench, list| {
            bench.iter(|| list.contains(black_box(&origin)));
        });
    }
}

/// A plain request through the router, with the layer and without.
fn page(criterion: &mut Criterion) {
    let runtime = runtime();
    let page = Router::new().route("/", get(async || "a page"));
    let mut group = criterion.benchmark_group("page");
    for (name, app) in [("without", page.clone()), ("with the layer", page.layer(layer()))] {
        group.bench_function(name, |bench| {
            bench.to_async(&runtime).iter(|| app.clone().oneshot(Request::new(Body::empty())));
        });
    }
}

/// From the client's request to both ends of the stream, through hyper's server, in memory.
fn in_memory(criterion: &mut Criterion) {
    let runtime = runtime();
    let straight = any(async |_: WsStream| ());
    let callback = any(async |ws: WebSocketUpgrade| ws.on_upgrade(async |_| ()));
    let mut group = criterion.benchmark_group("in memory");
    for (name, app) in [
        ("WsStream", Router::new().route("/", straight).layer(layer())),
        ("axum's extract::ws behind the layer", Router::new().route("/", callback.clone()).layer(layer())),
        ("axum's extract::ws", Router::new().route("/", callback)),
    ] {
        let server = TestServer::new(app);
        let connect = || async { server.ws("/").origin("http://localhost").try_connect().await.unwrap() };
        group.bench_function(name, |bench| bench.to_async(&runtime).iter(connect));
    }
}

fn layer() -> WsHandshakeLayer {
    WsHandshakeLayer::new()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
