//! Run with `cargo run --example client -- ws://127.0.0.1:3000/ws hello`, with the example `echo` at that address.
//!
//! A client: connects, prints what was agreed on, sends each further argument as a message, prints the answers, and closes. If the server
//! refuses, the client prints the headers and the body. Options:
//!
//! - `--subprotocol v1.chat`: a subprotocol to offer, in order of preference. Repeatable.
//! - `--header "Authorization: Bearer 0xfeed"`: a header to send. Repeatable.
//! - `--origin https://app.example.com`: the origin of the page to connect from.

use std::{error::Error, time::Duration};

use futures_util::{SinkExt, TryStreamExt};
use http::Uri;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};
use ws_handshake::WsRequest;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut subprotocols, mut headers, mut origin, mut words) = (Vec::new(), Vec::new(), None, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--subprotocol" => subprotocols.push(args.next().ok_or("name a subprotocol")?),
            "--header" => headers.push(args.next().ok_or("write a header as `Name: value`")?),
            "--origin" => origin = Some(args.next().ok_or("name an origin")?),
            _ => words.push(arg),
        }
    }
    let (url, messages) = words.split_first().ok_or("name the server, as in `ws://127.0.0.1:3000/ws`")?;
    let mut request = WsRequest::new(url).subprotocols(&subprotocols);
    if let Some(origin) = &origin {
        request = request.origin(origin);
    }
    for header in &headers {
        let (name, value) = header.split_once(": ").ok_or("write a header as `Name: value`")?;
        request = request.header(name, value);
    }

    let uri: Uri = url.parse()?;
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
    for message in messages {
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
