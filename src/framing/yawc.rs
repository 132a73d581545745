//! yawc.

use yawc::{Options, Role, WebSocket};

use crate::middleware::{Side, WsStream};

impl WsStream {
    /// Frames the stream by yawc, in the role of its end, with permessage-deflate where it was agreed on.
    ///
    /// Whether permessage-deflate is spoken, and with which windows and takeovers, is agreed on by the handshake alone:
    /// nothing in `options` turns it on. What the other end compresses is inflated then. A message that this end sends as one
    /// frame is compressed only by options with compression, such as [`Options::with_balanced_compression`], whose level, threshold and pool
    /// it is done by: leave that alone where a message may be of somebody else's making. yawc 0.5.0 cuts a compressed
    /// message short where incompressible bytes of it look like the end of a block, which whoever wrote it can see to.
    ///
    /// Text is checked for UTF-8, as RFC 6455 §8.1 asks, only with [`Options::with_utf8`]. The `Stream` of a `WebSocket` ends
    /// at an error without naming it; `next_frame` gives the error. A connection begins with 8 KiB to read and 8 KiB to
    /// write, which [`Options::with_read_buffer_capacity`] and its like make smaller; with permessage-deflate it holds some
    /// 300 KiB more, unless both ends forget their windows and the options have a pool
    /// ([`Options::with_deflate_pool`]).
    ///
    /// ```
    /// use futures_util::SinkExt;
    /// use ws_handshake::WsStream;
    /// use yawc::{Options, frame::OpCode};
    ///
    /// async fn echo(stream: WsStream) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    ///     let mut socket = stream.into_yawc(Options::default().with_utf8())?;
    ///     loop {
    ///         match socket.next_frame().await {
    ///             Ok(frame) if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) => socket.send(frame).await?,
    ///             Ok(_) => {}
    ///             Err(error) if error.is_closed() => return Ok(()),
    ///             Err(error) => return Err(error.into()),
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// yawc's own, for parameters of permessage-deflate that it does not take. It takes all that are agreed on here.
    pub fn into_yawc(self, options: Options) -> yawc::Result<WebSocket<Self>> {
        let params = self.deflate();
        let (role, own_window) = match self.side() {
            Side::Server => (Role::Server, params.map(|params| params.server_max_window_bits())),
            Side::Client => (Role::Client, params.map(|params| params.client_max_window_bits())),
        };
        let extension = params.map(|params| params.to_string());
        let mut options = if extension.is_some() && options.compression.is_none() {
            // The other end will compress. RFC 7692 §6: whether to compress a message is up to its sender.
            options.with_balanced_compression().with_compression_threshold(usize::MAX)
        } else {
            options
        };
        if let Some(deflate) = &mut options.compression {
            // yawc 0.5.0 never returns from compressing an empty message behind another: zlib has nothing to flush then.
            deflate.compression_threshold = deflate.compression_threshold.max(1);
            if own_window.is_some_and(|bits| bits < 9) {
                // zlib would compress by a larger window than the server has left to this client.
                deflate.compression_threshold = usize::MAX;
            }
        }
        let stream = self.without_vectored_writes();
        WebSocket::from_stream_with_extensions(stream, role, extension.as_deref(), options)
    }
}
