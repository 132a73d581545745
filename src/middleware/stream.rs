//! The upgraded byte stream.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use http::HeaderValue;
use hyper::{
    body::Bytes,
    rt::{Read, Write},
    upgrade::Upgraded,
};
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade as auto};
use sync_wrapper::SyncWrapper;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::acceptance::Agreed;
use crate::{
    connections::{Closing, ConnectionPermit, Half},
    handshake::DeflateParams,
    observe::{ConnectionRecord, EndReason},
};

/// A connection after its handshake was answered: a byte stream that a framing library reads and writes.
///
/// For each supported framing library, a feature adds a method that makes that library's socket, such as `into_tungstenite`. Other
/// libraries take the stream directly, because it implements tokio's [`AsyncRead`] and [`AsyncWrite`], with vectored writes. Bytes that
/// the client sent together with its request are read first.
///
/// Shutting the stream down closes the writing half. Dropping the stream closes the connection, or its HTTP/2 stream. Over TLS, shut the
/// stream down before you drop it: otherwise no `close_notify` is sent.
///
/// Over HTTP/2, this is one stream of a connection. One write accepts at most 16 KiB. If the client does not read, the next write waits.
/// Shutting down waits until the client has taken all written bytes, and dropping ends the stream only then. If the client resets the
/// stream, writes fail. Reads fail too, except after a reset with `CANCEL` or `NO_ERROR`, which hyper reads as the end of the stream. (In
/// RFC 8441 §5, `CANCEL` means that the connection was cut off.)
///
/// ```
/// use tokio::io::AsyncReadExt;
/// use ws_handshake::WsStream;
///
/// async fn first_byte(mut stream: WsStream) -> std::io::Result<u8> {
///     stream.read_u8().await
/// }
/// ```
pub struct WsStream {
    /// hyper's `Upgraded` is not `Sync`, and this code never reads it through a shared reference.
    io: SyncWrapper<TokioIo<Upgraded>>,
    /// Stored here, because it has to be asked through a shared reference.
    is_write_vectored: bool,
    over_http1: bool,
    side: Side,
    /// Boxed, because most streams have none, and framing libraries move a stream about.
    extras: Option<Box<Extras>>,
    permit: Option<ConnectionPermit>,
}

/// The server's or the client's side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    #[cfg_attr(not(feature = "client"), expect(dead_code, reason = "there are no client's ends without the feature"))]
    Client,
}

/// Data that few streams have.
#[derive(Default)]
struct Extras {
    agreed: Agreed,
    record: ConnectionRecord,
}

impl WsStream {
    pub(super) fn new(
        upgraded: Upgraded, over_http1: bool, agreed: Agreed, permit: Option<ConnectionPermit>,
        record: ConnectionRecord,
    ) -> Self {
        let is_write_vectored = upgraded.is_write_vectored();
        let has_extras = !agreed.is_empty() || record.is_observed();
        let extras = has_extras.then(|| Box::new(Extras { agreed, record }));
        let io = SyncWrapper::new(TokioIo::new(upgraded));
        if let Some(permit) = &permit {
            permit.watch();
        }
        Self { io, is_write_vectored, over_http1, side: Side::Server, extras, permit }
    }

    /// Creates the client's side.
    #[cfg(feature = "client")]
    pub(crate) fn of_client(
        upgraded: Upgraded, over_http1: bool, subprotocol: Option<HeaderValue>, deflate: Option<DeflateParams>,
    ) -> Self {
        let agreed = Agreed { subprotocol, deflate };
        Self { side: Side::Client, ..Self::new(upgraded, over_http1, agreed, None, ConnectionRecord::default()) }
    }

    /// Returns which side of the connection this is.
    #[cfg(any(
        feature = "fastwebsockets",
        feature = "tungstenite",
        feature = "yawc",
        all(feature = "tokio-websockets", feature = "client")
    ))]
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// The subprotocol of the response.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.extras.as_ref()?.agreed.subprotocol()
    }

    /// The parameters of permessage-deflate in the response. `None` if it was not agreed on (RFC 7692).
    ///
    /// The code that frames the stream has to keep to these parameters: it must inflate, and may deflate.
    #[must_use]
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.extras.as_ref()?.agreed.deflate
    }

    /// Writes one buffer at a time, for a library that never has more. Writing one buffer as a list of one is slower.
    #[cfg(feature = "yawc")]
    pub(crate) fn without_vectored_writes(mut self) -> Self {
        self.is_write_vectored = false;
        self
    }

    /// The stream's permit among the layer's [`Connections`](crate::Connections), if the layer has any. Use it to
    /// [close](ConnectionPermit::close_at) the connection when its token expires, for example.
    #[must_use]
    pub fn permit(&self) -> Option<&ConnectionPermit> {
        self.permit.as_ref()
    }

    /// Resolves when the connection is asked to close. [`Closing::reason`] says why: a [drain](crate::Connections::drain), the [age
    /// limit](crate::Connections::max_age), the [idle timeout](crate::Connections::idle_timeout), or the application.
    ///
    /// The future does not borrow the stream: take the future before a framing library takes the stream.
    pub fn closing(&self) -> Closing {
        self.permit.as_ref().map_or_else(Closing::never, ConnectionPermit::closing)
    }

    /// Takes the stream apart. Over HTTP/2, hyper's stream accepts writes of any size, even if the client does not read.
    #[must_use]
    pub fn into_parts(self) -> WsStreamParts {
        let (parts, mut record) = self.split();
        record.ends(EndReason::Taken);
        parts
    }

    fn split(self) -> (WsStreamParts, ConnectionRecord) {
        if let Some(permit) = &self.permit {
            permit.unwatch();
        }
        let Extras { agreed: Agreed { subprotocol, deflate }, record } =
            self.extras.map(|extras| *extras).unwrap_or_default();
        let parts =
            WsStreamParts { upgraded: self.io.into_inner().into_inner(), subprotocol, deflate, permit: self.permit };
        (parts, record)
    }

    /// Returns hyper's own upgraded connection, for libraries that need it. [`Connections`](crate::Connections) no longer counts this
    /// connection. To keep the permit, use [`into_parts`](Self::into_parts).
    #[must_use]
    pub fn into_upgraded(self) -> Upgraded {
        self.into_parts().upgraded
    }

    /// Returns the underlying IO, if it is a `T`, with the bytes that were already read from it.
    ///
    /// With `axum::serve` on a TCP listener, hyper-util's `auto` server and hyper's own, `T` is `TokioIo<TcpStream>`. Over HTTP/2, there
    /// is no such IO, because many streams share one.
    ///
    /// ```
    /// use hyper_util::rt::TokioIo;
    /// use tokio::net::TcpStream;
    /// use ws_handshake::WsStream;
    ///
    /// fn tcp(stream: WsStream) -> Result<(TcpStream, Vec<u8>), WsStream> {
    ///     let parts = stream.downcast::<TokioIo<TcpStream>>()?;
    ///     Ok((parts.io.into_inner(), parts.read_buf.to_vec()))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the unchanged stream, if the IO has another type.
    pub fn downcast<T>(self) -> Result<Downcast<T>, Self>
    where
        T: Read + Write + Unpin + 'static,
    {
        let (over_http1, side) = (self.over_http1, self.side);
        let (WsStreamParts { upgraded, subprotocol, deflate, permit }, mut record) = self.split();
        // hyper-util's server reads ahead to detect the HTTP version, and wraps the IO in its own type.
        let (io, read_buf) = match auto::downcast::<T>(upgraded) {
            Ok(parts) => (parts.io, parts.read_buf),
            Err(upgraded) => match upgraded.downcast::<T>() {
                Ok(parts) => (parts.io, parts.read_buf),
                Err(upgraded) => {
                    let agreed = Agreed { subprotocol, deflate };
                    return Err(Self { side, ..Self::new(upgraded, over_http1, agreed, permit, record) });
                }
            },
        };
        record.ends(EndReason::Taken);
        Ok(Downcast { io, deflate, permit, read_buf, subprotocol })
    }

    /// Reports to the connection's record, if there is one.
    fn record(&mut self, tell: impl FnOnce(&mut ConnectionRecord)) {
        if let Some(extras) = &mut self.extras {
            tell(&mut extras.record);
        }
    }

    /// Reads from a connection that was ended, or whose peer has sent nothing since the last sweep.
    #[cold]
    fn poll_read_ended_or_quiet(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_ended() {
            self.record(|record| record.ends(EndReason::Ended));
            return Poll::Ready(Ok(()));
        }
        let before = buf.remaining();
        let read = self.poll_read_io(cx, buf);
        if buf.remaining() < before
            && let Some(permit) = &self.permit
        {
            permit.hear();
        }
        read
    }

    #[inline]
    fn poll_read_io(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.remaining();
        let read = Pin::new(self.io.get_mut()).poll_read(cx, buf);
        if read.is_pending() && self.poll_ended(cx, Half::Read) {
            self.record(|record| record.ends(EndReason::Ended));
            return Poll::Ready(Ok(()));
        }
        if before > 0 {
            let bytes = before - buf.remaining();
            self.record(|record| record.read(&read, bytes));
        }
        read
    }

    fn is_ended(&self) -> bool {
        self.permit.as_ref().is_some_and(ConnectionPermit::is_ended)
    }

    /// Whether the connection was ended while one half waits. `cx` is woken when it is.
    fn poll_ended(&self, cx: &Context<'_>, half: Half) -> bool {
        self.permit.as_ref().is_some_and(|permit| permit.poll_ended(cx, half))
    }

    /// Returns the result of a write, or an error if the connection was ended.
    fn unless_ended<T>(&mut self, cx: &Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_pending() && self.poll_ended(cx, Half::Write) { self.ended() } else { written }
    }

    fn ended<T>(&mut self) -> Poll<io::Result<T>> {
        self.record(|record| record.ends(EndReason::Ended));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was ended by the server")))
    }
}

impl AsyncRead for WsStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.permit.as_ref().is_some_and(ConnectionPermit::is_ended_or_quiet) {
            return self.poll_read_ended_or_quiet(cx, buf);
        }
        self.poll_read_io(cx, buf)
    }
}

impl AsyncWrite for WsStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_ended() {
            return self.ended();
        }
        // Over HTTP/2, hyper copies the whole buffer, whatever the client's window.
        let length = if self.over_http1 { buf.len() } else { buf.len().min(MAX_FRAME) };
        let written = Pin::new(self.io.get_mut()).poll_write(cx, &buf[..length]);
        self.record(|record| record.wrote(&written));
        self.unless_ended(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(self.io.get_mut()).poll_flush(cx);
        self.unless_ended(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(self.io.get_mut()).poll_shutdown(cx);
        self.unless_ended(cx, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_write_vectored {
            if self.is_ended() {
                return self.ended();
            }
            let written = Pin::new(self.io.get_mut()).poll_write_vectored(cx, bufs);
            self.record(|record| record.wrote(&written));
            return self.unless_ended(cx, written);
        }
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[], |buf| buf))
    }

    fn is_write_vectored(&self) -> bool {
        self.is_write_vectored
    }
}

impl fmt::Debug for WsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsStream").field("subprotocol", &self.subprotocol()).finish_non_exhaustive()
    }
}

/// RFC 9113 §6.5.2: the initial value of `SETTINGS_MAX_FRAME_SIZE`.
const MAX_FRAME: usize = 16_384;

/// The parts of a [`WsStream`].
#[derive(Debug)]
#[non_exhaustive]
pub struct WsStreamParts {
    /// hyper's upgraded connection. It still contains the bytes that were read early.
    pub upgraded: Upgraded,
    /// The subprotocol of the response.
    pub subprotocol: Option<HeaderValue>,
    /// The parameters of permessage-deflate in the response.
    pub deflate: Option<DeflateParams>,
    /// The permit among the layer's [`Connections`](crate::Connections), if the layer has any.
    pub permit: Option<ConnectionPermit>,
}

/// The underlying IO of a [`WsStream`].
#[non_exhaustive]
pub struct Downcast<T> {
    /// The IO itself.
    pub io: T,
    /// The parameters of permessage-deflate in the response.
    pub deflate: Option<DeflateParams>,
    /// The permit among the layer's [`Connections`](crate::Connections), if the layer has any.
    pub permit: Option<ConnectionPermit>,
    /// Bytes that were read before the connection was handed over. Use these bytes before you read more.
    pub read_buf: Bytes,
    /// The subprotocol of the response.
    pub subprotocol: Option<HeaderValue>,
}

impl<T: fmt::Debug> fmt::Debug for Downcast<T> {
    /// Writes only the length of the bytes that were read, because they may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { io, deflate, permit, read_buf, subprotocol } = self;
        f.debug_struct("Downcast")
            .field("io", io)
            .field("deflate", deflate)
            .field("permit", permit)
            .field("read_buf", &format_args!("{} bytes", read_buf.len()))
            .field("subprotocol", subprotocol)
            .finish()
    }
}
