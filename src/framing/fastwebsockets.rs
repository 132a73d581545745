//! fastwebsockets.

use fastwebsockets::{Role, WebSocket};

use super::deflate_agreed::DeflateAgreed;
use crate::middleware::{Side, WsStream};

impl WsStream {
    /// Frames the stream by fastwebsockets, in the role of its end.
    ///
    /// Its knobs are on the [`WebSocket`] that it gives: it answers pings and closes by itself, takes frames of less than
    /// 64 MiB, and gives them as they came, one by one, with the client's mask, so that none can be sent back as it is. A
    /// `FragmentCollector` around it makes messages of them, and puts no bound on the size of one.
    ///
    /// Its `read_frame` may not be dropped before it has a frame, as a `select!` does: what it has read is lost. Read in a
    /// loop of its own there, and pass frames on by a channel.
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
    /// [`DeflateAgreed`], with the stream, where permessage-deflate was agreed on: fastwebsockets does not have it.
    pub fn into_fastwebsockets(self) -> Result<WebSocket<Self>, DeflateAgreed> {
        let stream = DeflateAgreed::unless_agreed(self)?;
        let role = match stream.side() {
            Side::Server => Role::Server,
            Side::Client => Role::Client,
        };
        Ok(WebSocket::after_handshake(stream, role))
    }
}
