//! Run with `cargo run -p http3`, and open the address that it prints.
//!
//! One router with one layer, over HTTP/1.1 and HTTP/2 on a TCP port, and over HTTP/3 on the same UDP port. A WebSocket over HTTP/3 is a
//! stream of the QUIC connection (RFC 9220). `docs/guide/http3.md` says which browsers support this.

mod http3;
mod tls;

use std::{error::Error, net::SocketAddr, time::Duration};

use axum::{
    Router,
    http::{HeaderValue, Version, header::ALT_SVC},
    response::Html,
    routing::{any, get},
};
use clap::Parser;
use futures_util::{SinkExt, TryStreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tower_http::set_header::SetResponseHeaderLayer;
use ws_handshake::{AllowHost, ConfigError, Connections, Subprotocols, WsHandshakeLayer, WsStream};

use self::tls::Certificate;

type BoxError = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3443")]
    addr: SocketAddr,
    /// Another origin whose pages may connect, such as `https://*.example.com`. Repeatable.
    #[arg(long)]
    allow_origin: Vec<String>,
    /// A subprotocol to speak, in order of preference. Repeatable.
    #[arg(long)]
    subprotocol: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::INFO).init();
    let args = Args::parse();
    let certificate = Certificate::make()?;
    let listener = TcpListener::bind(args.addr).await?;
    let address = listener.local_addr()?;
    let endpoint = quinn::Endpoint::server(certificate.quic()?, address)?;

    let connections = Connections::new();
    let app = app(&args, connections.clone(), address.port())?;
    println!("listening on https://{address}");
    // Ctrl-C closes the sockets and lets requests finish, over each version of HTTP.
    let shutdown = connections.graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) }).over(OVER);
    let tcp = axum::serve(certificate.tcp(listener)?, app.clone()).with_graceful_shutdown(shutdown.signal());
    let quic = http3::serve(endpoint, app, shutdown.signal());
    let both = async { tokio::join!(tcp, quic).0 };
    let drained = shutdown.serve(both).await?;
    println!("{} closed, {} aborted", drained.closed, drained.aborted);
    Ok(())
}

fn app(args: &Args, connections: Connections, port: u16) -> Result<Router, BoxError> {
    let names = args.subprotocol.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let page = include_str!("../../echo.html").replace("/*SUBPROTOCOLS*/[]", &format!("[{names}]"));
    // Announces HTTP/3 to browsers.
    let alt_svc = HeaderValue::try_from(format!("h3=\":{port}\"; ma=86400"))?;
    Ok(Router::new()
        .route("/", get(async move || Html(page)))
        .route("/ws", any(echo))
        .layer(layer(args)?.connections(connections))
        .layer(SetResponseHeaderLayer::overriding(ALT_SVC, alt_svc)))
}

fn layer(args: &Args) -> Result<WsHandshakeLayer, ConfigError> {
    let layer = WsHandshakeLayer::new().allow_host(AllowHost::loopback()).add_trusted_origins(&args.allow_origin)?;
    Ok(if args.subprotocol.is_empty() { layer } else { layer.subprotocols(Subprotocols::new(&args.subprotocol)?) })
}

async fn echo(version: Version, stream: WsStream) {
    println!("a socket over {version:?}");
    if let Err(error) = frames(stream).await {
        eprintln!("a socket ended: {error}");
    }
}

/// Echoes, and closes when the server stops.
async fn frames(stream: WsStream) -> Result<(), BoxError> {
    let mut closing = stream.closing();
    let mut socket = stream.into_tungstenite(None).await?;
    loop {
        tokio::select! {
            message = socket.try_next() => match message? {
                Some(message) if message.is_text() || message.is_binary() => socket.send(message).await?,
                Some(_) => {}
                None => return Ok(()),
            },
            () = &mut closing => break,
        }
    }
    socket.close(Some(CloseFrame { code: closing.close_code().into(), reason: "".into() })).await?;
    // The client answers the close, after everything it sent before.
    while socket.try_next().await?.is_some() {}
    Ok(())
}

/// The time over which sockets are asked to close, spread evenly.
const OVER: Duration = Duration::from_secs(5);
