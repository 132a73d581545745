//! The handle that the layer and the application share.

use std::{fmt, sync::Arc};

use http::request::Parts;

use super::{
    key::ConnectionKey,
    key_limit::KeyLimit,
    permit::{ConnectionPermit, Membership},
    registry::{Full, Registry},
};

/// Counts the connections of one or more layers for as long as their streams live, limits them, and brings them to an end.
///
/// It is a cheap handle: give one clone to the layer and keep another. Middleware that counts requests lets go at the
/// 101; a permit of this is taken when a handshake is approved, and given back when the [`WsStream`](crate::WsStream) is
/// dropped, when the handler answers otherwise or panics, or when the client vanishes. One `Connections` may serve many
/// layers, and where these stand one inside the other it counts a stream once.
///
/// ```
/// use std::net::SocketAddr;
///
/// use axum::{Router, extract::ConnectInfo, routing::any};
/// use ws_handshake::{ConnectionKey, Connections, WsHandshakeLayer, WsStream};
///
/// async fn chat(stream: WsStream) { /* ... */ }
///
/// // 10,000 in all, and 20 for each IPv4 address or IPv6 network.
/// let connections = Connections::new().limit(10_000).limit_per(20, |parts| {
///     let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
///     Some(ConnectionKey::network(peer.ip()))
/// });
/// let app = Router::new().route("/chat", any(chat)).layer(WsHandshakeLayer::new().connections(connections.clone()));
/// // For `ConnectInfo`, and with `connections.len()` to be looked at from anywhere:
/// let app = app.into_make_service_with_connect_info::<SocketAddr>();
/// ```
///
/// # Other extractors
///
/// The extractors of axum (`WebSocketUpgrade`), fastwebsockets and yawc take the connection past the layer. Such a handler
/// takes a [`ConnectionPermit`] too, and keeps it for as long as its socket lives. Without that, the layer counts the
/// handshake and loses the socket, and warns once.
#[derive(Clone)]
#[must_use]
pub struct Connections {
    pub(super) registry: Arc<Registry>,
    limits: Arc<Limits>,
}

#[derive(Clone, Debug)]
struct Limits {
    all: usize,
    per_key: Vec<Arc<KeyLimit>>,
}

impl Connections {
    /// Counts connections, without a limit.
    pub fn new() -> Self {
        let limits = Limits { all: usize::MAX, per_key: Vec::new() };
        Self { registry: Arc::new(Registry::new()), limits: Arc::new(limits) }
    }

    /// Refuses handshakes while `limit` connections are open (503, with a `Retry-After` of 5 to 15 seconds, at random,
    /// so that those refused do not all return at once). The default is no limit.
    ///
    /// The limit is this handle's and of the clones made of it from here on; the count is that of all. A layer inside
    /// another one, on a clone with a lower limit, holds those that come through it to that.
    pub fn limit(self, limit: usize) -> Self {
        self.with(|limits| limits.all = limit)
    }

    /// Refuses handshakes while `limit` connections of the same key are open (429, with a `Retry-After` as
    /// [`limit`](Self::limit) has it). Several such limits all hold. The default is none.
    ///
    /// All requests for which `key` gives `None` share one key. It is called once for each handshake, with the request's
    /// head, in which outer layers have left what they know: axum's `ConnectInfo`, or who is logged in.
    ///
    /// ```
    /// use ws_handshake::Connections;
    ///
    /// /// Put into the request's extensions by a layer outside of this one.
    /// #[derive(Clone)]
    /// struct User(String);
    ///
    /// let connections = Connections::new().limit_per(5, |parts| {
    ///     let User(name) = parts.extensions.get()?;
    ///     Some(name.as_str().into())
    /// });
    /// ```
    pub fn limit_per(
        self, limit: usize, key: impl Fn(&Parts) -> Option<ConnectionKey> + Send + Sync + 'static,
    ) -> Self {
        self.with(|limits| limits.per_key.push(KeyLimit::new(limit, key)))
    }

    /// How many connections there are, those included whose handshake is approved and not answered yet.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is a gauge, not a collection")]
    pub fn len(&self) -> usize {
        self.registry.open()
    }

    /// How many connections a key has; `None` is the key of those without one. Where there are several limits by key, the
    /// most that one of them counts. 0 without such a limit.
    #[must_use]
    pub fn len_of(&self, key: Option<&ConnectionKey>) -> usize {
        self.limits.per_key.iter().map(|limit| limit.count(key)).max().unwrap_or_default()
    }

    /// Refuses all handshakes from here on (503, with `Retry-After`). Open connections stay open.
    ///
    /// A handler that has a handshake already, and accepts it after this, gets
    /// [`UpgradeError::ServerDraining`](crate::UpgradeError::ServerDraining), and its client the same 503. Once a server is
    /// stopping, hyper writes `Connection: close` into a 101, and some clients refuse such a 101. The layer lets handlers that
    /// use [other extractors](#other-extractors) accept.
    pub fn close(&self) {
        self.registry.close();
    }

    /// Waits until there are no connections, which may be at once.
    pub async fn wait(&self) {
        self.registry.emptied().await;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.registry.is_closed()
    }

    pub(crate) fn membership(&self, permit: &ConnectionPermit) -> Membership {
        permit.membership(&self.registry)
    }

    /// Takes a place for the request; `None` where it has all that it needs, by a layer further `out`.
    pub(crate) fn admit(&self, parts: &Parts, out: Option<Membership>) -> Result<Option<ConnectionPermit>, Full> {
        if self.registry.is_closed() {
            return Err(Full::Closed);
        }
        let out = out.unwrap_or_default();
        let lacking = self.limits.per_key.iter().filter(|limit| !out.keys.iter().any(|held| Arc::ptr_eq(held, limit)));
        let keys = lacking.map(|limit| limit.take(parts)).collect::<Result<Box<_>, _>>()?;
        if !out.counted {
            self.registry.enter(self.limits.all, &out.signal)?;
            return Ok(Some(ConnectionPermit::new(Some(Arc::clone(&self.registry)), out.signal, keys)));
        }
        // It is one of them already; this handle's limits may be stricter.
        if self.registry.open() > self.limits.all {
            return Err(Full::Limit);
        }
        Ok((!keys.is_empty()).then(|| ConnectionPermit::new(None, out.signal, keys)))
    }

    fn with(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(Arc::make_mut(&mut self.limits));
        self
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("len", &self.len()).field("limits", &self.limits).finish_non_exhaustive()
    }
}

#[cfg(all(test, ws_loom))]
mod models;
