//! Framing with tokio-tungstenite.

use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role, WebSocketConfig},
};

use super::deflate_agreed::DeflateAgreed;
use crate::middleware::{Side, WsStream};

impl WsStream {
    /// Frames the stream with tokio-tungstenite, as a server or as a client.
    ///
    /// `None` is tungstenite's default configuration, except that the read buffer is 4 KiB instead of 128 KiB. Each connection holds this
    /// buffer as long as it lives. If most messages have many KiB, use a larger buffer. A message of 1 MiB takes 256 reads with 4 KiB, and
    /// 8 reads with 128 KiB. Your own configuration is used unchanged.
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
    /// [`DeflateAgreed`], with the stream, if permessage-deflate was agreed on. tungstenite does not support it.
    pub fn into_tungstenite(
        self, config: Option<WebSocketConfig>,
    ) -> impl Future<Output = Result<WebSocketStream<Self>, DeflateAgreed>> + Send {
        // Boxed, because a handler's future has room for this one beside the socket, as long as the socket lives.
        Box::pin(async move {
            let stream = DeflateAgreed::unless_agreed(self)?;
            let role = match stream.side() {
                Side::Server => Role::Server,
                Side::Client => Role::Client,
            };
            let config = config.unwrap_or_else(|| WebSocketConfig::default().read_buffer_size(READ_BUFFER));
            Ok(WebSocketStream::from_raw_socket(stream, role, Some(config)).await)
        })
    }
}

const READ_BUFFER: usize = 4096;
