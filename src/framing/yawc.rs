//! yawc.

use yawc::{Options, Role, WebSocket};

use crate::middleware::WsStream;

impl WsStream {
    /// Frames the stream by yawc, as the server, with permessage-deflate where it was agreed on.
    ///
    /// The agreed windows and takeovers are taken from the handshake. Level, threshold and pool are those of `options`;
    /// options without compression get yawc's defaults where the client may compress, for it will. Text is checked for
    /// UTF-8, as RFC 6455 §8.1 asks, only with [`Options::with_utf8`]. A connection begins with 8 KiB to read and 8 KiB
    /// to write, which [`Options::with_read_buffer_capacity`] and its like make smaller, and with two windows of up to
    /// 32 KiB where it compresses.
    ///
    /// ```
    /// use futures_util::{SinkExt, StreamExt};
    /// use ws_handshake::WsStream;
    /// use yawc::{Options, frame::OpCode};
    ///
    /// async fn echo(stream: WsStream) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    ///     let mut socket = stream.into_yawc(Options::default().with_utf8())?;
    ///     while let Some(frame) = socket.next().await {
    ///         if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) {
    ///             socket.send(frame).await?;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// yawc's own, for parameters of permessage-deflate that it does not take. It takes all that are agreed on here.
    pub fn into_yawc(self, options: Options) -> yawc::Result<WebSocket<Self>> {
        let extension = self.deflate().map(|params| params.to_string());
        let mut options = if extension.is_some() && options.compression.is_none() {
            options.with_balanced_compression()
        } else {
            options
        };
        if let Some(deflate) = &mut options.compression {
            // yawc 0.5.0 never returns from compressing an empty message behind another: zlib has nothing to flush then.
            deflate.compression_threshold = deflate.compression_threshold.max(1);
        }
        let stream = self.without_vectored_writes();
        WebSocket::from_stream_with_extensions(stream, Role::Server, extension.as_deref(), options)
    }
}
