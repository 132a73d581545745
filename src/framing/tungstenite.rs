//! tokio-tungstenite.

use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role, WebSocketConfig},
};

use super::deflate_agreed::DeflateAgreed;
use crate::middleware::{Side, WsStream};

impl WsStream {
    /// Frames the stream by tokio-tungstenite, in the role of its end.
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
    pub fn into_tungstenite(
        self, config: Option<WebSocketConfig>,
    ) -> impl Future<Output = Result<WebSocketStream<Self>, DeflateAgreed>> + Send {
        // Boxed, for a handler's future has room for this one beside the socket, for as long as the socket lives.
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
