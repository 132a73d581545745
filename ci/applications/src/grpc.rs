//! gRPC of tonic and WebSockets of axum on one port.

use std::io;

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::{any, get},
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic_health::server::health_reporter;
use ws_handshake::{WsHandshakeLayer, WsStream};

pub(crate) async fn serve(listener: TcpListener) -> io::Result<()> {
    // Any service of tonic works here. This one is tonic's health check.
    let (_, health) = health_reporter();
    let app = Router::new()
        .route("/", get(async || "The sockets are at /extractor and /stream."))
        .route("/extractor", any(extractor))
        .route("/stream", any(on_the_stream))
        .merge(Routes::new(health).into_axum_router())
        .layer(WsHandshakeLayer::new());
    // With axum's feature `http2` this also serves HTTP/2 without TLS, which the gRPC client uses.
    axum::serve(listener, app).await
}

async fn extractor(ws: WebSocketUpgrade) -> Response {
    ws.on_upgrade(send_back)
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

async fn on_the_stream(stream: WsStream) {
    let Ok(mut socket) = stream.into_tungstenite(None).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::{Code, transport::Endpoint};
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    use super::*;
    use crate::visitor::{Server, echoes, within};

    const SOCKETS: [&str; 2] = ["/extractor", "/stream"];

    #[tokio::test]
    async fn grpc_calls_pass() {
        let server = Server::start(serve).await;
        let channel = within(Endpoint::try_from(server.origin()).unwrap().connect()).await.unwrap();
        let mut client = HealthClient::new(channel);
        let answer = within(client.check(HealthCheckRequest::default())).await.unwrap();
        assert_eq!(answer.into_inner().status, 1, "serving");
        let unknown = HealthCheckRequest { service: "nobody".to_owned() };
        assert_eq!(within(client.check(unknown)).await.unwrap_err().code(), Code::NotFound);
    }

    #[tokio::test]
    async fn streams_of_grpc_pass() {
        let server = Server::start(serve).await;
        let channel = within(Endpoint::try_from(server.origin()).unwrap().connect()).await.unwrap();
        let watched = within(HealthClient::new(channel).watch(HealthCheckRequest::default())).await.unwrap();
        let first = within(watched.into_inner().message()).await.unwrap().unwrap();
        assert_eq!(first.status, 1, "serving");
    }

    #[tokio::test]
    async fn sockets_are_guarded_and_work_beside_it() {
        let server = Server::start(serve).await;
        for path in SOCKETS {
            server.refuses_foreign_pages(path).await;
            echoes(server.open(path).await).await;
        }
        assert_eq!(server.get("/").await, (200, "The sockets are at /extractor and /stream.".to_owned()));
    }

    #[tokio::test]
    async fn sockets_over_http2_too() {
        let server = Server::start(serve).await;
        for path in SOCKETS {
            echoes(server.open_over_http2(path, &[]).await).await;
        }
    }
}
