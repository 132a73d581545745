use std::error::Error;

use axum::{Router, routing::any};
use fastwebsockets::{FragmentCollector, OpCode, WebSocketError};
use tokio::net::TcpListener;
use ws_handshake::{WsHandshakeLayer, WsStream};

pub async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let app = Router::new().route("/ws", any(chat)).layer(WsHandshakeLayer::new());
    Ok(axum::serve(listener, app).await?)
}

async fn chat(stream: WsStream) {
    if let Err(error) = echo(stream).await {
        eprintln!("a socket ended: {error}");
    }
}

async fn echo(stream: WsStream) -> Result<(), WebSocketError> {
    let Ok(socket) = stream.into_fastwebsockets() else { return Ok(()) };
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}
