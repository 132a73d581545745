//! tokio-tungstenite on both ends.

use axum::{Router, routing::any};
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
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

/// A text, a large and an empty message, and a clean close.
async fn converse(mut socket: WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>) {
    let messages = [Message::text("hello"), Message::binary(vec![7; 1 << 20]), Message::text("")];
    for message in messages {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_))) | None));
}

fn app() -> Router {
    let layer = WsHandshakeLayer::new().subprotocols(Subprotocols::new(["v2.chat", "v1.chat"]).unwrap());
    Router::new().route("/ws", any(echo_frames)).layer(layer)
}

#[tokio::test]
async fn messages_are_echoed_and_the_close_is_clean() {
    let address = serve(app()).await;
    let request = ClientRequestBuilder::new(format!("ws://{address}/ws").parse().unwrap());
    let offer = request.clone().with_sub_protocol("v1.chat").with_sub_protocol("v2.chat");
    let (socket, response) = connect_async(offer).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "v2.chat");
    converse(socket).await;

    let foreign = request.with_header("Origin", "https://evil.com");
    let Err(Error::Http(response)) = connect_async(foreign).await else { panic!("a foreign origin is let in") };
    assert_eq!(response.status(), 403);
}

/// By hyper's own client. The handler is the same.
#[cfg(feature = "http2")]
#[tokio::test]
async fn messages_are_echoed_and_the_close_is_clean_over_http2() {
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let address = serve(app()).await;
    let io = TokioIo::new(tokio::net::TcpStream::connect(address).await.unwrap());
    let (mut requests, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = |origin: &str| {
        http::Request::connect(format!("http://{address}/ws"))
            .version(http::Version::HTTP_2)
            .extension(hyper::ext::Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13")
            .header("sec-websocket-protocol", "v1.chat, v2.chat")
            .header("origin", origin)
            .body(axum::body::Body::empty())
            .unwrap()
    };
    // The server has said by then that it knows extended CONNECT.
    let page = http::Request::get(format!("http://{address}/")).body(axum::body::Body::empty()).unwrap();
    assert_eq!(requests.send_request(page).await.unwrap().status(), 404);

    let mut response = requests.send_request(request(&format!("http://{address}"))).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "v2.chat");
    let upgraded = hyper::upgrade::on(&mut response).await.unwrap();
    converse(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await).await;

    let response = requests.send_request(request("https://evil.com")).await.unwrap();
    assert_eq!(response.status(), 403);
}
