//! Run with `cargo run -p guarded`: three existing apps, unchanged, behind one line.
//!
//! A chat and GraphQL subscriptions with axum's own extractor, and a Socket.IO server. The apps do not know about this crate. An argument
//! is another address to listen on, and `--unguarded` leaves the line out.

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

/// Socket.IO's server is itself a layer, and answers before any route, so the line goes around it.
fn unguarded() -> Router {
    socketio::around(chat::app().merge(graphql::app()))
}

#[cfg(test)]
mod tests;
