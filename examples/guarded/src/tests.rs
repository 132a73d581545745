//! Run with `cargo test -p guarded`: each app works as before, and foreign pages are refused.

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, client::IntoClientRequest},
};

type Socket = WebSocketStream<TcpStream>;

/// Returns the socket, or the status of the refusal.
async fn connect(path: &str, origin: &str, server: &str) -> Result<Socket, u16> {
    let mut request = format!("ws://example.com{path}").into_client_request().unwrap();
    request.headers_mut().insert("origin", origin.parse().unwrap());
    if path == "/graphql" {
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    }
    match client_async(request, TcpStream::connect(server).await.unwrap()).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(refusal)) => Err(refusal.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async { axum::serve(listener, super::guarded(super::unguarded())).await });
    address
}

async fn open(path: &str) -> [Socket; 2] {
    let server = server().await;
    assert_eq!(connect(path, "https://evil.example", &server).await.unwrap_err(), 403);
    let one = connect(path, "http://example.com", &server).await.unwrap();
    [one, connect(path, "http://example.com", &server).await.unwrap()]
}

async fn said(socket: &mut Socket) -> String {
    socket.next().await.unwrap().unwrap().into_text().unwrap().to_string()
}

#[tokio::test]
async fn the_chat_is_guarded() {
    let [mut one, mut other] = open("/chat").await;
    // Both are in the room when the second one hears the first.
    other.send("I am here".into()).await.unwrap();
    assert_eq!(said(&mut one).await, "I am here");
    one.send("hello".into()).await.unwrap();
    assert_eq!(said(&mut other).await, "hello");
}

#[tokio::test]
async fn subscriptions_are_guarded() {
    let [mut socket, mut hasty] = open("/graphql").await;
    socket.send(r#"{"type":"connection_init"}"#.into()).await.unwrap();
    assert_eq!(said(&mut socket).await, r#"{"type":"connection_ack"}"#);
    socket.send(r#"{"type":"subscribe","id":"1","payload":{"query":"subscription { left }"}}"#.into()).await.unwrap();
    for left in ["2", "1", "0"] {
        assert!(said(&mut socket).await.contains(&format!(r#""left":{left}"#)));
    }
    assert_eq!(said(&mut socket).await, r#"{"id":"1","type":"complete"}"#);

    hasty.send(r#"{"type":"subscribe","id":"1"}"#.into()).await.unwrap();
    assert!(hasty.next().await.unwrap().unwrap().is_close());
}

#[tokio::test]
async fn socket_io_is_guarded() {
    /// The next message that is not a ping of Engine.IO.
    async fn beside_pings(socket: &mut Socket) -> String {
        loop {
            let text = said(socket).await;
            if text != "2" {
                return text;
            }
        }
    }

    let [mut socket, _other] = open("/socket.io/?EIO=4&transport=websocket").await;
    assert!(beside_pings(&mut socket).await.starts_with("0{"), "no handshake of Engine.IO");
    socket.send("40".into()).await.unwrap();
    assert!(beside_pings(&mut socket).await.starts_with("40{"), "no namespace");
    socket.send(r#"42["echo","hello"]"#.into()).await.unwrap();
    assert_eq!(beside_pings(&mut socket).await, r#"42["echo","hello"]"#);
}
