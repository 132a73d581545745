//! The right to be connected.

use std::{fmt, mem, sync::Arc, task::Context};

use super::{
    key_limit::{KeyLimit, KeyPermit},
    registry::Registry,
    signal::{Closing, Half, Signal},
};

/// The place of one connection among those of a [`Connections`](crate::Connections), given back when dropped.
///
/// A [`WsStream`](crate::WsStream) holds its own. Whoever takes a stream apart gets it in
/// [`WsStreamParts`](crate::WsStreamParts) or [`Downcast`](crate::Downcast), and keeps it for as long as the connection
/// lives. The deadline of a drain does not reach IO that was taken out of its stream: heed [`closing`](Self::closing).
pub struct ConnectionPermit(Box<Inner>);

/// How a connection that may hold a permit stands with other connections.
#[derive(Default)]
pub(in super::super) struct Membership {
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

impl ConnectionPermit {
    pub(super) fn new(registry: Option<Arc<Registry>>, signal: Arc<Signal>, keys: Box<[KeyPermit]>) -> Self {
        signal.hold();
        Self(Box::new(Inner { registry, signal, keys, outer: None }))
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
        let counted = self.any(|permit| permit.registry.as_ref().is_some_and(|own| Arc::ptr_eq(own, registry)));
        let mut keys = Vec::new();
        self.any(|permit| {
            keys.extend(permit.keys.iter().map(KeyPermit::limit));
            false
        });
        Membership { counted, keys, signal: Arc::clone(&self.0.signal) }
    }

    /// Whether the connections that it is one of take no more.
    pub(in super::super) fn is_closed(&self) -> bool {
        self.any(|permit| permit.registry.as_ref().is_some_and(|registry| registry.is_closed()))
    }

    /// Whether something is so of this, or of a permit further out.
    fn any(&self, mut is: impl FnMut(&Inner) -> bool) -> bool {
        let mut permit = Some(self);
        while let Some(Self(inner)) = permit {
            if is(inner) {
                return true;
            }
            permit = inner.outer.as_ref();
        }
        false
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
        // Whoever waits until nobody is left finds all places free then.
        drop(mem::take(&mut self.keys));
        drop(self.outer.take());
        if let Some(registry) = &self.registry {
            registry.leave(&self.signal);
        }
        self.signal.let_go();
    }
}

impl fmt::Debug for ConnectionPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionPermit").field("signal", &self.0.signal).finish_non_exhaustive()
    }
}
