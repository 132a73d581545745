//! Run with `cargo run --example shutdown`, connect some clients to the address that it prints, and stop it with Ctrl-C or SIGTERM. The
//! example serves sockets over HTTP/2 too.
//!
//! The server then refuses handshakes, and asks each client to close, spread over five seconds. After ten seconds, it ends the sockets
//! that are still open, and exits. The first argument is another address to listen on.

use std::{io, time::Duration};

use axum::{Router, routing::any};
use futures_util::{SinkExt, TryStreamExt};
use tokio::{net::TcpListener, signal};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};
use ws_handshake::{Connections, WsHandshakeLayer, WsStream};

#[tokio::main]
async fn main() -> io::Result<()> {
    let connections = Connections::new();
    let app = Router::new().route("/", any(echo)).layer(WsHandshakeLayer::new().connections(connections.clone()));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);

    let open = connections.clone();
    let signal = async move {
        asked_to_stop().await;
        println!("stopping, with {} connections", open.len());
    };
    let shutdown = connections.graceful_shutdown(signal).over(OVER).deadline(DEADLINE);
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown.signal());
    let drained = shutdown.serve(server).await?;
    println!("{} closed, {} aborted", drained.closed, drained.aborted);
    Ok(())
}

const OVER: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(10);

/// Echoes, and closes when asked to.
async fn echo(stream: WsStream) {
    let mut closing = stream.closing();
    let Ok(mut socket) = stream.into_tungstenite(None).await else { return };
    loop {
        let done = tokio::select! {
            message = socket.try_next() => answer(&mut socket, message).await,
            () = &mut closing => break,
        };
        if !matches!(done, Ok(true)) {
            return;
        }
    }
    // 1001: the server is about to stop.
    let code = CloseCode::from(closing.close_code());
    if socket.close(Some(CloseFrame { code, reason: "".into() })).await.is_ok() {
        // Read until the client answers the close, so that nothing is cut off.
        while let Ok(Some(_)) = socket.try_next().await {}
    }
}

/// Sends a message back. Returns `false` after the last one.
async fn answer(
    socket: &mut WebSocketStream<WsStream>, message: tungstenite::Result<Option<tungstenite::Message>>,
) -> tungstenite::Result<bool> {
    match message? {
        Some(message) if message.is_text() || message.is_binary() => socket.send(message).await.map(|()| true),
        Some(_) => Ok(true),
        None => Ok(false),
    }
}

/// Ctrl-C, or SIGTERM from systemd, Docker and Kubernetes.
async fn asked_to_stop() {
    #[cfg(unix)]
    let terminated = async {
        match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(mut terminated) => drop(terminated.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = signal::ctrl_c() => {}
        () = terminated => {}
    }
}
