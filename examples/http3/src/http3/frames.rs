//! A bound on the frames that h3 keeps in memory.
//!
//! h3 0.0.8 collects every frame except DATA until the frame is whole: headers, trailers, settings, and frames of unknown types. It does not
//! look at the length first. So each stream is read through `Bounded`, which resets a stream that announces a longer frame than `LONGEST`.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h3::{
    error::Code,
    quic::{
        BidiStream, Connection, ConnectionErrorIncoming, OpenStreams, RecvStream, SendStream, StreamErrorIncoming,
        StreamId, WriteBuf,
    },
};

/// The longest frame that is taken, in bytes. It is larger than the limit of a request's head, so that a head that is a little too long gets a
/// 431.
const LONGEST: u64 = 64 << 10;

/// A QUIC connection, or a stream of one, whose frames are bounded.
pub(super) struct Bounded<T> {
    inner: T,
    frames: Frames,
}

impl<T> Bounded<T> {
    /// A connection.
    pub(super) fn new(inner: T) -> Self {
        Self::at(inner, Next::Type)
    }

    fn at(inner: T, next: Next) -> Self {
        Self { inner, frames: Frames { next, number: Number::default() } }
    }
}

/// How far a stream has been read.
struct Frames {
    next: Next,
    number: Number,
}

/// What the next byte of a stream belongs to.
#[derive(Clone, Copy)]
enum Next {
    /// The type of the stream (RFC 9114 §6.2), which only streams in one direction begin with.
    StreamType,
    /// The type of a frame (RFC 9114 §7.1).
    Type,
    /// The length of a frame of this type.
    Length(u64),
    /// The payload, of which so many bytes are to come.
    Payload(u64),
    /// Something without frames.
    Unframed,
}

/// A frame is longer than [`LONGEST`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct TooLong;

impl Frames {
    /// Follows the frames through the next bytes.
    fn follow(&mut self, mut bytes: &[u8]) -> Result<(), TooLong> {
        while !bytes.is_empty() {
            self.next = match self.next {
                Next::Unframed => return Ok(()),
                Next::Payload(left) => {
                    let here = left.min(bytes.len() as u64);
                    bytes.advance(usize::try_from(here).unwrap_or(bytes.len()));
                    if left > here { Next::Payload(left - here) } else { Next::Type }
                }
                next => match self.number.push(bytes.get_u8()) {
                    Some(number) => next.with(number)?,
                    None => next,
                },
            };
        }
        Ok(())
    }
}

impl Next {
    /// What follows a number that stands here.
    fn with(self, number: u64) -> Result<Self, TooLong> {
        match (self, number) {
            (Self::StreamType, CONTROL) | (Self::Length(_), 0) => Ok(Self::Type),
            (Self::Type, kind) => Ok(Self::Length(kind)),
            (Self::Length(kind), length) if kind != DATA && length > LONGEST => Err(TooLong),
            (Self::Length(_), length) => Ok(Self::Payload(length)),
            _ => Ok(Self::Unframed),
        }
    }
}

/// A number of variable length (RFC 9000 §16), of which some bytes have been read.
#[derive(Default)]
struct Number {
    value: u64,
    /// How many bytes are to come, once the first one has.
    left: Option<u8>,
}

impl Number {
    /// The number, if this was its last byte.
    fn push(&mut self, byte: u8) -> Option<u64> {
        let left = match self.left {
            None => {
                self.value = u64::from(byte & 0x3f);
                (1 << (byte >> 6)) - 1
            }
            Some(left) => {
                self.value = self.value << 8 | u64::from(byte);
                left - 1
            }
        };
        self.left = (left > 0).then_some(left);
        (left == 0).then_some(self.value)
    }
}

/// The type of a DATA frame, of which h3 passes on each piece as it comes.
const DATA: u64 = 0;
/// The type of the stream that carries SETTINGS.
const CONTROL: u64 = 0;

impl<T: RecvStream<Buf = Bytes>> RecvStream for Bounded<T> {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let data = ready!(self.inner.poll_data(cx))?;
        if let Some(data) = &data
            && self.frames.follow(data) == Err(TooLong)
        {
            let error_code = Code::H3_EXCESSIVE_LOAD.value();
            return Poll::Ready(Err(StreamErrorIncoming::StreamTerminated { error_code }));
        }
        Poll::Ready(Ok(data))
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.inner.stop_sending(error_code);
    }

    fn recv_id(&self) -> StreamId {
        self.inner.recv_id()
    }
}

impl<T: BidiStream<Bytes, RecvStream: RecvStream<Buf = Bytes>> + RecvStream<Buf = Bytes>> BidiStream<Bytes>
    for Bounded<T>
{
    type SendStream = T::SendStream;
    type RecvStream = Bounded<T::RecvStream>;

    fn split(self) -> (Self::SendStream, Self::RecvStream) {
        let (send, inner) = self.inner.split();
        (send, Bounded { inner, frames: self.frames })
    }
}

// The rest is passed on as it is.

impl<T: SendStream<Bytes>> SendStream<Bytes> for Bounded<T> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.inner.poll_ready(cx)
    }

    fn send_data<D: Into<WriteBuf<Bytes>>>(&mut self, data: D) -> Result<(), StreamErrorIncoming> {
        self.inner.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.inner.poll_finish(cx)
    }

    fn reset(&mut self, reset_code: u64) {
        self.inner.reset(reset_code);
    }

    fn send_id(&self) -> StreamId {
        self.inner.send_id()
    }
}

impl<T> Connection<Bytes> for Bounded<T>
where
    T: Connection<Bytes>,
    T::BidiStream: RecvStream<Buf = Bytes>,
    T::RecvStream: RecvStream<Buf = Bytes>,
{
    type RecvStream = Bounded<T::RecvStream>;
    type OpenStreams = Bounded<T::OpenStreams>;

    fn poll_accept_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        self.inner.poll_accept_recv(cx).map_ok(|stream| Bounded::at(stream, Next::StreamType))
    }

    fn poll_accept_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        self.inner.poll_accept_bidi(cx).map_ok(Bounded::new)
    }

    fn opener(&self) -> Self::OpenStreams {
        Bounded::new(self.inner.opener())
    }
}

impl<T> OpenStreams<Bytes> for Bounded<T>
where
    T: OpenStreams<Bytes>,
    T::BidiStream: RecvStream<Buf = Bytes>,
{
    type BidiStream = Bounded<T::BidiStream>;
    type SendStream = T::SendStream;

    fn poll_open_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        self.inner.poll_open_bidi(cx).map_ok(Bounded::new)
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        self.inner.poll_open_send(cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.inner.close(code, reason);
    }
}

#[cfg(test)]
mod tests;
