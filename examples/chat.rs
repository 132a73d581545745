//! Run with `cargo run --example chat`, and open the address that it prints in two tabs.
//!
//! A chat room with the subprotocol `v1.chat`. A client's first message is its name, and everybody gets each later message.

use std::{
    collections::HashSet,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    response::Html,
    routing::{any, get},
};
use futures_util::{SinkExt, TryStreamExt};
use tokio::{
    net::TcpListener,
    sync::broadcast::{self, error::RecvError},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};
use ws_handshake::{AllowHost, Connections, Subprotocols, WsHandshakeLayer, WsStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let connections = Connections::new();
    let layer = WsHandshakeLayer::new()
        .allow_host(AllowHost::loopback())
        .connections(connections.clone())
        .subprotocols(Subprotocols::new(["v1.chat"])?.required(true));
    let app = Router::new()
        .route("/", get(async || Html(include_str!("chat.html"))))
        .route("/ws", any(chat))
        .layer(layer)
        .with_state(Arc::new(Room { said: broadcast::Sender::new(64), names: Mutex::default() }));
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tokio::select! {
        served = axum::serve(listener, app) => served?,
        _ = tokio::signal::ctrl_c() => {}
    }
    connections.drain().over(Duration::from_secs(1)).deadline(Duration::from_secs(5)).await;
    Ok(())
}

/// The handler is the connection: it returns when the visitor leaves.
async fn chat(State(room): State<Arc<Room>>, stream: WsStream) {
    if let Err(error) = visit(&room, stream).await {
        eprintln!("a visit ended: {error}");
    }
}

async fn visit(room: &Room, stream: WsStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut closing = stream.closing();
    let mut socket = stream.into_tungstenite(None).await?;
    let Some(visitor) = enter(room, &mut socket).await? else { return Ok(()) };
    let mut said = room.said.subscribe();
    room.say(format!("{} joined", visitor.name));
    loop {
        tokio::select! {
            message = socket.try_next() => match message? {
                Some(Message::Text(text)) => room.say(format!("{}: {text}", visitor.name)),
                Some(_) => {}
                None => return Ok(()),
            },
            heard = said.recv() => {
                let text = match heard {
                    Ok(text) => text,
                    Err(RecvError::Lagged(missed)) => format!("({missed} messages missed)"),
                    Err(RecvError::Closed) => return Ok(()),
                };
                socket.send(Message::text(text)).await?;
            }
            () = &mut closing => break,
        }
    }
    // Read until the client answers the close, so that the client sees the close.
    let code = CloseCode::from(closing.close_code());
    socket.close(Some(CloseFrame { code, reason: "".into() })).await?;
    while socket.try_next().await?.is_some() {}
    Ok(())
}

/// Waits for an unused name. Returns `None` if the visitor leaves before.
async fn enter<'a>(
    room: &'a Room, socket: &mut WebSocketStream<WsStream>,
) -> Result<Option<Visitor<'a>>, tungstenite::Error> {
    while let Some(message) = socket.try_next().await? {
        if let Message::Text(name) = message {
            let name = name.trim();
            if !name.is_empty() && room.names().insert(name.to_owned()) {
                return Ok(Some(Visitor { room, name: name.to_owned() }));
            }
            socket.send(Message::text("that name is taken")).await?;
        }
    }
    Ok(None)
}

struct Room {
    said: broadcast::Sender<String>,
    names: Mutex<HashSet<String>>,
}

impl Room {
    fn say(&self, text: String) {
        // An error says that nobody is in the room.
        let _ = self.said.send(text);
    }

    fn names(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A visitor in the room, who leaves the room in any case when the handler ends.
struct Visitor<'a> {
    room: &'a Room,
    name: String,
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        self.room.names().remove(&self.name);
        self.room.say(format!("{} left", self.name));
    }
}
