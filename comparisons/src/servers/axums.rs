//! axum's own extractor.

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use futures_util::TryStreamExt;

use super::{
    checks::{MayConnect, SUBPROTOCOLS, may_connect},
    echo::Ended,
};

pub fn router(name: &str) -> Option<Router> {
    let route = match name {
        "axum" => any(async |ws: WebSocketUpgrade| ws.on_upgrade(async |socket| drop(echo(socket).await))),
        "axum-lean" => any(lean),
        "axum-checked" => any(async |_: MayConnect, ws: WebSocketUpgrade| lean(ws.protocols(SUBPROTOCOLS)).await),
        "axum-checked-headers" => any(async |headers: HeaderMap, ws: WebSocketUpgrade| {
            if !may_connect(&headers) {
                return StatusCode::FORBIDDEN.into_response();
            }
            lean(ws.protocols(SUBPROTOCOLS)).await
        }),
        _ => return None,
    };
    Some(Router::new().route("/", route).route("/page", get(async || "page")))
}

/// With 4 KiB to read into, as this crate gives tungstenite.
pub async fn lean(ws: WebSocketUpgrade) -> Response {
    ws.read_buffer_size(4096).on_upgrade(async |socket| drop(echo(socket).await))
}

async fn echo(mut socket: WebSocket) -> Ended {
    while let Some(message) = socket.try_next().await? {
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            socket.send(message).await?;
        }
    }
    Ok(())
}
