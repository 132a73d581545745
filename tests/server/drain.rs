//! A drain beside the graceful shutdown of `axum::serve`.

use std::time::Duration;

use axum::{Router, routing::any};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
    time::timeout,
};
use ws_handshake::{Connections, WsHandshakeLayer, WsStream};

use crate::support::{Handshake, Over, SOON};

#[tokio::test]
async fn a_drain_and_a_graceful_shutdown_end_together() {
    async fn polite(mut stream: WsStream) {
        stream.closing().await;
        stream.write_all(b"bye").await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    for over in Over::ALL {
        let connections = Connections::new();
        let app = Router::new().route("/ws", any(polite));
        let app = app.layer(WsHandshakeLayer::new().connections(connections.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(());
        let wait = |mut stopped: watch::Receiver<()>| async move { while stopped.changed().await.is_ok() {} };
        let serving = axum::serve(listener, app).with_graceful_shutdown(wait(stopped.clone()));
        let draining = async {
            wait(stopped).await;
            connections.drain(Duration::from_millis(100), SOON).await
        };
        let stopping = async {
            let mut clients = Vec::new();
            for _ in 0..3 {
                clients.push(over.handshake(address, &Handshake::valid()).await.0);
            }
            drop(stop);
            for client in &mut clients {
                assert_eq!(client.rest().await, b"bye", "{over:?}");
                client.finish().await;
            }
        };
        let all = async { tokio::join!(serving.into_future(), draining, stopping) };
        let (served, drained, ()) = timeout(SOON, all).await.expect("it does not end");
        served.unwrap();
        assert_eq!((drained.left, drained.ended), (3, 0), "{over:?}");
    }
}
