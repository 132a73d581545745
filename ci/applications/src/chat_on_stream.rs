//! The same chat on `WsStream`, framed by tokio-tungstenite: two tasks for each connection.

use std::{io, time::Duration};

use axum::{
    Router,
    extract::State,
    routing::{any, get},
};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    net::TcpListener,
    sync::broadcast::{self, error::RecvError},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::CloseFrame},
};
use ws_handshake::{Closing, Connections, WsHandshakeLayer, WsStream};

type Room = broadcast::Sender<String>;
type Socket = WebSocketStream<WsStream>;

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
    Router::new().route("/", get(async || "The chat is at /chat.")).route("/chat", any(talk)).with_state(Room::new(100))
}

async fn talk(State(room): State<Room>, stream: WsStream) {
    let heard = room.subscribe();
    let closing = stream.closing();
    let Ok(socket) = stream.into_tungstenite(None).await else { return };
    let (sink, stream) = socket.split();
    let sending = tokio::spawn(send(sink, heard, closing));
    // Ends when the client has closed. If the client never answers a close, the layer ends the stream at the deadline.
    receive(stream, room).await;
    sending.abort();
}

/// Sends what others say, until the connection is to close.
async fn send(mut sink: SplitSink<Socket, Message>, mut heard: broadcast::Receiver<String>, mut closing: Closing) {
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
    let close = CloseFrame { code: closing.close_code().into(), reason: "".into() };
    let _ = sink.send(Message::Close(Some(close))).await;
}

/// Sends this client's messages to everybody, until the client has closed or is gone.
async fn receive(mut stream: SplitStream<Socket>, room: Room) {
    let mut name = None;
    while let Some(Ok(message)) = stream.next().await {
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
