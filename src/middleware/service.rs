//! Where the decision is applied.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{
    config::Config,
    extended_connect,
    future::ResponseFuture,
    response::{EmptyBody, RejectionResponse},
};
use crate::handshake::{Rejection, client::Head};

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

    #[inline]
    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        if !Head::from(&request).is_page() {
            return self.decide(request);
        }
        self.withhold_secrets(&mut request);
        ResponseFuture::passing(self.inner.call(request))
    }
}

impl<S, R> WsHandshake<S, R> {
    /// Keeps from the inner service what would be a secret in a handshake.
    #[inline]
    fn withhold_secrets<ReqBody>(&self, request: &mut Request<ReqBody>) {
        if let Some(subprotocols) = self.config.policy.known_subprotocols() {
            subprotocols.withhold_secrets(request.headers_mut());
        }
    }

    /// Apart from the rest, for pages to be spared the room that it takes on the stack.
    #[inline(never)]
    fn decide<ReqBody, ResBody>(&mut self, mut request: Request<ReqBody>) -> ResponseFuture<S, ReqBody, R>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
        R: RejectionResponse<ResBody>,
    {
        let protocol = extended_connect::protocol(request.method(), request.extensions());
        let client = match Head::from(&request).read_upgrade(protocol) {
            Ok(Some(client)) => client,
            Ok(None) => {
                self.withhold_secrets(&mut request);
                return ResponseFuture::passing(self.inner.call(request));
            }
            Err(rejection) => return ResponseFuture::refused(&self.config, rejection, &request),
        };
        let (parts, body) = request.into_parts();
        let decision = self.config.policy.decide(&client, &parts).into_ready();
        // A handshake that is refused takes no place from others.
        let permit = if matches!(decision, Ok(Err(_))) { Ok(None) } else { self.config.admit(&parts) };
        let request = Request::from_parts(parts, body);
        let permit = match permit {
            Ok(permit) => permit,
            Err(kind) => {
                let rejection = Rejection::new(kind, request.version());
                return ResponseFuture::refused(&self.config, rejection, &request);
            }
        };
        match decision {
            Ok(decision) => ResponseFuture::decided(&self.config, decision, permit, &mut self.inner, request),
            Err(deciding) => {
                // The service that was polled ready is the one to be called; its clone has yet to become so.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                ResponseFuture::deciding(Arc::clone(&self.config), deciding, permit, ready, request)
            }
        }
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
