//! Subscriptions of async-graphql on `WsStream`, framed by tokio-tungstenite.

use std::{error::Error, future::ready};

use async_graphql::http::{ALL_WEBSOCKET_PROTOCOLS, WebSocket, WebSocketProtocols, WsMessage};
use async_graphql_axum::GraphQL;
use axum::{
    Router,
    extract::State,
    routing::{any, post_service},
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};
use ws_handshake::{Connections, Subprotocols, WsHandshakeLayer, WsStream};

use crate::graphql::{AppSchema, schema};

pub(crate) async fn serve(listener: TcpListener, connections: Connections) -> Result<(), Box<dyn Error + Send + Sync>> {
    let layer = WsHandshakeLayer::new()
        .connections(connections)
        .subprotocols(Subprotocols::new(ALL_WEBSOCKET_PROTOCOLS)?.required(true));
    let app = Router::new()
        .route("/graphql", post_service(GraphQL::new(schema())))
        .route("/subscriptions", any(subscribe))
        .with_state(schema())
        .layer(layer);
    Ok(axum::serve(listener, app).await?)
}

async fn subscribe(State(schema): State<AppSchema>, stream: WsStream) {
    // `required(true)` above refuses clients without one of the two.
    let Some(Ok(protocol)) = stream.subprotocol().map(str::parse::<WebSocketProtocols>) else { return };
    let mut closing = stream.closing();
    let Ok(socket) = stream.into_tungstenite(None).await else { return };
    let (mut sink, mut stream) = socket.split();

    let requests = (&mut stream)
        .take_while(|message| ready(message.is_ok()))
        .filter_map(|message| ready(message.ok().filter(|message| message.is_text() || message.is_binary())))
        .map(Message::into_data)
        .take_until(&mut closing);
    let mut answers = WebSocket::new(schema, requests, protocol);
    while let Some(answer) = answers.next().await {
        let message = match answer {
            WsMessage::Text(text) => Message::text(text),
            WsMessage::Close(code, reason) => {
                Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))
            }
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
    drop(answers);

    // This fails if a close was sent before, by either side.
    let close = CloseFrame { code: closing.close_code().into(), reason: "".into() };
    let _ = sink.send(Message::Close(Some(close))).await;
    while let Some(Ok(_)) = stream.next().await {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::visitor::{
        Server, close_code,
        graphql::{self, subscribe, subscription},
        hear, say, within,
    };

    #[tokio::test]
    async fn subscriptions_are_guarded_and_work() {
        let (server, _connections) = Server::start_with_room_for_one(serve).await;
        graphql::counts_down(&server, "/subscriptions").await;
    }

    #[tokio::test]
    async fn they_work_over_http2() {
        let (server, _connections) = Server::start_with_room_for_one(serve).await;
        graphql::counts_down_over_http2(&server, "/subscriptions").await;
    }

    #[tokio::test]
    async fn the_older_protocol_is_spoken_to_clients_that_know_no_other() {
        let (server, _connections) = Server::start_with_room_for_one(serve).await;
        let mut socket = server.open_with_subprotocol("/subscriptions", "graphql-ws").await;
        say(&mut socket, r#"{"type":"connection_init"}"#).await;
        assert_eq!(hear(&mut socket).await, r#"{"type":"connection_ack"}"#);
        say(&mut socket, r#"{"type":"start","id":"1","payload":{"query":"subscription { left(from: 1) }"}}"#).await;
        assert_eq!(hear(&mut socket).await, r#"{"type":"data","id":"1","payload":{"data":{"left":0}}}"#);
    }

    #[tokio::test]
    async fn a_client_that_offers_both_gets_the_newer_one_in_any_order() {
        let (server, _connections) = Server::start_with_room_for_one(serve).await;
        let mut socket = server.open_with_subprotocol("/subscriptions", "graphql-ws, graphql-transport-ws").await;
        let heard = subscription(&mut socket, "subscription { left(from: 1) }").await;
        assert_eq!(heard, [json!({"left": 0})]);
    }

    #[tokio::test]
    async fn a_client_without_a_subprotocol_is_refused() {
        let (server, _connections) = Server::start_with_room_for_one(serve).await;
        let refusal = server.handshake("/subscriptions", &server.origin(), None).await.unwrap_err();
        assert_eq!(refusal, 400);
    }

    #[tokio::test]
    async fn a_client_that_breaks_the_protocol_gets_its_code() {
        let (server, _connections) = Server::start_with_room_for_one(serve).await;
        let mut socket = server.open_with_subprotocol("/subscriptions", "graphql-transport-ws").await;
        say(&mut socket, r#"{"type":"subscribe","id":"1","payload":{"query":"subscription { silence }"}}"#).await;
        assert_eq!(close_code(&mut socket).await, 1011);
    }

    #[tokio::test]
    async fn queries_pass() {
        let (server, _connections) = Server::start_with_room_for_one(serve).await;
        graphql::answers_queries(&server).await;
    }

    #[tokio::test]
    async fn the_limit_holds_and_a_drain_closes() {
        let (server, connections) = Server::start_with_room_for_one(serve).await;
        let mut socket = server.open_with_subprotocol("/subscriptions", "graphql-transport-ws").await;
        subscribe(&mut socket, "subscription { silence }").await;
        let own = server.origin();
        let refusal = server.handshake("/subscriptions", &own, Some("graphql-transport-ws")).await.unwrap_err();
        assert_eq!(refusal, 503);
        let drain = connections.drain().over(Duration::ZERO).deadline(Duration::from_secs(4));
        let (drained, code) = tokio::join!(within(drain), close_code(&mut socket));
        assert_eq!((drained.closed, drained.aborted, code), (1, 0, 1001));
    }
}
