//! Run with `cargo run --example client -- ws://127.0.0.1:3000/ws hello`, with the example `echo` at that address.
//!
//! The other end: it connects, says what was agreed on, sends each further argument as a message, prints what comes back,
//! and closes. A refusal is printed with its fields and its body.

use std::{error::Error, time::Duration};

use clap::Parser;
use futures_util::{SinkExt, TryStreamExt};
use http::Uri;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};
use ws_handshake::WsRequest;

#[derive(Parser)]
struct Args {
    /// Where to connect, as in `ws://host:port/path`.
    url: String,
    /// What to send.
    messages: Vec<String>,
    /// A subprotocol to offer, the most preferred first; may be given several times.
    #[arg(long)]
    subprotocol: Vec<String>,
    /// The page to connect from, as a browser would say it.
    #[arg(long)]
    origin: Option<String>,
    /// A field to send, as in `Authorization: Bearer 0xfeed`; may be given several times.
    #[arg(long)]
    header: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let mut request = WsRequest::new(&args.url).subprotocols(&args.subprotocol);
    if let Some(origin) = &args.origin {
        request = request.origin(origin);
    }
    for field in &args.header {
        let (name, value) = field.split_once(": ").ok_or("write a field as `Name: value`")?;
        request = request.header(name, value);
    }

    let uri: Uri = args.url.parse()?;
    let host = uri.host().ok_or("write the URL as `ws://host:port/path`")?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let connection = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
    connection.set_nodelay(true)?;
    let (stream, _) = match request.connect(connection).await {
        Ok(connected) => connected,
        Err(error) => {
            if let Some(response) = error.response() {
                println!("{}", response.status());
                for (name, value) in response.headers() {
                    println!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
                }
                println!("\n{}", String::from_utf8_lossy(response.body()));
            }
            return Err(error.into());
        }
    };
    println!("subprotocol: {}", stream.subprotocol().unwrap_or("none"));

    let mut socket = stream.into_tungstenite(None).await?;
    for message in args.messages {
        socket.send(Message::text(message)).await?;
        loop {
            let answer = timeout(Duration::from_secs(10), socket.try_next()).await??.ok_or("the server has gone")?;
            if answer.is_text() || answer.is_binary() {
                println!("{}", answer.to_text()?);
                break;
            }
        }
    }
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "done".into() })).await?;
    while let Ok(Some(_)) = socket.try_next().await {}
    Ok(())
}
