//! A server that stops with sockets open.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, routing::any};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};
use ws_handshake::{Connections, Drained, GracefulShutdown, WsHandshakeLayer, WsStream};

use crate::support::{Handshake, Over, SOON, echo};

/// Says goodbye when it is asked to close.
async fn polite(mut stream: WsStream) {
    stream.closing().await;
    stream.write_all(b"bye").await.unwrap();
    stream.shutdown().await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// A server, what stops it, and how it ended.
async fn serve(
    configure: impl FnOnce(GracefulShutdown) -> GracefulShutdown,
) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<io::Result<Drained>>) {
    let (stop, stopped) = oneshot::channel();
    let connections = Connections::new();
    let layer = WsHandshakeLayer::new().connections(connections.clone());
    let app = Router::new().route("/ws", any(polite)).route("/deaf", any(echo)).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = configure(connections.graceful_shutdown(async { drop(stopped.await) }));
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown.signal());
    (address, stop, tokio::spawn(shutdown.serve(server)))
}

#[tokio::test]
async fn sockets_and_server_end_together() {
    for over in Over::ALL {
        let (address, stop, served) = serve(|shutdown| shutdown.over(Duration::from_millis(100)).deadline(SOON)).await;
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(over.handshake(address, &Handshake::valid()).await.0);
        }
        drop(stop);
        for client in &mut clients {
            assert_eq!(client.rest().await, b"bye", "{over:?}");
            client.finish().await;
        }
        let drained = timeout(SOON, served).await.expect("it does not end").unwrap().unwrap();
        assert_eq!((drained.closed, drained.aborted), (3, 0), "{over:?}");
    }
}

/// A socket whose handler does not close, and a client that has sent half a request: each would hold the server up for
/// ever, the first over HTTP/2.
#[tokio::test]
async fn the_deadline_bounds_the_whole() {
    for over in Over::ALL {
        let bound = Duration::from_millis(300);
        let (address, stop, served) = serve(|shutdown| shutdown.over(Duration::ZERO).deadline(bound)).await;
        let (mut client, _) = over.handshake(address, &Handshake::valid().to("/deaf")).await;
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(b"GET /ws HTTP/1.1\r\nHost: exam").await.unwrap();
        // Until the server has seen it.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let start = Instant::now();
        drop(stop);
        let drained = timeout(SOON, served).await.expect("it does not end").unwrap().unwrap();
        assert_eq!((drained.closed, drained.aborted), (0, 1), "{over:?}");
        assert!(start.elapsed() >= bound, "{over:?}");
        assert_eq!(client.rest().await, b"", "{over:?}: the socket is ended");
    }
}
