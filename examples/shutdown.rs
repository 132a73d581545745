//! Run with `cargo run --example shutdown`, connect some clients to the address that it prints, and stop it by Ctrl-C or
//! SIGTERM. It serves sockets over HTTP/2 too.
//!
//! It takes no more handshakes then, asks each client in its turn to leave, spread over five seconds, ends after ten
//! those that have not, and exits. The first argument is another address to listen on.

use std::{io, time::Duration};

use axum::{Router, routing::any};
use futures_util::{SinkExt, TryStreamExt};
use tokio::{net::TcpListener, signal, sync::watch, time::sleep};
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

    // One signal for both: `axum::serve` does not end while a socket is open over HTTP/2, and it knows of none.
    let (stop, stopped) = watch::channel(false);
    let serving = async {
        tokio::select! {
            served = axum::serve(listener, app).with_graceful_shutdown(wait(stopped.clone())) => served,
            // Otherwise a client that has sent half of a request, or takes no more of an answer, holds it up for ever.
            () = async { wait(stopped.clone()).await; sleep(DEADLINE).await } => Ok(()),
        }
    };
    let draining = async {
        wait(stopped.clone()).await;
        println!("stopping, with {} connections", connections.len());
        connections.drain(OVER, DEADLINE).await
    };
    tokio::spawn(async move {
        asked_to_stop().await;
        stop.send_replace(true);
    });
    let (served, drained) = tokio::join!(serving, draining);
    println!("{} left, {} were ended", drained.left, drained.ended);
    served
}

const OVER: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(10);

/// Echoes, and takes its leave when it is asked to.
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
    let away = CloseFrame { code: CloseCode::Away, reason: "the server is about to stop".into() };
    if socket.close(Some(away)).await.is_ok() {
        // What the client sends until it answers the close is read, so that nothing is cut off.
        while let Ok(Some(_)) = socket.try_next().await {}
    }
}

/// Sends a message back; `false` once there is none.
async fn answer(
    socket: &mut WebSocketStream<WsStream>, message: tungstenite::Result<Option<tungstenite::Message>>,
) -> tungstenite::Result<bool> {
    match message? {
        Some(message) if message.is_text() || message.is_binary() => socket.send(message).await.map(|()| true),
        Some(_) => Ok(true),
        None => Ok(false),
    }
}

async fn wait(mut stopped: watch::Receiver<bool>) {
    // An error says that nobody is left to stop it.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Ctrl-C, or what systemd, Docker and Kubernetes send.
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
