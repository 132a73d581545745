//! Run with `cargo run --example client --features client,yawc -- ws://127.0.0.1:3000/ws hello`, with the example `echo` at
//! that address.
//!
//! The other end: it connects, says what was agreed on, sends each further argument as a message, prints what comes back,
//! and closes. A refusal is printed with its fields and its body.

use std::{error::Error, time::Duration};

use clap::Parser;
use futures_util::SinkExt;
use http::Uri;
use tokio::{net::TcpStream, time::timeout};
use ws_handshake::{PermessageDeflate, WsRequest};
use yawc::{
    Options,
    close::CloseCode,
    frame::{Frame, OpCode},
};

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
    /// Offer permessage-deflate, and compress.
    #[arg(long)]
    deflate: bool,
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
    if args.deflate {
        request = request.permessage_deflate(PermessageDeflate::new());
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
    println!("deflate: {}", stream.deflate().map_or("none".into(), |params| params.to_string()));

    let mut socket = stream.into_yawc(Options::default().with_utf8().with_balanced_compression())?;
    for message in args.messages {
        socket.send(Frame::text(message)).await?;
        loop {
            let frame = timeout(Duration::from_secs(10), socket.next_frame()).await??;
            if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) {
                println!("{}", String::from_utf8_lossy(frame.payload()));
                break;
            }
        }
    }
    socket.send(Frame::close(CloseCode::Normal, "done")).await?;
    while socket.next_frame().await.is_ok() {}
    Ok(())
}
