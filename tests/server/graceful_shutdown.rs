//! A server that stops with sockets open.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{State, ws::WebSocketUpgrade},
    middleware::{Next, from_fn},
    response::Response,
    routing::any,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::{Instant, timeout},
};
use ws_handshake::{Connections, Drained, GracefulShutdown, WsHandshakeLayer, WsStream, WsStreamRejection};

use crate::support::{Handshake, Over, Report, SOON, echo, events, saying_how_it_ends};

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

/// Otherwise hyper writes `Connection: close` into the 101 of a server that stops, and some clients refuse that.
#[tokio::test]
async fn a_handshake_that_is_accepted_once_the_server_stops_is_refused() {
    async fn argument(State(report): State<Report>, stream: Result<WsStream, WsStreamRejection>) {
        match stream.map(drop) {
            Ok(()) => report.say("a stream"),
            Err(WsStreamRejection::Upgrade(error)) => report.say(format!("{:?}", Some(error))),
            Err(error) => report.say(error),
        }
    }
    async fn foreign(ws: WebSocketUpgrade) -> Response {
        ws.on_upgrade(async |_| ())
    }
    for over in Over::ALL {
        for layers in ["one", "closed outside", "closed inside"] {
            let (report, mut events) = events();
            let (connections, others) = (Connections::new(), Connections::new());
            let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let waits = from_fn({
                let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
                move |request, next: Next| {
                    let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
                    async move {
                        asked.notify_one();
                        go_on.notified().await;
                        next.run(request).await
                    }
                }
            });
            let app = saying_how_it_ends().route("/argument", any(argument)).route("/foreign", any(foreign));
            let app = app.layer(waits).with_state(report);
            let layer = |connections: &Connections| WsHandshakeLayer::new().connections(connections.clone());
            let app = match layers {
                "one" => app.layer(layer(&connections)),
                "closed outside" => app.layer(layer(&others)).layer(layer(&connections)),
                _ => app.layer(layer(&connections)).layer(layer(&others)),
            };
            let address = crate::support::serve(app).await;
            let mut asking = Vec::new();
            for path in ["/straight", "/callback", "/argument", "/foreign"] {
                asking.push((path, over.ask(address, &Handshake::valid().to(path), b"").await));
                timeout(SOON, asked.notified()).await.unwrap();
            }
            assert_eq!(connections.len(), asking.len());
            connections.close();
            for (path, mut client) in asking {
                go_on.notify_one();
                let head = client.head().await;
                let name = format!("{over:?} {path}, layers: {layers}");
                if path == "/foreign" {
                    // hyper would hand the connection over after a refusal too.
                    assert_eq!(head.status, over.accepted(), "{name}");
                    continue;
                }
                assert_eq!((head.status, head.get("retry-after").is_some()), (503, true), "{name}");
                assert_eq!(head.get("connection"), over.closing(), "{name}");
                assert_eq!(events.next().await, "Some(ServerDraining)", "{name}");
            }
            timeout(SOON, connections.wait()).await.expect("a permit is left");
            timeout(SOON, others.wait()).await.expect("a permit is left");
        }
    }
}

/// Without `Connections` the layer does not know of the end: the client gets its stream, by a 101 that says `close`.
#[tokio::test]
async fn without_connections_a_handshake_is_accepted_while_the_server_stops() {
    let (stop, stopped) = oneshot::channel::<()>();
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (asks, waits) = (Arc::clone(&asked), Arc::clone(&go_on));
    let handler = async move |ws: ws_handshake::WsUpgrade| {
        asks.notify_one();
        waits.notified().await;
        echo(ws.accept().await.unwrap()).await;
    };
    let app = Router::new().route("/ws", any(handler)).layer(WsHandshakeLayer::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
    tokio::spawn(async move { serving.await });
    let mut client = Over::Http1.ask(address, &Handshake::valid(), b"").await;
    timeout(SOON, asked.notified()).await.unwrap();
    drop(stop);
    // Until hyper has heard of it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    go_on.notify_one();
    let head = client.head().await;
    assert_eq!((head.status, head.get("connection")), (101, Some("Upgrade, close")));
    client.send(b"hello").await;
    assert_eq!(client.exactly(5).await, b"hello");
}
