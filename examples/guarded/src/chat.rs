//! A chat room: everybody else gets each message.

use axum::{
    Router,
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
    routing::any,
};
use tokio::sync::broadcast::{self, Sender};

type Said = (usize, Message);

pub(crate) fn app() -> Router {
    Router::new().route("/chat", any(enter)).with_state(broadcast::channel(100).0)
}

async fn enter(ws: WebSocketUpgrade, State(room): State<Sender<Said>>) -> Response {
    ws.on_upgrade(|socket| talk(socket, room))
}

async fn talk(mut socket: WebSocket, room: Sender<Said>) {
    let mut others = room.subscribe();
    let me = std::ptr::from_ref(&others) as usize;
    loop {
        tokio::select! {
            own = socket.recv() => match own {
                Some(Ok(text @ Message::Text(_))) => drop(room.send((me, text))),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            said = others.recv() => match said {
                Ok((who, text)) if who != me => if socket.send(text).await.is_err() { return },
                Ok(_) => {}
                // The visitor is too slow for this room.
                Err(_) => return,
            },
        }
    }
}
