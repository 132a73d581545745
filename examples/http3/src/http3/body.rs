//! The body of a plain request.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use h3::{error::StreamError, quic::RecvStream, server::RequestStream};
use http_body::{Body, Frame};

/// What a client sends on its stream behind the head of a request.
pub(super) struct RequestBody<R>(pub(super) RequestStream<R, Bytes>);

impl<R: RecvStream + Unpin> Body for RequestBody<R> {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let data = ready!(self.0.poll_recv_data(cx)).transpose();
        Poll::Ready(data.map(|data| data.map(|mut data| Frame::data(data.copy_to_bytes(data.remaining())))))
    }
}
