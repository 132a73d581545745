//! The server, set up as a public server should be: with a timeout for heads, and a limit for connections.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{
    Router,
    middleware::map_response,
    response::Response,
    routing::{any, get},
};
use http::StatusCode;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use peak_alloc::PeakAlloc;
use tokio::{net::TcpListener, time::sleep};
use ws_handshake::{ConnectionKey, Connections, WsHandshakeLayer, WsStream, WsUpgrade};

use super::floods::{HEAD_TIMEOUT, LIMIT, RATE, RATE_WINDOW};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The most files that were open at once.
static FILES: AtomicUsize = AtomicUsize::new(0);

pub(super) async fn run() {
    let layer = WsHandshakeLayer::new()
        .connections(Connections::new().limit(LIMIT))
        .handoff_timeout(HEAD_TIMEOUT)
        .answer_timeout(HEAD_TIMEOUT);
    let rated =
        Connections::new().limit(LIMIT).rate_per(RATE, RATE_WINDOW, |parts| ConnectionKey::forwarded(&parts.headers));
    let app = Router::new()
        .route("/echo", any(echo))
        .route("/never", any(async |_: WsUpgrade| std::future::pending::<()>().await))
        .route("/replaced", any(echo))
        .layer(layer)
        .route("/rated", any(echo).layer(WsHandshakeLayer::new().connections(rated)))
        .layer(map_response(replace))
        .route("/heap", get(async || HEAP.current_usage().to_string()))
        .route("/most", get(async || HEAP.peak_usage().to_string()))
        .route("/files", get(async || format!("{} {}", files(), FILES.load(Ordering::Relaxed))));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    server.http2().timer(TokioTimer::new()).enable_connect_protocol();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    tokio::spawn(watch());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (server, service) = (server.clone(), TowerToHyperService::new(app.clone()));
        tokio::spawn(async move { server.serve_connection_with_upgrades(TokioIo::new(stream), service).await.is_ok() });
    }
}

async fn echo(mut stream: WsStream) {
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

/// A faulty outer layer: answers 200 after the layer has accepted.
async fn replace(request: http::Uri, mut response: Response) -> Response {
    if request.path() == "/replaced" {
        *response.status_mut() = StatusCode::OK;
    }
    response
}

fn files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn watch() {
    loop {
        FILES.fetch_max(files(), Ordering::Relaxed);
        sleep(Duration::from_millis(50)).await;
    }
}
