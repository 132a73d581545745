//! Subscriptions of juniper over its axum integration, which does not depend on this crate.

use std::{io, sync::Arc};

use axum::{
    Extension, Router,
    extract::WebSocketUpgrade,
    response::Response,
    routing::{any, post},
};
use futures_util::{StreamExt, stream, stream::BoxStream};
use juniper::{EmptyMutation, FieldError, RootNode, graphql_object, graphql_subscription};
use juniper_axum::{graphql, subscriptions};
use juniper_graphql_ws::ConnectionConfig;
use tokio::net::TcpListener;
use ws_handshake::{ConnectionPermit, Connections, WsHandshakeLayer};

type Schema = RootNode<Query, EmptyMutation, Subscriptions>;

struct Query;

#[graphql_object]
impl Query {
    fn greeting() -> &'static str {
        "hello"
    }
}

struct Subscriptions;

#[expect(clippy::unused_async, reason = "`graphql_subscription` takes asynchronous functions")]
#[graphql_subscription]
impl Subscriptions {
    async fn left(from: i32) -> BoxStream<'static, Result<i32, FieldError>> {
        stream::iter((0..from).rev().map(Ok)).boxed()
    }

    /// Never yields, like a subscription to rare events.
    async fn silence() -> BoxStream<'static, Result<i32, FieldError>> {
        stream::pending().boxed()
    }
}

pub(crate) async fn serve(listener: TcpListener, connections: Connections) -> io::Result<()> {
    let schema = Arc::new(Schema::new(Query, EmptyMutation::new(), Subscriptions));
    let limited = WsHandshakeLayer::new().connections(connections);
    let app = Router::new()
        .route("/limited", any(subscribe))
        .layer(limited)
        .merge(app().layer(WsHandshakeLayer::new()))
        .layer(Extension(schema));
    axum::serve(listener, app).await
}

/// From the documentation of `juniper_axum`, except that `any` serves HTTP/2 too.
fn app() -> Router {
    Router::new()
        .route("/graphql", post(graphql::<Arc<Schema>>))
        .route("/subscriptions", any(subscriptions::ws::<Arc<Schema>>(ConnectionConfig::new(()))))
}

/// The same with a permit, so that limits count the socket and a drain ends it.
async fn subscribe(
    Extension(schema): Extension<Arc<Schema>>, ws: WebSocketUpgrade, permit: ConnectionPermit,
) -> Response {
    ws.protocols(["graphql-transport-ws", "graphql-ws"]).on_upgrade(async move |socket| {
        tokio::select! {
            () = subscriptions::serve_ws(socket, schema, ConnectionConfig::new(())) => {}
            // `serve_ws` owns the socket, so nobody can send a close. Clients report code 1006.
            () = permit.closing() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::visitor::{Server, graphql, within};

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
    async fn the_limit_holds_and_a_drain_ends_the_socket() {
        let (server, connections) = Server::start_with_room_for_one(serve).await;
        let mut socket = server.open_with_subprotocol("/limited", "graphql-transport-ws").await;
        graphql::subscribe(&mut socket, "subscription { silence }").await;
        let own = server.origin();
        let refusal = server.handshake("/limited", &own, Some("graphql-transport-ws")).await.unwrap_err();
        assert_eq!(refusal, 503);
        let drain = connections.drain().over(Duration::ZERO).deadline(Duration::from_secs(4));
        let drained = within(drain).await;
        assert_eq!((drained.closed, drained.aborted), (1, 0));
        let ended = loop {
            match within(socket.next()).await {
                Some(Ok(message)) => assert!(message.is_text(), "{message}"),
                other => break other,
            }
        };
        assert!(ended.is_none_or(|message| message.is_err()), "no close was sent");
    }
}
