//! Stops a whole server and its open sockets.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::{sync::watch, time::timeout_at};

use super::{
    connections::Connections,
    drain::{Drain, Drained},
};

impl Connections {
    /// Stops a server gracefully once `signal` resolves, for example when the process receives SIGTERM.
    ///
    /// ```no_run
    /// use axum::{Router, routing::any};
    /// use ws_handshake::{Connections, WsHandshakeLayer, WsStream};
    ///
    /// async fn chat(stream: WsStream) { /* close when `stream.closing()` resolves */ }
    ///
    /// # async fn run(listener: tokio::net::TcpListener) -> std::io::Result<()> {
    /// let connections = Connections::new();
    /// let layer = WsHandshakeLayer::new().connections(connections.clone());
    /// let app = Router::new().route("/chat", any(chat)).layer(layer);
    ///
    /// let shutdown = connections.graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) });
    /// let server = axum::serve(listener, app).with_graceful_shutdown(shutdown.signal());
    /// let drained = shutdown.serve(server).await?;
    /// println!("{} closed, {} aborted", drained.closed, drained.aborted);
    /// # Ok(())
    /// # }
    /// ```
    pub fn graceful_shutdown(&self, signal: impl Future<Output = ()> + Send + 'static) -> GracefulShutdown {
        let (running, _) = watch::channel(());
        GracefulShutdown { drain: self.drain(), signal: Box::pin(signal), running }
    }
}

/// A graceful shutdown of a server and its WebSockets; see [`Connections::graceful_shutdown`](crate::Connections::graceful_shutdown).
///
/// The signal starts three things together:
///
/// - The server stops accepting connections and finishes its requests, because you gave it [`signal`](Self::signal).
/// - The WebSockets are asked to close, evenly over [`over`](Self::over) (see [`Drain`](crate::Drain)).
/// - The [`deadline`](Self::deadline) starts. At the deadline, open streams are ended, and `serve` no longer waits for the server.
///
/// Without a deadline, a client that has sent half a request keeps the server from stopping. Over HTTP/2, each open socket does the same.
/// `axum::serve` runs each connection in its own task: requests that are unfinished at the deadline end with the process.
#[must_use = "a server stops gracefully only if it is run by `serve`"]
pub struct GracefulShutdown {
    drain: Drain,
    signal: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Dropped when the shutdown begins.
    running: watch::Sender<()>,
}

impl GracefulShutdown {
    /// Asks the connections to close evenly over this time. The default is 15 seconds; see
    /// [`Drain::over`](crate::Drain::over).
    pub fn over(self, over: Duration) -> Self {
        Self { drain: self.drain.over(over), ..self }
    }

    /// Limits the whole shutdown, counted from the signal: [`serve`](Self::serve) returns by then. The default is 25 seconds; see
    /// [`Drain::deadline`](crate::Drain::deadline).
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { drain: self.drain.deadline(deadline), ..self }
    }

    /// Resolves when the shutdown begins. Give this future to `with_graceful_shutdown` of `axum::serve`. Each server needs its own future.
    ///
    /// The future resolves only while [`serve`](Self::serve) runs, or when this value is dropped.
    pub fn signal(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut running = self.running.subscribe();
        async move { while running.changed().await.is_ok() {} }
    }

    /// Runs the server until the server has stopped, or until the deadline. If the server stops by itself, the shutdown begins then.
    ///
    /// # Errors
    ///
    /// Returns the server's error. If the error comes before the signal, the WebSockets stay open.
    ///
    /// # Cancel safety
    ///
    /// If you drop the future, the server is dropped, every [`signal`](Self::signal) resolves, and no more connections are asked to close.
    pub async fn serve<S, E>(self, server: S) -> Result<Drained, E>
    where
        S: IntoFuture<Output = Result<(), E>>,
    {
        let Self { drain, mut signal, running } = self;
        let mut server = pin!(server.into_future());
        let stopped = poll_fn(|cx| match signal.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => server.as_mut().poll(cx).map(Some),
        });
        let stopped = stopped.await.transpose()?;
        drop(running);
        let (drained, end) = drain.start();
        let server = async {
            match stopped {
                Some(()) => Ok(()),
                None => timeout_at(end, server).await.unwrap_or(Ok(())),
            }
        };
        let (drained, outcome) = both(drained, server).await;
        outcome.map(|()| drained)
    }
}

/// The outputs of two futures that run at the same time.
async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut from_a, mut from_b) = (None, None);
    poll_fn(move |cx| {
        if from_a.is_none() {
            from_a = ready(a.as_mut().poll(cx));
        }
        if from_b.is_none() {
            from_b = ready(b.as_mut().poll(cx));
        }
        match (from_a.take(), from_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            waiting => {
                (from_a, from_b) = waiting;
                Poll::Pending
            }
        }
    })
    .await
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

impl fmt::Debug for GracefulShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GracefulShutdown").field("drain", &self.drain).finish_non_exhaustive()
    }
}
