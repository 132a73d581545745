//! The layer and its settings.

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

/// Checks every WebSocket handshake, and passes the approved ones to your handlers.
///
/// By default, same-origin pages and non-browser clients may connect. Requests that do not ask for a WebSocket pass unchanged.
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
/// - Add the layer after the routes that it protects, because `Router::layer` does not reach routes that you add later. Or wrap the layer
///   around the whole router.
/// - A handler that uses [`WsStream`](crate::WsStream) or [`WsUpgrade::accept`](crate::WsUpgrade::accept) lives for as long as its stream.
///   So do the layers between this layer and the handler: a `TimeoutLayer` there ends the stream at its timeout. What these layers do to
///   responses is lost, because the response was sent long before. For such handlers, put this layer innermost: `any(handler).layer(ws)`.
/// - With `on_upgrade`, the response passes through the layers inside, which may add headers.
/// - This layer cannot detect an outer layer that replaces the response. The handler may then get a stream although the client got another
///   response. This happens when hyper is closing the connection, or when another 2xx replaces the response over HTTP/2.
/// - You can nest these layers, for example one around a router and one on a route. Both policies apply, and the inner layer decides about
///   the subprotocol and permessage-deflate. Code between the two layers must not extract the handshake or its permit. If it does, the
///   inner layer answers 500.
///
/// # HTTP/2
///
/// With the feature `http2`, an extended `CONNECT` for `websocket` is a handshake too (RFC 8441). The same policy and the same handlers
/// apply. The routes have to take `CONNECT`: use `any(handler)`, not `get(handler)`. The layer accepts with a 200.
///
/// Any 2xx would accept a `CONNECT`, so the layer turns a 2xx that is not meant as acceptance into 406:
///
/// - any status except 200
/// - a response with a body, or with headers that describe one
/// - any response from a handler that has taken the handshake
///
/// A bare 200 from a handler that took no handshake looks the same as an acceptance by axum's extractor, so it passes. A 101 becomes 500.
/// A `CONNECT` for anything else passes unchanged. Without the feature, the layer refuses every `CONNECT` over HTTP/2 that has WebSocket
/// headers (501).
///
/// # Existing handlers
///
/// Handlers that use the extractors of axum (`WebSocketUpgrade`), fastwebsockets and yawc also work behind this layer, unchanged. The
/// layer decides the handshake, and the extractor answers. So the layer's subprotocols, permessage-deflate and check of the response do
/// not apply. Over HTTP/2, only axum's extractor works. For [`connections`](Self::connections) to cover their sockets, these handlers also
/// take a [`ConnectionPermit`](crate::ConnectionPermit).
///
/// # Bounds
///
/// - The response's body must implement `Default` for the accepting response ([`EmptyBody`](crate::EmptyBody)).
/// - The body must implement `From<&'static str>` for the default refusal, unless you set a
///   [`rejection_response`](Self::rejection_response).
/// - The inner service must be `Clone`, because the service waits while an asynchronous predicate decides.
/// - The inner service's future must be `Send + 'static`, because the future moves to its own task when a handler accepts.
/// - The layer needs a tokio runtime with timers enabled.
#[derive(Clone)]
#[must_use]
pub struct WsHandshakeLayer<R = DefaultRejectionResponse> {
    config: Arc<Config<R>>,
}

impl WsHandshakeLayer {
    /// Creates a layer with the default [`Policy`].
    pub fn new() -> Self {
        Self::from(Policy::new())
    }
}

impl<R: Clone> WsHandshakeLayer<R> {
    /// Sets whose pages may connect. The default is [`AllowOrigin::same_origin`].
    ///
    /// This check stops other sites' pages from acting as a visitor who is logged in here. The value replaces the default and everything
    /// set before. To keep same-origin pages and add others, use [`add_trusted_origins`](Self::add_trusted_origins).
    pub fn allow_origin(self, allow: impl Into<AllowOrigin>) -> Self {
        self.with_policy(|policy| policy.allow_origin(allow))
    }

    /// Adds origins whose pages may connect, in addition to those already allowed. With the default, these are same-origin pages. Write
    /// each origin as in [`AllowOrigin::list`].
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
    /// Returns a [`ConfigError`] for the first entry that can never match or matches too much.
    pub fn add_trusted_origins<I>(self, origins: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let list = AllowOrigin::list(origins)?;
        Ok(self.with_policy(|policy| policy.or_allow_origin(list)))
    }

    /// Sets whether requests without `Origin` are refused (403). The default is `false`, because these requests come from non-browser
    /// clients.
    pub fn require_origin(self, require: bool) -> Self {
        self.with_policy(|policy| policy.require_origin(require))
    }

    /// Sets which hosts a handshake may name (403 for others). The default is any host.
    ///
    /// This stops DNS rebinding, which the same-origin rule alone does not stop.
    pub fn allow_host(self, allow: impl Into<AllowHost>) -> Self {
        self.with_policy(|policy| policy.allow_host(allow))
    }

    /// Sets the subprotocols that the server speaks. The default is none.
    pub fn subprotocols(self, subprotocols: Subprotocols) -> Self {
        self.with_policy(|policy| policy.subprotocols(subprotocols))
    }

    /// Agrees to permessage-deflate (RFC 7692), if clients offer it on acceptable terms. The default is to decline it.
    ///
    /// The code that frames the stream must keep to the agreement: see [`WsUpgrade::decline_deflate`](crate::WsUpgrade::decline_deflate).
    pub fn permessage_deflate(self, deflate: PermessageDeflate) -> Self {
        self.with_policy(|policy| policy.permessage_deflate(deflate))
    }

    /// Sets whether the policy only reports. If `true`, the layer lets through handshakes that the rules for `Origin` and hosts would
    /// refuse. The layer then puts a [`ReportedRejection`](crate::ReportedRejection) into the response's extensions; see
    /// [`Policy::report_only`]. The default is `false`.
    ///
    /// The layer logs a warning when you turn this on, because a policy that stays in this mode protects nothing.
    pub fn report_only(self, report_only: bool) -> Self {
        if report_only {
            events::reports_only();
        }
        self.with_policy(|policy| policy.report_only(report_only))
    }

    /// Counts and limits the connections, and closes them at a shutdown: see [`Connections`]. The default is none: streams are neither
    /// counted nor closed.
    ///
    /// A handler that uses another extractor also has to take a [`ConnectionPermit`](crate::ConnectionPermit). Otherwise, the layer warns
    /// once.
    pub fn connections(self, connections: Connections) -> Self {
        self.with(|config| config.connections = Some(connections))
    }

    /// Sets how long an asynchronous predicate may take, before the layer refuses the handshake (503). The default is 10 seconds.
    pub fn decision_timeout(self, timeout: Duration) -> Self {
        self.with(|config| config.decision_timeout = timeout)
    }

    /// Sets how long a handshake may wait for a response, including predicates and handler. After this time, the layer drops the handler,
    /// gives its place among the [`connections`](Self::connections) back, and answers 503. The default is 30 seconds.
    ///
    /// Without this limit, a handler that waits before it accepts holds its place for as long as it waits. Over HTTP/1.1, the wait may go
    /// on when the client disconnects: hyper does not notice if the client has sent a byte after its handshake.
    ///
    /// Exception (HTTP/1.1): if a handler with another extractor calls `on_upgrade` and then does not return, it keeps its place. The
    /// client gets the 503, and hyper then hands the connection to the callback.
    pub fn answer_timeout(self, timeout: Duration) -> Self {
        self.with(|config| config.answer_timeout = timeout)
    }

    /// Sets how long hyper may take to hand over the connection after the response was passed on. After this time, the handler gets
    /// [`UpgradeError::TimedOut`](crate::UpgradeError::TimedOut). The default is 10 seconds.
    pub fn handoff_timeout(self, timeout: Duration) -> Self {
        self.with(|config| config.handoff_timeout = timeout)
    }

    /// Writes refusals with `respond`.
    ///
    /// This covers the refusals of the layer. Refusals of an extractor are plain text: 426 for a request that is not a handshake, and 500
    /// for a missing layer. To write these yourself, take a `Result<WsUpgrade, Rejection>`.
    ///
    /// `respond` decides the body, the headers and the status. A status below 400 is replaced by the status of the rejection. The layer
    /// adds the required headers: `Connection: close` over HTTP/1.1, `Cache-Control: no-store`, and by kind `Allow`, `Upgrade`,
    /// `Sec-WebSocket-Version` and `Retry-After`. The default is the rejection's status, with its reason as plain text.
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
