//! The handshake on one stream of an HTTP/2 connection (RFC 8441).

use std::time::Duration;

use http::Response;
use hyper::{
    body::Body,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{conclude::conclude, error::ClientError, request::WsRequest};
use crate::middleware::WsStream;

/// Opens an HTTP/2 connection over `io`, without TLS or through it, and waits until its server has announced extended
/// `CONNECT` (RFC 8441 §3), for [`WsRequest::connect_over_http2`].
///
/// A task runs the connection for as long as a clone of what this gives, or a stream on it, is there. hyper's own
/// `client::conn::http2` has the knobs that this leaves alone.
///
/// # Errors
///
/// A [`ClientError`]: the connection failed, or, of the kind [`ClientErrorKind::ExtendedConnectUnsupported`](crate::ClientErrorKind::ExtendedConnectUnsupported), the server has
/// announced nothing within 10 seconds.
pub async fn connect_http2<IO, B>(io: IO) -> Result<SendRequest<B>, ClientError>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let (requests, connection) = builder.timer(TokioTimer::new()).handshake(TokioIo::new(io)).await?;
    let mut pause = Duration::from_micros(50);
    let announced = async {
        // Nobody is told when the settings come.
        while !connection.is_extended_connect_protocol_enabled() && !requests.is_closed() {
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    };
    let announced = timeout(ANNOUNCED_WITHIN, announced).await.is_ok();
    if !announced {
        return Err(ClientError::extended_connect_unsupported());
    }
    tokio::spawn(async move { drop(connection.await) });
    Ok(requests)
}

const ANNOUNCED_WITHIN: Duration = Duration::from_secs(10);

impl WsRequest {
    /// Sends the handshake as an extended `CONNECT` on a stream of an HTTP/2 connection of hyper's, and checks the answer:
    /// any 2xx (RFC 8441 §4, §5). Other requests may be under way on the same connection.
    ///
    /// The server has to have announced that it takes one, and RFC 8441 §3 has the client wait for that:
    /// [`connect_http2`] does, and of a connection opened otherwise
    /// `Connection::is_extended_connect_protocol_enabled` tells.
    ///
    /// # Errors
    ///
    /// A [`ClientError`]; with the server's response, where there was one.
    pub async fn connect_over_http2<B>(
        self, connection: &mut SendRequest<B>,
    ) -> Result<(WsStream, Response<()>), ClientError>
    where
        B: Body + Default + 'static,
    {
        let deadline = Instant::now() + self.timeout;
        let (request, asked) = self.head?.into_extended_connect()?;
        timeout_at(deadline, connection.ready()).await??;
        let response = timeout_at(deadline, connection.send_request(request)).await??;
        conclude(response, &asked, deadline).await
    }
}
