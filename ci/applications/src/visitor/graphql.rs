//! A client of the protocol graphql-transport-ws.

use serde_json::{Value, json};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;

use super::{hear, say};

/// What a subscription yields until it is complete.
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
            // juniper says that it is there.
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
