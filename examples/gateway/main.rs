//! Run with `cargo run --release --example gateway --features client,metrics -- --listen 127.0.0.1:8080 --upstream
//! ws://127.0.0.1:9001 --allow-origin https://app.example.com`, with any WebSocket server at the upstream's address.
//!
//! A reverse proxy that gives a server in any language what this crate enforces: handshakes by the letter, origins and
//! hosts allowed, limits in all and for each peer, a drain on SIGTERM or Ctrl-C, and metrics. It decides a handshake, has
//! the upstream accept it, and only then answers; what follows is copied as it is. Plain HTTP goes through as well.

mod fields;
mod http;
mod tunnel;
mod websocket;

use std::{error::Error, io, net::SocketAddr, sync::Arc, thread, time::Duration};

use ::http::{Method, Request, StatusCode, Uri, header::ALLOW};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, State},
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use clap::Parser;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::Builder,
    signal,
    sync::watch,
    time::sleep,
};
use ws_handshake::{
    AllowHost, AllowOrigin, ConfigError, ConnectionKey, Connections, WsHandshakeLayer, WsUpgrade,
    handshake::request_authority,
};

use self::fields::Peer;

#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The server behind, as in `ws://127.0.0.1:9001`.
    #[arg(long, value_parser = upstream)]
    upstream: String,
    /// An origin whose pages may connect beside those of the same origin, as in `https://*.example.com`; may be given
    /// several times.
    #[arg(long)]
    allow_origin: Vec<String>,
    /// Refuse handshakes without `Origin`: those of no browser.
    #[arg(long)]
    require_origin: bool,
    /// A host by which this server is known, as in `app.example.com`; may be given several times. Without one, any is.
    #[arg(long)]
    allow_host: Vec<String>,
    /// How many sockets may be open.
    #[arg(long, default_value_t = 10_000)]
    limit: usize,
    /// How many sockets each IPv4 address or IPv6 network of /64 may have open.
    #[arg(long, default_value_t = 100)]
    limit_per_peer: usize,
    /// Take the last address in `X-Forwarded-For` for the peer: only where every request comes through a proxy of yours.
    #[arg(long)]
    behind_proxy: bool,
    /// The scheme that clients use, to be told to the upstream: `https` behind a proxy that ends TLS.
    #[arg(long, default_value = "http", value_parser = ["http", "https"])]
    proto: String,
    /// How long the upstream may take to connect and to answer, in seconds.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    upstream_timeout: f64,
    /// Where to serve metrics for Prometheus, at `/metrics`.
    #[arg(long)]
    metrics: Option<SocketAddr>,
    /// Over how long a drain ends the sockets, one after the other, in seconds.
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    drain_over: f64,
}

/// What every request is handled with.
struct Gateway {
    /// `host:port` of the upstream.
    upstream: String,
    upstream_timeout: Duration,
    hosts: Option<AllowHost>,
    behind_proxy: bool,
    proto: String,
    client: http::Client,
}

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::INFO).init();
    let args = Args::parse();
    let connections = limits(&args);
    let over = Duration::from_secs_f64(args.drain_over);
    let (stop, stopped) = watch::channel(false);
    let main = Builder::new_current_thread().enable_all().build()?;
    if let Some(address) = args.metrics {
        main.block_on(async { observe(TcpListener::bind(address).await?) })?;
    }
    // A runtime of its own for each core, with a listener of its own on the same port: a socket stays where it was accepted,
    // and no core waits for another. Small messages gain a fifth by it.
    let mut listen = args.listen;
    let mut workers = Vec::new();
    let cores = if cfg!(unix) { thread::available_parallelism().map_or(1, usize::from) } else { 1 };
    for _ in 0..cores {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(async { listener(listen) })?;
        listen = listener.local_addr()?;
        let serving = serve(listener, app(&args, &connections)?, stopped.clone(), over);
        workers.push(thread::spawn(move || runtime.block_on(serving)));
    }
    println!("listening on http://{listen}");
    main.block_on(async {
        asked_to_stop().await;
        println!("stopping, with {} sockets", connections.len());
        stop.send_replace(true);
        // Without looking into frames, sockets can only be ended: evenly over a while, so that clients do not all come back
        // at once.
        connections.drain(over, over + GRACE).await;
    });
    for worker in workers {
        worker.join().map_err(|_| "a worker has panicked")??;
    }
    Ok(())
}

/// A listener that shares its port with others of this process.
fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseport(true)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

fn limits(args: &Args) -> Connections {
    let behind_proxy = args.behind_proxy;
    Connections::new().limit(args.limit).limit_per(args.limit_per_peer, move |parts| {
        if behind_proxy {
            return ConnectionKey::forwarded(&parts.headers);
        }
        parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| ConnectionKey::network(peer.ip()))
    })
}

fn app(args: &Args, connections: &Connections) -> Result<Router, ConfigError> {
    let mut layer = WsHandshakeLayer::new()
        .allow_origin(AllowOrigin::same_origin().or(AllowOrigin::list(&args.allow_origin)?))
        .connections(connections.clone());
    if args.require_origin {
        layer = layer.require_origin();
    }
    let hosts = if args.allow_host.is_empty() { None } else { Some(AllowHost::list(&args.allow_host)?) };
    if let Some(hosts) = &hosts {
        layer = layer.allow_hosts(hosts.clone());
    }
    let gateway = Gateway {
        upstream: args.upstream.clone(),
        upstream_timeout: Duration::from_secs_f64(args.upstream_timeout),
        hosts,
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
    // Of a handshake the layer has looked at this.
    let authority = match request_authority(&request) {
        Ok(authority) => authority,
        Err(rejection) => return rejection.into_response(),
    };
    let Some(peer) = Peer::of(&gateway, peer, &authority, request.headers()) else {
        return (StatusCode::BAD_REQUEST, "`X-Forwarded-For` names no address").into_response();
    };
    match ws {
        Some(ws) => websocket::handle(&gateway, &peer, ws, request.into_parts().0).await,
        // This is a gateway to one server, and no way to others.
        None if request.method() == Method::CONNECT => {
            (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")]).into_response()
        }
        None if gateway.hosts.as_ref().is_some_and(|hosts| !hosts.allows(&authority)) => {
            (StatusCode::FORBIDDEN, "this host is not served here").into_response()
        }
        None => http::handle(&gateway, &peer, request).await,
    }
}

/// Serves until it is asked to stop, and a while longer: a client may be slow to send a request, or to take its answer.
async fn serve(listener: TcpListener, app: Router, stopped: watch::Receiver<bool>, over: Duration) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::select! {
        served = axum::serve(listener, app).with_graceful_shutdown(wait(stopped.clone())) => served,
        () = async { wait(stopped).await; sleep(over + GRACE).await } => Ok(()),
    }
}

const GRACE: Duration = Duration::from_secs(5);

fn observe(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    const BUCKETS: [f64; 6] = [1.0, 10.0, 60.0, 600.0, 3600.0, 86400.0];
    let metrics = PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets_for_metric(Matcher::Full("websocket.server.connection.duration".into()), &BUCKETS)?
        .install_recorder()?;
    ws_handshake::describe_metrics();
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

async fn wait(mut stopped: watch::Receiver<bool>) {
    // An error says that nobody is left to stop it.
    let _ = stopped.wait_for(|stopped| *stopped).await;
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

fn upstream(url: &str) -> Result<String, String> {
    let wrong = || "write it as `ws://host:port`, without a path".to_owned();
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let plain = matches!(uri.scheme_str(), Some("ws" | "http")) && uri.path() == "/" && uri.query().is_none();
    let authority = uri.authority().filter(|authority| plain && !authority.as_str().contains('@')).ok_or_else(wrong)?;
    Ok(format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80)))
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "write a number of seconds".to_owned())?;
    if (0.0..=86_400.0).contains(&seconds) { Ok(seconds) } else { Err("write a number of seconds, up to a day".into()) }
}
