//! Framing with fastwebsockets.

use fastwebsockets::{Role, WebSocket};

use super::deflate_agreed::DeflateAgreed;
use crate::middleware::{Side, WsStream};

impl WsStream {
    /// Frames the stream with fastwebsockets, as a server or as a client.
    ///
    /// The returned [`WebSocket`] has the settings. By default, the socket answers pings and closes automatically, and accepts frames of
    /// less than 64 MiB. You get the frames one by one as they came, with the client's mask, so you cannot send a frame back as it is. A
    /// `FragmentCollector` joins frames into messages, with no limit on the size of a message.
    ///
    /// Do not drop `read_frame` before it returns a frame, as a `select!` does: the bytes that were read are lost. Read in a separate loop
    /// instead, and pass the frames on with a channel.
    ///
    /// ```
    /// use fastwebsockets::{FragmentCollector, OpCode};
    /// use ws_handshake::WsStream;
    ///
    /// async fn echo(stream: WsStream) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    ///     let mut socket = FragmentCollector::new(stream.into_fastwebsockets()?);
    ///     loop {
    ///         let frame = socket.read_frame().await?;
    ///         match frame.opcode {
    ///             OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
    ///             OpCode::Close => return Ok(()),
    ///             _ => {}
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DeflateAgreed`], with the stream, if permessage-deflate was agreed on. fastwebsockets does not support it.
    pub fn into_fastwebsockets(self) -> Result<WebSocket<Self>, DeflateAgreed> {
        let stream = DeflateAgreed::unless_agreed(self)?;
        let role = match stream.side() {
            Side::Server => Role::Server,
            Side::Client => Role::Client,
        };
        Ok(WebSocket::after_handshake(stream, role))
    }
}
