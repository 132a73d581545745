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
    rates: Vec<Arc<RateLimit>>,
}

/// The limits by which a request's handshake has been counted, left in its extensions for layers further in.
#[derive(Clone, Default)]
struct Counted(Vec<Arc<RateLimit>>);

impl Connections {
    /// Counts connections, without a limit.
    pub fn new() -> Self {
        let limits = Limits { all: usize::MAX, per_key: Vec::new(), rates: Vec::new() };
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
        self.with(|limits| limits.per_key.push(KeyLimit::new(limit, Box::new(key))))
    }

    /// Refuses handshakes of a key that tries too often (429, with a `Retry-After` that is true). Several such limits all hold. The
    /// default is none.
    ///
    /// A key has `tries` at once, and then one more for each `window / tries` that goes by. Every well-formed handshake is a
    /// try, before any predicate is called, also if it is refused later. A handshake that this limit refuses is none. All requests for
    /// which `key` gives `None` share one key.
    ///
    /// Up to 131,072 keys are counted within two windows, in less than 12 MiB. Of more, the newest are not counted, and no key that is
    /// counted is forgotten for them: against somebody with that many addresses, use [`limit`](Self::limit).
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

    /// Counts a handshake that has been tried, unless a layer further out has done so.
    pub(crate) fn count_try(&self, parts: &mut Parts) -> Result<(), Full> {
        // A client that is told when to try again would wait for a server that stops.
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

    /// Whether there is a place for the request, which a layer further `out` may have let in already. None is taken yet.
    pub(crate) fn ask(&self, parts: &Parts, out: Option<Membership>) -> Result<Asking<'_>, Full> {
        if self.registry.is_closed() {
            return Err(Full::Closed);
        }
        let out = out.unwrap_or_default();
        let lacking = self.limits.per_key.iter().filter(|limit| !out.keys.iter().any(|held| Arc::ptr_eq(held, limit)));
        let keys = lacking.map(|limit| Ok((limit, limit.ask(parts)?))).collect::<Result<_, _>>()?;
        // If it is one of them already, this handle's limits may be stricter.
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
/// Unlike limits, they are those of all clones of a handle. Set them before the first connection is let in.
///
/// No connection has a timer of its own: one task for all of them runs on the tokio runtime of one of them. If that runtime ends before
/// others, the task goes on where the newest connection runs. A runtime that nobody drives holds the task up.
impl Connections {
    /// Asks each connection to close when it is about this old, and ends it [`grace`](Self::grace) later. The default is no age.
    ///
    /// The age of each connection is up to 10 % less or more, so that clients that came together do not leave together. They
    /// connect again, and a load balancer spreads them over the nodes that there are by then. An age of more than 100 days is none.
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

    /// Asks a connection to close when its peer has sent no byte for this time, and ends it [`grace`](Self::grace) later. The
    /// default is no timeout.
    ///
    /// Bytes count when the handler reads them, whatever frame they belong to: have the handler send pings, which every client
    /// answers, at less than half of this time. A connection is asked up to 2 % of the time later, and at most a second. A timeout of
    /// more than 100 days is none.
    ///
    /// It holds for a [`WsStream`](crate::WsStream), with any framing library. Where the handler uses
    /// [another extractor](Self#other-extractors), or takes the stream apart, nothing tells what the peer sends: such a connection
    /// has an [age](Self::max_age) alone.
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        self.registry.lifetimes.set_idle_timeout(timeout);
        self
    }

    /// How long after it was asked to close by [`max_age`](Self::max_age), [`idle_timeout`](Self::idle_timeout) or its
    /// [permit](crate::ConnectionPermit::close_at) a connection is ended: reads give end of file, and writes fail. The default is 10
    /// seconds, and more than 100 days are 100 days.
    pub fn grace(self, grace: Duration) -> Self {
        self.registry.lifetimes.set_grace(grace);
        self
    }
}

/// A request that asks for a place among connections.
pub(crate) struct Asking<'a> {
    connections: &'a Connections,
    out: Membership,
    keys: Vec<(&'a Arc<KeyLimit>, Option<ConnectionKey>)>,
}

impl Asking<'_> {
    /// Takes the place; `None` where the request has all that it needs, by a layer further out.
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
