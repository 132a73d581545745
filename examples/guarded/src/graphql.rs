//! A GraphQL subscription with the protocol graphql-transport-ws: a countdown.

use std::time::Duration;

use axum::{
    Router,
    extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::any,
};
use serde_json::{Value, json};
use tokio::time::sleep;

pub(crate) fn app() -> Router {
    Router::new().route("/graphql", any(subscribe))
}

async fn subscribe(ws: WebSocketUpgrade) -> Response {
    ws.protocols(["graphql-transport-ws"]).on_upgrade(serve)
}

async fn serve(mut socket: WebSocket) {
    let mut greeted = false;
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        let request: Value = serde_json::from_str(&text).unwrap_or_default();
        let done = match request["type"].as_str() {
            Some("connection_init") if !greeted => {
                greeted = true;
                send(&mut socket, json!({ "type": "connection_ack" })).await
            }
            Some("ping") => send(&mut socket, json!({ "type": "pong" })).await,
            Some("subscribe") if greeted => count_down(&mut socket, &request["id"]).await,
            Some("subscribe") => close(&mut socket, 4401, "Unauthorized").await,
            Some("complete" | "pong") => Some(()),
            _ => close(&mut socket, 4400, "Invalid message").await,
        };
        if done.is_none() {
            return;
        }
    }
}

async fn count_down(socket: &mut WebSocket, id: &Value) -> Option<()> {
    for left in (0..3).rev() {
        send(socket, json!({ "id": id, "type": "next", "payload": { "data": { "left": left } } })).await?;
        sleep(Duration::from_millis(10)).await;
    }
    send(socket, json!({ "id": id, "type": "complete" })).await
}

async fn send(socket: &mut WebSocket, message: Value) -> Option<()> {
    socket.send(message.to_string().into()).await.ok()
}

async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) -> Option<()> {
    let _ = socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
    None
}
