//! Framing with tokio-websockets.

#[cfg(feature = "client")]
use tokio_websockets::ClientBuilder;
use tokio_websockets::{Config, Limits, ServerBuilder, WebSocketStream};

use super::deflate_agreed::DeflateAgreed;
#[cfg(feature = "client")]
use crate::middleware::Side;
use crate::middleware::WsStream;

impl WsStream {
    /// Frames the stream with tokio-websockets, as a server or as a client.
    ///
    /// By default, the socket accepts messages of up to 64 MiB, writes frames of 4 MiB, and flushes when 8 KiB are waiting.
    ///
    /// ```
    /// use futures_util::{SinkExt, TryStreamExt};
    /// use tokio_websockets::{ClientBuilder, Config, Limits};
    /// use ws_handshake::WsStream;
    ///
    /// async fn echo(stream: WsStream) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    ///     let mut socket = stream.into_tokio_websockets(Config::default(), Limits::default())?;
    ///     while let Some(message) = socket.try_next().await? {
    ///         if message.is_text() || message.is_binary() {
    ///             socket.send(message).await?;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DeflateAgreed`], with the stream, if permessage-deflate was agreed on. tokio-websockets does not support it.
    pub fn into_tokio_websockets(self, config: Config, limits: Limits) -> Result<WebSocketStream<Self>, DeflateAgreed> {
        let stream = DeflateAgreed::unless_agreed(self)?;
        Ok(frame(stream, config, limits))
    }
}

#[cfg(feature = "client")]
fn frame(stream: WsStream, config: Config, limits: Limits) -> WebSocketStream<WsStream> {
    match stream.side() {
        Side::Server => ServerBuilder::new().config(config).limits(limits).serve(stream),
        Side::Client => ClientBuilder::new().config(config).limits(limits).take_over(stream),
    }
}

/// Without the feature `client`, neither tokio-websockets nor this crate has a client.
#[cfg(not(feature = "client"))]
fn frame(stream: WsStream, config: Config, limits: Limits) -> WebSocketStream<WsStream> {
    ServerBuilder::new().config(config).limits(limits).serve(stream)
}
