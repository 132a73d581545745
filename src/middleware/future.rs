//! The future of [`WsHandshake`](super::WsHandshake).

use std::{
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, header::SEC_WEBSOCKET_PROTOCOL};
use hyper::upgrade::OnUpgrade;
use pin_project_lite::pin_project;
use tokio::{
    task::unconstrained,
    time::{Sleep, sleep},
};
use tower_service::Service;

use super::{
    config::Config,
    connections::permit::ConnectionPermit,
    handoff::{Acceptance, Continuation, Handoff, Way, spawn},
    observe,
    response::{EmptyBody, RejectionResponse, leave, refuse},
    upgrade_error::UpgradeError,
};
use crate::{
    handshake::{Rejection, RejectionKind, ServerHandshake, client::Head},
    policy::Deciding,
};

pin_project! {
    /// Response future for [`WsHandshake`](crate::WsHandshake).
    pub struct ResponseFuture<S, ReqBody, R>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, ReqBody, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, ReqBody, R>
    where
        S: Service<Request<ReqBody>>,
    {
        /// A request that asks for no WebSocket.
        Passing { #[pin] future: S::Future },
        Refused { response: Option<S::Response> },
        Deciding { undecided: Box<Undecided<S, ReqBody, R>> },
        Approved { approved: Approved<S::Future> },
    }
}

impl<S, ReqBody, R> ResponseFuture<S, ReqBody, R>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn passing(future: S::Future) -> Self {
        Self { state: State::Passing { future } }
    }

    pub(super) fn deciding(
        config: Arc<Config<R>>, deciding: Deciding, permit: Option<ConnectionPermit>, ready: S,
        request: Request<ReqBody>,
    ) -> Self {
        let undecided = Undecided { config, deciding, timeout: None, permit, ready, request: Some(request) };
        Self { state: State::Deciding { undecided: Box::new(undecided) } }
    }
}

impl<S, ReqBody, R, ResBody> ResponseFuture<S, ReqBody, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: RejectionResponse<ResBody>,
{
    /// Keeps a refused handshake from the inner service.
    pub(super) fn refused(config: &Config<R>, rejection: Rejection, request: &Request<ReqBody>) -> Self {
        observe::refused(&rejection, Head::from(request));
        Self { state: State::Refused { response: Some(refuse(&config.respond, rejection)) } }
    }

    /// Hands an approved handshake to the inner service, which has to be ready.
    pub(super) fn decided(
        config: &Config<R>, decision: Result<ServerHandshake, Rejection>, permit: Option<ConnectionPermit>,
        ready: &mut S, mut request: Request<ReqBody>,
    ) -> Self {
        let server = match decision {
            Ok(server) => server,
            Err(rejection) => return Self::refused(config, rejection, &request),
        };
        // It stays in the request too, so that the extractors of others work behind this layer.
        let Some(on_upgrade) = request.extensions().get::<OnUpgrade>().cloned() else {
            let rejection = Rejection::new(RejectionKind::UpgradeUnsupported, request.version());
            return Self::refused(config, rejection, &request);
        };
        if server.has_secrets() {
            // Whoever is behind this layer could echo or log them.
            request.headers_mut().remove(SEC_WEBSOCKET_PROTOCOL);
            if let Some(offered) = server.offered_subprotocols().to_field() {
                request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, offered);
            }
        }
        let seen = observe::Approved::new(request.uri());
        let subprotocols = config.policy.known_subprotocols().cloned();
        let timeout = config.handoff_timeout;
        let way = Way { on_upgrade, permit };
        let (handoff, nested) = match Handoff::offer(server, subprotocols, timeout, seen, way, request.extensions_mut())
        {
            Ok(offered) => offered,
            Err(kind) => {
                observe::not_extracted(kind, Head::from(&request));
                return Self::refused(config, Rejection::new(kind, request.version()), &request);
            }
        };
        observe::approved(&handoff.server, request.uri());
        let future = Some(Box::pin(ready.call(request)));
        Self { state: State::Approved { approved: Approved { future, handoff, nested } } }
    }
}

impl<S, ReqBody, R, ResBody> Future for ResponseFuture<S, ReqBody, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    R: RejectionResponse<ResBody>,
    ResBody: EmptyBody,
{
    type Output = Result<Response<ResBody>, S::Error>;

    #[expect(clippy::expect_used, reason = "a future may not be polled after completion")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Passing { future } => return future.poll(cx),
                StateProj::Refused { response } => {
                    return Poll::Ready(Ok(response.take().expect("`ResponseFuture` polled after completion")));
                }
                StateProj::Approved { approved } => return approved.poll(cx),
                StateProj::Deciding { undecided } => ready!(undecided.poll(cx)),
            };
            state.set(next.state);
        }
    }
}

/// A handshake that waits for an asynchronous predicate, with the service that was ready for it.
struct Undecided<S, ReqBody, R> {
    config: Arc<Config<R>>,
    deciding: Deciding,
    timeout: Option<Pin<Box<Sleep>>>,
    permit: Option<ConnectionPermit>,
    ready: S,
    request: Option<Request<ReqBody>>,
}

impl<S, ReqBody, R> Undecided<S, ReqBody, R> {
    #[expect(clippy::expect_used, reason = "a future may not be polled after completion")]
    fn poll<ResBody>(&mut self, cx: &mut Context<'_>) -> Poll<ResponseFuture<S, ReqBody, R>>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        R: RejectionResponse<ResBody>,
    {
        let decision = match Pin::new(&mut self.deciding).poll(cx) {
            Poll::Ready(decision) => Some(decision),
            Poll::Pending => {
                let limit = self.config.decision_timeout;
                let timeout = self.timeout.get_or_insert_with(|| Box::pin(sleep(limit)));
                // A predicate that is always busy leaves nothing of this task's budget, without which no timer fires.
                ready!(pin!(unconstrained(timeout.as_mut())).poll(cx));
                None
            }
        };
        let request = self.request.take().expect("`ResponseFuture` polled after completion");
        let reject = |kind| Rejection::new(kind, request.version());
        let mut decision = decision.unwrap_or_else(|| self.deciding.give_up(reject(RejectionKind::DecisionTimedOut)));
        let is_closed = self.permit.as_ref().is_some_and(ConnectionPermit::is_closed);
        if decision.is_ok() && (is_closed || Handoff::is_closed(request.extensions())) {
            // Nobody is let in any more since it was asked.
            decision = Err(reject(RejectionKind::ServerDraining));
        }
        Poll::Ready(ResponseFuture::decided(&self.config, decision, self.permit.take(), &mut self.ready, request))
    }
}

/// The inner service at work on an approved handshake.
struct Approved<F> {
    /// Boxed, so that it can move to a task of its own; `None` once it has ended or moved.
    future: Option<Pin<Box<F>>>,
    handoff: Arc<Handoff>,
    /// Whether a layer further out has approved the handshake too: then that one opens the gate.
    nested: bool,
}

impl<F, B, E> Approved<F>
where
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: EmptyBody,
{
    #[expect(clippy::expect_used, reason = "a future may not be polled after completion")]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<B>, E>> {
        let future = self.future.as_mut().expect("`ResponseFuture` polled after completion");
        match future.as_mut().poll(cx) {
            // Where the handler's own answer and its acceptance come together, the answer stands.
            Poll::Ready(result) => {
                self.future = None;
                Poll::Ready(self.conclude(result))
            }
            Poll::Pending => match (self.handoff.accepted(cx.waker()), self.future.take()) {
                (Some(acceptance), Some(rest)) => Poll::Ready(Ok(self.go_straight_on(acceptance, rest))),
                (_, future) => {
                    self.future = future;
                    Poll::Pending
                }
            },
        }
    }

    /// The inner service has answered.
    fn conclude(&self, result: Result<Response<B>, E>) -> Result<Response<B>, E> {
        let mut response = result.inspect_err(|_| self.handoff.shut(UpgradeError::NotAnswered))?;
        if self.handoff.is_accepted_by(&mut response, self.nested) {
            if !self.nested {
                let _ = self.handoff.release();
            }
            return Ok(response);
        }
        self.handoff.shut(UpgradeError::NotAnswered);
        leave(&mut response, self.handoff.server.over_http1(), self.handoff.is_taken());
        Ok(response)
    }

    /// The handler has accepted: answers, and runs the rest of it in a task of its own.
    fn go_straight_on(&self, acceptance: Acceptance, rest: Pin<Box<F>>) -> Response<B> {
        let mut response = self.handoff.answer(acceptance);
        let rest = Rest { future: rest };
        if self.nested {
            self.handoff.mark(&mut response, Box::pin(rest) as Continuation);
        } else {
            spawn(observe::within(self.handoff.release(), rest));
        }
        response
    }
}

impl<F> Drop for Approved<F> {
    fn drop(&mut self) {
        if self.future.take().is_some() {
            self.handoff.shut(UpgradeError::ClientGone);
        }
    }
}

/// The rest of a handler that has accepted. What it returns in the end has nobody to go to.
struct Rest<F> {
    future: Pin<Box<F>>,
}

impl<F, B, E> Future for Rest<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let result = ready!(self.future.as_mut().poll(cx));
        observe::returned(result.ok().map(|response| response.status()));
        Poll::Ready(())
    }
}

impl<S, ReqBody, R> fmt::Debug for ResponseFuture<S, ReqBody, R>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
