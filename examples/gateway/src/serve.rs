//! Serves the connections of clients.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tower::ServiceExt;
use ws_handshake::Connections;

/// Timeouts.
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// The head of a request. For the first request, the time starts when the client connects.
    pub(super) head: Duration,
    /// The drain of all sockets.
    pub(super) drain: Duration,
}

/// How long a client may send no new request. Earlier requests go on.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How much longer requests and sockets may take to end, after the drain.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// Listens on a port that other listeners of this process share.
pub(super) fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseport(true)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Serves until stopped. Then waits until all connections have ended, or until the drain time and some grace are over.
pub(super) async fn run(
    listener: TcpListener, app: Router, connections: Connections, mut stopped: watch::Receiver<bool>, times: Times,
) {
    let server = server(times.head);
    let (alive, mut all_gone) = mpsc::channel::<Infallible>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // An error says that no code is left to stop this listener.
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (server, app, stopped) = (server.clone(), app.clone(), stopped.clone());
                let serving = connection(server, stream, peer, app, stopped, times.head);
                let alive = alive.clone();
                tokio::spawn(async move {
                    if let Err(error) = serving.await {
                        tracing::debug!(%peer, %error, "connection ended");
                    }
                    drop(alive);
                });
            }
            // Most often, there are no file descriptors left. Some are freed when connections end.
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
    drop((listener, alive));
    // Sockets live in this runtime, and hyper no longer knows of them.
    let ended = async {
        all_gone.recv().await;
        connections.wait().await;
    };
    let _ = timeout(times.drain + GRACE, ended).await;
}

fn server(head: Duration) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(head);
    // One large window for all streams, so that a stalled stream does not block the others of its connection.
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(IDLE_TIMEOUT))
        .max_concurrent_streams(128)
        .max_send_buf_size(16 << 10)
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(128 * (64 << 10))
        .enable_connect_protocol();
    server
}

async fn connection(
    server: auto::Builder<TokioExecutor>, stream: TcpStream, peer: SocketAddr, app: Router,
    mut stopped: watch::Receiver<bool>, head: Duration,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let _ = stream.set_nodelay(true);
    let (ask, asked) = watch::channel(());
    let service = service_fn(move |request: Request<Incoming>| {
        ask.send_replace(());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answered = app.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answered.await.unwrap_or_else(|never| match never {})) }
    });
    let mut serving = pin!(server.serve_connection_with_upgrades(TokioIo::new(stream), service));
    tokio::select! {
        ended = &mut serving => return ended,
        _ = stopped.wait_for(|stopped| *stopped) => {}
        has_asked = idle(asked, head) => if !has_asked {
            return Err("nothing was asked for in time".into());
        },
    }
    serving.as_mut().graceful_shutdown();
    serving.await
}

/// Ends after too long without a request, and returns whether there was a request before. hyper limits only the heads of HTTP/1.1, and has
/// no limit while it detects the HTTP version.
async fn idle(mut asked: watch::Receiver<()>, head: Duration) -> bool {
    let mut has_asked = false;
    while let Ok(again) = timeout(if has_asked { IDLE_TIMEOUT } else { head }, asked.changed()).await {
        if again.is_err() {
            // The connection was handed over.
            return std::future::pending().await;
        }
        has_asked = true;
    }
    has_asked
}
