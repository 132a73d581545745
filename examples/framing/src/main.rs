//! Run with `cargo run -p framing`, and connect to one of the routes that it prints.
//!
//! A route for each framing library. Each route echoes. Only yawc's route has permessage-deflate.

use std::error::Error;

use axum::{Router, routing::any};
use fastwebsockets::{FragmentCollector, OpCode};
use futures_util::{SinkExt, TryStreamExt};
use tokio::net::TcpListener;
use tokio_websockets::{Config, Limits};
use ws_handshake::{AllowHost, PermessageDeflate, WsHandshakeLayer, WsStream};
use yawc::{Options, frame::OpCode as YawcOpCode};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let layer = WsHandshakeLayer::new().allow_host(AllowHost::loopback());
    let with_deflate = layer.clone().permessage_deflate(PermessageDeflate::new());
    let app = Router::new()
        .route("/tungstenite", any(async |stream| ended(tungstenite(stream).await)))
        .route("/fastwebsockets", any(async |stream| ended(fastwebsockets(stream).await)))
        .route("/tokio-websockets", any(async |stream| ended(tokio_websockets(stream).await)))
        .route_layer(layer)
        .route("/yawc", any(async |stream| ended(yawc(stream).await)).layer(with_deflate));
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("listening on ws://{address}/tungstenite, /fastwebsockets, /tokio-websockets and /yawc");
    axum::serve(listener, app).await?;
    Ok(())
}

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

async fn tungstenite(stream: WsStream) -> Ended {
    let mut socket = stream.into_tungstenite(None).await?;
    while let Some(message) = socket.try_next().await? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn fastwebsockets(stream: WsStream) -> Ended {
    let mut socket = FragmentCollector::new(stream.into_fastwebsockets()?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}

async fn tokio_websockets(stream: WsStream) -> Ended {
    let mut socket = stream.into_tokio_websockets(Config::default(), Limits::default())?;
    while let Some(message) = socket.try_next().await? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn yawc(stream: WsStream) -> Ended {
    // By default, yawc does not check text for UTF-8, and takes messages of at most 1 MiB.
    let options = Options::default().with_utf8().with_limits(64 << 20, 64 << 20);
    let mut socket = stream.into_yawc(options)?;
    loop {
        // As a `Stream`, the socket would end at an error and not return it.
        match socket.next_frame().await {
            Ok(frame) if matches!(frame.opcode(), YawcOpCode::Text | YawcOpCode::Binary) => socket.send(frame).await?,
            Ok(_) => {}
            Err(error) if error.is_closed() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn ended(ended: Ended) {
    if let Err(error) = ended {
        eprintln!("socket ended: {error}");
    }
}
