//! A client of the protocol graphql-transport-ws.

use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;

use super::{FOREIGN_ORIGIN, Server, answer, close, hear, say};

/// Asserts that a foreign page is refused at `path`, and that the subscription of the server's own page counts down.
pub(crate) async fn counts_down(server: &Server, path: &str) {
    server.refuses_foreign_pages(path).await;
    let mut socket = server.open_with_subprotocol(path, "graphql-transport-ws").await;
    let heard = subscription(&mut socket, "subscription { left(from: 3) }").await;
    assert_eq!(heard, [json!({"left": 2}), json!({"left": 1}), json!({"left": 0})], "{path}");
    close(socket).await;
}

/// The same over HTTP/2.
pub(crate) async fn counts_down_over_http2(server: &Server, path: &str) {
    let mut socket = server.open_over_http2(path, &["graphql-transport-ws"]).await;
    let heard = subscription(&mut socket, "subscription { left(from: 1) }").await;
    assert_eq!(heard, [json!({"left": 0})], "{path}");
}

/// Asserts that the server answers a query, from a foreign page too: the layer does not check plain requests.
pub(crate) async fn answers_queries(server: &Server) {
    let query = Client::new()
        .post(server.url("/graphql"))
        .header("content-type", "application/json")
        .header("origin", FOREIGN_ORIGIN)
        .body(json!({ "query": "{ greeting }" }).to_string());
    assert_eq!(answer(query).await, (200, r#"{"data":{"greeting":"hello"}}"#.to_owned()));
}

/// The values that a subscription yields until it is complete.
pub(crate) async fn subscription<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>, query: &str,
) -> Vec<Value> {
    subscribe(socket, query).await;
    let mut heard = Vec::new();
    loop {
        let mut message: Value = serde_json::from_str(&hear(socket).await).unwrap();
        match message["type"].as_str() {
            Some("next") => heard.push(message["payload"]["data"].take()),
            Some("complete") => return heard,
            // juniper sends a pong from time to time.
            Some("pong") => {}
            _ => panic!("{message}"),
        }
    }
}

pub(crate) async fn subscribe<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, query: &str) {
    say(socket, r#"{"type":"connection_init"}"#).await;
    assert_eq!(hear(socket).await, r#"{"type":"connection_ack"}"#);
    say(socket, &json!({ "type": "subscribe", "id": "1", "payload": { "query": query } }).to_string()).await;
}
