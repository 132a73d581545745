use std::error::Error;

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::any,
};
use tokio::net::TcpListener;

pub async fn serve(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let app = Router::new().route("/ws", any(chat));
    Ok(axum::serve(listener, app).await?)
}

async fn chat(ws: WebSocketUpgrade) -> Response {
    ws.protocols(["v1.chat"]).on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Message::Text(_) | Message::Binary(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}
