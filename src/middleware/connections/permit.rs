//! The right to be connected.

use std::{fmt, sync::Arc, task::Context};

use super::{
    key_limit::KeyPermit,
    registry::Registry,
    signal::{Closing, Half, Signal},
};

/// The place of one connection among those of a [`Connections`](crate::Connections), given back when dropped.
///
/// A [`WsStream`](crate::WsStream) holds its own. Whoever takes a stream apart gets it in
/// [`WsStreamParts`](crate::WsStreamParts) or [`Downcast`](crate::Downcast), and keeps it for as long as the connection
/// lives. The deadline of a drain does not reach IO that was taken out of its stream: heed [`closing`](Self::closing).
pub struct ConnectionPermit(Box<Inner>);

/// How a connection that holds a permit stands with other connections.
pub(in super::super) struct Membership {
    /// Whether it is one of these.
    pub(super) counted: bool,
    pub(super) signal: Arc<Signal>,
}

/// Boxed, for framing libraries move a stream about.
struct Inner {
    registry: Arc<Registry>,
    signal: Arc<Signal>,
    _keys: Box<[KeyPermit]>,
    /// That of a layer further out, on other [`Connections`](crate::Connections). It has the same signal.
    outer: Option<ConnectionPermit>,
}

impl ConnectionPermit {
    pub(super) fn new(registry: Arc<Registry>, signal: Arc<Signal>, keys: Box<[KeyPermit]>) -> Self {
        Self(Box::new(Inner { registry, signal, _keys: keys, outer: None }))
    }

    /// Resolves when the connection is asked to come to its end; see [`WsStream::closing`](crate::WsStream::closing).
    pub fn closing(&self) -> Closing {
        Closing::of(&self.0.signal)
    }

    /// Holds the permit of a layer further out for as long as this one.
    pub(in super::super) fn with_outer(mut self, outer: Option<Self>) -> Self {
        self.0.outer = outer;
        self
    }

    pub(super) fn membership(&self, registry: &Arc<Registry>) -> Membership {
        Membership { counted: self.is_of(registry), signal: Arc::clone(&self.0.signal) }
    }

    /// Whether this is a place in `registry`, or holds one further out.
    fn is_of(&self, registry: &Arc<Registry>) -> bool {
        Arc::ptr_eq(&self.0.registry, registry) || self.0.outer.as_ref().is_some_and(|outer| outer.is_of(registry))
    }

    pub(in super::super) fn is_ended(&self) -> bool {
        self.0.signal.is_ended()
    }

    /// Whether the connection has been ended; if not, `cx` is woken when it is.
    pub(in super::super) fn poll_ended(&self, cx: &Context<'_>, half: Half) -> bool {
        self.0.signal.poll_ended(cx, half)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.registry.leave(&self.signal);
    }
}

impl fmt::Debug for ConnectionPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionPermit").field("signal", &self.0.signal).finish_non_exhaustive()
    }
}
