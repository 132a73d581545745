//! The servers: each accepts handshakes in its own way, and sends back what it gets.

use std::{convert::Infallible, error::Error};

use axum::{
    Router,
    extract::ws::{Message as AxumMessage, WebSocket, WebSocketUpgrade},
    response::{IntoResponse, Response},
    routing::{any, get},
    serve::ListenerExt,
};
use fastwebsockets::{FragmentCollector, OpCode};
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::Empty;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::Layer;
use ws_handshake::{AllowOrigin, Subprotocols, WsHandshakeLayer, WsStream, WsUpgrade, handshake::Key};
use yawc::{Options, frame::OpCode as YawcOpCode};

/// A server, by the name under which it is run and the one under which it is reported.
pub struct Mode {
    pub name: &'static str,
    pub title: &'static str,
    /// Whether what it echoes are frames, or bytes as they come.
    pub frames: bool,
}

const fn mode(name: &'static str, title: &'static str, frames: bool) -> Mode {
    Mode { name, title, frames }
}

/// All of them, axum's first: it is what the others are compared with.
pub const MODES: [Mode; 14] = [
    mode("axum", "axum `extract::ws`", true),
    mode("axum-cut", "axum `extract::ws`, buffers cut by hand", true),
    mode("stream", "ours, `WsStream`, tungstenite", true),
    mode("accept", "ours, `WsUpgrade::accept`, tungstenite", true),
    mode("callback", "ours, `on_upgrade`, tungstenite", true),
    mode("behind", "ours before axum `extract::ws`", true),
    mode("raw", "ours, `WsStream`, raw", false),
    mode("tower", "ours, on hyper without axum, raw", false),
    mode("fastwebsockets", "fastwebsockets", true),
    mode("yawc", "yawc", true),
    mode("tokio-websockets", "tokio-websockets", true),
    mode("tungstenite", "tokio-tungstenite", true),
    mode("hyper", "hyper, no checks, raw", false),
    mode("httparse", "httparse on TCP, no checks, raw", false),
];

/// Serves until the process is ended.
pub async fn run(name: &str, listener: TcpListener) {
    let app = Router::new();
    let app = match name {
        "httparse" => return accept(listener, by_httparse).await,
        "tcp" => return accept(listener, by_hand).await,
        "tungstenite" => return accept(listener, tungstenite).await,
        "tokio-websockets" => return accept(listener, tokio_websockets).await,
        "hyper" => return accept(listener, hyper).await,
        "tower" => return tower(listener).await,
        "axum" => app.route("/", any(axum)),
        "axum-cut" => {
            let cut = async |ws: WebSocketUpgrade| {
                ws.read_buffer_size(4096).write_buffer_size(0).on_upgrade(async |socket| drop(by_axum(socket).await))
            };
            app.route("/", any(cut))
        }
        "behind" => layer(1000).layer_router(app.route("/", any(axum))),
        "raw" => layer(1000).layer_router(app.route("/", any(async |stream: WsStream| drop(echo_bytes(stream).await)))),
        "stream" => layer(1000).layer_router(app.route("/", any(async |stream: WsStream| drop(framed(stream).await)))),
        "accept" => layer(1000).layer_router(app.route("/", any(accepts))),
        "callback" => layer(1000).layer_router(app.route("/", any(calls_back))),
        "fastwebsockets" => app.route("/", any(by_fastwebsockets)),
        "yawc" => app.route("/", any(by_yawc)),
        "page" => return serve_service(listener, app.route("/", get(async || "page"))).await,
        "page-behind" => {
            // Around the whole application, as a tower layer: `Router::layer` costs something for any layer.
            return serve_service(listener, layer(1000).layer(app.route("/", get(async || "page")))).await;
        }
        _ => match name.strip_prefix("origins-").and_then(|count| count.parse().ok()) {
            Some(count) => {
                layer(count).layer_router(app.route("/", any(async |stream: WsStream| drop(echo_bytes(stream).await))))
            }
            None => panic!("no server {name}"),
        },
    };
    axum::serve(listener.tap_io(|stream| stream.set_nodelay(true).expect("a TCP stream")), app).await.expect("served");
}

trait LayerRouter {
    fn layer_router(self, app: Router) -> Router;
}

impl LayerRouter for WsHandshakeLayer {
    fn layer_router(self, app: Router) -> Router {
        app.layer(self)
    }
}

/// A list of origins, with that of the clients among them however short it is, and 4 subprotocols.
fn layer(origins: u32) -> WsHandshakeLayer {
    let origins = (0..origins).map(|n| format!("https://app{}.example.com", 500 + n));
    WsHandshakeLayer::new()
        .allow_origin(AllowOrigin::list(origins).expect("origins"))
        .subprotocols(Subprotocols::new(["v4.chat", "v3.chat", "v2.chat", "v1.chat"]).expect("subprotocols"))
}

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

async fn accept<F: Future<Output = Ended> + Send + 'static>(listener: TcpListener, serve: fn(TcpStream) -> F) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a TCP stream");
        tokio::spawn(serve(stream));
    }
}

/// The same buffer for all that echo bytes.
async fn echo_bytes(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Ended {
    let mut buffer = vec![0; 1024];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
        // A message that fills it is read in pieces that grow, as by whoever frames.
        if length == buffer.len() && length < 64 << 10 {
            buffer = vec![0; length * 4];
        }
    }
}

async fn framed(stream: WsStream) -> Ended {
    let mut socket = stream.into_tungstenite(None).await?;
    while let Some(message) = socket.try_next().await? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn accepts(ws: WsUpgrade) {
    if let Ok(stream) = ws.accept().await {
        let _ = framed(stream).await;
    }
}

async fn calls_back(ws: WsUpgrade) -> Response {
    ws.on_upgrade(async |stream| drop(framed(stream).await))
}

async fn axum(ws: WebSocketUpgrade) -> Response {
    ws.on_upgrade(async |socket| drop(by_axum(socket).await))
}

async fn by_axum(mut socket: WebSocket) -> Ended {
    while let Some(message) = socket.try_next().await? {
        if matches!(message, AxumMessage::Text(_) | AxumMessage::Binary(_)) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn by_fastwebsockets(ws: fastwebsockets::upgrade::IncomingUpgrade) -> impl IntoResponse {
    let (response, upgrade) = ws.upgrade().expect("a handshake");
    tokio::spawn(async move {
        let mut socket = FragmentCollector::new(upgrade.await?);
        loop {
            let frame = socket.read_frame().await?;
            match frame.opcode {
                OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
                OpCode::Close => return Ended::Ok(()),
                _ => {}
            }
        }
    });
    response
}

async fn by_yawc(ws: yawc::IncomingUpgrade) -> impl IntoResponse {
    let (response, upgrade) = ws.upgrade(Options::default()).expect("a handshake");
    tokio::spawn(async move {
        let mut socket = upgrade.await?;
        while let Some(frame) = socket.next().await {
            if matches!(frame.opcode(), YawcOpCode::Text | YawcOpCode::Binary) {
                socket.send(frame).await?;
            }
        }
        Ended::Ok(())
    });
    response
}

async fn tungstenite(stream: TcpStream) -> Ended {
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    while let Some(message) = socket.try_next().await? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn tokio_websockets(stream: TcpStream) -> Ended {
    let (_, mut socket) = tokio_websockets::ServerBuilder::new().accept(stream).await?;
    while let Some(message) = socket.try_next().await? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// The three fields of a 101, for whoever asks.
async fn unchecked(mut request: Request<Incoming>) -> Result<http::Response<Empty<Bytes>>, Infallible> {
    let mut response = http::Response::new(Empty::new());
    let Some(accept) = request.headers().get(header::SEC_WEBSOCKET_KEY).and_then(accept_value) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move { echo_bytes(TokioIo::new(upgrade.await?)).await });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

fn accept_value(key: &HeaderValue) -> Option<HeaderValue> {
    Some(key.to_str().ok()?.parse::<Key>().ok()?.accept())
}

async fn hyper(stream: TcpStream) -> Ended {
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(unchecked));
    Ok(connection.with_upgrades().await?)
}

async fn tower(listener: TcpListener) {
    let handle = async |mut request: Request<Incoming>| {
        Ok::<http::Response<http_body_util::Full<Bytes>>, Infallible>(match WsUpgrade::take_from(&mut request) {
            Ok(ws) => ws.on_upgrade_into(async |stream| drop(echo_bytes(stream).await)),
            Err(rejection) => rejection.response(),
        })
    };
    let service = layer(1000).layer(tower::service_fn(move |request| Box::pin(handle(request)) as BoxedAnswer));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a TCP stream");
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades());
    }
}

type BoxedAnswer =
    std::pin::Pin<Box<dyn Future<Output = Result<http::Response<http_body_util::Full<Bytes>>, Infallible>> + Send>>;

async fn serve_service<S>(listener: TcpListener, service: S)
where
    S: tower::Service<axum::extract::Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    use axum::ServiceExt;
    let make = ServiceExt::<axum::extract::Request>::into_make_service(service);
    axum::serve(listener.tap_io(|stream| stream.set_nodelay(true).expect("a TCP stream")), make).await.expect("served");
}

/// Reads the head by httparse.
async fn by_httparse(mut stream: TcpStream) -> Ended {
    let mut head = Vec::with_capacity(1024);
    let accept = loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut fields);
        if request.parse(&head)?.is_complete() {
            let key = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case("sec-websocket-key"));
            break str::from_utf8(key.ok_or("no key")?.value)?.parse::<Key>()?.accept();
        }
    };
    answer(&mut stream, accept.to_str()?).await?;
    echo_bytes(stream).await
}

/// What bytes cost without any library: the head is only read over.
async fn by_hand(mut stream: TcpStream) -> Ended {
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    answer(&mut stream, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=").await?;
    echo_bytes(stream).await
}

async fn answer(stream: &mut TcpStream, accept: &str) -> Ended {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    Ok(stream.write_all(head.as_bytes()).await?)
}
