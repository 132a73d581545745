//! An application of axum on the crate axum-server, with a graceful shutdown.

use std::{io, time::Duration};

use ::axum_server::Handle;
use axum::{
    Router,
    routing::{any, get},
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};
use ws_handshake::{Connections, WsHandshakeLayer, WsStream};

/// Serves until `signal` resolves, and then closes every connection with code 1001.
pub(crate) async fn serve(
    listener: TcpListener, connections: Connections, signal: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = Router::new()
        .route("/", get(async || "The socket is at /echo."))
        .route("/echo", any(echo))
        .layer(WsHandshakeLayer::new().connections(connections.clone()));
    let shutdown = connections.graceful_shutdown(signal).over(Duration::from_secs(1)).deadline(Duration::from_secs(5));
    // axum-server has no `with_graceful_shutdown`: its handle starts the shutdown.
    let handle = Handle::new();
    let stopping = shutdown.signal();
    let stop = handle.clone();
    tokio::spawn(async move {
        stopping.await;
        stop.graceful_shutdown(None);
    });
    let mut server = ::axum_server::from_tcp(listener.into_std()?)?.handle(handle);
    // The server has to announce WebSockets over HTTP/2.
    server.http_builder().http2().enable_connect_protocol();
    let drained = shutdown.serve(server.serve(app.into_make_service())).await?;
    println!("{} closed, {} aborted", drained.closed, drained.aborted);
    Ok(())
}

async fn echo(stream: WsStream) {
    let mut closing = stream.closing();
    let Ok(mut socket) = stream.into_tungstenite(None).await else { return };
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(message)) if message.is_text() || message.is_binary() => {
                    if socket.send(message).await.is_err() { return }
                }
                Some(Ok(_)) => {}
                _ => return,
            },
            () = &mut closing => break,
        }
    }
    let close = CloseFrame { code: closing.close_code().into(), reason: "".into() };
    let _ = socket.send(Message::Close(Some(close))).await;
    while let Some(Ok(_)) = socket.next().await {}
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::visitor::{Server, close_code, echoes, within};

    async fn start() -> (Server, Connections, oneshot::Sender<()>) {
        let (stop, stopped) = oneshot::channel();
        let connections = Connections::new().limit(1);
        let ours = connections.clone();
        let server = Server::start(|listener| serve(listener, ours, async move { drop(stopped.await) })).await;
        (server, connections, stop)
    }

    #[tokio::test]
    async fn it_is_guarded_and_works() {
        let (server, _connections, _stop) = start().await;
        server.refuses_foreign_pages("/echo").await;
        echoes(server.open("/echo").await).await;
        assert_eq!(server.get("/").await, (200, "The socket is at /echo.".to_owned()));
    }

    #[tokio::test]
    async fn it_works_over_http2() {
        let (server, _connections, _stop) = start().await;
        echoes(server.open_over_http2("/echo", &[]).await).await;
    }

    #[tokio::test]
    async fn the_limit_holds_and_a_shutdown_closes() {
        let (server, connections, stop) = start().await;
        let mut socket = server.open("/echo").await;
        assert_eq!(server.handshake("/echo", &server.origin(), None).await.unwrap_err(), 503);
        stop.send(()).unwrap();
        assert_eq!(close_code(&mut socket).await, 1001);
        within(connections.wait()).await;
        within(server.stopped()).await;
    }
}
