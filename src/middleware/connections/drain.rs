//! How all connections come to an end together.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::handle::Connections;

/// `start` and a while; for one that no clock can tell, a time that nobody waits for.
fn after(start: Instant, while_: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    start.checked_add(while_).unwrap_or_else(|| start + YEARS)
}

/// How many connections a drain found, by how they went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Those that left by themselves.
    pub left: usize,
    /// Those that were ended at the deadline: their streams give and take no more. The connection itself is closed once
    /// its handler lets go of the stream, which one does that reads or writes.
    pub ended: usize,
}

impl Connections {
    /// Brings all connections to an end: refuses new handshakes, asks each connection to close, one after the other and
    /// evenly over the time `over`, and ends what is left at `deadline`. Both are counted from the call.
    ///
    /// Handshakes are refused from the call on; connections are asked while the future is polled, so await or spawn it at
    /// once. An `over` beyond the `deadline` is cut to it.
    ///
    /// A handler is asked by [`WsStream::closing`](crate::WsStream::closing), and closes as its protocol has it. Its clients
    /// come back to other servers, and `over` is the time over which they do: a fleet that closes all at once has all
    /// its clients back within a second. A stream that is ended gives end of file to be read and fails to be written.
    ///
    /// The future resolves once all connections have gone, at the latest at `deadline`. A handler that holds its stream
    /// without reading or writing is still there then, and so is its connection: [`wait`](Self::wait) waits for it.
    /// Dropped before, it signals no more; handshakes stay refused.
    ///
    /// Within axum, start it by the signal that starts the graceful shutdown of the server, and join the two, for over
    /// HTTP/2 `serve` does not end while a socket is open. Bound `serve` too: a client that has sent half of a request, or
    /// takes no more of an answer, holds it up for ever.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use axum::Router;
    /// # use ws_handshake::Connections;
    /// # async fn run(listener: tokio::net::TcpListener, app: Router, connections: Connections) -> std::io::Result<()> {
    /// let (stop, stopped) = tokio::sync::watch::channel(());
    /// tokio::spawn(async move {
    ///     let _ = tokio::signal::ctrl_c().await;
    ///     drop(stop);
    /// });
    /// let on_stop = |mut stopped: tokio::sync::watch::Receiver<()>| async move { while stopped.changed().await.is_ok() {} };
    /// let (over, deadline) = (Duration::from_secs(20), Duration::from_secs(30));
    /// let serving = async {
    ///     tokio::select! {
    ///         served = axum::serve(listener, app).with_graceful_shutdown(on_stop(stopped.clone())) => served,
    ///         () = async { on_stop(stopped.clone()).await; tokio::time::sleep(deadline).await } => Ok(()),
    ///     }
    /// };
    /// let draining = async {
    ///     on_stop(stopped.clone()).await;
    ///     connections.drain(over, deadline).await
    /// };
    /// let (served, drained) = tokio::join!(serving, draining);
    /// println!("{} left, {} were ended", drained.left, drained.ended);
    /// served
    /// # }
    /// ```
    pub fn drain(&self, over: Duration, deadline: Duration) -> impl Future<Output = Drained> + Send + 'static {
        let start = Instant::now();
        let connections = self.clone();
        connections.close();
        async move {
            let end = after(start, deadline);
            let (count, gone) = connections.ask(start, over.min(deadline), end).await;
            if gone || timeout_at(end, connections.wait()).await.is_ok() {
                return Drained { left: count, ended: 0 };
            }
            let rest = connections.registry.signals();
            for signal in &rest {
                signal.end();
            }
            Drained { left: count.saturating_sub(rest.len()), ended: rest.len() }
        }
    }

    /// Asks each connection to close in its turn. Gives their number, and whether all have gone before the last turn.
    async fn ask(&self, start: Instant, over: Duration, deadline: Instant) -> (usize, bool) {
        let signals = self.registry.signals();
        let count = signals.len();
        let share = 1.0 / f64::from(u32::try_from(count).unwrap_or(u32::MAX).max(1));
        for (turn, signal) in (0_u32..).zip(signals) {
            let due = after(start, over.mul_f64(f64::from(turn) * share)).min(deadline);
            if Instant::now() < due && timeout_at(due, self.wait()).await.is_ok() {
                return (count, true);
            }
            if due == deadline {
                break;
            }
            signal.close();
        }
        (count, false)
    }
}
