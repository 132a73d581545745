//! Run with `cargo run --example echo`, and open the address that it prints.
//!
//! `/` is a page that opens the socket at `/ws`, sends, and shows the answers. Options, after `--`:
//!
//! - `--addr 127.0.0.1:3000`: where to listen.
//! - `--allow-origin https://*.example.com`: another origin whose pages may connect. Repeatable.
//! - `--subprotocol v1.chat`: a subprotocol to speak, in order of preference. Repeatable.

use std::{error::Error, net::SocketAddr};

use axum::{
    Router,
    response::Html,
    routing::{any, get},
};
use futures_util::{SinkExt, TryStreamExt};
use tokio::net::TcpListener;
use ws_handshake::{AllowHost, ConfigError, Subprotocols, WsHandshakeLayer, WsStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::INFO).init();
    let args = Args::parse()?;
    let names = args.subprotocol.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let page = include_str!("echo.html").replace("/*SUBPROTOCOLS*/[]", &format!("[{names}]"));
    let app = Router::new().route("/", get(async move || Html(page))).route("/ws", any(echo)).layer(layer(&args)?);
    let listener = TcpListener::bind(args.addr).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

fn layer(args: &Args) -> Result<WsHandshakeLayer, ConfigError> {
    let mut layer = WsHandshakeLayer::new().add_trusted_origins(&args.allow_origin)?;
    if !args.subprotocol.is_empty() {
        layer = layer.subprotocols(Subprotocols::new(&args.subprotocol)?);
    }
    if args.addr.ip().is_loopback() {
        // With DNS rebinding, an attacker's page has the same origin as its own requests to this machine.
        layer = layer.allow_host(AllowHost::loopback());
    }
    Ok(layer)
}

async fn echo(stream: WsStream) {
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
    Ok(())
}

struct Args {
    addr: SocketAddr,
    allow_origin: Vec<String>,
    subprotocol: Vec<String>,
}

impl Args {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut args = Self { addr: ([127, 0, 0, 1], 3000).into(), allow_origin: Vec::new(), subprotocol: Vec::new() };
        let mut given = std::env::args().skip(1);
        while let Some(option) = given.next() {
            let value = given.next().ok_or_else(|| format!("`{option}` needs a value"))?;
            match option.as_str() {
                "--addr" => args.addr = value.parse()?,
                "--allow-origin" => args.allow_origin.push(value),
                "--subprotocol" => args.subprotocol.push(value),
                _ => return Err(format!("there is no option `{option}`").into()),
            }
        }
        Ok(args)
    }
}
