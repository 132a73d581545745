//! HTTP/2 as the h2 crate speaks it, frame by frame.

use std::{future::poll_fn, net::SocketAddr};

use h2::{
    Reason, RecvStream, SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::Request;
use hyper::body::Bytes;
use tokio::{net::TcpStream, time::timeout};

use super::{SOON, client::Head};

/// A connection that bears any number of sockets.
pub(crate) type Connection = SendRequest<Bytes>;

pub(crate) async fn connect(address: SocketAddr) -> Connection {
    connect_with(address, &mut Builder::new()).await
}

/// Connects, and waits until the server has said that it knows extended `CONNECT`.
pub(crate) async fn connect_with(address: SocketAddr, builder: &mut Builder) -> Connection {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut requests, connection) = builder.handshake(stream).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    timeout(SOON, async {
        while !requests.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("no extended CONNECT");
    poll_fn(|cx| requests.poll_ready(cx)).await.unwrap();
    requests
}

pub(crate) fn ask(connection: &mut Connection, request: Request<()>) -> (Sender, Receiver) {
    let is_page = request.method() == http::Method::GET;
    let (response, stream) = connection.send_request(request, is_page).unwrap();
    (Sender { stream, _connection: connection.clone() }, Receiver::Head(response))
}

/// One stream of a connection, to be written.
pub(crate) struct Sender {
    stream: SendStream<Bytes>,
    /// The last one to go closes the connection.
    _connection: Connection,
}

/// One stream of a connection, to be read.
pub(crate) enum Receiver {
    Head(ResponseFuture),
    Body(RecvStream),
}

impl Sender {
    /// Sends as far as the server's window lets it.
    pub(crate) async fn send(&mut self, mut bytes: &[u8]) -> Result<(), h2::Error> {
        while !bytes.is_empty() {
            self.stream.reserve_capacity(bytes.len());
            let Some(capacity) = poll_fn(|cx| self.stream.poll_capacity(cx)).await else {
                return Err(Reason::STREAM_CLOSED.into());
            };
            let (now, later) = bytes.split_at(capacity?.min(bytes.len()));
            self.stream.send_data(Bytes::copy_from_slice(now), false)?;
            bytes = later;
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self) {
        // The server may have reset the stream by now.
        let _ = self.stream.send_data(Bytes::new(), true);
    }

    #[cfg(feature = "http2")]
    pub(crate) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }
}

impl Receiver {
    /// The head of the answer; `None` if the stream is reset instead.
    pub(crate) async fn answer(&mut self) -> Option<Head> {
        let Self::Head(response) = self else { panic!("there is one answer") };
        let (parts, body) = response.await.ok()?.into_parts();
        *self = Self::Body(body);
        Some(Head { status: parts.status.as_u16(), headers: parts.headers })
    }

    /// Reads more into `read`, and gives the window back; 0 at the end of the stream, or at its reset.
    pub(crate) async fn more(&mut self, read: &mut Vec<u8>) -> usize {
        if let Self::Head(_) = self
            && self.answer().await.is_none()
        {
            return 0;
        }
        let Self::Body(body) = self else { unreachable!("the head is read") };
        while let Some(Ok(bytes)) = body.data().await {
            body.flow_control().release_capacity(bytes.len()).unwrap();
            read.extend_from_slice(&bytes);
            if !bytes.is_empty() {
                return bytes.len();
            }
        }
        0
    }
}
