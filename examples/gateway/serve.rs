//! Connections of clients, from their acceptance to their end.

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    time::sleep,
};
use tower::ServiceExt;
use ws_handshake::Connections;

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long requests and sockets have to come to their end, beyond the time over which they are asked to.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// Listens on a port that others of this process share.
pub(super) fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseport(true)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Serves until it is told to stop, and then until all has come to its end, or `over` and some grace have gone by.
pub(super) async fn run(
    listener: TcpListener, app: Router, connections: Connections, mut stopped: watch::Receiver<bool>, over: Duration,
) {
    let server = server();
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // An error says that nobody is left to stop it.
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let serving = graceful.watch(connection(&server, stream, peer, app.clone()));
                tokio::spawn(async move {
                    if let Err(error) = serving.await {
                        tracing::debug!(%peer, %error, "connection ended");
                    }
                });
            }
            // There are no more files, most often: some come back when connections end.
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
    drop(listener);
    // Sockets live in this runtime, and hyper no longer knows of them.
    let ended = async {
        graceful.shutdown().await;
        connections.wait().await;
    };
    let _ = tokio::time::timeout(over + GRACE, ended).await;
}

fn server() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut http2 = server.http2();
    // A window for all streams together, lest one that stands still hold up the others of its connection.
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_send_buf_size(16 << 10)
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(128 * (64 << 10));
    if cfg!(feature = "http2") {
        http2.enable_connect_protocol();
    }
    server
}

fn connection(
    server: &auto::Builder<TokioExecutor>, stream: TcpStream, peer: SocketAddr, app: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = Box<dyn std::error::Error + Send + Sync>> + Send + 'static
{
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answered = app.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answered.await.unwrap_or_else(|never| match never {})) }
    });
    server.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned()
}
