//! What the layer can wrap, and what can serve it: a whole router, a service without axum, a Unix socket.

use std::net::SocketAddr;

use axum::{Router, extract::Request, routing::any};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};
use tower::ServiceBuilder;
use ws_handshake::{WsHandshakeLayer, WsStream, WsUpgrade};

use crate::support::{Client, Handshake, Over, both_forms, echo, forms};

async fn echoes(over: Over, address: SocketAddr, path: &str) {
    let (mut client, head) = over.handshake(address, &Handshake::valid().to(path)).await;
    head.accepts(over, path);
    client.send(b"hello").await;
    assert_eq!(client.exactly(5).await, b"hello", "{over:?} {path}");
}

#[tokio::test]
async fn a_layer_around_a_whole_router_decides_every_handshake() {
    use axum::{ServiceExt, extract::connect_info::Connected};
    use tower::Layer;
    #[derive(Clone)]
    struct Peer;
    impl Connected<axum::serve::IncomingStream<'_, tokio::net::TcpListener>> for Peer {
        fn connect_info(_: axum::serve::IncomingStream<'_, tokio::net::TcpListener>) -> Self {
            Self
        }
    }
    let service = WsHandshakeLayer::new().layer(both_forms().route("/page", any(async || "page")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = ServiceExt::<Request>::into_make_service_with_connect_info::<Peer>(service);
    tokio::spawn(async move { axum::serve(listener, service).await });
    for (over, path) in forms() {
        echoes(over, address, path).await;
        let (_, head) = over.handshake(address, &Handshake::valid().to(path).set("origin", "https://evil.com")).await;
        assert_eq!(head.status, 403);
        // A page answers nobody who asks for a socket.
        let (_, head) = over.handshake(address, &Handshake::valid().to("/page")).await;
        assert_eq!((head.status, head.get("connection")), (over.pick(200, 406), over.closing()));
    }
}

/// The 101 goes through a layer that keeps what it knows in the span of the request.
#[tokio::test]
async fn a_service_without_axum_gets_the_stream() {
    use http_body_util::Full;
    use hyper::body::{Bytes, Incoming};
    use hyper_util::{rt::TokioIo, service::TowerToHyperService};
    use std::convert::Infallible;

    async fn handle(mut request: http::Request<Incoming>) -> Result<http::Response<Full<Bytes>>, Infallible> {
        let straight = request.uri().path() == "/straight";
        match WsUpgrade::take_from(&mut request) {
            Err(rejection) => Ok(rejection.response()),
            Ok(ws) if straight => {
                if let Ok(stream) = ws.accept().await {
                    echo(stream).await;
                }
                Ok(http::Response::default())
            }
            Ok(ws) => Ok(ws.on_upgrade_into(async |stream: WsStream| echo(stream).await)),
        }
    }

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = ServiceBuilder::new().layer(WsHandshakeLayer::new()).service(tower::service_fn(handle));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service).with_upgrades());
        }
    });
    echoes(Over::Http1, address, "/straight").await;
    echoes(Over::Http1, address, "/callback").await;
    let mut client = Client::connect(address).await;
    client.send(b"GET / HTTP/1.1\r\nhost: example.com\r\n\r\n").await;
    assert_eq!(client.head().await.status, 426);
}

#[tokio::test]
async fn a_unix_socket_serves_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ws.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let app = Router::new().route("/ws", any(echo)).layer(WsHandshakeLayer::new());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(&[&Handshake::valid().bytes()[..], b"hello"].concat()).await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\nhello"), "{answer}");
}
