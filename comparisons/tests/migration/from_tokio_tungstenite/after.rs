use std::error::Error;

use axum::{Router, routing::any};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use ws_handshake::{WsHandshakeLayer, WsStream};

pub async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let app = Router::new().route("/ws", any(echo)).layer(WsHandshakeLayer::new());
    Ok(axum::serve(listener, app).await?)
}

async fn echo(stream: WsStream) {
    let Ok(mut socket) = stream.into_tungstenite(None).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}
