//! The handshake over HTTP/1.1, on a connection that carries nothing else.

use std::pin::{Pin, pin};

use http::Response;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::unconstrained,
    time::timeout_at,
};

use super::{conclude::conclude, error::ClientError, request::WsRequest};
use crate::middleware::WsStream;

impl WsRequest {
    /// Sends the handshake over an unused HTTP/1.1 connection, and checks the answer: a 101 (RFC 6455 §4.1). If the server sent bytes after
    /// the 101, the stream gives these bytes first.
    ///
    /// `io` is the connection itself, such as a `TcpStream` or a TLS stream over one. To send small writes without delay, set `TCP_NODELAY`
    /// on it. The future does all of the work: dropping the future closes the connection.
    ///
    /// # Errors
    ///
    /// A [`ClientError`], with the server's response if there was one.
    pub async fn connect<IO>(self, io: IO) -> Result<(WsStream, Response<()>), ClientError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let deadline = self.deadline();
        let (request, asked) = self.draft.map_err(ClientError::request_invalid)?.into_http1()?;
        let (mut requests, connection) =
            http1::handshake(TokioIo::new(io)).await.map_err(ClientError::connection_failed)?;
        let answered = async {
            let answered = timeout_at(deadline, requests.send_request(request)).await;
            let answered = answered.map_err(|_| ClientError::timed_out())?.map_err(ClientError::connection_failed)?;
            conclude(answered, &asked, deadline).await
        };
        // If a server sends 1xx without end, the busy connection uses up this task's budget. Without budget, no timer fires.
        both(connection.with_upgrades(), unconstrained(answered)).await
    }
}

/// Runs `future`, together with the connection that it needs.
async fn both<F: Future>(connection: impl Future, future: F) -> F::Output {
    let (mut connection, mut future) = (pin!(connection), pin!(future));
    let mut connected = true;
    std::future::poll_fn(move |cx| {
        // This task wakes when one of them passes something to the other.
        if connected && connection.as_mut().poll(cx).is_ready() {
            connected = false;
        }
        Pin::as_mut(&mut future).poll(cx)
    })
    .await
}
