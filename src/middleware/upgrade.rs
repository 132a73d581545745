//! An approved handshake, not yet answered.

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

/// A handshake that the layer has approved and nobody has answered yet.
///
/// Until it is accepted the request is an HTTP request like any other: a handler may look at who asks and answer 401, 404
/// or a page. It is accepted by [`accept`](Self::accept), after which the handler goes on with the stream, or by
/// [`on_upgrade_into`](Self::on_upgrade_into) (with axum, `on_upgrade`), which returns the answer and runs a callback
/// once it has been sent. Dropping it refuses nothing by itself: what the handler returns is what the client gets.
///
/// ```
/// use http::{Request, Response};
/// use ws_handshake::{Rejection, WsUpgrade};
///
/// // A handler for any tower service; with axum, take `ws: WsUpgrade` as an argument.
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

/// A callback need not be `Sync`: nobody calls it through a reference.
type OnFailedUpgrade = SyncWrapper<Box<dyn FnOnce(UpgradeError) + Send>>;

impl WsUpgrade {
    /// Takes the approved handshake out of a request. With axum, take `WsUpgrade` as an argument.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] to answer with: 426 for a request that is no handshake (over HTTP/2 400). 500 if no
    /// [`WsHandshakeLayer`](crate::WsHandshakeLayer) has seen the handshake, or if it was taken before.
    pub fn take_from<B>(request: &mut Request<B>) -> Result<Self, Rejection> {
        extract(RequestHead::from(&*request), request.extensions(), Self::take)
    }

    /// As [`take_from`](Self::take_from), from the head of a request.
    ///
    /// # Errors
    ///
    /// As [`take_from`](Self::take_from).
    pub fn take_from_parts(parts: &mut Parts) -> Result<Self, Rejection> {
        extract(RequestHead::from(&*parts), &parts.extensions, Self::take)
    }

    /// As [`take_from_parts`](Self::take_from_parts), with `None` for a request that is no handshake.
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

    /// The name of the connection in the log: in the event that approved the handshake, in each event after that, and in the span of
    /// the connection.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.handoff.id
    }

    /// Where the page that connects is from; `None` for a client that is no browser, and for a malformed origin that the
    /// policy does not look at.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.handoff.server.origin()
    }

    /// The subprotocol that will be answered.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.acceptance.agreed.subprotocol()
    }

    /// The subprotocols that the client offers, the most preferred first.
    pub fn offered_subprotocols(&self) -> impl Iterator<Item = &str> {
        self.handoff.server.offered_subprotocols().iter()
    }

    /// The secret that the client offered behind the prefix `mark`, a [`secret_prefix`](crate::Subprotocols::secret_prefix) of
    /// the layer, or after the name `mark`, its [`secret_after`](crate::Subprotocols::secret_after); the first if there are
    /// several. The layer compares `mark` as a whole, in any case of its letters. `None` for a `mark` that the layer does not
    /// have.
    ///
    /// ```
    /// use http::StatusCode;
    /// use ws_handshake::{WsStream, WsUpgrade};
    ///
    /// async fn chat(ws: WsUpgrade) -> Result<(), StatusCode> {
    ///     // `map(str::to_owned)` keeps it beyond `accept`, which takes `ws`.
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

    /// All that [`secret_subprotocol`](Self::secret_subprotocol) gives the first of.
    pub fn secret_subprotocols<'a>(&'a self, mark: &str) -> impl Iterator<Item = &'a str> {
        self.handoff.server.secret_subprotocols(mark)
    }

    /// Answers with this subprotocol instead of the one that the layer selected.
    ///
    /// # Errors
    ///
    /// [`NotOffered`] unless the client offers it and, where the layer was told which
    /// [`Subprotocols`](crate::Subprotocols) are spoken, it is one of them.
    pub fn select_subprotocol(&mut self, name: &str) -> Result<(), NotOffered> {
        let offered = self.handoff.server.offered_subprotocols().contains(name);
        let spoken = self.handoff.subprotocols.as_ref().is_none_or(|known| known.contains(name.as_bytes()));
        if !offered || !spoken {
            return Err(NotOffered::SUBPROTOCOL);
        }
        self.acceptance.agreed.subprotocol = Some(HeaderValue::from_str(name).map_err(|_| NotOffered::SUBPROTOCOL)?);
        Ok(())
    }

    /// Answers without a subprotocol, although the layer selected one. A browser that offered some then fails the connection.
    pub fn decline_subprotocol(&mut self) {
        self.acceptance.agreed.subprotocol = None;
    }

    /// The parameters of permessage-deflate that will be answered; `None` where it is not agreed on (RFC 7692).
    #[must_use]
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.acceptance.agreed.deflate
    }

    /// Withdraws permessage-deflate, for a stream that is framed by a library without it.
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

    /// Answers with these extensions instead of what the layer agreed on: `answer` as `Sec-WebSocket-Extensions` has it,
    /// given the fields of the request that offers them (RFC 6455 §9.1).
    ///
    /// It is for gateways, whose upstream does the framing, and for extensions that the application knows itself. Where
    /// permessage-deflate is among them, [`deflate`](Self::deflate) has its parameters.
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
    /// [`NotOffered`] if the client does not offer one of them, or permessage-deflate on other terms (RFC 7692 §7.1), or
    /// if `answer` is malformed. Nothing is changed then.
    pub fn select_extensions(&mut self, offered: &HeaderMap, answer: HeaderValue) -> Result<(), NotOffered> {
        let answered = HeaderMap::from_iter([(SEC_WEBSOCKET_EXTENSIONS, answer.clone())]);
        let deflate = extension::agreed(offered, &answered).map_err(|_| NotOffered::EXTENSION)?;
        self.acceptance.agreed.deflate = deflate;
        self.acceptance.extensions = Some(Box::new(answer));
        Ok(())
    }

    /// Fields to be sent with the acceptance: each line of them is appended to it, so that two `Set-Cookie` are two.
    ///
    /// `Connection`, `Upgrade`, `Content-Length`, `Transfer-Encoding` and all of `Sec-WebSocket-*` are the handshake's
    /// own and are left out. They are not sent with any other answer.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.acceptance.headers.get_or_insert_default()
    }

    /// Accepts the handshake and goes straight on: the layer answers at once, and what follows this call is the
    /// connection.
    ///
    /// The rest of the handler runs in a task of its own, in the tracing span of the connection, `websocket`, which follows
    /// from that of the request: instrument it by a span of your own to keep what that had. What the handler returns in the end
    /// is traced and dropped. So is the response half of middleware between the layer and the handler, and a timeout
    /// there ends the stream: see the placement of [`WsHandshakeLayer`](crate::WsHandshakeLayer#placement).
    ///
    /// # Errors
    ///
    /// [`UpgradeError`] if the request got another answer, the client went away, the server is about to stop, the connection
    /// was not handed over in time, or the server hands none over.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: once it has been polled, dropping it gives the handshake up. If it had not been answered by
    /// then, the handler may still answer something else.
    pub fn accept(self) -> impl Future<Output = Result<WsStream, UpgradeError>> + Send + 'static {
        Accepting::new(self.handoff, self.acceptance)
    }

    /// As [`accept`](Self::accept), where nobody else hears of a failure.
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

    /// What to do when an accepted handshake does not become a stream. The default is to trace the error.
    ///
    /// It is for the callback form: [`accept`](Self::accept) returns its error.
    pub fn on_failed_upgrade<F>(mut self, callback: F) -> Self
    where
        F: FnOnce(UpgradeError) + Send + 'static,
    {
        self.on_failed_upgrade = Some(SyncWrapper::new(Box::new(callback)));
        self
    }

    /// Accepts the handshake: returns the answer, and runs `callback` with the stream once the layer has passed that
    /// answer on.
    ///
    /// With axum, `on_upgrade` returns axum's own `Response`. If the request ends with any other answer, the callback
    /// never runs: [`on_failed_upgrade`](Self::on_failed_upgrade) gets [`UpgradeError::NotAnswered`].
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

/// The client does not offer what a handler selects, or the layer was not told to speak it.
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
