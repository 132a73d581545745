use std::error::Error;

use axum::{Router, routing::any};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use ws_handshake::{PermessageDeflate, WsHandshakeLayer, WsStream};
use yawc::{Options, frame::OpCode};

pub async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let layer = WsHandshakeLayer::new().permessage_deflate(PermessageDeflate::new());
    let app = Router::new().route("/ws", any(echo)).layer(layer);
    Ok(axum::serve(listener, app).await?)
}

fn options() -> Options {
    Options::default().with_utf8().with_balanced_compression()
}

async fn echo(stream: WsStream) {
    let Ok(mut socket) = stream.into_yawc(options()) else { return };
    while let Some(frame) = socket.next().await {
        if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) && socket.send(frame).await.is_err() {
            return;
        }
    }
}
