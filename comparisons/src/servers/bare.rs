//! Servers without axum, down to none at all.

use std::{convert::Infallible, pin::Pin};

use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{Empty, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{accept_async_with_config, tungstenite::protocol::WebSocketConfig};
use tower::Layer;
use ws_handshake::{WsUpgrade, handshake::Key};

use super::{
    echo::{Ended, echo_bytes, echo_messages},
    ours::layer,
};

/// Serves until the process is ended, if there is such a server.
pub async fn serve(name: &str, listener: TcpListener) -> Option<TcpListener> {
    match name {
        "httparse" => accept(listener, by_httparse).await,
        "tcp" => accept(listener, by_hand).await,
        "tungstenite" => accept(listener, tungstenite).await,
        "tungstenite-lean" => accept(listener, tungstenite_lean).await,
        "tokio-websockets" => accept(listener, tokio_websockets).await,
        "hyper" => accept(listener, hyper).await,
        "tower" => tower(listener).await,
        _ => Some(listener),
    }
}

async fn accept<F: Future<Output = Ended> + Send + 'static>(listener: TcpListener, serve: fn(TcpStream) -> F) -> ! {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a TCP stream");
        tokio::spawn(serve(stream));
    }
}

async fn tungstenite(stream: TcpStream) -> Ended {
    echo_messages!(tokio_tungstenite::accept_async(stream).await?)
}

async fn tungstenite_lean(stream: TcpStream) -> Ended {
    let config = WebSocketConfig::default().read_buffer_size(4096);
    echo_messages!(accept_async_with_config(stream, Some(config)).await?)
}

async fn tokio_websockets(stream: TcpStream) -> Ended {
    echo_messages!(tokio_websockets::ServerBuilder::new().accept(stream).await?.1)
}

/// The three headers of a 101, for every request with a key.
async fn unchecked(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut response = Response::new(Empty::new());
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

async fn tower(listener: TcpListener) -> ! {
    type Answer = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;
    let handle = async |mut request: Request<Incoming>| {
        Ok::<Response<Full<Bytes>>, Infallible>(match WsUpgrade::take_from(&mut request) {
            Ok(ws) => ws.on_upgrade_into(async |stream| drop(echo_bytes(stream).await)),
            Err(rejection) => rejection.response(),
        })
    };
    let service = layer(1000).layer(tower::service_fn(move |request| Box::pin(handle(request)) as Answer));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a TCP stream");
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades());
    }
}

/// Reads the head with httparse.
async fn by_httparse(mut stream: TcpStream) -> Ended {
    let mut head = Vec::with_capacity(1024);
    let accept = loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        if request.parse(&head)?.is_complete() {
            let key = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"));
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
