//! tokio-tungstenite.

use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role, WebSocketConfig},
};

use super::deflate_agreed::DeflateAgreed;
use crate::middleware::WsStream;

impl WsStream {
    /// Frames the stream by tokio-tungstenite, as the server.
    ///
    /// `None` is tungstenite's own configuration but for a read buffer of 4 KiB instead of 128 KiB, which each connection
    /// would hold for as long as it lives. Raise it where messages of many KiB are the rule: a message of a MiB is read
    /// in 256 pieces by the one and in 8 by the other. A configuration that is given is taken as it is.
    ///
    /// ```
    /// use futures_util::{SinkExt, TryStreamExt};
    /// use ws_handshake::WsStream;
    ///
    /// async fn echo(stream: WsStream) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    ///     let mut socket = stream.into_tungstenite(None).await?;
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
    /// [`DeflateAgreed`], with the stream, where permessage-deflate was agreed on: tungstenite does not have it.
    pub async fn into_tungstenite(
        self, config: Option<WebSocketConfig>,
    ) -> Result<WebSocketStream<Self>, DeflateAgreed> {
        let stream = DeflateAgreed::unless_agreed(self)?;
        let config = config.unwrap_or_else(|| WebSocketConfig::default().read_buffer_size(READ_BUFFER));
        Ok(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await)
    }
}

const READ_BUFFER: usize = 4096;
