//! An approved handshake without a response yet.

use std::{error::Error, fmt, sync::Arc};
#[cfg(feature = "axum")]
use std::{future::poll_fn, pin::Pin};

use http::{Extensions, HeaderMap, HeaderValue, Request, Response, header::SEC_WEBSOCKET_EXTENSIONS, request::Parts};
use sync_wrapper::SyncWrapper;

use super::{
    acceptance::Acceptance,
    accepting::{Accepting, TakeOver},
    extraction::extract,
    handoff::Handoff,
    report,
    stream::WsStream,
    upgrade_error::UpgradeError,
};
use crate::{
    connections::ConnectionId,
    handshake::{DeflateParams, Origin, Rejection, RejectionKind, client::RequestHead, extension},
};

/// A handshake that the layer has approved, and that has no response yet.
///
/// Until the handler accepts, the request is a normal HTTP request. The handler may check who asks, and answer 401, 404 or a page. There
/// are two ways to accept:
///
/// - [`accept`](Self::accept) returns the stream, and the handler goes on with it.
/// - [`on_upgrade_into`](Self::on_upgrade_into) (with axum, `on_upgrade`) returns the response, and runs a callback after the response is
///   sent.
///
/// If you drop the `WsUpgrade`, the client gets whatever the handler returns.
///
/// ```
/// use http::{Request, Response};
/// use ws_handshake::{Rejection, WsUpgrade};
///
/// // A handler for any tower service. With axum, take `ws: WsUpgrade` as an argument.
/// async fn handle<B>(mut request: Request<B>) -> Result<Response<String>, Rejection> {
///     let mut ws = WsUpgrade::take_from(&mut request)?;
///     ws.headers_mut().append("set-cookie", "seen=1".parse().expect("a field value"));
///     Ok(ws.on_upgrade_into(|stream| async move {
///         // Frame `stream` with the library of your choice.
///         drop(stream);
///     }))
/// }
/// ```
#[must_use = "a handshake goes unanswered unless it is accepted"]
pub struct WsUpgrade {
    handoff: Arc<Handoff>,
    acceptance: Acceptance,
    on_failed_upgrade: Option<OnFailedUpgrade>,
}

/// A callback need not be `Sync`, because no code calls it through a reference.
type OnFailedUpgrade = SyncWrapper<Box<dyn FnOnce(UpgradeError) + Send>>;

impl WsUpgrade {
    /// Takes the approved handshake from a request. With axum, take `WsUpgrade` as an argument.
    ///
    /// # Errors
    ///
    /// Returns a [`Rejection`] to answer with. The rejection is 426 for a request that is not a handshake (400 over HTTP/2). It is 500 if
    /// no [`WsHandshakeLayer`](crate::WsHandshakeLayer) has seen the handshake, or if the handshake was taken before.
    pub fn take_from<B>(request: &mut Request<B>) -> Result<Self, Rejection> {
        extract(RequestHead::from(&*request), request.extensions(), Self::take)
    }

    /// Does the same as [`take_from`](Self::take_from), with the head of a request.
    ///
    /// # Errors
    ///
    /// The same as for [`take_from`](Self::take_from).
    pub fn take_from_parts(parts: &mut Parts) -> Result<Self, Rejection> {
        extract(RequestHead::from(&*parts), &parts.extensions, Self::take)
    }

    /// Does the same as [`take_from_parts`](Self::take_from_parts), but returns `None` for a request that is not a handshake.
    #[cfg(feature = "axum")]
    pub(crate) fn take_optional_from_parts(parts: &mut Parts) -> Result<Option<Self>, Rejection> {
        match Self::take_from_parts(parts) {
            Err(rejection) if rejection.kind() == RejectionKind::HandshakeMissing => Ok(None),
            taken => taken.map(Some),
        }
    }

    fn take(extensions: &Extensions) -> Option<Result<Self, RejectionKind>> {
        let taken = Handoff::take(extensions)?;
        Some(taken.map(|handoff| {
            let acceptance = Acceptance::new(&handoff.server);
            Self { handoff, acceptance, on_failed_upgrade: None }
        }))
    }

    /// The ID of the connection in the log: in the event that approved the handshake, in each later event, and in the connection's span.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.handoff.id
    }

    /// The origin of the page that connects. `None` for a non-browser client, and for a malformed origin if the policy does not check
    /// origins.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.handoff.server.origin()
    }

    /// The subprotocol that the response will have.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.acceptance.agreed.subprotocol()
    }

    /// The subprotocols that the client offers, in the client's order of preference.
    pub fn offered_subprotocols(&self) -> impl Iterator<Item = &str> {
        self.handoff.server.offered_subprotocols().iter()
    }

    /// Returns the secret that the client offered with `mark`. This is a [`secret_prefix`](crate::Subprotocols::secret_prefix) of the
    /// layer, or the name of a [`secret_after`](crate::Subprotocols::secret_after). If there are several secrets, the result is the first.
    /// The layer compares the whole `mark`, and ignores case. `None` for a `mark` that the layer does not have.
    ///
    /// ```
    /// use http::StatusCode;
    /// use ws_handshake::{WsStream, WsUpgrade};
    ///
    /// async fn chat(ws: WsUpgrade) -> Result<(), StatusCode> {
    ///     // `map(str::to_owned)` keeps the token longer: `accept` takes `ws`.
    ///     let token = ws.secret_subprotocol("bearer.").ok_or(StatusCode::UNAUTHORIZED)?;
    ///     # fn verify(_: &str) -> Option<()> { None }
    ///     let user = verify(token).ok_or(StatusCode::UNAUTHORIZED)?;
    ///     let stream = ws.accept().await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn secret_subprotocol(&self, mark: &str) -> Option<&str> {
        self.handoff.server.secret_subprotocol(mark)
    }

    /// Returns all secrets for `mark`; see [`secret_subprotocol`](Self::secret_subprotocol).
    pub fn secret_subprotocols<'a>(&'a self, mark: &str) -> impl Iterator<Item = &'a str> {
        self.handoff.server.secret_subprotocols(mark)
    }

    /// Selects this subprotocol instead of the one that the layer selected.
    ///
    /// # Errors
    ///
    /// Returns [`NotOffered`] if the client does not offer the subprotocol, or if the layer has [`Subprotocols`](crate::Subprotocols)
    /// without it.
    pub fn select_subprotocol(&mut self, name: &str) -> Result<(), NotOffered> {
        let offered = self.handoff.server.offered_subprotocols().contains(name);
        let spoken = self.handoff.subprotocols.as_ref().is_none_or(|known| known.contains(name.as_bytes()));
        if !offered || !spoken {
            return Err(NotOffered::SUBPROTOCOL);
        }
        self.acceptance.agreed.subprotocol = Some(HeaderValue::from_str(name).map_err(|_| NotOffered::SUBPROTOCOL)?);
        Ok(())
    }

    /// Answers without a subprotocol, although the layer selected one. If a browser offered subprotocols, the browser then fails the
    /// connection.
    pub fn decline_subprotocol(&mut self) {
        self.acceptance.agreed.subprotocol = None;
    }

    /// The parameters of permessage-deflate that the response will have. `None` if it was not agreed on (RFC 7692).
    #[must_use]
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.acceptance.agreed.deflate
    }

    /// Declines permessage-deflate, for framing libraries that do not support it.
    ///
    /// ```
    /// use ws_handshake::{UpgradeError, WsUpgrade};
    ///
    /// async fn feed(mut ws: WsUpgrade) -> Result<(), UpgradeError> {
    ///     ws.decline_deflate();
    ///     let stream = ws.accept().await?;
    ///     assert!(stream.deflate().is_none());
    ///     Ok(())
    /// }
    /// ```
    pub fn decline_deflate(&mut self) {
        self.acceptance.agreed.deflate = None;
        self.acceptance.extensions = None;
    }

    /// Answers with these extensions instead of those that the layer agreed to. `answer` is a value of `Sec-WebSocket-Extensions`, and
    /// `offered` are the headers of the request (RFC 6455 §9.1).
    ///
    /// Use this in gateways, where the upstream does the framing, and for extensions that your application implements. If
    /// permessage-deflate is in `answer`, [`deflate`](Self::deflate) returns its parameters.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue};
    /// use ws_handshake::{NotOffered, WsUpgrade};
    ///
    /// fn agree(ws: &mut WsUpgrade, request: &HeaderMap, upstream: HeaderValue) -> Result<(), NotOffered> {
    ///     ws.select_extensions(request, upstream)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`NotOffered`] if the client does not offer one of the extensions, or if `answer` is malformed. Also returns it if the
    /// client offers permessage-deflate on other terms (RFC 7692 §7.1). Then nothing is changed.
    pub fn select_extensions(&mut self, offered: &HeaderMap, answer: HeaderValue) -> Result<(), NotOffered> {
        let answered = HeaderMap::from_iter([(SEC_WEBSOCKET_EXTENSIONS, answer.clone())]);
        let deflate = extension::agreed(offered, &answered).map_err(|_| NotOffered::EXTENSION)?;
        self.acceptance.agreed.deflate = deflate;
        self.acceptance.extensions = Some(Box::new(answer));
        Ok(())
    }

    /// Headers for the accepting response. Each line is appended, so that two `Set-Cookie` headers stay two.
    ///
    /// `Connection`, `Upgrade`, `Content-Length`, `Transfer-Encoding` and `Sec-WebSocket-*` belong to the handshake and are left out. No
    /// other response gets these headers.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.acceptance.headers.get_or_insert_default()
    }

    /// Accepts the handshake and returns the stream. The layer answers at once, and the rest of the handler is the connection.
    ///
    /// The rest of the handler runs in its own task, in the connection's tracing span, `websocket`. This span follows from the request's
    /// span. To keep the request's fields, instrument the code after `accept` with your own span. What the handler finally returns is
    /// logged and dropped. Middleware between the layer and the handler does not change the response, and a timeout there ends the stream:
    /// see the placement of [`WsHandshakeLayer`](crate::WsHandshakeLayer#placement).
    ///
    /// # Errors
    ///
    /// Returns an [`UpgradeError`] in these cases:
    ///
    /// - The request got another response.
    /// - The client disconnected.
    /// - The server is about to stop.
    /// - The connection was not handed over in time, or the server cannot hand over connections.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: if you drop the future after its first poll, you can no longer accept the handshake. If the layer had not answered
    /// by then, the handler may still return another response.
    pub fn accept(self) -> impl Future<Output = Result<WsStream, UpgradeError>> + Send + 'static {
        Accepting::new(self.handoff, self.acceptance)
    }

    /// Does the same as [`accept`](Self::accept), and logs a failure, because no other code gets the error.
    #[cfg(feature = "axum")]
    pub(crate) fn accept_traced(self) -> impl Future<Output = Result<WsStream, UpgradeError>> + Send + Unpin {
        let id = self.handoff.id;
        let mut accepting = Accepting::new(self.handoff, self.acceptance);
        poll_fn(move |cx| {
            Pin::new(&mut accepting)
                .poll(cx)
                .map(|stream| stream.inspect_err(|error| report::upgrade_failed(id, *error)))
        })
    }

    /// Sets what to do if an accepted handshake does not become a stream. The default is to log the error.
    ///
    /// This is for `on_upgrade`: [`accept`](Self::accept) returns its error.
    pub fn on_failed_upgrade<F>(mut self, callback: F) -> Self
    where
        F: FnOnce(UpgradeError) + Send + 'static,
    {
        self.on_failed_upgrade = Some(SyncWrapper::new(Box::new(callback)));
        self
    }

    /// Accepts the handshake: returns the response, and runs `callback` with the stream after the layer has passed the response on.
    ///
    /// With axum, `on_upgrade` returns axum's own `Response`. If the request gets any other response, the callback never runs:
    /// [`on_failed_upgrade`](Self::on_failed_upgrade) gets [`UpgradeError::NotAnswered`].
    pub fn on_upgrade_into<B, F, Fut>(self, callback: F) -> Response<B>
    where
        B: Default,
        F: FnOnce(WsStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let Self { handoff, acceptance, on_failed_upgrade } = self;
        let agreed = acceptance.agreed.clone();
        let mut response = acceptance.into_response(&handoff.server);
        let id = handoff.id;
        let continuation = {
            let handoff = Arc::clone(&handoff);
            async move {
                let stream = match handoff.verdict().unwrap_or(Err(UpgradeError::NotAnswered)) {
                    Ok(upgrade) => TakeOver::new(upgrade, handoff, agreed).await,
                    Err(error) => Err(error),
                };
                match (stream, on_failed_upgrade) {
                    (Ok(stream), _) => callback(stream).await,
                    (Err(error), Some(failed)) => failed.into_inner()(error),
                    (Err(error), None) => report::upgrade_failed(id, error),
                }
            }
        };
        handoff.mark(&mut response, Box::pin(continuation));
        response
    }
}

impl fmt::Debug for WsUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsUpgrade")
            .field("origin", &self.origin())
            .field("subprotocol", &self.subprotocol())
            .finish_non_exhaustive()
    }
}

/// The client does not offer what the handler selects, or the layer is not set up to speak it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotOffered(&'static str);

impl NotOffered {
    const SUBPROTOCOL: Self = Self("the subprotocol is not offered by the client, or not spoken here");
    const EXTENSION: Self = Self("the extensions are not offered by the client, or not on these terms");
}

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for NotOffered {}
