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

/// Opens an HTTP/2 connection over `io`, for [`WsRequest::connect_over_http2`]. Needs the feature `http2`.
///
/// The function waits until the server has announced extended `CONNECT` (RFC 8441 §3). `io` may use TLS, which then has to have agreed on
/// `h2` with ALPN.
///
/// A task runs the connection, as long as a clone of the returned value or a stream on the connection exists. For more settings, use
/// hyper's `client::conn::http2`.
///
/// ```no_run
/// use tokio::net::TcpStream;
/// use ws_handshake::{WsRequest, connect_http2};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let io = TcpStream::connect("127.0.0.1:3000").await?;
/// // `String` is the body of other requests on this connection.
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
/// A [`ClientError`] if the connection failed. If the server has announced nothing within 10 seconds, its kind is
/// [`ClientErrorKind::ExtendedConnectUnsupported`](crate::ClientErrorKind::ExtendedConnectUnsupported).
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
        // hyper does not notify anybody when the settings arrive.
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
    /// Sends the handshake as an extended `CONNECT` on one stream of hyper's HTTP/2 connection, and checks the answer: a 200 (RFC 8441 §4,
    /// §5). The connection may carry other requests at the same time. Needs the feature `http2`.
    ///
    /// RFC 8441 §3 requires the client to wait until the server has announced extended `CONNECT`. [`connect_http2`] waits, and has an
    /// example. For a connection that you open differently, check `Connection::is_extended_connect_protocol_enabled`.
    ///
    /// # Errors
    ///
    /// A [`ClientError`], with the server's response if there was one.
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
