//! A server on a free port, handlers that say what happens, and a client that sends what it is told.

pub(crate) mod client;
pub(crate) mod handshake;
pub(crate) mod http2;

use std::{fmt::Display, net::SocketAddr, time::Duration};

use axum::Router;
use tokio::{io::AsyncWriteExt, net::TcpListener, sync::mpsc, time::timeout};

pub(crate) use self::{
    client::{Client, Over},
    handshake::Handshake,
};

/// More than anything here takes, and less than a person waits.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Serves `app` by `axum::serve` for as long as the test runs.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// What handlers have to say, in the order in which it happened.
pub(crate) struct Events(mpsc::UnboundedReceiver<String>);

#[derive(Clone)]
pub(crate) struct Report(mpsc::UnboundedSender<String>);

pub(crate) fn events() -> (Report, Events) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Report(sender), Events(receiver))
}

impl Report {
    pub(crate) fn say(&self, event: impl Display) {
        let _ = self.0.send(event.to_string());
    }
}

impl Events {
    pub(crate) async fn next(&mut self) -> String {
        timeout(SOON, self.0.recv()).await.expect("nothing happens").expect("nothing can happen any more")
    }

    /// What has happened by now and was not asked for.
    pub(crate) fn unread(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

/// Accepts by going straight on, and sends back what it reads until the client has finished.
pub(crate) async fn echo(mut stream: ws_handshake::WsStream) {
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

/// The same by `on_upgrade`.
pub(crate) async fn echo_by_callback(ws: ws_handshake::WsUpgrade) -> axum::response::Response {
    ws.on_upgrade(echo)
}
