//! A chat as in axum's examples: axum's own extractor, and two tasks for each connection.
//!
//! The first message of a client is the name, and each one after it goes to everybody.

use std::{io, time::Duration};

use axum::{
    Router,
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
    routing::{any, get},
};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    net::TcpListener,
    sync::broadcast::{self, error::RecvError},
    time::timeout,
};
use ws_handshake::{Closing, ConnectionPermit, Connections, WsHandshakeLayer};

type Room = broadcast::Sender<String>;

/// Serves until `signal` resolves, and then closes every connection with code 1001.
pub(crate) async fn serve(
    listener: TcpListener, connections: Connections, signal: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = app().layer(WsHandshakeLayer::new().connections(connections.clone()));
    let shutdown = connections.graceful_shutdown(signal).over(Duration::from_secs(1)).deadline(Duration::from_secs(5));
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown.signal());
    let drained = shutdown.serve(server).await?;
    println!("{} closed, {} aborted", drained.closed, drained.aborted);
    Ok(())
}

fn app() -> Router {
    Router::new()
        .route("/", get(async || "The chat is at /chat."))
        .route("/chat", any(enter))
        .with_state(Room::new(100))
}

async fn enter(ws: WebSocketUpgrade, permit: ConnectionPermit, State(room): State<Room>) -> Response {
    ws.on_upgrade(|socket| talk(socket, permit, room))
}

async fn talk(socket: WebSocket, permit: ConnectionPermit, room: Room) {
    let heard = room.subscribe();
    let (sink, stream) = socket.split();
    let mut sending = tokio::spawn(send(sink, heard, permit.closing()));
    let mut receiving = tokio::spawn(receive(stream, room));
    tokio::select! {
        _ = &mut receiving => {}
        // The close is sent. Wait for the client's, but not for a client that never answers.
        _ = &mut sending => drop(timeout(Duration::from_secs(3), &mut receiving).await),
    }
    sending.abort();
    receiving.abort();
    // Not earlier: the permit counts the socket for as long as the socket is open.
    drop(permit);
}

/// Sends what others say, until the connection is to close.
async fn send(mut sink: SplitSink<WebSocket, Message>, mut heard: broadcast::Receiver<String>, mut closing: Closing) {
    loop {
        tokio::select! {
            said = heard.recv() => match said {
                Ok(text) => if sink.send(text.into()).await.is_err() { return },
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            () = &mut closing => break,
        }
    }
    let close = CloseFrame { code: closing.close_code(), reason: "".into() };
    let _ = sink.send(Message::Close(Some(close))).await;
}

/// Sends this client's messages to everybody, until the client has closed or is gone.
async fn receive(mut stream: SplitStream<WebSocket>, room: Room) {
    let mut name = None;
    while let Some(Ok(message)) = stream.next().await {
        // Not `while let Some(Ok(Message::Text(..)))`: a ping would end the connection.
        let Message::Text(text) = message else { continue };
        match &name {
            None => {
                let _ = room.send(format!("{text} joined"));
                name = Some(text);
            }
            Some(name) => drop(room.send(format!("{name}: {text}"))),
        }
    }
    if let Some(name) = name {
        let _ = room.send(format!("{name} left"));
    }
}

#[cfg(test)]
mod tests;
