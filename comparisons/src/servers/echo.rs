//! Echoes.
//!
//! The loops are macros, so that each handler is one future as its users write it, and no call within it holds the socket a
//! second time.

use std::error::Error;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub type Ended = Result<(), Box<dyn Error + Send + Sync>>;

macro_rules! echo_messages {
    ($socket:expr) => {{
        let mut socket = $socket;
        while let Some(message) = ::futures_util::TryStreamExt::try_next(&mut socket).await? {
            if message.is_text() || message.is_binary() {
                ::futures_util::SinkExt::send(&mut socket, message).await?;
            }
        }
        Ended::Ok(())
    }};
}

macro_rules! echo_fastwebsockets {
    ($socket:expr) => {{
        let mut socket = ::fastwebsockets::FragmentCollector::new($socket);
        loop {
            let frame = socket.read_frame().await?;
            match frame.opcode {
                ::fastwebsockets::OpCode::Text | ::fastwebsockets::OpCode::Binary => socket.write_frame(frame).await?,
                ::fastwebsockets::OpCode::Close => break Ended::Ok(()),
                _ => {}
            }
        }
    }};
}

macro_rules! echo_yawc {
    ($socket:expr) => {{
        let mut socket = $socket;
        while let Some(frame) = ::futures_util::StreamExt::next(&mut socket).await {
            if matches!(frame.opcode(), ::yawc::frame::OpCode::Text | ::yawc::frame::OpCode::Binary) {
                ::futures_util::SinkExt::send(&mut socket, frame).await?;
            }
        }
        Ended::Ok(())
    }};
}

pub(super) use {echo_fastwebsockets, echo_messages, echo_yawc};

/// The same buffer for all that echo bytes.
pub async fn echo_bytes(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Ended {
    let mut buffer = vec![0; 1024];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
        // A message that fills it is read in pieces that grow, as by a framing library.
        if length == buffer.len() && length < 64 << 10 {
            buffer = vec![0; length * 4];
        }
    }
}
