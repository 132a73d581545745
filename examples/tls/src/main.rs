//! Run with `cargo run -p tls`, and open the address that it prints.
//!
//! HTTPS with HTTP/1.1 and HTTP/2 on one port. A browser that has loaded the page over HTTP/2 opens the socket on the same connection
//! (RFC 8441), and the server prints that. The certificate is made at start, so a browser warns of it.

use std::{error::Error, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    http::{Method, Version},
    response::Html,
    routing::{any, get},
};
use clap::Parser;
use futures_util::{SinkExt, TryStreamExt};
use tls_listener::TlsListener;
use tokio::{io::AsyncWriteExt, net::TcpListener};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer},
};
use ws_handshake::{AllowHost, ConfigError, Subprotocols, WsHandshakeLayer, WsStream};

#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3443")]
    addr: SocketAddr,
    /// Another origin whose pages may connect, such as `https://*.example.com`. Repeatable.
    #[arg(long)]
    allow_origin: Vec<String>,
    /// A subprotocol to speak, in order of preference. Repeatable. Clients have to offer one of them.
    #[arg(long)]
    subprotocol: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::INFO).init();
    let args = Args::parse();
    let names = args.subprotocol.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let page = include_str!("../../echo.html").replace("/*SUBPROTOCOLS*/[]", &format!("[{names}]"));
    let app = Router::new()
        .route("/", get(async move || Html(page)))
        // Not `get`: over HTTP/2 the method is `CONNECT`.
        .route("/ws", any(echo))
        .layer(layer(&args)?);
    let listener = TlsListener::new(acceptor()?, TcpListener::bind(args.addr).await?);
    println!("listening on https://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

fn layer(args: &Args) -> Result<WsHandshakeLayer, ConfigError> {
    let mut layer =
        WsHandshakeLayer::new().allow_host(AllowHost::loopback()).add_trusted_origins(&args.allow_origin)?;
    if !args.subprotocol.is_empty() {
        layer = layer.subprotocols(Subprotocols::new(&args.subprotocol)?.required(true));
    }
    Ok(layer)
}

fn acceptor() -> Result<TlsAcceptor, Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into(), "::1".into()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key.into())?;
    // The first entry is for clients that support both.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn echo(method: Method, version: Version, stream: WsStream) {
    println!("a socket by {method} over {version:?}");
    if let Err(error) = frames(stream).await {
        eprintln!("socket ended: {error}");
    }
}

async fn frames(stream: WsStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = stream.into_tungstenite(None).await?;
    while let Some(message) = socket.try_next().await? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    // TLS needs an announced end. The client may have disconnected by now.
    let _ = socket.get_mut().shutdown().await;
    Ok(())
}
