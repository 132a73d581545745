//! The error for a framing library without permessage-deflate, on a stream that agreed on it.

use std::{error::Error, fmt};

use crate::{middleware::WsStream, observe::events};

/// The stream agreed on permessage-deflate, but the framing library does not support it. The library could not read compressed messages.
///
/// Withdraw the extension before you accept the handshake, with [`WsUpgrade::decline_deflate`](crate::WsUpgrade::decline_deflate), or use a
/// framing library with permessage-deflate, such as yawc. This error exists with the features `fastwebsockets`, `tokio-websockets` and
/// `tungstenite`. The crate traces it when the error is created.
#[derive(Debug)]
pub struct DeflateAgreed(Box<WsStream>);

impl DeflateAgreed {
    /// The stream, untouched.
    #[must_use]
    pub fn into_stream(self) -> WsStream {
        *self.0
    }

    /// The stream, if it did not agree on permessage-deflate.
    pub(super) fn unless_agreed(stream: WsStream) -> Result<WsStream, Self> {
        if stream.deflate().is_none() {
            return Ok(stream);
        }
        // Clients that offer it lose their socket, and a test whose client does not offer it does not notice.
        events::deflate_not_known();
        Err(Self(Box::new(stream)))
    }
}

impl fmt::Display for DeflateAgreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream agreed on permessage-deflate, which this framing library does not know")
    }
}

impl Error for DeflateAgreed {}
