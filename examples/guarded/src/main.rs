//! Run with `cargo run -p guarded`: three applications as they were, behind one line.
//!
//! A chat and GraphQL's subscriptions by axum's own extractor, and a server of Socket.IO. Nothing in them knows of this
//! crate. An argument is another address to listen on, and `--unguarded` leaves the line out.

mod chat;
mod graphql;
mod socketio;

use axum::Router;
use tokio::net::TcpListener;
use ws_handshake::WsHandshakeLayer;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let (mut address, mut is_guarded) = ("127.0.0.1:3000".to_owned(), true);
    for argument in std::env::args().skip(1) {
        if argument == "--unguarded" { is_guarded = false } else { address = argument }
    }
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}/chat, /graphql and /socket.io/", listener.local_addr()?);
    axum::serve(listener, if is_guarded { guarded(unguarded()) } else { unguarded() }).await
}

fn guarded(app: Router) -> Router {
    app.layer(WsHandshakeLayer::new())
}

/// Socket.IO's is a layer itself, and answers before any route: the line goes around it.
fn unguarded() -> Router {
    socketio::around(chat::app().merge(graphql::app()))
}

#[cfg(test)]
mod tests;
