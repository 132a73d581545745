//! An application of axum with the extractor of the crate axum-tws.

use std::io;

use ::axum_tws::{WebSocket, WebSocketUpgrade};
use axum::{
    Router,
    response::Response,
    routing::{any, get},
};
use tokio::net::TcpListener;
use ws_handshake::{ConnectionPermit, Connections, WsHandshakeLayer};

pub(crate) async fn serve(listener: TcpListener, connections: Connections) -> io::Result<()> {
    let app = Router::new()
        .route("/", get(async || "The socket is at /echo."))
        .route("/echo", any(echo))
        .route("/limited", any(limited))
        .layer(WsHandshakeLayer::new().connections(connections));
    axum::serve(listener, app).await
}

async fn echo(ws: WebSocketUpgrade) -> Response {
    ws.on_upgrade(send_back)
}

async fn limited(ws: WebSocketUpgrade, permit: ConnectionPermit) -> Response {
    ws.on_upgrade(|socket| async move {
        send_back(socket).await;
        drop(permit);
    })
}

async fn send_back(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if message.is_text() && socket.send(message).await.is_err() {
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
    async fn its_extractor_is_guarded_and_works() {
        let server = start().await;
        for path in ["/echo", "/limited"] {
            server.refuses_foreign_pages(path).await;
            echoes(server.open(path).await).await;
            echoes(server.open_over_http2(path, &[]).await).await;
        }
        assert_eq!(server.get("/").await, (200, "The socket is at /echo.".to_owned()));
    }

    #[tokio::test]
    async fn the_limit_holds() {
        let server = start().await;
        let _socket = server.open("/limited").await;
        assert_eq!(server.handshake("/limited", &server.origin(), None).await.unwrap_err(), 503);
    }
}
