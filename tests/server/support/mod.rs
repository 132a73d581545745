//! A server on a free port, handlers that say what happens, and a client that sends what it is told.

pub(crate) mod client;
#[path = "../../common/mod.rs"]
mod common;
pub(crate) mod handshake;
pub(crate) mod http2;
pub(crate) mod log;

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

pub(crate) use self::{
    client::{Client, Over},
    common::{Events, Report, SOON, both_forms, echo, echo_by_callback, events, saying_how_it_ends},
    handshake::Handshake,
};

/// Serves `app` by `axum::serve` for as long as the test runs.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    serve_on("127.0.0.1:0", app).await
}

pub(crate) async fn serve_on(address: &str, app: Router) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Each form of handler, over each version of HTTP.
pub(crate) fn forms() -> impl Iterator<Item = (Over, &'static str)> {
    Over::ALL.iter().flat_map(|over| ["/straight", "/callback"].map(|path| (*over, path)))
}

impl Events {
    /// What has happened by now and was not asked for.
    pub(crate) fn unread(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}
