//! The handle that the layer and the application share.

use std::{fmt, sync::Arc, time::Duration};

use http::request::Parts;

use super::{
    key::ConnectionKey,
    key_limit::KeyLimit,
    permit::{ConnectionPermit, Membership},
    rate_limit::RateLimit,
    registry::{Full, Registry},
    sweep,
};

/// Counts, limits and closes the connections of one or more layers, for as long as their streams live.
///
/// This is a cheap handle: give one clone to the layer and keep another. One `Connections` may serve many layers, and nested layers count
/// a stream once.
///
/// Middleware that counts requests stops counting a WebSocket once the 101 is sent. `Connections` takes a permit when the layer approves a
/// handshake. The permit is given back when the [`WsStream`](crate::WsStream) is dropped, when the handler answers otherwise or panics, or
/// when the client disconnects.
///
/// ```
/// use std::net::SocketAddr;
///
/// use axum::{Router, extract::ConnectInfo, routing::any};
/// use ws_handshake::{ConnectionKey, Connections, WsHandshakeLayer, WsStream};
///
/// async fn chat(stream: WsStream) { /* ... */ }
///
/// // 10,000 in total, and 20 for each IPv4 address or IPv6 network.
/// let connections = Connections::new().limit(10_000).limit_per(20, |parts| {
///     let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
///     Some(ConnectionKey::network(peer.ip()))
/// });
/// let app = Router::new().route("/chat", any(chat)).layer(WsHandshakeLayer::new().connections(connections.clone()));
/// // `ConnectInfo` needs this. You can call `connections.len()` anywhere.
/// let app = app.into_make_service_with_connect_info::<SocketAddr>();
/// ```
///
/// # Other extractors
///
/// The extractors of axum (`WebSocketUpgrade`), fastwebsockets and yawc take the connection without the layer. A handler that uses one of
/// these extractors also takes a [`ConnectionPermit`], and keeps the permit for as long as its socket lives. Otherwise the layer stops
/// counting at the 101, and warns once.
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
    rates: Vec<Arc<RateLimit>>,
}

/// The rate limits that have counted this request, kept in the request's extensions for inner layers.
#[derive(Clone, Default)]
struct Counted(Vec<Arc<RateLimit>>);

impl Connections {
    /// Counts connections, without a limit.
    pub fn new() -> Self {
        let limits = Limits { all: usize::MAX, per_key: Vec::new(), rates: Vec::new() };
        Self { registry: Arc::new(Registry::new()), limits: Arc::new(limits) }
    }

    /// Refuses handshakes while `limit` connections are open. The answer is 503 with a `Retry-After` of 5 to 15 seconds, at random, so
    /// that refused clients do not all return at once. The default is no limit.
    ///
    /// The limit applies to this handle and to clones made from it afterwards. The count includes the connections of all clones. If an
    /// inner layer has a clone with a lower limit, that limit applies to requests through the inner layer.
    pub fn limit(self, limit: usize) -> Self {
        self.with(|limits| limits.all = limit)
    }

    /// Refuses handshakes while `limit` connections of the same key are open. The answer is 429 with the same kind of `Retry-After` as for
    /// [`limit`](Self::limit). If you set several such limits, all apply. The default is none.
    ///
    /// All requests for which `key` returns `None` share one key. The layer calls `key` once for each handshake, with the request's head.
    /// Outer layers can leave data in the request's extensions, such as axum's `ConnectInfo` or the logged-in user.
    ///
    /// ```
    /// use ws_handshake::Connections;
    ///
    /// /// An outer layer inserts this into the request's extensions.
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
        self.with(|limits| limits.per_key.push(KeyLimit::new(limit, Box::new(key))))
    }

    /// Refuses handshakes of a key that tries too often. The answer is 429 with an exact `Retry-After`. If you set several such limits,
    /// all apply. The default is none.
    ///
    /// A key has `tries` handshakes at once, and then one more every `window / tries`. Every well-formed handshake counts, before any
    /// predicate is called, even if it is refused later. A handshake that this limit refuses does not count. All requests for which `key`
    /// returns `None` share one key.
    ///
    /// At most 131,072 keys are counted within two windows, in less than 12 MiB. Above that number, new keys are not counted, and the
    /// known keys keep their counts. To stop a peer with that many addresses, use [`limit`](Self::limit).
    ///
    /// ```
    /// use std::{net::SocketAddr, time::Duration};
    ///
    /// use axum::extract::ConnectInfo;
    /// use ws_handshake::{ConnectionKey, Connections};
    ///
    /// // 30 handshakes a minute for each IPv4 address or IPv6 network.
    /// let connections = Connections::new().rate_per(30, Duration::from_secs(60), |parts| {
    ///     let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    ///     Some(ConnectionKey::network(peer.ip()))
    /// });
    /// ```
    pub fn rate_per(
        self, tries: u32, window: Duration, key: impl Fn(&Parts) -> Option<ConnectionKey> + Send + Sync + 'static,
    ) -> Self {
        self.with(|limits| limits.rates.push(RateLimit::new(tries, window, Box::new(key))))
    }

    /// Returns the number of connections, including approved handshakes that have no answer yet.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is a gauge, not a collection")]
    pub fn len(&self) -> usize {
        self.registry.open()
    }

    /// Returns the number of connections of a key. `None` is the key of requests without one. If there are several limits by key, the
    /// result is the highest of their counts. Without such a limit, the result is 0.
    #[must_use]
    pub fn len_of(&self, key: Option<&ConnectionKey>) -> usize {
        self.limits.per_key.iter().map(|limit| limit.count(key)).max().unwrap_or_default()
    }

    /// Refuses all new handshakes (503, with `Retry-After`). Open connections stay open.
    ///
    /// A handler may already have a handshake and accept it after this call. That handler gets
    /// [`UpgradeError::ServerDraining`](crate::UpgradeError::ServerDraining), and its client gets the same 503. Once a server is stopping,
    /// hyper writes `Connection: close` into a 101, and some clients refuse such a 101. Handlers that use [other
    /// extractors](#other-extractors) may still accept.
    pub fn close(&self) {
        self.registry.close();
    }

    /// Waits until there are no connections. If there are none, returns at once.
    pub async fn wait(&self) {
        self.registry.emptied().await;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.registry.is_closed()
    }

    pub(crate) fn membership(&self, permit: &ConnectionPermit) -> Membership {
        permit.membership(&self.registry)
    }

    /// Counts a handshake attempt, unless an outer layer has counted it.
    pub(crate) fn count_try(&self, parts: &mut Parts) -> Result<(), Full> {
        // A client that gets a time for its next try would wait for a server that stops.
        if self.registry.is_closed() {
            return Err(Full::Closed);
        }
        let mut longest = None;
        for rate in &self.limits.rates {
            let counted = parts.extensions.get::<Counted>();
            if counted.is_some_and(|Counted(rates)| rates.iter().any(|counted| Arc::ptr_eq(counted, rate))) {
                continue;
            }
            match rate.count(parts) {
                Ok(()) => parts.extensions.get_or_insert_default::<Counted>().0.push(Arc::clone(rate)),
                Err(wait) => longest = longest.max(Some(wait)),
            }
        }
        longest.map_or(Ok(()), |wait| Err(Full::Rate(wait)))
    }

    /// Checks whether there is room for the request, which an outer layer (`out`) may have counted already. This takes no permit yet.
    pub(crate) fn ask(&self, parts: &Parts, out: Option<Membership>) -> Result<Asking<'_>, Full> {
        if self.registry.is_closed() {
            return Err(Full::Closed);
        }
        let out = out.unwrap_or_default();
        let lacking = self.limits.per_key.iter().filter(|limit| !out.keys.iter().any(|held| Arc::ptr_eq(held, limit)));
        let keys = lacking.map(|limit| Ok((limit, limit.ask(parts)?))).collect::<Result<_, _>>()?;
        // If the request is counted already, this handle's limits may still be stricter.
        let others = self.registry.open().saturating_sub(usize::from(out.counted));
        if others >= self.limits.all {
            return Err(Full::Limit);
        }
        Ok(Asking { connections: self, out, keys })
    }

    fn with(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(Arc::make_mut(&mut self.limits));
        self
    }
}

/// # Lifetimes
///
/// Unlike limits, lifetimes apply to all clones of a handle. Set them before the first connection.
///
/// Connections have no timers. One task for all connections runs on the tokio runtime of one of them. If that runtime ends before others,
/// the task moves to the runtime of the newest connection. If nobody drives the runtime, the task does not run.
impl Connections {
    /// Asks each connection to close at about this age, and ends the connection [`grace`](Self::grace) later. The default is no age limit.
    ///
    /// The age of each connection varies by up to 10 %, so that clients that came together do not leave together. When they reconnect, a
    /// load balancer spreads them over the current nodes. An age of more than 100 days means no limit.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use ws_handshake::Connections;
    ///
    /// let connections = Connections::new().max_age(Duration::from_secs(3600)).idle_timeout(Duration::from_secs(90));
    /// ```
    pub fn max_age(self, age: Duration) -> Self {
        self.registry.lifetimes.set_max_age(age);
        self
    }

    /// Asks a connection to close when its peer has sent no byte for this time, and ends the connection [`grace`](Self::grace) later. The
    /// default is no timeout.
    ///
    /// Bytes count when the handler reads them, in any kind of frame. Let the handler send pings at less than half of this time: every
    /// client answers a ping. The connection is asked to close up to 2 % of the time late, and at most one second late. A timeout of more
    /// than 100 days means no timeout.
    ///
    /// The timeout applies to a [`WsStream`](crate::WsStream), with any framing library. If the handler uses [another
    /// extractor](Self#other-extractors) or takes the stream apart, the layer cannot see what the peer sends. Only the
    /// [age](Self::max_age) limit applies to such a connection.
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        self.registry.lifetimes.set_idle_timeout(timeout);
        self
    }

    /// Sets how long a connection may take to close. The time starts when [`max_age`](Self::max_age), [`idle_timeout`](Self::idle_timeout)
    /// or its [permit](crate::ConnectionPermit::close_at) asks it to close. Afterwards the connection is ended: reads return end of file,
    /// and writes fail. The default is 10 seconds, and the maximum is 100 days.
    pub fn grace(self, grace: Duration) -> Self {
        self.registry.lifetimes.set_grace(grace);
        self
    }
}

/// A request that asks for room among the connections.
pub(crate) struct Asking<'a> {
    connections: &'a Connections,
    out: Membership,
    keys: Vec<(&'a Arc<KeyLimit>, Option<ConnectionKey>)>,
}

impl Asking<'_> {
    /// Counts the connection. Returns `None` if an outer layer has already taken all permits that the request needs.
    pub(crate) fn enter(self) -> Result<Option<ConnectionPermit>, Full> {
        let Self { connections: Connections { registry, limits }, out, keys } = self;
        let keys = keys.into_iter().map(|(limit, key)| limit.take(key)).collect::<Result<Box<_>, _>>()?;
        if !out.counted {
            registry.enter(limits.all, &out.signal)?;
            sweep::begin(registry, &out.signal);
            return Ok(Some(ConnectionPermit::new(Some(Arc::clone(registry)), out.signal, keys)));
        }
        Ok((!keys.is_empty()).then(|| ConnectionPermit::new(None, out.signal, keys)))
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
