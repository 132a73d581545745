//! Run with `cargo run --example origins -- origins.txt`, and edit that file while the server runs.
//!
//! The file lists one origin per line, such as `https://*.example.com`. Empty lines and lines that begin with `#` are skipped. A new list
//! applies at once. If the file has a mistake, is empty, or has no final newline and so may be half written, the old list stays in force.

use std::{error::Error, path::PathBuf, time::Duration};

use axum::{Router, routing::any};
use futures_util::{SinkExt, TryStreamExt};
use tokio::{fs, net::TcpListener, time};
use ws_handshake::{AllowHost, OriginList, WsHandshakeLayer, WsStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = PathBuf::from(args.next().ok_or("name the file that lists the origins")?);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:3000".into());

    let text = fs::read_to_string(&path).await.map_err(|error| format!("{}: {error}", path.display()))?;
    let origins = OriginList::new(lines(&text)?)?;
    tokio::spawn(reload(path, text, origins.clone()));

    let layer = WsHandshakeLayer::new().allow_origin(origins).allow_host(AllowHost::loopback());
    let app = Router::new().route("/ws", any(echo)).layer(layer);
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}/ws", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// Reads the file when it has changed, and applies its list.
async fn reload(path: PathBuf, mut text: String, origins: OriginList) {
    let mut ticks = time::interval(Duration::from_millis(200));
    loop {
        ticks.tick().await;
        match fs::read_to_string(&path).await {
            Ok(read) if read == text => continue,
            Ok(read) => text = read,
            Err(error) => {
                eprintln!("{}: {error}; the old list stays in force", path.display());
                time::sleep(Duration::from_secs(5)).await;
                continue;
            }
        }
        match lines(&text).and_then(|lines| Ok(origins.replace(lines)?)) {
            Ok(()) => println!("{}: the new list is in force", path.display()),
            Err(error) => eprintln!("{}: {error}; the old list stays in force", path.display()),
        }
    }
}

fn lines(text: &str) -> Result<impl Iterator<Item = &str>, Box<dyn Error>> {
    if !text.ends_with('\n') {
        return Err("the file does not end with a newline: it may be half written".into());
    }
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')))
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
