//! The right to be connected.

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

/// The place of one connection among the [`Connections`](crate::Connections) of its layer, given back when dropped.
///
/// A [`WsStream`](crate::WsStream) holds its own permit. Two kinds of handlers hold one themselves, for as long as their
/// connection lives:
///
/// - A handler that takes a stream apart gets the permit in [`WsStreamParts`](crate::WsStreamParts) or
///   [`Downcast`](crate::Downcast).
/// - A handler that uses another extractor, such as axum's `WebSocketUpgrade`, extracts the permit beside it. With axum it
///   is an extractor. Elsewhere, see [`take_from_parts`](Self::take_from_parts).
///
/// Limits, counts and [`closing`](Self::closing) then hold for that connection too, for as long as the permit lives: `closing` resolves
/// when the permit is dropped. The deadline of a drain cannot end it:
/// the handler has to act on `closing`.
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
///         // Nothing ends this socket: do not wait for a client that never answers.
///         let closed = async { while let Some(Ok(_)) = socket.recv().await {} };
///         let _ = timeout(Duration::from_secs(5), closed).await;
///     })
/// }
/// ```
#[must_use = "the connection is counted for as long as its permit lives"]
pub struct ConnectionPermit(Box<Inner>);

/// How a connection that may hold a permit stands with other connections.
#[derive(Default)]
pub(crate) struct Membership {
    /// Whether it is one of these.
    pub(super) counted: bool,
    /// The limits that it is counted by already.
    pub(super) keys: Vec<Arc<KeyLimit>>,
    pub(super) signal: Arc<Signal>,
}

/// Boxed, for framing libraries move a stream about.
struct Inner {
    /// `None` where a permit further out holds the place itself.
    registry: Option<Arc<Registry>>,
    signal: Arc<Signal>,
    keys: Box<[KeyPermit]>,
    /// That of a layer further out, on other [`Connections`](crate::Connections). It has the same signal.
    outer: Option<ConnectionPermit>,
}

impl Membership {
    /// That of a connection that has no place yet.
    pub(crate) fn none(id: ConnectionId) -> Self {
        Self { counted: false, keys: Vec::new(), signal: Arc::new(Signal::new(id)) }
    }
}

impl ConnectionPermit {
    pub(super) fn new(registry: Option<Arc<Registry>>, signal: Arc<Signal>, keys: Box<[KeyPermit]>) -> Self {
        signal.hold();
        Self(Box::new(Inner { registry, signal, keys, outer: None }))
    }

    /// Resolves when the connection is asked to come to its end; see [`WsStream::closing`](crate::WsStream::closing).
    pub fn closing(&self) -> Closing {
        Closing::of(&self.0.signal)
    }

    /// The name of the connection in the log.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.0.signal.id
    }

    /// Asks the connection to close now, and ends it after the [`grace`](crate::Connections::grace) of its `Connections`.
    ///
    /// [`Closing::reason`] gives the handler this reason, unless the connection has been asked to close before. A close code that an
    /// endpoint must not send becomes 1008: see [`CloseReason::close_code`].
    pub fn close(&self, reason: CloseReason) {
        self.close_handle().close(reason);
    }

    /// Has the connection asked to close at this time, for example because its token expires then, and ended after the
    /// [`grace`](crate::Connections::grace) of its `Connections`. A later call replaces the time. A time that is more than 100 days
    /// ahead is none.
    ///
    /// The connection may be asked half a second later. If it has an [age](crate::Connections::max_age), the earlier of both times
    /// counts. The reason is [`CloseReason::Expired`].
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

    /// Closes the connection from elsewhere, for example where a user is banned. The handle keeps no place among the connections.
    #[must_use]
    pub fn close_handle(&self) -> CloseHandle {
        CloseHandle::new(&self.0.signal, self.registries().next())
    }

    /// From here on a stream says when the peer has sent something.
    pub(crate) fn watch(&self) {
        self.0.signal.watch();
    }

    /// The stream has been taken apart.
    pub(crate) fn unwatch(&self) {
        self.0.signal.unwatch();
    }

    /// Whether the connection has been ended, or its peer has been quiet until now.
    #[inline]
    pub(crate) fn is_ended_or_quiet(&self) -> bool {
        self.0.signal.is_ended_or_quiet()
    }

    /// The peer has sent something.
    pub(crate) fn hear(&self) {
        self.0.signal.hear();
    }

    /// Holds the permit of a layer further out for as long as this one.
    pub(crate) fn with_outer(mut self, outer: Option<Self>) -> Self {
        self.0.outer = outer;
        self
    }

    pub(super) fn membership(&self, registry: &Arc<Registry>) -> Membership {
        let counted = self.registries().any(|own| Arc::ptr_eq(own, registry));
        let keys = self.with_outers().flat_map(|permit| permit.keys.iter().map(KeyPermit::limit)).collect();
        Membership { counted, keys, signal: Arc::clone(&self.0.signal) }
    }

    /// Whether the connections that it is one of take no more.
    pub(crate) fn is_closed(&self) -> bool {
        self.registries().any(|registry| registry.is_closed())
    }

    /// What this permit and those further out have a place in.
    fn registries(&self) -> impl Iterator<Item = &Arc<Registry>> {
        self.with_outers().filter_map(|permit| permit.registry.as_ref())
    }

    /// This permit, and those further out.
    fn with_outers(&self) -> impl Iterator<Item = &Inner> {
        iter::successors(Some(&*self.0), |permit| permit.outer.as_ref().map(|outer| &*outer.0))
    }

    /// Whether this permit is the first of its connections that a handler with another extractor has left behind, surely or
    /// perhaps.
    pub(crate) fn is_first_unclaimed(&self, surely: bool) -> bool {
        // Of all of them: none warns again.
        self.registries().filter(|registry| registry.is_first_unclaimed(surely)).count() > 0
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.0.signal.is_ended()
    }

    /// Whether the connection has been ended; if not, `cx` is woken when it is.
    pub(crate) fn poll_ended(&self, cx: &Context<'_>, half: Half) -> bool {
        self.0.signal.poll_ended(cx, half)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Whoever waits until nobody is left finds all places free then.
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
