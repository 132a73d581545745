//! Reads HTTP/3 frames one at a time, because h3 0.0.8 trusts its peer too much:
//!
//! - h3 keeps each frame except DATA in memory until the frame is whole, whatever its announced length. The packets of its pieces are kept
//!   too.
//! - If a payload is shorter than the number in it, h3 waits forever, and keeps what follows.
//! - h3 reads ahead: it reads one-byte DATA frames faster than they are used, without a limit.
//! - h3 takes an empty DATA frame for the end of the stream. So it does not notice a stream that ends within a DATA frame.
//!
//! Therefore each stream is read through [`Framed`], which gives h3 one whole frame at a time, or one piece of a DATA frame.

use std::{
    mem,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h3::{
    error::Code,
    quic::{
        BidiStream, Connection, ConnectionErrorIncoming, OpenStreams, RecvStream, SendStream, StreamErrorIncoming,
        StreamId, WriteBuf,
    },
};

/// The longest frame to keep in memory, in bytes. This is more than the limit for the head of a request, so that a slightly long head gets
/// a 431.
const LONGEST: u64 = 64 << 10;

/// A QUIC connection, or one of its streams, that h3 reads frame by frame.
pub(super) struct Framed<T> {
    inner: T,
    frames: Frames,
}

impl<T> Framed<T> {
    pub(super) fn new(inner: T) -> Self {
        Self::at(inner, Next::Type)
    }

    fn at(inner: T, next: Next) -> Self {
        Self { inner, frames: Frames { unread: Bytes::new(), number: Number::default(), next } }
    }
}

impl<T: RecvStream<Buf = Bytes>> RecvStream for Framed<T> {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let fault = |code: Code| StreamErrorIncoming::StreamTerminated { error_code: code.value() };
        loop {
            if let Some(piece) = self.frames.next_piece().map_err(fault)? {
                return Poll::Ready(Ok(Some(piece)));
            }
            match ready!(self.inner.poll_data(cx))? {
                Some(data) => self.frames.unread = data,
                None => return Poll::Ready(self.frames.end().map(|()| None).map_err(fault)),
            }
        }
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.inner.stop_sending(error_code);
    }

    fn recv_id(&self) -> StreamId {
        self.inner.recv_id()
    }
}

/// How far a stream has been read.
struct Frames {
    unread: Bytes,
    /// The bytes so far of the next type or length.
    number: Number,
    next: Next,
}

/// The meaning of a stream's next byte.
enum Next {
    /// The type of the stream (RFC 9114 §6.2). Only unidirectional streams begin with a type.
    StreamType,
    /// The type of a frame (RFC 9114 §7.1).
    Type,
    /// The length of a frame of this type.
    Length(u64),
    /// The payload of a DATA frame, with the number of bytes left.
    Data(u64),
    /// The payload of a frame that is passed on as a whole.
    Kept { left: u64, kind: u64, payload: BytesMut },
    /// The payload of a frame of an unknown type.
    Skipped(u64),
    /// A stream without frames.
    Unframed,
}

impl Frames {
    /// The next bytes for h3. `None` when all bytes have been read.
    fn next_piece(&mut self) -> Result<Option<Bytes>, Code> {
        while !self.unread.is_empty() {
            match &mut self.next {
                Next::Unframed => return Ok(Some(mem::take(&mut self.unread))),
                Next::Data(left) => {
                    let piece = take(&mut self.unread, left);
                    if *left == 0 {
                        self.next = Next::Type;
                    }
                    return Ok(Some(piece));
                }
                Next::Skipped(left) => {
                    take(&mut self.unread, left);
                    if *left == 0 {
                        self.next = Next::Type;
                    }
                }
                Next::Kept { left, kind, payload } => {
                    payload.extend_from_slice(&take(&mut self.unread, left));
                    if *left == 0 {
                        let frame = whole(*kind, payload)?;
                        self.next = Next::Type;
                        return Ok(Some(frame));
                    }
                }
                Next::StreamType | Next::Type | Next::Length(_) => {
                    if let Some(number) = self.number.push(self.unread.get_u8())
                        && let Some(piece) = self.have(number)?
                    {
                        return Ok(Some(piece));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Continues after a number, which is a type or a length.
    fn have(&mut self, number: u64) -> Result<Option<Bytes>, Code> {
        match self.next {
            Next::Type => {
                self.next = Next::Length(number);
                Ok(None)
            }
            Next::Length(DATA) => {
                self.next = if number == 0 { Next::Type } else { Next::Data(number) };
                Ok((number > 0).then(|| numbers(&[DATA, number]).freeze()))
            }
            Next::Length(kind @ (HEADERS..=MAX_PUSH_ID)) => {
                if number > LONGEST {
                    return Err(Code::H3_EXCESSIVE_LOAD);
                }
                self.next =
                    if number == 0 { Next::Type } else { Next::Kept { left: number, kind, payload: BytesMut::new() } };
                if number == 0 { whole(kind, &[]).map(Some) } else { Ok(None) }
            }
            Next::Length(_) => {
                self.next = if number == 0 { Next::Type } else { Next::Skipped(number) };
                Ok(None)
            }
            _ => {
                self.next = if number == CONTROL { Next::Type } else { Next::Unframed };
                Ok(Some(numbers(&[number]).freeze()))
            }
        }
    }

    /// RFC 9114 §7.1: a stream that ends within a frame is malformed.
    fn end(&self) -> Result<(), Code> {
        let between = matches!(self.next, Next::StreamType | Next::Type | Next::Unframed) && self.number.left.is_none();
        if between { Ok(()) } else { Err(Code::H3_FRAME_ERROR) }
    }
}

/// Takes at most `left` bytes.
fn take(unread: &mut Bytes, left: &mut u64) -> Bytes {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(unread.len());
    *left -= length as u64;
    unread.split_to(length)
}

/// A whole frame, if the payload contains what its type requires.
fn whole(kind: u64, payload: &[u8]) -> Result<Bytes, Code> {
    let number = payload.first().map(|first| 1 << (first >> 6));
    let holds = match kind {
        CANCEL_PUSH | GOAWAY | MAX_PUSH_ID => number == Some(payload.len()),
        PUSH_PROMISE => number.is_some_and(|length| length <= payload.len()),
        _ => true,
    };
    if !holds {
        return Err(Code::H3_FRAME_ERROR);
    }
    let mut frame = numbers(&[kind, payload.len() as u64]);
    frame.extend_from_slice(payload);
    Ok(frame.freeze())
}

/// Numbers of variable length (RFC 9000 §16), in their longest form.
fn numbers(numbers: &[u64]) -> BytesMut {
    let mut written = BytesMut::new();
    for number in numbers {
        written.put_u64(number | 3 << 62);
    }
    written
}

/// A number of variable length, of which some bytes have been read.
#[derive(Default)]
struct Number {
    value: u64,
    /// The number of bytes left, after the first one has come.
    left: Option<u8>,
}

impl Number {
    /// Returns the number, if this was its last byte.
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

// Types of frames (RFC 9114 §7.2). h3 knows the types between HEADERS and MAX_PUSH_ID, or refuses them because they are reserved.
const DATA: u64 = 0;
const HEADERS: u64 = 1;
const CANCEL_PUSH: u64 = 3;
const PUSH_PROMISE: u64 = 5;
const GOAWAY: u64 = 7;
const MAX_PUSH_ID: u64 = 0xd;
/// The type of the stream that carries SETTINGS.
const CONTROL: u64 = 0;

impl<T: BidiStream<Bytes, RecvStream: RecvStream<Buf = Bytes>> + RecvStream<Buf = Bytes>> BidiStream<Bytes>
    for Framed<T>
{
    type SendStream = T::SendStream;
    type RecvStream = Framed<T::RecvStream>;

    fn split(self) -> (Self::SendStream, Self::RecvStream) {
        let (send, inner) = self.inner.split();
        (send, Framed { inner, frames: self.frames })
    }
}

// The other methods pass everything on unchanged.

impl<T: SendStream<Bytes>> SendStream<Bytes> for Framed<T> {
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

impl<T> Connection<Bytes> for Framed<T>
where
    T: Connection<Bytes>,
    T::BidiStream: RecvStream<Buf = Bytes>,
    T::RecvStream: RecvStream<Buf = Bytes>,
{
    type RecvStream = Framed<T::RecvStream>;
    type OpenStreams = Framed<T::OpenStreams>;

    fn poll_accept_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        self.inner.poll_accept_recv(cx).map_ok(|stream| Framed::at(stream, Next::StreamType))
    }

    fn poll_accept_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        self.inner.poll_accept_bidi(cx).map_ok(Framed::new)
    }

    fn opener(&self) -> Self::OpenStreams {
        Framed::new(self.inner.opener())
    }
}

impl<T> OpenStreams<Bytes> for Framed<T>
where
    T: OpenStreams<Bytes>,
    T::BidiStream: RecvStream<Buf = Bytes>,
{
    type BidiStream = Framed<T::BidiStream>;
    type SendStream = T::SendStream;

    fn poll_open_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        self.inner.poll_open_bidi(cx).map_ok(Framed::new)
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
