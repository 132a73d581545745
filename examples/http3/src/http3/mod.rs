//! Serves a router over HTTP/3, with WebSockets.
//!
//! To use this in your own program, copy this directory.

mod connection;
mod frames;
mod protocol;
mod relay;

use std::{error::Error, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use quinn::{Endpoint, TransportConfig};
use tokio::sync::watch;

/// Serves until `stop` resolves. Then waits until all requests have been answered and the WebSockets have closed.
pub(crate) async fn serve(endpoint: Endpoint, router: Router, stop: impl Future<Output = ()>) {
    let (running, _) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let incoming = tokio::select! {
            Some(incoming) = endpoint.accept() => incoming,
            () = &mut stop => break,
            else => break,
        };
        let (router, stopping) = (router.clone(), running.subscribe());
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else { return };
            if let Err(error) = connection::serve(connection, router, stopping).await {
                // Clients can cause any number of these lines.
                tracing::debug!(error, "connection ended");
            }
        });
    }
    endpoint.set_server_config(None);
    drop(running);
    endpoint.wait_idle().await;
}

/// Limits the streams of a client, and the bytes on the way in each stream.
pub(crate) fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(STREAMS.into())
        .stream_receive_window(WINDOW.into())
        .send_window((STREAMS * WINDOW).into())
        // quinn ends a connection that is idle for 30 s, but a WebSocket may be idle.
        .keep_alive_interval(Some(Duration::from_secs(15)));
    Arc::new(transport)
}

type BoxError = Box<dyn Error + Send + Sync>;

/// How many streams a client may have open at once.
const STREAMS: u32 = 256;
/// How many bytes of a stream may be on the way in each direction, over QUIC and again over the HTTP/2 behind it.
const WINDOW: u32 = 64 << 10;
