//! Where the decision is applied.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use hyper::upgrade::OnUpgrade;
use tower_service::Service;

use super::{
    future::ResponseFuture,
    handoff::Handoff,
    layer::Config,
    observe,
    response::{EmptyBody, RejectionResponse, refuse},
};
use crate::handshake::{ClientHandshake, Rejection, RejectionKind, ServerHandshake};

/// The service of a [`WsHandshakeLayer`](crate::WsHandshakeLayer).
pub struct WsHandshake<S, R> {
    inner: S,
    config: Arc<Config<R>>,
}

impl<S, R> WsHandshake<S, R> {
    pub(super) fn new(inner: S, config: Arc<Config<R>>) -> Self {
        Self { inner, config }
    }

    /// The service behind.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service behind.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service behind.
    pub fn into_inner(self) -> S {
        self.inner
    }

    pub(super) fn config(&self) -> &Config<R> {
        &self.config
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for WsHandshake<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    S::Future: Send + 'static,
    R: RejectionResponse<ResBody>,
    ResBody: EmptyBody,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let client = match ClientHandshake::from_request(&request) {
            Ok(Some(client)) => client,
            Ok(None) => return ResponseFuture::passing(self.inner.call(request)),
            Err(rejection) => return self.refuse(&request, rejection),
        };
        let (parts, body) = request.into_parts();
        let deciding = self.config.policy.decide(&client, &parts);
        let request = Request::from_parts(parts, body);
        match deciding.into_ready() {
            Ok(decision) => self.apply(decision, request),
            Err(deciding) => {
                // The service that was polled ready is the one to be called; its clone has yet to become so.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                ResponseFuture::deciding(deciding, Self::new(ready, Arc::clone(&self.config)), request)
            }
        }
    }
}

impl<S, R> WsHandshake<S, R> {
    /// Hands an approved handshake to the inner service, which has to be ready, and keeps a refused one from it.
    pub(super) fn apply<ReqBody, ResBody>(
        &mut self, decision: Result<ServerHandshake, Rejection>, mut request: Request<ReqBody>,
    ) -> ResponseFuture<S, ReqBody, R>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        R: RejectionResponse<ResBody>,
    {
        let server = match decision {
            Ok(server) => server,
            Err(rejection) => return self.refuse(&request, rejection),
        };
        // It stays in the request too, so that the extractors of others work behind this layer.
        let Some(on_upgrade) = request.extensions().get::<OnUpgrade>().cloned() else {
            let rejection = Rejection::new(RejectionKind::UpgradeUnsupported, request.version());
            return self.refuse(&request, rejection);
        };
        observe::approved(&server, request.uri());
        let subprotocols = self.config.policy.known_subprotocols().cloned();
        let timeout = self.config.handoff_timeout;
        let (handoff, nested) = Handoff::offer(server, subprotocols, timeout, on_upgrade, request.extensions_mut());
        ResponseFuture::approved(self.inner.call(request), handoff, nested)
    }

    fn refuse<ReqBody, ResBody>(
        &self, request: &Request<ReqBody>, rejection: Rejection,
    ) -> ResponseFuture<S, ReqBody, R>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        R: RejectionResponse<ResBody>,
    {
        observe::refused(&rejection, request.uri(), request.headers());
        ResponseFuture::refused(refuse(&self.config.respond, rejection))
    }
}

impl<S: Clone, R> Clone for WsHandshake<S, R> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.config))
    }
}

impl<S: fmt::Debug, R> fmt::Debug for WsHandshake<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsHandshake").field("inner", &self.inner).field("config", &self.config).finish()
    }
}
