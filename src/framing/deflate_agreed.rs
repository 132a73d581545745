//! A library that cannot inflate, on a stream that agreed to.

use std::{error::Error, fmt};

use crate::{middleware::WsStream, observe::events};

/// The stream agreed on permessage-deflate, and the library that should frame it does not know it: what it sent would be
/// read wrongly, and what it got would be garbage.
///
/// Withdraw the extension before the handshake is accepted, by [`WsUpgrade::decline_deflate`](crate::WsUpgrade::decline_deflate),
/// or frame the stream by a library that has it, as yawc does. It is there with the features `fastwebsockets`,
/// `tokio-websockets` and `tungstenite`, and is traced when it is made.
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
        // Clients that offer it lose their socket, and a test without it does not notice.
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
