//! Framing with yawc.

use yawc::{Options, Role, WebSocket};

use crate::middleware::{Side, WsStream};

impl WsStream {
    /// Frames the stream with yawc, as a server or as a client, with permessage-deflate if it was agreed on.
    ///
    /// Only the handshake decides about permessage-deflate, its windows and its takeovers: nothing in `options` turns it on. If it was
    /// agreed on, yawc inflates the other end's compressed messages.
    ///
    /// yawc compresses a message that you send as one frame only if `options` have compression, such as
    /// [`Options::with_balanced_compression`], with their level, threshold and pool. Do not use compression if somebody else may have
    /// written the message. yawc 0.5.0 cuts a compressed message short if incompressible bytes in it look like the end of a block, and the
    /// author can choose such bytes.
    ///
    /// yawc checks text for UTF-8, as RFC 6455 §8.1 requires, only with [`Options::with_utf8`]. At an error, the `Stream` of a `WebSocket`
    /// only ends. `next_frame` returns the error.
    ///
    /// A connection begins with 8 KiB to read and 8 KiB to write. [`Options::with_read_buffer_capacity`] and similar options make these
    /// smaller. With permessage-deflate, a connection holds some 300 KiB more, unless both ends forget their windows and the options have a
    /// pool ([`Options::with_deflate_pool`]).
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
    /// yawc's error, for parameters of permessage-deflate that yawc does not accept. yawc accepts all parameters that this crate agrees on.
    pub fn into_yawc(self, options: Options) -> yawc::Result<WebSocket<Self>> {
        let params = self.deflate();
        let (role, own_window) = match self.side() {
            Side::Server => (Role::Server, params.map(|params| params.server_max_window_bits())),
            Side::Client => (Role::Client, params.map(|params| params.client_max_window_bits())),
        };
        let extension = params.map(|params| params.to_string());
        let mut options = if extension.is_some() && options.compression.is_none() {
            // The other end will compress. RFC 7692 §6: the sender decides whether to compress a message.
            options.with_balanced_compression().with_compression_threshold(usize::MAX)
        } else {
            options
        };
        if let Some(deflate) = &mut options.compression {
            // yawc 0.5.0 never finishes compressing an empty message after another one: zlib has nothing to flush then.
            deflate.compression_threshold = deflate.compression_threshold.max(1);
            if own_window.is_some_and(|bits| bits < 9) {
                // zlib would compress with a larger window than the server allows this client.
                deflate.compression_threshold = usize::MAX;
            }
        }
        let stream = self.without_vectored_writes();
        WebSocket::from_stream_with_extensions(stream, role, extension.as_deref(), options)
    }
}
