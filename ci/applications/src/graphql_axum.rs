//! Subscriptions of async-graphql over its axum integration, which does not depend on this crate.

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

/// From the documentation of async-graphql.
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

    use super::*;
    use crate::visitor::{Server, graphql};

    #[tokio::test]
    async fn subscriptions_are_guarded_and_work() {
        let (server, _connections) = Server::start_with_room_for_one(serve).await;
        for path in ["/subscriptions", "/limited"] {
            graphql::counts_down(&server, path).await;
        }
    }

    #[tokio::test]
    async fn they_work_over_http2() {
        let (server, _connections) = Server::start_with_room_for_one(serve).await;
        for path in ["/subscriptions", "/limited"] {
            graphql::counts_down_over_http2(&server, path).await;
        }
    }

    #[tokio::test]
    async fn queries_pass() {
        let (server, _connections) = Server::start_with_room_for_one(serve).await;
        graphql::answers_queries(&server).await;
    }

    #[tokio::test]
    async fn the_limit_holds_and_a_drain_closes() {
        let (server, connections) = Server::start_with_room_for_one(serve).await;
        let mut socket = server.open_with_subprotocol("/limited", "graphql-transport-ws").await;
        graphql::subscribe(&mut socket, "subscription { silence }").await;
        server.limits_and_drains(&connections, "/limited", Some("graphql-transport-ws"), &mut socket).await;
    }
}
