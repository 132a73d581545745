//! Run with `cargo run -p http3`, and open the address that it prints.
//!
//! One router with one layer, over HTTP/1.1 and HTTP/2 on a port of TCP, and over HTTP/3 on the same port of UDP. A WebSocket over HTTP/3
//! is a stream of the QUIC connection (RFC 9220). `docs/guide/http3.md` says which browsers open one.

mod body;
mod connection;
mod endpoint;
mod frames;
mod protocol;
mod tunnel;

use std::{error::Error, net::SocketAddr};

use axum::{
    Router,
    http::{HeaderValue, Version, header::ALT_SVC},
    response::Html,
    routing::{any, get},
};
use clap::Parser;
use futures_util::{SinkExt, TryStreamExt};
use tokio::net::TcpListener;
use tower_http::set_header::SetResponseHeaderLayer;
use ws_handshake::{AllowHost, ConfigError, Subprotocols, WsHandshakeLayer, WsStream};

use self::connection::BoxError;

#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3443")]
    addr: SocketAddr,
    /// Another origin whose pages may connect, as in `https://*.example.com`; may be given several times.
    #[arg(long)]
    allow_origin: Vec<String>,
    /// A subprotocol to speak, the most preferred first; may be given several times.
    #[arg(long)]
    subprotocol: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::INFO).init();
    let args = Args::parse();
    let made = endpoint::certificate()?;
    let listener = TcpListener::bind(args.addr).await?;
    let address = listener.local_addr()?;
    let quic = endpoint::udp(&made, address)?;
    let app = app(&args, address.port())?;
    println!("listening on https://{address}");
    tokio::spawn(accept(quic, app.clone()));
    axum::serve(endpoint::tcp(&made, listener)?, app).await?;
    Ok(())
}

/// Serves each QUIC connection in a task of its own.
async fn accept(quic: quinn::Endpoint, app: Router) {
    while let Some(incoming) = quic.accept().await {
        let app = app.clone();
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else { return };
            if let Err(error) = connection::serve(connection, app).await {
                tracing::debug!(error, "connection ended");
            }
        });
    }
}

fn app(args: &Args, port: u16) -> Result<Router, BoxError> {
    let names = args.subprotocol.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let page = include_str!("../../echo.html").replace("/*SUBPROTOCOLS*/[]", &format!("[{names}]"));
    // What tells a browser that there is HTTP/3.
    let alt_svc = HeaderValue::try_from(format!("h3=\":{port}\"; ma=86400"))?;
    Ok(Router::new()
        .route("/", get(async move || Html(page)))
        .route("/ws", any(echo))
        .layer(layer(args)?)
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

async fn frames(stream: WsStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = stream.into_tungstenite(None).await?;
    while let Some(message) = socket.try_next().await? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
