//! Closes all connections together.

use std::{fmt, pin::Pin, time::Duration};

use tokio::{
    task::yield_now,
    time::{Instant, timeout_at},
};

use super::{close_reason::CloseReason, connections::Connections, registry::BETWEEN_YIELDS};

impl Connections {
    /// Closes all connections over time. The drain refuses new handshakes, asks each open connection to close, and ends those still open
    /// at the deadline.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use ws_handshake::Connections;
    /// # async fn stop(connections: Connections) {
    /// let drained = connections.drain().over(Duration::from_secs(10)).deadline(Duration::from_secs(20)).await;
    /// println!("{} closed, {} aborted", drained.closed, drained.aborted);
    /// # }
    /// ```
    ///
    /// The drain starts when you await the [`Drain`] or turn it into a future. To stop a whole server, use
    /// [`graceful_shutdown`](Self::graceful_shutdown).
    pub fn drain(&self) -> Drain {
        Drain { connections: self.clone(), over: DEFAULT_OVER, deadline: DEFAULT_DEADLINE }
    }

    /// Asks the connections to close, one after the other. Returns the number of connections, and whether all of them had closed before
    /// the last turn.
    async fn ask_to_close(&self, start: Instant, over: Duration, deadline: Instant) -> (usize, bool) {
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
            signal.close(CloseReason::Drain);
            if turn % BETWEEN_YIELDS == BETWEEN_YIELDS - 1 {
                yield_now().await;
            }
        }
        (count, false)
    }
}

/// A drain of [`Connections`](crate::Connections), which runs when awaited; see [`Connections::drain`](crate::Connections::drain).
///
/// The defaults fit the 30 seconds that Kubernetes gives a pod to stop. Connections are asked to close over 15 seconds, and ended after 25
/// seconds.
///
/// - Handshakes are refused (503) as soon as you await the drain or turn it into a future, even if you drop that future.
/// - A handler learns of the drain from [`WsStream::closing`](crate::WsStream::closing), and closes as its protocol requires.
/// - At the deadline, open streams are ended: reads return end of file, and writes fail. A handler that neither reads nor writes does not
///   notice, and keeps its connection: [`Connections::wait`](crate::Connections::wait) waits for it.
/// - The drain ends when all connections have closed, or at the deadline.
///
/// To start the drain in a task, turn it into a future: `tokio::spawn(connections.drain().into_future())`.
#[must_use = "a drain does nothing unless it is awaited"]
pub struct Drain {
    connections: Connections,
    over: Duration,
    deadline: Duration,
}

impl Drain {
    /// Asks the connections to close one after the other, evenly over this time. The default is 15 seconds.
    ///
    /// Clients reconnect elsewhere as soon as they are closed, so this spreads the load. A time longer than the deadline is cut to the
    /// deadline.
    pub fn over(self, over: Duration) -> Self {
        Self { over, ..self }
    }

    /// Ends the connections that are still open after this time, counted from the start of the drain. The default is 25
    /// seconds.
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Refuses new handshakes. Returns the future of the rest, and the time by which that future ends.
    pub(super) fn start(self) -> (impl Future<Output = Drained> + Send + 'static, Instant) {
        let Self { connections, over, deadline } = self;
        let start = Instant::now();
        let end = after(start, deadline);
        connections.close();
        let drained = async move {
            let (count, all_closed) = connections.ask_to_close(start, over.min(deadline), end).await;
            if all_closed || timeout_at(end, connections.wait()).await.is_ok() {
                return Drained { closed: count, aborted: 0 };
            }
            let rest = connections.registry.signals();
            let mut aborted = 0;
            for (turn, signal) in (0_u32..).zip(&rest) {
                signal.give(CloseReason::Drain);
                aborted += usize::from(signal.end());
                if turn % BETWEEN_YIELDS == BETWEEN_YIELDS - 1 {
                    yield_now().await;
                }
            }
            Drained { closed: count.saturating_sub(rest.len()), aborted }
        };
        (drained, end)
    }
}

impl IntoFuture for Drain {
    type Output = Drained;
    type IntoFuture = Pin<Box<dyn Future<Output = Drained> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start().0)
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("over", &self.over).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// The number of connections that a drain found open, by how they ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Connections that closed before the deadline, including approved handshakes that had no answer yet.
    pub closed: usize,
    /// Connections that were ended at the deadline. Such a connection is gone when its handler drops the stream; a handler that reads or
    /// writes notices at once. If the handler holds the [`ConnectionPermit`](crate::ConnectionPermit) itself, the connection counts here
    /// too, and lives on until that handler is done. Connections that their own lifetime had ended before the deadline do not count.
    pub aborted: usize,
}

/// `start` plus a duration. If the clock cannot represent the sum, a time in the far future.
fn after(start: Instant, while_: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    start.checked_add(while_).unwrap_or_else(|| start + YEARS)
}

const DEFAULT_OVER: Duration = Duration::from_secs(15);
const DEFAULT_DEADLINE: Duration = Duration::from_secs(25);
