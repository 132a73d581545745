//! Layers around it, inside it, several of it, and extractors that know nothing of it.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Body,
    extract::{Request, ws::WebSocketUpgrade},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::any,
};
use futures_util::{SinkExt, StreamExt};
#[cfg(feature = "http2")]
use http::HeaderValue;
use tower::ServiceBuilder;
use ws_handshake::{WsHandshakeLayer, WsStream, WsUpgrade};

use crate::support::{Client, Handshake, Over, echo, echo_by_callback, events, saying_how_it_ends, serve};

async fn echoes(over: Over, address: SocketAddr, path: &str) {
    let (mut client, head) = over.handshake(address, &Handshake::valid().to(path)).await;
    head.accepts(over, path);
    client.send(b"hello").await;
    assert_eq!(client.exactly(5).await, b"hello", "{over:?} {path}");
}

/// Each form of handler, over each version of HTTP.
fn forms() -> impl Iterator<Item = (Over, &'static str)> {
    Over::ALL.iter().flat_map(|over| ["/straight", "/callback"].map(|path| (*over, path)))
}

fn both() -> Router {
    Router::new().route("/straight", any(echo)).route("/callback", any(echo_by_callback))
}

#[tokio::test]
async fn the_outermost_layer_opens_the_gate() {
    // Between the two layers somebody replaces the answer: the stream stays shut, for both forms.
    let (report, mut events) = events();
    let replace = from_fn(async |request: Request, next: Next| {
        let _ = next.run(request).await;
        Response::new(Body::from("replaced"))
    });
    let app = saying_how_it_ends()
        .layer(WsHandshakeLayer::new())
        .layer(replace)
        .layer(WsHandshakeLayer::new())
        .with_state(report);
    let address = serve(app).await;
    for (over, path) in forms() {
        let (mut client, head) =
            over.handshake(address, &Handshake::valid().to(path).set("connection", "upgrade, close")).await;
        assert_eq!((head.status, head.get("connection")), (over.pick(200, 406), over.closing()), "{path}");
        // Of a page that answers a `CONNECT` axum leaves nothing.
        assert_eq!(client.rest().await, over.pick("replaced", "").as_bytes());
        assert_eq!(events.next().await, "Some(NotAnswered)", "{path}");
    }
}

#[tokio::test]
async fn a_handshake_taken_between_two_layers_opens_no_second_gate() {
    // Somebody looks at the handshake between the layers, lets the request on, and answers 401.
    let peek = from_fn(async |mut request: Request, next: Next| {
        drop(WsUpgrade::from_request(&mut request).unwrap());
        let inner = next.run(request).await;
        (http::StatusCode::UNAUTHORIZED, inner.status().to_string())
    });
    let app = both().layer(WsHandshakeLayer::new()).layer(peek).layer(WsHandshakeLayer::new());
    let address = serve(app).await;
    for (over, path) in forms() {
        let (mut client, head) = over.handshake(address, &Handshake::valid().to(path)).await;
        assert_eq!((head.status, head.get("connection")), (401, over.closing()), "{path}");
        assert_eq!(client.rest().await, b"500 Internal Server Error", "{path}");
    }
}

#[tokio::test]
async fn a_layer_around_a_whole_service() {
    use axum::{ServiceExt, extract::connect_info::Connected};
    use tower::Layer;
    #[derive(Clone)]
    struct Peer;
    impl Connected<axum::serve::IncomingStream<'_, tokio::net::TcpListener>> for Peer {
        fn connect_info(_: axum::serve::IncomingStream<'_, tokio::net::TcpListener>) -> Self {
            Self
        }
    }
    let service = WsHandshakeLayer::new().layer(both().route("/page", any(async || "page")));
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

mod foreign_extractors {
    #[cfg(feature = "http2")]
    use http::header::SEC_WEBSOCKET_KEY;

    use super::*;
    #[cfg(feature = "http2")]
    use crate::support::http2;

    /// Sends one masked text frame, and reads the one that comes back.
    async fn echoes_a_frame(over: Over, address: SocketAddr, path: &str) {
        for origin in ["https://evil.com", "null"] {
            let handshake = Handshake::valid().to(path).set("origin", origin);
            assert_eq!(over.handshake(address, &handshake).await.1.status, 403, "{path}");
        }
        let (mut client, head) = over.handshake(address, &Handshake::valid().to(path)).await;
        head.accepts(over, path);
        client.send(b"\x81\x82\0\0\0\0hi").await;
        assert_eq!(client.exactly(4).await, b"\x81\x02hi", "{path}");
    }

    async fn with_axum(ws: WebSocketUpgrade) -> Response {
        ws.on_upgrade(async |mut socket| {
            while let Some(Ok(message)) = socket.next().await {
                let _ = socket.send(message).await;
            }
        })
    }

    async fn with_fastwebsockets(ws: fastwebsockets::upgrade::IncomingUpgrade) -> impl IntoResponse {
        let (response, socket) = ws.upgrade().unwrap();
        tokio::spawn(async move {
            let mut socket = socket.await.unwrap();
            while let Ok(frame) = socket.read_frame().await {
                let echo = fastwebsockets::Frame::new(true, frame.opcode, None, frame.payload);
                let _ = socket.write_frame(echo).await;
            }
        });
        response
    }

    async fn with_yawc(ws: yawc::IncomingUpgrade) -> impl IntoResponse {
        let (response, socket) = ws.upgrade(yawc::Options::default()).unwrap();
        tokio::spawn(async move {
            let mut socket = socket.await.unwrap();
            while let Some(frame) = socket.next().await {
                let _ = socket.send(frame).await;
            }
        });
        response
    }

    /// Each behind one layer, and behind two.
    async fn servers() -> [SocketAddr; 2] {
        let app = Router::new()
            .route("/axum", any(with_axum))
            .route("/fastwebsockets", any(with_fastwebsockets))
            .route("/yawc", any(with_yawc))
            .layer(WsHandshakeLayer::new());
        [serve(app.clone()).await, serve(app.layer(WsHandshakeLayer::new())).await]
    }

    #[tokio::test]
    async fn they_work_unchanged_and_their_handshake_is_decided() {
        for address in servers().await {
            for path in ["/axum", "/fastwebsockets", "/yawc"] {
                echoes_a_frame(Over::Http1, address, path).await;
            }
        }
    }

    /// Only axum's knows HTTP/2. What the others answer opens no socket.
    #[cfg(feature = "http2")]
    #[tokio::test]
    async fn over_http2_there_is_only_the_one_of_axum() {
        for address in servers().await {
            echoes_a_frame(Over::Http2, address, "/axum").await;
            for path in ["/fastwebsockets", "/yawc"] {
                // Proxies that turn HTTP/1.1 into HTTP/2 leave the key in.
                for (key, status) in [(None, 400), (Some("dGhlIHNhbXBsZSBub25jZQ=="), 500)] {
                    let mut request = Handshake::valid().to(path).request();
                    request.headers_mut().extend(key.map(|key| (SEC_WEBSOCKET_KEY, HeaderValue::from_static(key))));
                    let (_, mut answer) = http2::ask(&mut http2::connect(address).await, request);
                    assert_eq!(answer.answer().await.unwrap().status, status, "{path} {key:?}");
                }
            }
        }
    }
}

/// The 101 goes through a layer that keeps what it knows in the span of the request.
#[tokio::test]
async fn a_stream_from_a_service_without_axum() {
    use http_body_util::Full;
    use hyper::body::{Bytes, Incoming};
    use hyper_util::{rt::TokioIo, service::TowerToHyperService};
    use std::convert::Infallible;

    async fn handle(mut request: http::Request<Incoming>) -> Result<http::Response<Full<Bytes>>, Infallible> {
        let straight = request.uri().path() == "/straight";
        match WsUpgrade::from_request(&mut request) {
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
