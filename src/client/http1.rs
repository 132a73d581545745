//! The handshake on a connection of its own, over HTTP/1.1.

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
    /// Sends the handshake over an HTTP/1.1 connection that nothing has been sent on, and checks the answer: a 101
    /// (RFC 6455 §4.1). Bytes that the server sent behind it are the first that the stream gives.
    ///
    /// The connection is `io` itself, a `TcpStream` or a TLS stream on one; where that delays small writes
    /// (`TCP_NODELAY`) is for the caller to say. The future does all of the work: dropping it closes the connection.
    ///
    /// # Errors
    ///
    /// A [`ClientError`]; with the server's response, where there was one.
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
        // A server that sends 1xx without end keeps the connection busy, which then leaves nothing of this task's budget;
        // without it, no timer fires.
        both(connection.with_upgrades(), unconstrained(answered)).await
    }
}

/// Runs `future`, with the connection that it needs to go on.
async fn both<F: Future>(connection: impl Future, future: F) -> F::Output {
    let (mut connection, mut future) = (pin!(connection), pin!(future));
    let mut connected = true;
    std::future::poll_fn(move |cx| {
        // What the one gives to the other wakes this task.
        if connected && connection.as_mut().poll(cx).is_ready() {
            connected = false;
        }
        Pin::as_mut(&mut future).poll(cx)
    })
    .await
}
