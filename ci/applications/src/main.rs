//! Run with `cargo run -- chat`: serves one of these applications. To listen on another address, add it as the second argument.
//!
//! Each application is small, and has one line for this crate: `.layer(WsHandshakeLayer::new())`. `cargo test` starts each one and
//! connects to it.

mod axum_07;
mod axum_server;
mod axum_tws;
mod chat;
mod chat_on_stream;
mod graphql;
mod graphql_axum;
mod graphql_juniper;
mod graphql_stream;
mod grpc;
mod lambda;
mod salvo_app;
mod socketio;
#[cfg(test)]
mod visitor;
mod warp_app;

use std::error::Error;

use tokio::net::TcpListener;
use ws_handshake::Connections;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    if name == "lambda" {
        return lambda::serve().await;
    }
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);

    let connections = Connections::new().limit(10_000);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    match name.as_str() {
        "axum_07" => axum_07::serve(listener, connections).await?,
        "axum_server" => axum_server::serve(listener, connections, ctrl_c).await?,
        "axum_tws" => axum_tws::serve(listener, connections).await?,
        "chat" => chat::serve(listener, connections, ctrl_c).await?,
        "chat_on_stream" => chat_on_stream::serve(listener, connections, ctrl_c).await?,
        "graphql_axum" => graphql_axum::serve(listener, connections).await?,
        "graphql_juniper" => graphql_juniper::serve(listener, connections).await?,
        "graphql_stream" => graphql_stream::serve(listener, connections).await?,
        "grpc" => grpc::serve(listener).await?,
        "salvo" => salvo_app::serve(listener, connections).await?,
        "socketio" => socketio::serve(listener).await?,
        "socketio_with_polling" => socketio::serve_with_polling(listener, "http://localhost:5173").await?,
        "warp" => warp_app::serve(listener, connections).await?,
        _ => return Err(format!("no application is called {name:?}").into()),
    }
    Ok(())
}
