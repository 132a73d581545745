//! Counts what serving a request allocates, over a connection in memory.

use std::convert::Infallible;

use axum::{Router, body::Body, extract::ws::WebSocketUpgrade, response::Response, routing::any};
use http::{
    HeaderMap, HeaderValue, Request, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    runtime::{Builder, Runtime},
};
use tower::{Layer, Service, layer::util::Identity};
use ws_handshake::{AllowOrigin, Subprotocols, WsHandshakeLayer, WsStream, WsUpgrade, handshake::Key};

/// A handshake with the fields that Chromium sends.
pub(crate) const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
    Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/156.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: https://app500.example.com\r\n\
    Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; \
    client_max_window_bits\r\nSec-WebSocket-Protocol: v1.chat, v3.chat\r\n\r\n";

const PAGE: &str = "GET /page HTTP/1.1\r\nHost: app.example.com\r\n\r\n";

/// One way to serve a request.
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    serve: Box<dyn Fn(&Runtime)>,
}

impl Mode {
    fn new<S>(name: &'static str, service: S, request: &'static str) -> Self
    where
        S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        Self { name, serve: Box::new(move |runtime| runtime.block_on(serve(service.clone(), request))) }
    }

    /// How often serving one request on a connection of its own allocates.
    pub(crate) fn allocations(&self) -> u64 {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        // What is made once and kept is not the request's.
        for _ in 0..8 {
            (self.serve)(&runtime);
        }
        allocation_counter::measure(|| (self.serve)(&runtime)).count_total
    }
}

async fn serve<S>(service: S, request: &'static str)
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let (mut client, server) = duplex(4096);
    let service = TowerToHyperService::new(service);
    let connection =
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service).with_upgrades());
    client.write_all(request.as_bytes()).await.unwrap();
    let (mut head, mut read) = ([0; 1024], 0);
    while !head[..read].windows(4).any(|window| window == b"\r\n\r\n") {
        let more = client.read(&mut head[read..]).await.unwrap();
        assert!(more > 0, "the connection ended early");
        read += more;
    }
    let status = if request == PAGE { b"HTTP/1.1 200 " } else { b"HTTP/1.1 101 " };
    assert!(head.starts_with(status));
    drop(client);
    let _ = connection.await.unwrap();
    // The handler's task ends once it reads the end of the stream.
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

/// A list of 1,000 origins and 4 subprotocols.
fn layer() -> WsHandshakeLayer {
    let origins = (0..1000).map(|n| format!("https://app{n}.example.com"));
    WsHandshakeLayer::new()
        .allow_origin(AllowOrigin::list(origins).unwrap())
        .subprotocols(Subprotocols::new(["v4.chat", "v3.chat", "v2.chat", "v1.chat"]).unwrap())
}

/// The three fields of a 101, for whoever asks.
async fn unchecked(headers: HeaderMap) -> Response {
    let key = &headers[SEC_WEBSOCKET_KEY];
    let accept = key.to_str().unwrap().parse::<Key>().unwrap().accept();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

async fn reads(mut stream: WsStream) {
    let _ = stream.read(&mut [0; 16]).await;
}

/// The same job with the layer around the application and without.
pub(crate) struct Pair {
    pub(crate) without: Mode,
    pub(crate) with: Mode,
}

/// Wherever the route itself needs the layer, the one without it gives the unchecked answer, and hands nothing over.
pub(crate) fn pairs() -> Vec<Pair> {
    let page = || Router::new().route("/page", any(async || "page"));
    let unchecked = || Router::new().route("/ws", any(unchecked));
    let extract_ws = || {
        let handler = async |ws: WebSocketUpgrade| ws.on_upgrade(async |mut socket| drop(socket.recv().await));
        Router::new().route("/ws", any(handler))
    };
    let straight = Router::new().route("/ws", any(async |stream: WsStream| reads(stream).await));
    let callback = Router::new().route("/ws", any(async |ws: WsUpgrade| ws.on_upgrade(reads)));
    let pair = |without: Mode, name, app: Router, request| Pair {
        without,
        with: Mode::new(name, layer().layer(app), request),
    };
    let bare = || Mode::new("an unchecked 101", unchecked(), HANDSHAKE);
    vec![
        pair(Mode::new("a page", page(), PAGE), "a page", page(), PAGE),
        pair(bare(), "an unchecked 101", unchecked(), HANDSHAKE),
        pair(bare(), "WsStream, straight on", straight, HANDSHAKE),
        pair(bare(), "WsUpgrade::on_upgrade", callback, HANDSHAKE),
        pair(Mode::new("axum's extract::ws", extract_ws(), HANDSHAKE), "axum's extract::ws", extract_ws(), HANDSHAKE),
    ]
}

/// What axum itself allocates for any layer that is added by its `Router::layer`.
pub(crate) fn router_layer() -> Pair {
    let page = || Router::new().route("/page", any(async || "page"));
    Pair {
        without: Mode::new("a page", page(), PAGE),
        with: Mode::new("a page behind a layer that does nothing", page().layer(Identity::new()), PAGE),
    }
}
