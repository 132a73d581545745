//! What these tests share: connections that are counted, refusals, echoes.

use std::time::Duration;

use axum::Router;
use http::Response;
use hyper::body::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};
use ws_handshake::{Connections, WsHandshakeLayer, WsStream, testing::TestRequest};

use crate::common::SOON;

/// Waits until as many connections are open.
pub(crate) async fn len(connections: &Connections, expected: usize) {
    let counted = async {
        while connections.len() != expected {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let Err(_) = timeout(SOON, counted).await else { return };
    panic!("{} connections are open, not {expected}", connections.len());
}

pub(crate) async fn refusal(request: TestRequest<Router>) -> Response<Bytes> {
    request.connect().await.map(drop).unwrap_err()
}

pub(crate) fn layer(connections: &Connections) -> WsHandshakeLayer {
    WsHandshakeLayer::new().connections(connections.clone())
}

pub(crate) async fn echoes(stream: &mut WsStream) {
    stream.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello");
}
