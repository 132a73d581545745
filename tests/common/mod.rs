//! Handlers that say what happens.

use std::{fmt::Display, time::Duration};

use axum::{Router, extract::State, routing::any};
use tokio::{io::AsyncWriteExt, sync::mpsc, time::timeout};
use ws_handshake::{WsStream, WsUpgrade};

/// More than anything here takes, and less than a person waits.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// What handlers have to say, in the order in which it happened.
pub(crate) struct Events(pub(crate) mpsc::UnboundedReceiver<String>);

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
}

/// Accepts by going straight on, and sends back what it reads until the client has finished.
pub(crate) async fn echo(mut stream: WsStream) {
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

/// The same by `on_upgrade`.
pub(crate) async fn echo_by_callback(ws: WsUpgrade) -> axum::response::Response {
    ws.on_upgrade(echo)
}

/// Both forms, each sending back what it reads.
pub(crate) fn both_forms() -> Router {
    Router::new().route("/straight", any(echo)).route("/callback", any(echo_by_callback))
}

/// Both forms, each saying how its handshake ended.
pub(crate) fn saying_how_it_ends() -> Router<Report> {
    let straight =
        async |State(report): State<Report>, ws: WsUpgrade| report.say(format!("{:?}", ws.accept().await.err()));
    let callback = async |State(report): State<Report>, ws: WsUpgrade| {
        let failed = report.clone();
        let ws = ws.on_failed_upgrade(move |error| failed.say(format!("{:?}", Some(error))));
        ws.on_upgrade(async move |_| report.say("stream"))
    };
    Router::new().route("/straight", any(straight)).route("/callback", any(callback))
}
