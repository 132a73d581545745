//! The decision on a request: classify, read, ask for a place, decide, take the place, then hand over or refuse.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, Version, request::Parts};
use tower_service::Service;

use super::{
    config::Config,
    extended_connect,
    future::ResponseFuture,
    handling::Handling,
    handoff::Handoff,
    response::{EmptyBody, RejectionResponse, refuse},
    undecided::Undecided,
};
use crate::{
    connections::{ConnectionPermit, Full},
    handshake::{ClientHandshake, Rejection, RejectionKind, ServerHandshake, client::RequestHead},
    policy::Deciding,
};

/// The service of a [`WsHandshakeLayer`](crate::WsHandshakeLayer).
pub struct WsHandshake<S, R> {
    inner: S,
    config: Arc<Config<R>>,
}

impl<S, R> WsHandshake<S, R> {
    pub(super) fn new(inner: S, config: Arc<Config<R>>) -> Self {
        Self { inner, config }
    }

    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
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
        if RequestHead::from(&request).cannot_upgrade() {
            self.strip_secret_subprotocols(&mut request);
            return ResponseFuture::passing(self.inner.call(request));
        }
        self.decide(request)
    }
}

impl<S, R> WsHandshake<S, R> {
    /// Decides a request that a server may upgrade. Not part of `call`, so that plain requests do not pay for the stack space of this
    /// code.
    #[inline(never)]
    fn decide<ReqBody, ResBody>(&mut self, mut request: Request<ReqBody>) -> ResponseFuture<S, ReqBody, R>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
        R: RejectionResponse<ResBody>,
    {
        let protocol = extended_connect::protocol(request.method(), request.extensions());
        let client = match RequestHead::from(&request).read_upgrade(protocol) {
            Ok(Some(client)) => client,
            Ok(None) => {
                self.strip_secret_subprotocols(&mut request);
                return ResponseFuture::passing(self.inner.call(request));
            }
            Err(rejection) => return self.refuse(rejection, &request),
        };

        let (mut parts, body) = request.into_parts();
        let decided = self.decide_and_admit(&client, &mut parts);
        let request = Request::from_parts(parts, body);
        let Decided { deciding, decision, permit } = match decided {
            Ok(decided) => decided,
            Err(full) => return self.refuse(rejection(full, request.version()), &request),
        };

        let Some(decision) = decision else {
            // Call the service that was polled ready. Its clone is not ready yet.
            let clone = self.inner.clone();
            let ready = mem::replace(&mut self.inner, clone);
            return ResponseFuture::undecided(Undecided::new(
                Arc::clone(&self.config),
                deciding,
                permit,
                ready,
                request,
            ));
        };
        let outcome = Handling::start(&self.config, decision, permit, &mut self.inner, request);
        ResponseFuture::decided(outcome, &self.config)
    }

    /// Asks for a place first: if there is no place, no predicate is called. Takes the place last: refused requests use up no place.
    fn decide_and_admit(&self, client: &ClientHandshake, parts: &mut Parts) -> Result<Decided, Full> {
        let Config { connections, policy, .. } = &*self.config;
        let asking = match connections {
            Some(connections) => {
                connections.count_try(parts)?;
                let membership = Handoff::membership(&parts.extensions, connections);
                Some(connections.ask(parts, membership)?)
            }
            None => None,
        };
        let mut deciding = policy.decide(client, parts);
        let decision = deciding.now();
        let permit = match asking {
            Some(asking) if !matches!(decision, Some(Err(_))) => asking.enter()?,
            _ => None,
        };
        Ok(Decided { deciding, decision, permit })
    }

    /// Refuses a handshake instead of calling the inner service.
    fn refuse<ReqBody, ResBody>(
        &self, rejection: Rejection, request: &Request<ReqBody>,
    ) -> ResponseFuture<S, ReqBody, R>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        R: RejectionResponse<ResBody>,
    {
        ResponseFuture::refused(refuse(&self.config.respond, rejection, RequestHead::from(request)))
    }

    /// Removes data from the request that would be a secret in a handshake.
    #[inline]
    fn strip_secret_subprotocols<ReqBody>(&self, request: &mut Request<ReqBody>) {
        if let Some(subprotocols) = self.config.policy.known_subprotocols() {
            subprotocols.strip_secret_subprotocols(request);
        }
    }
}

/// A handshake after the policy check, with its place among the connections unless it was refused.
struct Decided {
    deciding: Deciding,
    /// `None` if an asynchronous predicate has not decided yet.
    decision: Option<Result<ServerHandshake, Rejection>>,
    permit: Option<ConnectionPermit>,
}

fn rejection(full: Full, version: Version) -> Rejection {
    let kind = match full {
        Full::Closed => RejectionKind::ServerDraining,
        Full::Limit => RejectionKind::ConnectionLimitReached,
        Full::KeyLimit => RejectionKind::KeyLimitReached,
        Full::Rate(wait) => return Rejection::retry_after(RejectionKind::RateLimitReached, version, wait),
    };
    Rejection::new(kind, version)
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
