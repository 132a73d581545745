//! An application of axum 0.7.
//!
//! The layer works. The extractors of this crate are for axum 0.8, and the compiler refuses them in a handler of axum 0.7:
//!
//! ```text
//! the trait bound `fn(WsStream) -> ...: axum::handler::Handler<_, _>` is not satisfied
//! ```
//!
//! Use the functions for types of the `http` crate instead: `WsUpgrade::take_from` and `ConnectionPermit::take_from_parts`.

use std::io;

use axum_07::{
    Router, async_trait,
    extract::{
        FromRequestParts, Request,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{StatusCode, request::Parts},
    response::Response,
    routing::get,
    serve as axum_serve,
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use ws_handshake::{ConnectionPermit, Connections, WsHandshakeLayer, WsStream, WsUpgrade};

pub(crate) async fn serve(listener: TcpListener, connections: Connections) -> io::Result<()> {
    let app = Router::new()
        .route("/", get(|| async { "The socket is at /echo." }))
        .route("/echo", get(echo))
        .route("/limited", get(limited))
        .route("/stream", get(on_the_stream))
        .layer(WsHandshakeLayer::new().connections(connections));
    axum_serve(listener, app).await
}

async fn echo(ws: WebSocketUpgrade) -> Response {
    ws.on_upgrade(send_back)
}

async fn limited(ws: WebSocketUpgrade, Permit(permit): Permit) -> Response {
    ws.on_upgrade(|socket| async move {
        send_back(socket).await;
        drop(permit);
    })
}

/// An extractor of axum 0.7 around the permit.
struct Permit(ConnectionPermit);

#[async_trait]
impl<S: Sync> FromRequestParts<S> for Permit {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        ConnectionPermit::take_from_parts(parts).map(Self).map_err(|rejection| rejection.status())
    }
}

async fn send_back(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        // Not every message: sending a close back fails, and then the client gets no answer to its close.
        let is_data = matches!(message, Message::Text(_) | Message::Binary(_));
        if is_data && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn on_the_stream(mut request: Request) -> Response {
    match WsUpgrade::take_from(&mut request) {
        Ok(ws) => ws.on_upgrade_into(send_back_on),
        Err(rejection) => rejection.response(),
    }
}

async fn send_back_on(stream: WsStream) {
    let Ok(mut socket) = stream.into_tungstenite(None).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visitor::{Server, echoes};

    async fn start() -> Server {
        Server::start(|listener| serve(listener, Connections::new().limit(1))).await
    }

    #[tokio::test]
    async fn every_route_is_guarded_and_works() {
        let server = start().await;
        for path in ["/echo", "/limited", "/stream"] {
            server.refuses_foreign_pages(path).await;
            echoes(server.open(path).await).await;
        }
        assert_eq!(server.get("/").await, (200, "The socket is at /echo.".to_owned()));
        assert_eq!(server.get("/stream").await.0, 426);
    }

    #[tokio::test]
    async fn the_limit_holds() {
        for path in ["/limited", "/stream"] {
            let server = start().await;
            let _socket = server.open(path).await;
            assert_eq!(server.handshake(path, &server.origin(), None).await.unwrap_err(), 503, "{path}");
        }
    }
}
