//! tokio-tungstenite on both ends.

use axum::{Router, routing::any};
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use tokio_tungstenite::{
    WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::ClientRequestBuilder, protocol::Role},
};
use ws_handshake::{Subprotocols, WsHandshakeLayer, WsStream};

use crate::support::serve;

async fn echo_frames(stream: WsStream) {
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    while let Ok(Some(message)) = socket.try_next().await {
        if message.is_text() || message.is_binary() {
            socket.send(message).await.unwrap();
        }
    }
}

#[tokio::test]
async fn messages_are_echoed_and_the_close_is_clean() {
    let layer = WsHandshakeLayer::new().subprotocols(Subprotocols::new(["v2.chat", "v1.chat"]).unwrap());
    let address = serve(Router::new().route("/ws", any(echo_frames)).layer(layer)).await;
    let request = ClientRequestBuilder::new(format!("ws://{address}/ws").parse().unwrap());
    let offer = request.clone().with_sub_protocol("v1.chat").with_sub_protocol("v2.chat");
    let (mut socket, response) = connect_async(offer).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "v2.chat");
    let messages = [Message::text("hello"), Message::binary(vec![7; 1 << 20]), Message::text("")];
    for message in messages {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_))) | None));

    let foreign = request.with_header("Origin", "https://evil.com");
    let Err(Error::Http(response)) = connect_async(foreign).await else { panic!("a foreign origin is let in") };
    assert_eq!(response.status(), 403);
}
