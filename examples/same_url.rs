//! Run with `cargo run --example same_url`, and open the address that it prints.
//!
//! One URL serves a page to a browser, and the socket to that page's script.

use std::error::Error;

use axum::{
    Router,
    http::header::VARY,
    response::{Html, IntoResponse, Response},
    routing::any,
};
use futures_util::{SinkExt, TryStreamExt};
use tokio::net::TcpListener;
use ws_handshake::{AllowHost, WsHandshakeLayer, WsStream, WsUpgrade};

const PAGE: &str = r#"<!doctype html>
<title>ws-handshake: one URL</title>
<p id="said">connecting</p>
<script>
  const socket = new WebSocket(location.href.replace("http", "ws"));
  socket.onopen = () => socket.send("hello from the page");
  socket.onmessage = ({ data }) => { document.getElementById("said").textContent = data; };
</script>
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let layer = WsHandshakeLayer::new().allow_host(AllowHost::loopback());
    let app = Router::new().route("/", any(page_or_socket)).layer(layer);
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn page_or_socket(ws: Option<WsUpgrade>) -> Response {
    match ws {
        Some(ws) => ws.on_upgrade(async |stream| {
            if let Err(error) = echo(stream).await {
                eprintln!("socket ended: {error}");
            }
        }),
        // A cache must not give the page to a client that asks for the socket.
        None => ([(VARY, "upgrade")], Html(PAGE)).into_response(),
    }
}

async fn echo(stream: WsStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = stream.into_tungstenite(None).await?;
    while let Some(message) = socket.try_next().await? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
