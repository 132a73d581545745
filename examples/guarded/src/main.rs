//! Run with `cargo run -p guarded`: three applications as they were, behind one line.
//!
//! A chat and GraphQL's subscriptions by axum's own extractor, and a server of Socket.IO. Nothing in them knows of this
//! crate. The first argument is another address to listen on.

mod chat;
mod graphql;
mod socketio;

use axum::Router;
use tokio::net::TcpListener;
use ws_handshake::WsHandshakeLayer;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}/chat, /graphql and /socket.io/", listener.local_addr()?);
    axum::serve(listener, guarded()).await
}

fn guarded() -> Router {
    let app = chat::app().merge(graphql::app());
    // Socket.IO's is a layer itself, and answers before any route: this one goes around it.
    socketio::around(app).layer(WsHandshakeLayer::new())
}

#[cfg(test)]
mod tests;
