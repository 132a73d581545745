//! Run with `cargo run -p framing --bin compressing_client -- ws://127.0.0.1:3000/yawc hello`, with `framing` at that address.
//!
//! A client that offers permessage-deflate. Prints what was agreed on, sends each further argument as a message, prints the answers, and
//! closes.

use std::{error::Error, time::Duration};

use futures_util::SinkExt;
use tokio::{net::TcpStream, time::timeout};
use ws_handshake::{PermessageDeflate, WsRequest};
use yawc::{
    Options,
    close::CloseCode,
    frame::{Frame, OpCode},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("name the server, as in `ws://127.0.0.1:3000/yawc`")?;
    let address =
        url.strip_prefix("ws://").and_then(|rest| rest.split('/').next()).ok_or("write `ws://host:port/path`")?;
    let connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    let request = WsRequest::new(&url).subprotocols(["v1.chat"]).permessage_deflate(PermessageDeflate::new());
    let (stream, _) = request.connect(connection).await?;
    println!("deflate: {}", stream.deflate().map_or("none".into(), |params| params.to_string()));

    let mut socket = stream.into_yawc(Options::default().with_utf8().with_balanced_compression())?;
    for message in args {
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
