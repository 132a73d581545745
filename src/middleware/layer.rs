//! The layer and its knobs.

use std::{fmt, mem, sync::Arc, time::Duration};

use http::Response;
use tower_layer::Layer;

use super::{config::Config, response::DefaultRejectionResponse, service::WsHandshake};
use crate::{
    connections::Connections,
    handshake::Rejection,
    observe::events,
    policy::{AllowHost, AllowOrigin, ConfigError, PermessageDeflate, Policy, Subprotocols},
};

/// Decides every WebSocket handshake that passes, and leaves the approved ones to the handlers behind it.
///
/// By default it admits pages of the same origin, and clients that are no browsers. Requests that ask for no WebSocket
/// pass untouched.
///
/// ```
/// use axum::{Router, routing::any};
/// use ws_handshake::{AllowOrigin, Subprotocols, WsHandshakeLayer, WsStream};
///
/// async fn chat(stream: WsStream) {
///     // The handler is the connection.
/// }
///
/// let app: Router = Router::new().route("/chat", any(chat)).layer(
///     WsHandshakeLayer::new()
///         .allow_origin(AllowOrigin::list(["https://app.example.com", "https://*.example.com"])?)
///         .subprotocols(Subprotocols::new(["v2.chat", "v1.chat"])?),
/// );
/// # Ok::<_, ws_handshake::ConfigError>(())
/// ```
///
/// # Placement
///
/// - Add it after the routes that it guards, for `Router::layer` does not reach routes added later, or wrap it around the
///   whole router.
/// - A handler that goes straight on ([`WsStream`](crate::WsStream), [`WsUpgrade::accept`](crate::WsUpgrade::accept))
///   lives for as long as its stream, and so do the layers between it and this one: a `TimeoutLayer` there ends the
///   stream at its timeout, and what the layers do to responses is lost, for the answer has long been sent. Put this
///   layer innermost for such handlers: `any(handler).layer(ws)`.
/// - With `on_upgrade` the answer takes its way through the layers inside, which may add fields to it.
/// - A layer outside this one that replaces the answer cannot be seen from here: where hyper is closing the connection,
///   or over HTTP/2 where it is replaced by another 2xx, the handler may then read a stream whose client was told
///   something else.
/// - Layers of this kind compose, for example one around a router and one on a route: both policies must hold, and the
///   inner one selects the subprotocol and agrees to permessage-deflate, or does not. Code between the two layers must not extract the handshake or
///   its permit. If it does, the inner layer answers 500.
///
/// # HTTP/2
///
/// With the feature `http2` an extended `CONNECT` for `websocket` is a handshake too (RFC 8441), decided by the same
/// policy and taken by the same handlers, on routes that take `CONNECT`: `any(handler)`, not `get(handler)`. It is
/// accepted by a 200. As any 2xx would accept it, one that nobody meant as acceptance becomes 406: any but 200, one with
/// a body or with fields that speak of one, and any from a handler that has taken the handshake. (A bare 200 from a
/// handler that took none cannot be told from the acceptance of axum's extractor, and passes.) A 101 becomes 500. A
/// `CONNECT` for anything else passes untouched. Without the feature every `CONNECT` over HTTP/2 that bears WebSocket
/// fields is refused (501).
///
/// # Handlers that exist already
///
/// The extractors of axum (`WebSocketUpgrade`), fastwebsockets and yawc work behind this layer as they are. It decides
/// their handshake; they answer it, so that its subprotocols, its permessage-deflate and its guard over the answer do not
/// reach them. Over HTTP/2 only axum's knows how to. For [`connections`](Self::connections) to cover their sockets, their
/// handlers take a [`ConnectionPermit`](crate::ConnectionPermit) too.
///
/// # Bounds
///
/// The response's body must be a `Default` one for the answer that accepts ([`EmptyBody`](crate::EmptyBody)), and
/// `From<&'static str>` for the default refusal, unless there is a [`rejection_response`](Self::rejection_response). The
/// inner service must be `Clone`, for it waits while an asynchronous predicate decides, and its future
/// `Send + 'static`, for it moves to a task of its own when a handler goes straight on. It runs within a tokio runtime
/// that has its timers enabled.
#[derive(Clone)]
#[must_use]
pub struct WsHandshakeLayer<R = DefaultRejectionResponse> {
    config: Arc<Config<R>>,
}

impl WsHandshakeLayer {
    /// A layer with the default [`Policy`].
    pub fn new() -> Self {
        Self::from(Policy::new())
    }
}

impl<R: Clone> WsHandshakeLayer<R> {
    /// Whose pages may connect. The default is [`AllowOrigin::same_origin`].
    ///
    /// This is the check that keeps a page of somebody else from acting in the name of a visitor who is logged in here.
    /// What you give replaces the default and all that was set before. To keep same-origin pages and add others, use
    /// [`add_trusted_origins`](Self::add_trusted_origins).
    pub fn allow_origin(self, allow: impl Into<AllowOrigin>) -> Self {
        self.with_policy(|policy| policy.allow_origin(allow))
    }

    /// Adds origins whose pages may connect, beside those that may already: with the default, same-origin pages and these.
    /// Each is written as in [`AllowOrigin::list`].
    ///
    /// ```
    /// use ws_handshake::WsHandshakeLayer;
    ///
    /// let layer = WsHandshakeLayer::new().add_trusted_origins(["https://app.example.com", "https://*.example.org"])?;
    /// # Ok::<_, ws_handshake::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for the first entry that can never match or means too much.
    pub fn add_trusted_origins<I>(self, origins: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let list = AllowOrigin::list(origins)?;
        Ok(self.with_policy(|policy| policy.or_allow_origin(list)))
    }

    /// Whether requests without `Origin` are refused (403). The default is `false`: they come from non-browser clients.
    pub fn require_origin(self, require: bool) -> Self {
        self.with_policy(|policy| policy.require_origin(require))
    }

    /// Which hosts a handshake may name (403 for others). The default is any host.
    ///
    /// It closes the door that DNS rebinding leaves open beside the same-origin rule.
    pub fn allow_host(self, allow: impl Into<AllowHost>) -> Self {
        self.with_policy(|policy| policy.allow_host(allow))
    }

    /// Which subprotocols are spoken. The default is none.
    pub fn subprotocols(self, subprotocols: Subprotocols) -> Self {
        self.with_policy(|policy| policy.subprotocols(subprotocols))
    }

    /// Agrees to permessage-deflate (RFC 7692), where clients offer it on acceptable terms. The default is to decline it.
    ///
    /// An agreement binds whoever frames the stream: see [`WsUpgrade::decline_deflate`](crate::WsUpgrade::decline_deflate).
    pub fn permessage_deflate(self, deflate: PermessageDeflate) -> Self {
        self.with_policy(|policy| policy.permessage_deflate(deflate))
    }

    /// Whether the policy only reports: it then lets through what the rules for `Origin` and hosts would refuse, and notes it
    /// in the response's extensions as a [`ReportedRejection`](crate::ReportedRejection); see [`Policy::report_only`]. The
    /// default is `false`.
    ///
    /// Turning it on logs a warning, because a policy that is forgotten in this state protects nothing.
    pub fn report_only(self, report_only: bool) -> Self {
        if report_only {
            events::reports_only();
        }
        self.with_policy(|policy| policy.report_only(report_only))
    }

    /// Counts the connections, limits them, and closes them at a shutdown: see [`Connections`]. The default is none: streams
    /// are neither counted nor closed.
    ///
    /// A handler that takes the connection with another extractor takes a [`ConnectionPermit`](crate::ConnectionPermit)
    /// beside it. If it does not, the layer warns once.
    pub fn connections(self, connections: Connections) -> Self {
        self.with(|config| config.connections = Some(connections))
    }

    /// How long an asynchronous predicate may take to decide, before the handshake is refused (503). The default is 10
    /// seconds.
    pub fn decision_timeout(self, timeout: Duration) -> Self {
        self.with(|config| config.decision_timeout = timeout)
    }

    /// How long a handshake may take to be answered, predicates and handler together. At its end the handler is dropped, its place
    /// among the [`connections`](Self::connections) is free, and the client gets 503. The default is 30 seconds.
    ///
    /// Without such a time, a handler that waits before it accepts holds its place for as long as it waits, and may not be dropped when
    /// its client goes away: over HTTP/1.1, hyper does not notice that if the client has sent a byte behind its handshake.
    ///
    /// One handler keeps its place over HTTP/1.1: it uses another extractor, has called that extractor's `on_upgrade`, and then does not
    /// return. The client gets the 503, and behind it hyper hands the connection to the callback.
    pub fn answer_timeout(self, timeout: Duration) -> Self {
        self.with(|config| config.answer_timeout = timeout)
    }

    /// How long the server may take to hand the connection over once the answer was passed on, before the handler gets
    /// [`UpgradeError::TimedOut`](crate::UpgradeError::TimedOut). The default is 10 seconds.
    pub fn handoff_timeout(self, timeout: Duration) -> Self {
        self.with(|config| config.handoff_timeout = timeout)
    }

    /// Writes refusals as `respond` does.
    ///
    /// These are the layer's own. What an extractor refuses (426 for a request that is no handshake, 500 for a layer that
    /// is missing) is plain text: take a `Result<WsUpgrade, Rejection>` to write it otherwise.
    ///
    /// It decides the body, the fields and the status; a status below 400 is replaced by the rejection's own. The layer
    /// adds what a refusal owes: over HTTP/1.1 `Connection: close`, `Cache-Control: no-store` and, by kind, `Allow`, `Upgrade`,
    /// `Sec-WebSocket-Version` and `Retry-After`. The default is the status of the rejection and its reason as plain
    /// text.
    ///
    /// ```
    /// use axum::response::{IntoResponse, Json, Response};
    /// use ws_handshake::{Rejection, WsHandshakeLayer};
    ///
    /// let layer = WsHandshakeLayer::new().rejection_response(|rejection: &Rejection| -> Response {
    ///     (rejection.status(), Json(rejection.to_string())).into_response()
    /// });
    /// ```
    pub fn rejection_response<F, B>(self, respond: F) -> WsHandshakeLayer<F>
    where
        F: Fn(&Rejection) -> Response<B> + Clone + Send + Sync + 'static,
    {
        let Config { policy, connections, handoff_timeout, decision_timeout, answer_timeout, .. } =
            Arc::unwrap_or_clone(self.config);
        let config = Config { policy, connections, handoff_timeout, decision_timeout, answer_timeout, respond };
        WsHandshakeLayer { config: Arc::new(config) }
    }

    fn with_policy(self, change: impl FnOnce(Policy) -> Policy) -> Self {
        self.with(|config| config.policy = change(mem::take(&mut config.policy)))
    }

    fn with(mut self, change: impl FnOnce(&mut Config<R>)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }
}

impl Default for WsHandshakeLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Policy> for WsHandshakeLayer {
    fn from(policy: Policy) -> Self {
        let timeout = Duration::from_secs(10);
        let config = Config {
            policy,
            connections: None,
            handoff_timeout: timeout,
            decision_timeout: timeout,
            answer_timeout: 3 * timeout,
            respond: DefaultRejectionResponse,
        };
        Self { config: Arc::new(config) }
    }
}

impl<S, R> Layer<S> for WsHandshakeLayer<R> {
    type Service = WsHandshake<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        WsHandshake::new(inner, Arc::clone(&self.config))
    }
}

impl<R> fmt::Debug for WsHandshakeLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsHandshakeLayer").field("config", &self.config).finish()
    }
}
