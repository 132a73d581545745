//! Echoes by each library, behind the layer and by its own accept.

use std::error::Error;

use axum::{
    Router,
    extract::ws::{Message as AxumMessage, WebSocketUpgrade},
    response::IntoResponse,
    routing::any,
    serve::ListenerExt,
};
use fastwebsockets::{FragmentCollector, OpCode};
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{accept_async_with_config, tungstenite::protocol::WebSocketConfig};
use tokio_websockets::{Config, Limits, ServerBuilder};
use ws_handshake::{PermessageDeflate, WsHandshakeLayer, WsStream};
use yawc::{DeflatePool, Options, frame::OpCode as YawcOpCode};

// The loops are macros, so that each handler is one future as its users write it, and no call within it holds the socket
// a second time.

macro_rules! echo_messages {
    ($socket:expr) => {{
        let mut socket = $socket;
        while let Some(message) = socket.try_next().await? {
            if message.is_text() || message.is_binary() {
                socket.send(message).await?;
            }
        }
        Ended::Ok(())
    }};
}

macro_rules! echo_fastwebsockets {
    ($socket:expr) => {{
        let mut socket = FragmentCollector::new($socket);
        loop {
            let frame = socket.read_frame().await?;
            match frame.opcode {
                OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
                OpCode::Close => break Ended::Ok(()),
                _ => {}
            }
        }
    }};
}

macro_rules! echo_yawc {
    ($socket:expr) => {{
        let mut socket = $socket;
        while let Some(frame) = socket.next().await {
            if matches!(frame.opcode(), YawcOpCode::Text | YawcOpCode::Binary) {
                socket.send(frame).await?;
            }
        }
        Ended::Ok(())
    }};
}

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// Serves on two threads until the process is killed.
#[tokio::main(worker_threads = 2)]
pub(super) async fn run(name: &str, address: &str) {
    let listener = TcpListener::bind(address).await.unwrap();
    println!("listening on ws://{}", listener.local_addr().unwrap());
    match name.strip_prefix("own-") {
        Some(name) => own(name, listener).await,
        None => behind_the_layer(name, listener).await,
    }
}

async fn behind_the_layer(name: &str, listener: TcpListener) {
    let layer = WsHandshakeLayer::new();
    let with_deflate = layer.clone().permessage_deflate(PermessageDeflate::new());
    let app = Router::new();
    let app = match name {
        "axum" => {
            app.route("/", any(async |ws: WebSocketUpgrade| ws.on_upgrade(async |socket| drop(axum(socket).await))))
        }
        "tungstenite" => app.route("/", any(async |stream| drop(tungstenite(stream).await))).layer(layer),
        "fastwebsockets" => app.route("/", any(async |stream| drop(fastwebsockets(stream).await))).layer(layer),
        "tokio-websockets" => app.route("/", any(async |stream| drop(tokio_websockets(stream).await))).layer(layer),
        "yawc" | "yawc-deflate" => app.route("/", any(async |stream| drop(yawc(stream).await))).layer(with_deflate),
        "yawc-deflate-pool" => {
            let forgetful = PermessageDeflate::new().server_no_context_takeover(true).client_no_context_takeover(true);
            let options = yawc_options().with_deflate_pool(DeflatePool::new(2));
            let handler = async |stream: WsStream| drop(async { echo_yawc!(stream.into_yawc(options)?) }.await);
            app.route("/", any(handler)).layer(layer.permessage_deflate(forgetful))
        }
        _ => panic!("no server {name}"),
    };
    serve(listener, app).await;
}

async fn tungstenite(stream: WsStream) -> Ended {
    echo_messages!(stream.into_tungstenite(None).await?)
}

async fn fastwebsockets(stream: WsStream) -> Ended {
    echo_fastwebsockets!(stream.into_fastwebsockets()?)
}

async fn tokio_websockets(stream: WsStream) -> Ended {
    echo_messages!(stream.into_tokio_websockets(Config::default(), Limits::default())?)
}

async fn yawc(stream: WsStream) -> Ended {
    echo_yawc!(stream.into_yawc(yawc_options().with_balanced_compression())?)
}

/// As each library's documentation has it: on a socket, or in axum.
async fn own(name: &str, listener: TcpListener) {
    let app = match name {
        "tungstenite" => return accept(listener, own_tungstenite).await,
        "tokio-websockets" => return accept(listener, own_tokio_websockets).await,
        "tokio-websockets-serve" => return accept(listener, own_tokio_websockets_serve).await,
        "fastwebsockets" => Router::new().route("/", any(own_fastwebsockets)),
        "yawc" => Router::new().route("/", any(own_yawc)),
        _ => panic!("no server own-{name}"),
    };
    serve(listener, app).await;
}

async fn accept<F: Future<Output = Ended> + Send + 'static>(listener: TcpListener, echo: fn(TcpStream) -> F) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(echo(stream));
    }
}

async fn own_tungstenite(stream: TcpStream) -> Ended {
    // With the buffer that the adapter has.
    let config = WebSocketConfig::default().read_buffer_size(4096);
    echo_messages!(accept_async_with_config(stream, Some(config)).await?)
}

async fn own_tokio_websockets(stream: TcpStream) -> Ended {
    echo_messages!(ServerBuilder::new().accept(stream).await?.1)
}

/// Behind a handshake of somebody else, and the barest: its `accept` goes on with the buffer that the request was read
/// into, which `serve` cannot have.
async fn own_tokio_websockets_serve(mut stream: TcpStream) -> Ended {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await?;
    echo_messages!(ServerBuilder::new().serve(stream))
}

async fn own_fastwebsockets(ws: fastwebsockets::upgrade::IncomingUpgrade) -> impl IntoResponse {
    let (response, upgrade) = ws.upgrade().unwrap();
    tokio::spawn(async move { echo_fastwebsockets!(upgrade.await?) });
    response
}

async fn own_yawc(ws: yawc::IncomingUpgrade) -> impl IntoResponse {
    let (response, upgrade) = ws.upgrade(yawc_options().with_balanced_compression()).unwrap();
    tokio::spawn(async move { echo_yawc!(upgrade.await?) });
    response
}

async fn serve(listener: TcpListener, app: Router) {
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, app).await.unwrap();
}

async fn axum(mut socket: axum::extract::ws::WebSocket) -> Ended {
    while let Some(message) = socket.try_next().await? {
        if matches!(message, AxumMessage::Text(_) | AxumMessage::Binary(_)) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Text is to be checked, and the messages of Autobahn's cases are larger than the default.
fn yawc_options() -> Options {
    Options::default().with_utf8().with_limits(64 << 20, 64 << 20)
}
