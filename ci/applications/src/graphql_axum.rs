//! Subscriptions of async-graphql over its axum integration, which knows nothing of this crate.

use std::{io, time::Duration};

use async_graphql::http::ALL_WEBSOCKET_PROTOCOLS;
use async_graphql_axum::{GraphQL, GraphQLProtocol, GraphQLSubscription, GraphQLWebSocket};
use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    response::Response,
    routing::{any, post_service},
};
use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpListener, time::timeout};
use ws_handshake::{ConnectionPermit, Connections, WsHandshakeLayer};

use crate::graphql::{AppSchema, schema};

pub(crate) async fn serve(listener: TcpListener, connections: Connections) -> io::Result<()> {
    let limited = WsHandshakeLayer::new().connections(connections);
    let app = Router::new()
        .route("/limited", any(subscribe))
        .with_state(schema())
        .layer(limited)
        .merge(app().layer(WsHandshakeLayer::new()));
    axum::serve(listener, app).await
}

/// As in the documentation of async-graphql.
fn app() -> Router {
    Router::new()
        .route("/graphql", post_service(GraphQL::new(schema())))
        .route_service("/subscriptions", GraphQLSubscription::new(schema()))
}

/// The same with a permit, so that limits count the socket and a drain closes it. `GraphQLSubscription` cannot hold a permit.
async fn subscribe(
    protocol: GraphQLProtocol, ws: WebSocketUpgrade, permit: ConnectionPermit, State(schema): State<AppSchema>,
) -> Response {
    ws.protocols(ALL_WEBSOCKET_PROTOCOLS).on_upgrade(move |socket| converse(socket, protocol, permit, schema))
}

async fn converse(socket: WebSocket, protocol: GraphQLProtocol, permit: ConnectionPermit, schema: AppSchema) {
    let mut closing = permit.closing();
    let (mut sink, mut stream) = socket.split();
    // Passed as references, because the close is sent after `serve`.
    let requests = (&mut stream).take_until(&mut closing);
    GraphQLWebSocket::new_with_pair(&mut sink, requests, schema, protocol).serve().await;
    if closing.is_closing() {
        let close = CloseFrame { code: closing.close_code(), reason: "".into() };
        let _ = sink.send(Message::Close(Some(close))).await;
    }
    // Wait for the client's close, but not for a client that never answers.
    let _ = timeout(Duration::from_secs(5), async { while let Some(Ok(_)) = stream.next().await {} }).await;
}

#[cfg(test)]
mod tests {
    use reqwest::Client;
    use serde_json::json;

    use super::*;
    use crate::visitor::{
        FOREIGN_ORIGIN, Server, answer, close, close_code,
        graphql::{self, subscription},
        within,
    };

    async fn start() -> (Server, Connections) {
        let connections = Connections::new().limit(1);
        let ours = connections.clone();
        (Server::start(|listener| serve(listener, ours)).await, connections)
    }

    #[tokio::test]
    async fn subscriptions_are_guarded_and_work() {
        let (server, _connections) = start().await;
        for path in ["/subscriptions", "/limited"] {
            server.refuses_foreign_pages(path).await;
            let mut socket = server.open_with_subprotocol(path, "graphql-transport-ws").await;
            let heard = subscription(&mut socket, "subscription { left(from: 3) }").await;
            assert_eq!(heard, [json!({"left": 2}), json!({"left": 1}), json!({"left": 0})], "{path}");
            close(socket).await;
        }
    }

    #[tokio::test]
    async fn they_work_over_http2() {
        let (server, _connections) = start().await;
        for path in ["/subscriptions", "/limited"] {
            let mut socket = server.open_over_http2(path, &["graphql-transport-ws"]).await;
            let heard = subscription(&mut socket, "subscription { left(from: 1) }").await;
            assert_eq!(heard, [json!({"left": 0})], "{path}");
        }
    }

    #[tokio::test]
    async fn queries_pass() {
        let (server, _connections) = start().await;
        let query = json!({ "query": "{ greeting }" }).to_string();
        // A page of another site too: plain requests are not the layer's.
        let query = Client::new()
            .post(server.url("/graphql"))
            .header("content-type", "application/json")
            .header("origin", FOREIGN_ORIGIN)
            .body(query);
        assert_eq!(answer(query).await, (200, r#"{"data":{"greeting":"hello"}}"#.to_owned()));
    }

    #[tokio::test]
    async fn the_limit_holds_and_a_drain_closes() {
        let (server, connections) = start().await;
        let mut socket = server.open_with_subprotocol("/limited", "graphql-transport-ws").await;
        graphql::subscribe(&mut socket, "subscription { silence }").await;
        let own = server.origin();
        let refusal = server.handshake("/limited", &own, Some("graphql-transport-ws")).await.unwrap_err();
        assert_eq!(refusal, 503);
        let drain = connections.drain().over(Duration::ZERO).deadline(Duration::from_secs(4));
        let (drained, code) = tokio::join!(within(drain), close_code(&mut socket));
        assert_eq!((drained.closed, drained.aborted, code), (1, 0, 1001));
    }
}
