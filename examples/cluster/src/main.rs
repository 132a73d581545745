//! Run with `cargo run -p cluster`, and open the address that it prints in two tabs. To run several nodes, give each `--redis
//! redis://127.0.0.1:6379` and its own address, such as `--addr 127.0.0.1:3001`.
//!
//! A chat on several machines, with the subprotocol `v1.chat`. A client that reconnects loses no acknowledged message.
//! `docs/guide/cluster.md` explains how, and what to put in front.
//!
//! - `GET /chat?since=17` continues after message 17. The server first sends `{"since":17,"until":20,"lost":false}`. The messages after
//!   `since` follow, and at `until` the client has caught up. If `lost` is true, the messages right after 17 are no longer kept. Without
//!   `since`, the server starts with the next message.
//! - A client sends `{"key":"..","from":"Ann","text":"hello"}`, with a key of its choice. When the broker has the message, the client gets
//!   `{"ack":"..","id":18}`. Everybody gets `{"id":18,"said":{..}}`, in order and once.
//! - A close frame with 1012 means that the node restarts or the connection is old. With 1013, the node cannot go on. In both cases,
//!   reconnect after a random time, with the last id seen. A message without acknowledgement may or may not have been delivered: look for
//!   its key among the missed messages before you send it again.

mod broker;
mod in_process;
mod redis_stream;
#[cfg(test)]
mod tests;
mod visit;

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::Html,
    routing::{any, get},
    serve::ListenerExt,
};
use clap::Parser;
use tokio::{net::TcpListener, signal};
use ws_handshake::{ConfigError, Connections, Subprotocols, WsHandshakeLayer};

use self::{broker::Broker, in_process::InProcess, redis_stream::RedisStream};

/// One node of a chat.
#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3000")]
    addr: SocketAddr,
    /// The Redis (7.0 or newer) that all nodes share, such as `redis://127.0.0.1:6379`. Default: this node runs alone.
    #[arg(long)]
    redis: Option<String>,
    /// Another origin whose pages may connect, such as `https://*.example.com`. Repeatable.
    #[arg(long)]
    allow_origin: Vec<String>,
    /// The maximum number of open sockets of this node.
    #[arg(long, default_value_t = 10_000)]
    limit: usize,
    /// The time over which clients are asked to leave on SIGTERM, one after the other, in seconds.
    #[arg(long, default_value_t = 5)]
    drain_over: u64,
    /// The age at which a client is asked to reconnect, in seconds, so that added nodes get their share.
    #[arg(long, default_value_t = 3600)]
    max_age: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let broker = Arc::new(match &args.redis {
        Some(url) => Broker::Redis(RedisStream::follow(url)?),
        None => Broker::InProcess(InProcess::default()),
    });
    let connections = Connections::new().limit(args.limit).max_age(Duration::from_secs(args.max_age));
    let app = app(broker, &args.allow_origin, &connections)?;
    let listener = TcpListener::bind(args.addr).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // Messages are small, and should not wait for each other.
    let listener = listener.tap_io(|tcp| drop(tcp.set_nodelay(true)));

    let (over, deadline) = (Duration::from_secs(args.drain_over), Duration::from_secs(args.drain_over + 5));
    let open = connections.clone();
    let signal = async move {
        asked_to_stop().await;
        println!("stopping, with {} connections", open.len());
    };
    let shutdown = connections.graceful_shutdown(signal).over(over).deadline(deadline);
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown.signal());
    let drained = shutdown.serve(server).await?;
    println!("{} closed, {} aborted", drained.closed, drained.aborted);
    Ok(())
}

fn app(broker: Arc<Broker>, allow_origin: &[String], connections: &Connections) -> Result<Router, ConfigError> {
    let layer = WsHandshakeLayer::new()
        .add_trusted_origins(allow_origin)?
        .subprotocols(Subprotocols::new(["v1.chat"])?.required(true))
        .connections(connections.clone());
    let open = connections.clone();
    Ok(Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/chat", any(visit::chat))
        .layer(layer)
        .route("/health", get(async move |State(broker): State<Arc<Broker>>| health(&broker, &open)))
        .with_state(broker))
}

/// Whether this node can serve new clients, and its number of clients. A node that is stopping does not answer.
fn health(broker: &Broker, connections: &Connections) -> (StatusCode, String) {
    let status = if broker.is_there() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, connections.len().to_string())
}

/// Ctrl-C, or SIGTERM from systemd, Docker and Kubernetes.
async fn asked_to_stop() {
    #[cfg(unix)]
    let terminated = async {
        match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(mut terminated) => drop(terminated.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = signal::ctrl_c() => {}
        () = terminated => {}
    }
}
