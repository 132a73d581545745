//! Run with `cargo run --example hyper`, and connect to the address that it prints.
//!
//! A tower service without axum: HTTP and WebSocket on one port of hyper's server.

use std::{convert::Infallible, error::Error, time::Duration};

use futures_util::{SinkExt, TryStreamExt};
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};
use ws_handshake::{AllowHost, WsHandshakeLayer, WsStream, WsUpgrade};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let service = ServiceBuilder::new()
        .layer(WsHandshakeLayer::new().allow_host(AllowHost::loopback()))
        .service(service_fn(handle));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Not `?`: without free file descriptors, this fails until some connections have ended.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service.clone()))
            .with_upgrades();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("connection ended: {error}");
            }
        });
    }
}

async fn handle(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != "/ws" {
        return Ok(Response::new(Full::from("The socket is at /ws.\n")));
    }
    Ok(match WsUpgrade::take_from(&mut request) {
        Ok(ws) => ws.on_upgrade_into(async |stream| {
            if let Err(error) = echo(stream).await {
                eprintln!("socket ended: {error}");
            }
        }),
        Err(rejection) => rejection.response(),
    })
}

async fn echo(stream: WsStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = stream.into_tungstenite(None).await?;
    while let Some(message) = socket.try_next().await? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
