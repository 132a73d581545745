//! Run with `cargo run -p cluster`, and open the address that it prints in two tabs; or as
//! several nodes, each with `--addr 127.0.0.1:3001 --redis redis://127.0.0.1:6379` and an address of its own.
//!
//! The chat on more than one machine, by the subprotocol `v1.chat`, in which no message that was acknowledged is lost to
//! a client that comes back. `docs/guide/cluster.md` says how, and what to put in front of it.
//!
//! - `GET /chat?since=17` continues behind message 17. The server begins with `{"since":17,"until":20,"lost":false}`:
//!   what follows begins behind `since`, a client has caught up at `until`, and `lost` says that what came right after
//!   the 17 asked for is not kept any more. Without `since` it begins with what is said next.
//! - A client says `{"key":"..","from":"Ann","text":"hello"}`, with a key of its own choice. It is told
//!   `{"ack":"..","id":18}` once the broker has the message, and everybody gets `{"id":18,"said":{..}}`, in order and
//!   once.
//! - A close frame with 1012 says that this node restarts or that the connection is old, with 1013 that it cannot go on: come back, after a while that
//!   is random, with the last id seen. A message without its acknowledgement may have been said or not: look for its key
//!   in what was missed before saying it again.

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
    /// The Redis (7.0 or newer) that all nodes share, as in `redis://127.0.0.1:6379`. Without one, this node is alone.
    #[arg(long)]
    redis: Option<String>,
    /// An origin whose pages may connect beside those of the same origin, as in `https://*.example.com`; may be given
    /// several times.
    #[arg(long)]
    allow_origin: Vec<String>,
    /// How many sockets this node may have open.
    #[arg(long, default_value_t = 10_000)]
    limit: usize,
    /// Over how many seconds the clients are asked to leave on SIGTERM, one after the other.
    #[arg(long, default_value_t = 5)]
    drain_over: u64,
    /// After how many seconds a client is asked to connect again, so that nodes that were added get their share.
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
    // Messages are small, and do not wait for each other.
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

/// Whether this node can serve new clients, and how many it has. A node that is stopping does not answer at all.
fn health(broker: &Broker, connections: &Connections) -> (StatusCode, String) {
    let status = if broker.is_there() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, connections.len().to_string())
}

/// Ctrl-C, or what systemd, Docker and Kubernetes send.
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
