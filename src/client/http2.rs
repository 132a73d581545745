//! The handshake on one stream of an HTTP/2 connection (RFC 8441).

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use http::Response;
use hyper::{
    body::Body,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{sleep, timeout, timeout_at},
};

use super::{conclude::conclude, error::ClientError, request::WsRequest};
use crate::middleware::WsStream;

/// Opens an HTTP/2 connection over `io`, without TLS or through it, and waits until its server has announced extended
/// `CONNECT` (RFC 8441 §3), for [`WsRequest::connect_over_http2`]. It needs the feature `http2`.
///
/// A task runs the connection for as long as a clone of what this gives, or a stream on it, is there. hyper's own
/// `client::conn::http2` has the knobs that this leaves alone. TLS has to have agreed on `h2` by ALPN.
///
/// ```no_run
/// use tokio::net::TcpStream;
/// use ws_handshake::{WsRequest, connect_http2};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let io = TcpStream::connect("127.0.0.1:3000").await?;
/// // `String` is the body of other requests that may be sent on it.
/// let mut connection = connect_http2::<_, String>(io).await?;
/// for room in ["hall", "kitchen"] {
///     let request = WsRequest::new(format!("ws://127.0.0.1:3000/rooms/{room}"));
///     let (stream, response) = request.connect_over_http2(&mut connection).await?;
///     assert_eq!(response.status(), 200);
///     # drop(stream);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// A [`ClientError`]: the connection failed, or, of the kind
/// [`ClientErrorKind::ExtendedConnectUnsupported`](crate::ClientErrorKind::ExtendedConnectUnsupported), the server has
/// announced nothing within 10 seconds.
pub async fn connect_http2<IO, B>(io: IO) -> Result<SendRequest<B>, ClientError>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let announced = async {
        let (requests, connection) = builder
            .timer(TokioTimer::new())
            .handshake(TokioIo::new(io))
            .await
            .map_err(ClientError::connection_failed)?;
        let mut connection = Box::pin(connection);
        // Nobody is told when the settings come.
        let mut pause = Duration::from_micros(50);
        while !connection.is_extended_connect_protocol_enabled() {
            let mut tick = pin!(sleep(pause));
            pause = (pause * 2).min(Duration::from_millis(20));
            let ended = poll_fn(|cx| match connection.as_mut().poll(cx) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending => Pin::as_mut(&mut tick).poll(cx).map(|()| None),
            });
            if let Some(ended) = ended.await {
                ended.map_err(ClientError::connection_failed)?;
                return Err(ClientError::extended_connect_unsupported());
            }
        }
        tokio::spawn(async move { drop(connection.await) });
        Ok(requests)
    };
    timeout(ANNOUNCED_WITHIN, announced).await.unwrap_or_else(|_| Err(ClientError::extended_connect_unsupported()))
}

const ANNOUNCED_WITHIN: Duration = Duration::from_secs(10);

impl WsRequest {
    /// Sends the handshake as an extended `CONNECT` on a stream of an HTTP/2 connection of hyper's, and checks the answer:
    /// a 200 (RFC 8441 §4, §5). Other requests may be under way on the same connection. It needs the feature `http2`.
    ///
    /// The server has to have announced that it takes one, and RFC 8441 §3 has the client wait for that:
    /// [`connect_http2`] does, and has an example; of a connection opened otherwise
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
        let deadline = self.deadline();
        let (request, asked) = self.draft.map_err(ClientError::request_invalid)?.into_extended_connect()?;
        let answered = async {
            connection.ready().await?;
            connection.send_request(request).await
        };
        let answered = timeout_at(deadline, answered).await.map_err(|_| ClientError::timed_out())?;
        conclude(answered.map_err(ClientError::connection_failed)?, &asked, deadline).await
    }
}
