//! The permit of one connection.

use std::{fmt, iter, mem, sync::Arc, task::Context};

use tokio::time::Instant;

use super::{
    close_handle::CloseHandle,
    close_reason::CloseReason,
    id::ConnectionId,
    key_limit::{KeyLimit, KeyPermit},
    registry::Registry,
    signal::{Closing, Half, Signal},
};

/// Counts one connection among the [`Connections`](crate::Connections) of its layer, until the permit is dropped.
///
/// A [`WsStream`](crate::WsStream) holds its own permit. Two kinds of handlers hold a permit themselves, for as long as their connection
/// lives:
///
/// - A handler that takes a stream apart gets the permit in [`WsStreamParts`](crate::WsStreamParts) or
///   [`Downcast`](crate::Downcast).
/// - A handler that uses another extractor, such as axum's `WebSocketUpgrade`, also extracts the permit. With axum, the permit is an
///   extractor. Elsewhere, see [`take_from_parts`](Self::take_from_parts).
///
/// Limits, counts and [`closing`](Self::closing) then apply to that connection too, for as long as the permit lives. `closing` resolves
/// when the permit is dropped. The deadline of a drain cannot end the connection: the handler has to act on `closing`.
///
/// ```
/// use std::time::Duration;
///
/// use axum::{
///     extract::ws::{CloseFrame, Message, WebSocketUpgrade},
///     response::Response,
/// };
/// use tokio::time::timeout;
/// use ws_handshake::ConnectionPermit;
///
/// async fn echo(ws: WebSocketUpgrade, permit: ConnectionPermit) -> Response {
///     ws.on_upgrade(async move |mut socket| {
///         let mut closing = permit.closing();
///         loop {
///             let message = tokio::select! {
///                 message = socket.recv() => message,
///                 () = &mut closing => break,
///             };
///             match message {
///                 Some(Ok(Message::Text(text))) => {
///                     if socket.send(Message::Text(text)).await.is_err() {
///                         return;
///                     }
///                 }
///                 // axum answers pings and closes. Read on until the client has closed.
///                 Some(Ok(_)) => {}
///                 _ => return,
///             }
///         }
///         let close = CloseFrame { code: closing.close_code(), reason: "".into() };
///         let _ = socket.send(Message::Close(Some(close))).await;
///         // The layer cannot end this socket: do not wait for a client that never answers.
///         let closed = async { while let Some(Ok(_)) = socket.recv().await {} };
///         let _ = timeout(Duration::from_secs(5), closed).await;
///     })
/// }
/// ```
#[must_use = "the connection is counted for as long as its permit lives"]
pub struct ConnectionPermit(Box<Inner>);

/// Which connections and limits already count a connection.
#[derive(Default)]
pub(crate) struct Membership {
    /// Whether these `Connections` count the connection.
    pub(super) counted: bool,
    /// The limits that already count the connection.
    pub(super) keys: Vec<Arc<KeyLimit>>,
    pub(super) signal: Arc<Signal>,
}

/// Boxed, because framing libraries move a stream about.
struct Inner {
    /// `None` if an outer layer's permit counts the connection.
    registry: Option<Arc<Registry>>,
    signal: Arc<Signal>,
    keys: Box<[KeyPermit]>,
    /// The permit of an outer layer with other [`Connections`](crate::Connections). Both permits have the same signal.
    outer: Option<ConnectionPermit>,
}

impl Membership {
    /// For a connection that is not counted yet.
    pub(crate) fn none(id: ConnectionId) -> Self {
        Self { counted: false, keys: Vec::new(), signal: Arc::new(Signal::new(id)) }
    }
}

impl ConnectionPermit {
    pub(super) fn new(registry: Option<Arc<Registry>>, signal: Arc<Signal>, keys: Box<[KeyPermit]>) -> Self {
        signal.hold();
        Self(Box::new(Inner { registry, signal, keys, outer: None }))
    }

    /// Resolves when the connection is asked to close; see [`WsStream::closing`](crate::WsStream::closing).
    pub fn closing(&self) -> Closing {
        Closing::of(&self.0.signal)
    }

    /// The ID of the connection in the log.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.0.signal.id
    }

    /// Asks the connection to close now, and ends the connection after the [`grace`](crate::Connections::grace) of its `Connections`.
    ///
    /// [`Closing::reason`] gives the handler this reason, unless the connection was asked to close before. A close code that an endpoint
    /// must not send becomes 1008: see [`CloseReason::close_code`].
    pub fn close(&self, reason: CloseReason) {
        self.close_handle().close(reason);
    }

    /// Asks the connection to close at this time, for example because its token expires then. The connection is ended after the
    /// [`grace`](crate::Connections::grace) of its `Connections`. A later call replaces the time. A time more than 100 days ahead means no
    /// time.
    ///
    /// The request to close may be up to half a second late. If there is an [age](crate::Connections::max_age) limit too, the earlier of
    /// both times counts. The reason is [`CloseReason::Expired`].
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use tokio::time::Instant;
    /// use ws_handshake::ConnectionPermit;
    ///
    /// fn close_when_it_expires(permit: &ConnectionPermit, expires: SystemTime) {
    ///     let left = expires.duration_since(SystemTime::now()).unwrap_or_default();
    ///     permit.close_at(Instant::now() + left);
    /// }
    /// ```
    pub fn close_at(&self, time: impl Into<Instant>) {
        self.close_handle().close_at(time);
    }

    /// Returns a handle that closes the connection from elsewhere, for example when a user is banned. The handle does not count as a
    /// connection.
    #[must_use]
    pub fn close_handle(&self) -> CloseHandle {
        CloseHandle::new(&self.0.signal, self.registries().next())
    }

    /// Called when a stream begins to report what the peer sends.
    pub(crate) fn watch(&self) {
        self.0.signal.watch();
    }

    /// Called when the stream is taken apart.
    pub(crate) fn unwatch(&self) {
        self.0.signal.unwatch();
    }

    /// Whether the connection was ended, or the peer has sent nothing since the last sweep.
    #[inline]
    pub(crate) fn is_ended_or_quiet(&self) -> bool {
        self.0.signal.is_ended_or_quiet()
    }

    /// Called when the peer has sent something.
    pub(crate) fn hear(&self) {
        self.0.signal.hear();
    }

    /// Holds the permit of an outer layer for as long as this permit.
    pub(crate) fn with_outer(mut self, outer: Option<Self>) -> Self {
        self.0.outer = outer;
        self
    }

    pub(super) fn membership(&self, registry: &Arc<Registry>) -> Membership {
        let counted = self.registries().any(|own| Arc::ptr_eq(own, registry));
        let keys = self.with_outers().flat_map(|permit| permit.keys.iter().map(KeyPermit::limit)).collect();
        Membership { counted, keys, signal: Arc::clone(&self.0.signal) }
    }

    /// Whether one of the connection's `Connections` is closed to new handshakes.
    pub(crate) fn is_closed(&self) -> bool {
        self.registries().any(|registry| registry.is_closed())
    }

    /// All registries in which this permit and the outer permits count the connection.
    fn registries(&self) -> impl Iterator<Item = &Arc<Registry>> {
        self.with_outers().filter_map(|permit| permit.registry.as_ref())
    }

    /// This permit and the outer permits.
    fn with_outers(&self) -> impl Iterator<Item = &Inner> {
        iter::successors(Some(&*self.0), |permit| permit.outer.as_ref().map(|outer| &*outer.0))
    }

    /// Whether this permit is the first of its connections that a handler with another extractor did not take, certainly (`surely`) or
    /// perhaps.
    pub(crate) fn is_first_unclaimed(&self, surely: bool) -> bool {
        // `count`, because each registry has to remember that it has warned.
        self.registries().filter(|registry| registry.is_first_unclaimed(surely)).count() > 0
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.0.signal.is_ended()
    }

    /// Whether the connection was ended. If not, `cx` is woken when it is.
    pub(crate) fn poll_ended(&self, cx: &Context<'_>, half: Half) -> bool {
        self.0.signal.poll_ended(cx, half)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // When `Connections::wait` returns, all keys have to be free.
        drop(mem::take(&mut self.keys));
        drop(self.outer.take());
        if let Some(registry) = &self.registry {
            registry.leave(&self.signal);
        }
        self.signal.release();
    }
}

impl fmt::Debug for ConnectionPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionPermit").field("id", &self.id()).finish_non_exhaustive()
    }
}
