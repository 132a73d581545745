//! Closes a connection from another part of the program.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use tokio::time::Instant;

use super::{
    close_reason::CloseReason,
    id::ConnectionId,
    registry::Registry,
    signal::Signal,
    sweep,
    tick::{Tick, ticks},
};

/// Closes a connection from another part of the program. To get the handle, call
/// [`ConnectionPermit::close_handle`](crate::ConnectionPermit::close_handle).
///
/// The handle does not count as a connection, and does nothing once the connection has gone.
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
///
/// use ws_handshake::{CloseHandle, CloseReason, WsStream};
///
/// #[derive(Default)]
/// struct Users(Mutex<HashMap<String, CloseHandle>>);
///
/// impl Users {
///     /// The handler calls this before a framing library takes the stream.
///     fn enter(&self, user: String, stream: &WsStream) {
///         // `None` if the layer has no `Connections`.
///         if let Some(permit) = stream.permit() {
///             self.0.lock().unwrap().insert(user, permit.close_handle());
///         }
///     }
///
///     /// The user's handler then sends a close frame with the code 4003.
///     fn kick(&self, user: &str) {
///         if let Some(handle) = self.0.lock().unwrap().remove(user) {
///             handle.close(CloseReason::Application(4003));
///         }
///     }
/// }
/// ```
#[derive(Clone)]
pub struct CloseHandle {
    signal: Arc<Signal>,
    registry: Weak<Registry>,
}

impl CloseHandle {
    /// `registry` is one that counts the connection.
    pub(super) fn new(signal: &Arc<Signal>, registry: Option<&Arc<Registry>>) -> Self {
        Self { signal: Arc::clone(signal), registry: registry.map(Arc::downgrade).unwrap_or_default() }
    }

    /// The ID of the connection in the log.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.signal.id
    }

    /// Closes the connection, as [`ConnectionPermit::close`](crate::ConnectionPermit::close) does.
    pub fn close(&self, reason: CloseReason) {
        if let Some(registry) = self.registry_of_living() {
            self.signal.leave(reason, registry.lifetimes.end(Tick::now()));
            sweep::start(&registry);
        }
    }

    /// Sets the time to close, as [`ConnectionPermit::close_at`](crate::ConnectionPermit::close_at) does.
    pub fn close_at(&self, time: impl Into<Instant>) {
        if let Some(registry) = self.registry_of_living() {
            let now = Instant::now();
            let left = ticks(time.into().saturating_duration_since(now));
            self.signal.expire_at(left.map(|left| Tick::of(now).after(left)));
            sweep::start(&registry);
        }
    }

    fn registry_of_living(&self) -> Option<Arc<Registry>> {
        self.registry.upgrade().filter(|_| !self.signal.is_gone())
    }
}

impl fmt::Debug for CloseHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseHandle").field("id", &self.id()).finish_non_exhaustive()
    }
}
