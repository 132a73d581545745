//! Run with `cargo run --release -p gateway -- --listen 127.0.0.1:8080 --upstream ws://127.0.0.1:9001 --allow-origin
//! https://app.example.com`, with any WebSocket server at the upstream's address. Clients may use HTTP/1.1 and HTTP/2.
//!
//! A reverse proxy that protects a server in any language: strict handshakes, allowed origins and hosts, limits in total and for each
//! peer, a drain on SIGTERM or Ctrl-C, and metrics.
//!
//! - The gateway first decides a handshake. Then it asks the upstream with the same offers, and answers when the upstream has agreed. If
//!   the upstream refuses, the client gets that refusal. The client gets 502 if the upstream is down or answers wrongly, and 504 if the
//!   upstream is slow.
//! - Then the gateway copies bytes in both directions, until both have ended. It passes resets on, except to or from a client over HTTP/2,
//!   which sees an end.
//! - Plain HTTP goes through as well. `CONNECT` and `TRACE` get 405.
//! - On SIGTERM, the gateway accepts no more connections, and ends the sockets one after the other, without a close frame.

mod args;
mod fields;
mod http;
mod serve;
mod tunnel;
mod websocket;

use std::{
    error::Error,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    thread,
    time::Duration,
};

use ::http::{Method, Request, StatusCode, header::ALLOW, uri::Authority};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, State},
    response::{IntoResponse, Response},
    routing::get,
};
use clap::Parser;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tokio::{net::TcpListener, runtime::Builder, signal, sync::watch, time::sleep};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};
use ws_handshake::{
    AllowHost, ConfigError, ConnectionKey, Connections, Subprotocols, WsHandshakeLayer, WsUpgrade,
    handshake::request_authority,
};

use self::{args::Args, fields::Peer};

/// State for handling requests.
struct Gateway {
    upstream: Authority,
    upstream_timeout: Duration,
    body_timeout: Duration,
    idle_timeout: Duration,
    hosts: Option<AllowHost>,
    /// The only subprotocols to agree to. If empty, the gateway agrees to any.
    subprotocols: Vec<String>,
    /// The headers that the gateway drops.
    dropped: Vec<String>,
    behind_proxy: bool,
    proto: String,
    client: http::Client,
}

fn main() -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env()?;
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let args = Args::parse();
    if args.upstream.as_str() == args.listen.to_string() {
        return Err("--upstream is what --listen says: the gateway would ask itself".into());
    }
    let connections = limits(&args);
    let (stop, stopped) = watch::channel(false);
    // A program that already has the port would share it, and get some of the clients.
    let bound = StdListener::bind(args.listen).map_err(|error| format!("--listen {}: {error}", args.listen))?;
    let mut listen = bound.local_addr()?;
    drop(bound);
    let main = Builder::new_current_thread().enable_all().build()?;
    if let Some(address) = args.metrics {
        main.block_on(async {
            let listener = TcpListener::bind(address).await.map_err(|error| format!("--metrics {address}: {error}"))?;
            observe(listener)
        })?;
    }
    // Each core has its own runtime, and its own listener on the same port. A socket stays on the core that accepted it, and no core waits
    // for another. For small messages, this is a fifth faster.
    let cores = if cfg!(unix) { thread::available_parallelism().map_or(1, usize::from) } else { 1 };
    let mut workers = Vec::new();
    for _ in 0..cores {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(async { serve::listener(listen) })?;
        listen = listener.local_addr()?;
        let app = app(&args, &connections)?;
        let times = serve::Times { head: args.head_timeout, drain: args.drain_over };
        let serving = serve::run(listener, app, connections.clone(), stopped.clone(), times);
        workers.push(thread::spawn(move || runtime.block_on(serving)));
    }
    println!("listening on http://{listen}");
    main.block_on(async {
        asked_to_stop().await;
        println!("stopping, with {} sockets", connections.len());
        stop.send_replace(true);
        // The gateway does not parse frames, so it can only end sockets: evenly over a while, so that clients do not all come back at
        // once.
        connections.drain().over(args.drain_over).deadline(args.drain_over + serve::GRACE).await;
    });
    for worker in workers {
        worker.join().map_err(|_| "a worker has panicked")?;
    }
    Ok(())
}

fn limits(args: &Args) -> Connections {
    let behind_proxy = args.behind_proxy;
    Connections::new().limit(args.limit as usize).limit_per(args.limit_per_peer as usize, move |parts| {
        if behind_proxy {
            return ConnectionKey::forwarded(&parts.headers);
        }
        parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| ConnectionKey::network(peer.ip()))
    })
}

fn app(args: &Args, connections: &Connections) -> Result<Router, ConfigError> {
    let mut layer = WsHandshakeLayer::new()
        .add_trusted_origins(&args.allow_origin)?
        .connections(connections.clone())
        // The upstream timeout comes first, and gives 504.
        .answer_timeout(args.upstream_timeout + Duration::from_secs(5));
    if args.require_origin {
        layer = layer.require_origin(true);
    }
    if !args.subprotocol.is_empty() {
        layer = layer.subprotocols(Subprotocols::new(&args.subprotocol)?);
    }
    let hosts = if args.allow_host.is_empty() { None } else { Some(AllowHost::list(&args.allow_host)?) };
    if let Some(hosts) = &hosts {
        layer = layer.allow_host(hosts.clone());
    }
    let gateway = Gateway {
        upstream: args.upstream.clone(),
        upstream_timeout: args.upstream_timeout,
        body_timeout: args.body_timeout,
        idle_timeout: args.idle_timeout,
        hosts,
        subprotocols: args.subprotocol.clone(),
        dropped: args.drop_header.iter().map(fields::as_cgi_reads).collect(),
        behind_proxy: args.behind_proxy,
        proto: args.proto.clone(),
        client: http::client(),
    };
    Ok(Router::new().fallback(handle).layer(layer).with_state(Arc::new(gateway)))
}

async fn handle(
    State(gateway): State<Arc<Gateway>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, ws: Option<WsUpgrade>,
    request: Request<Body>,
) -> Response {
    // For a handshake, the layer has already checked this.
    let authority = match request_authority(&request) {
        Ok(authority) => authority,
        Err(rejection) => return rejection.into_response(),
    };
    let Some(peer) = Peer::of(&gateway, peer, &authority, request.headers()) else {
        tracing::warn!(%peer, "`X-Forwarded-For` names no address: `--behind-proxy` is for where it always does");
        return (StatusCode::BAD_REQUEST, "`X-Forwarded-For` names no address").into_response();
    };
    match ws {
        Some(ws) => websocket::handle(&gateway, &peer, ws, request.into_parts().0).await,
        // The gateway leads to one server only, so `CONNECT` is refused. `TRACE` is refused because no script may read a request's headers
        // back.
        None if [Method::CONNECT, Method::TRACE].contains(request.method()) => {
            (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")]).into_response()
        }
        None if gateway.hosts.as_ref().is_some_and(|hosts| !hosts.allows(&authority)) => {
            tracing::info!(host = authority.host(), "request refused: `--allow-host` does not list this host");
            (StatusCode::FORBIDDEN, "this host is not served here").into_response()
        }
        None => http::handle(&gateway, &peer, request).await,
    }
}

/// Logs why the upstream did not answer correctly, and answers in its place.
fn upstream_failed(status: StatusCode, reason: &'static str, cause: Option<&dyn Error>) -> Response {
    let cause =
        cause.map(|cause| format!("{cause}{}", cause.source().map(|source| format!(": {source}")).unwrap_or_default()));
    tracing::warn!(reason, cause, status = status.as_u16(), "the upstream failed");
    metrics::counter!("gateway.upstream.failures", "reason" => reason).increment(1);
    (status, reason).into_response()
}

fn observe(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    const BUCKETS: [f64; 6] = [1.0, 10.0, 60.0, 600.0, 3600.0, 86400.0];
    let metrics = PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets_for_metric(Matcher::Full("websocket.server.connection.duration".into()), &BUCKETS)?
        .install_recorder()?;
    ws_handshake::describe_metrics();
    metrics::describe_counter!("gateway.upstream.failures", "Requests that the upstream did not answer as it should");
    println!("metrics on http://{}/metrics", listener.local_addr()?);
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        loop {
            sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    let app = Router::new().route("/metrics", get(async move || metrics.render()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(())
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
