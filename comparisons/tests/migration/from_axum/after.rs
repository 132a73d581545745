use std::error::Error;

use axum::{Router, routing::any};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use ws_handshake::{Subprotocols, WsHandshakeLayer, WsStream};

pub async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let layer = WsHandshakeLayer::new().subprotocols(Subprotocols::new(["v1.chat"])?);
    let app = Router::new().route("/ws", any(echo)).layer(layer);
    Ok(axum::serve(listener, app).await?)
}

async fn echo(stream: WsStream) {
    let Ok(mut socket) = stream.into_tungstenite(None).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, Message::Text(_) | Message::Binary(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}
