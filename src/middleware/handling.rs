//! Runs the inner service on an approved handshake.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, header::SEC_WEBSOCKET_PROTOCOL};
use hyper::upgrade::OnUpgrade;
use tower_service::Service;

use super::{
    acceptance::Acceptance,
    config::Config,
    handoff::{Continuation, Handoff, Upgrade, spawn},
    report,
    response::{EmptyBody, RejectionResponse, close_unaccepted, is_foreign_acceptance, refuse, rejection_response},
    upgrade_error::UpgradeError,
};
use crate::{
    connections::{ConnectionId, ConnectionPermit},
    handshake::{Rejection, RejectionKind, ServerHandshake, client::RequestHead},
    observe::{PendingSpan, events, within},
};

/// The inner service's future, which handles an approved handshake.
pub(super) struct Handling<F> {
    /// Boxed, so that the future can move to its own task. `None` after the future has ended or moved.
    future: Option<Pin<Box<F>>>,
    handoff: Arc<Handoff>,
    /// Whether an outer layer has approved the handshake too. If so, the outer layer opens the gate.
    nested: bool,
}

impl<F> Handling<F> {
    /// Passes an approved handshake to the inner service, which has to be ready.
    ///
    /// # Errors
    ///
    /// Returns the refusal, if the handshake was not approved or cannot be handed over.
    pub(super) fn start<S, R, ReqBody, ResBody>(
        config: &Config<R>, decision: Result<ServerHandshake, Rejection>, permit: Option<ConnectionPermit>,
        ready: &mut S, mut request: Request<ReqBody>,
    ) -> Result<Self, Response<ResBody>>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>, Future = F>,
        R: RejectionResponse<ResBody>,
    {
        let (handoff, nested) = match hand_over(config, decision, permit, &mut request) {
            Ok(offered) => offered,
            Err(rejection) => return Err(refuse(&config.respond, rejection, RequestHead::from(&request))),
        };
        report::handshake_approved(handoff.id, &handoff.server, request.uri());
        // A service that does its work in `call` may panic there.
        let shut = FailOnDrop(&handoff);
        let future = Box::pin(ready.call(request));
        mem::forget(shut);
        Ok(Self { future: Some(future), handoff, nested })
    }
}

/// Puts an approved handshake into the request, for a handler to take.
fn hand_over<R, B>(
    config: &Config<R>, decision: Result<ServerHandshake, Rejection>, permit: Option<ConnectionPermit>,
    request: &mut Request<B>,
) -> Result<(Arc<Handoff>, bool), Rejection> {
    let server = decision?;
    let version = request.version();
    // `OnUpgrade` stays in the request too, so that other extractors work behind this layer.
    let on_upgrade = request.extensions().get::<OnUpgrade>().cloned();
    let on_upgrade = on_upgrade.ok_or_else(|| Rejection::new(RejectionKind::UpgradeUnsupported, version))?;
    if let Some(before) = server.offered_before() {
        // The inner service could echo or log the secrets.
        request.headers_mut().remove(SEC_WEBSOCKET_PROTOCOL);
        if let Some(offered) = server.offered_subprotocols().to_field() {
            request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, offered);
        }
        request.extensions_mut().insert(before);
    }
    let id = permit.as_ref().map(ConnectionPermit::id).or_else(|| Handoff::id(request.extensions()));
    let id = id.unwrap_or_else(ConnectionId::next);
    let handoff = Handoff::new(
        id,
        server,
        config.policy.known_subprotocols().cloned(),
        config.handoff_timeout,
        PendingSpan::new(id, request.uri().path(), permit.is_some()),
        Upgrade { on_upgrade, permit },
    );
    handoff.offer(request.extensions_mut()).map_err(|kind| {
        report::not_extracted(kind, RequestHead::from(&*request));
        Rejection::new(kind, version)
    })
}

impl<F, B, E> Handling<F>
where
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: EmptyBody,
{
    #[expect(clippy::expect_used, reason = "a future may not be polled after completion")]
    pub(super) fn poll<R>(&mut self, cx: &mut Context<'_>, config: &Config<R>) -> Poll<Result<Response<B>, E>>
    where
        R: RejectionResponse<B>,
    {
        let future = self.future.as_mut().expect("`ResponseFuture` polled after completion");
        match future.as_mut().poll(cx) {
            // If the handler accepts and returns a response in the same poll, the handler's response counts.
            Poll::Ready(result) => {
                self.drop_future();
                Poll::Ready(self.conclude(result, config))
            }
            Poll::Pending => match (self.handoff.accepted(cx.waker()), self.future.take()) {
                (Some(acceptance), Some(rest)) => Poll::Ready(Ok(self.go_straight_on(acceptance, rest, config))),
                (_, future) => {
                    self.future = future;
                    Poll::Pending
                }
            },
        }
    }

    /// Called when the inner service has not answered in time.
    pub(super) fn give_up<R>(&mut self, config: &Config<R>) -> Response<B>
    where
        R: RejectionResponse<B>,
    {
        self.drop_future();
        self.refuse(RejectionKind::AnswerTimedOut, UpgradeError::NotAnswered, config)
    }

    /// Called when the inner service has answered.
    fn conclude<R>(&self, result: Result<Response<B>, E>, config: &Config<R>) -> Result<Response<B>, E>
    where
        R: RejectionResponse<B>,
    {
        let mut response = result.inspect_err(|_| self.handoff.fail(UpgradeError::NotAnswered))?;
        if self.handoff.is_accepted_by(&mut response, self.nested) {
            if config.is_closed() {
                return Ok(self.refuse(RejectionKind::ServerDraining, UpgradeError::ServerDraining, config));
            }
            if !self.nested {
                let _ = self.handoff.release();
            }
            return Ok(response);
        }
        let over_http1 = self.handoff.server.over_http1();
        if is_foreign_acceptance(&response, over_http1, self.handoff.is_taken()) {
            // Also if the connections are closed: hyper would hand over the connection after a refusal too.
            self.handoff.warn_of_unclaimed_permit();
            self.handoff.fail(UpgradeError::NotAnswered);
            return Ok(response);
        }
        self.handoff.fail(UpgradeError::NotAnswered);
        close_unaccepted(self.handoff.id, &mut response, over_http1);
        Ok(response)
    }

    /// Called when the handler has accepted. Answers, and runs the rest of the handler in its own task.
    fn go_straight_on<R>(&self, acceptance: Acceptance, rest: Pin<Box<F>>, config: &Config<R>) -> Response<B>
    where
        R: RejectionResponse<B>,
    {
        let rest = RestOfHandler::new(rest, &self.handoff);
        if config.is_closed() {
            let refusal = self.refuse(RejectionKind::ServerDraining, UpgradeError::ServerDraining, config);
            spawn(within(None, rest));
            return refusal;
        }
        let mut response = acceptance.into_response(&self.handoff.server);
        if self.nested {
            self.handoff.mark(&mut response, Box::pin(rest) as Continuation);
        } else {
            spawn(within(self.handoff.release(), rest));
        }
        response
    }

    /// Refuses a handshake that was approved. A handler that accepts the handshake gets the error.
    fn refuse<R>(&self, kind: RejectionKind, error: UpgradeError, config: &Config<R>) -> Response<B>
    where
        R: RejectionResponse<B>,
    {
        self.handoff.fail(error);
        let rejection = Rejection::new(kind, self.handoff.server.version());
        report::approved_handshake_refused(&rejection, &self.handoff);
        rejection_response(&config.respond, rejection)
    }
}

impl<F> Handling<F> {
    /// Drops the future. A destructor in the future may panic: then there is no response, and the gate is closed.
    ///
    /// Not part of `Drop`, so that plain requests do not pay for the stack space of this code.
    #[inline(never)]
    fn drop_future(&mut self) {
        let shut = FailOnDrop(&self.handoff);
        drop(self.future.take());
        mem::forget(shut);
    }
}

impl<F> Drop for Handling<F> {
    fn drop(&mut self) {
        if self.future.is_some() {
            self.drop_future();
            self.handoff.fail(UpgradeError::ConnectionClosed);
        }
    }
}

/// Closes the gate when dropped.
struct FailOnDrop<'a>(&'a Handoff);

impl Drop for FailOnDrop<'_> {
    fn drop(&mut self) {
        self.0.fail(UpgradeError::ConnectionClosed);
    }
}

/// The rest of a handler that has accepted. Nobody uses its result.
struct RestOfHandler<F> {
    id: ConnectionId,
    future: Pin<Box<F>>,
    /// The handshake, until the rest of the handler starts.
    handoff: Option<Arc<Handoff>>,
    /// Whether the handshake was refused although the handler accepts it.
    refused: bool,
}

impl<F> RestOfHandler<F> {
    fn new(future: Pin<Box<F>>, handoff: &Arc<Handoff>) -> Self {
        Self { id: handoff.id, future, handoff: Some(Arc::clone(handoff)), refused: false }
    }
}

impl<F, B, E> Future for RestOfHandler<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(handoff) = self.handoff.take() {
            self.refused = handoff.has_failed();
        }
        let result = ready!(self.future.as_mut().poll(cx));
        let status = result.ok().map(|response| response.status().as_u16());
        if self.refused {
            events::refused_handler_returned(self.id, status);
        } else {
            events::handler_returned(self.id, status);
        }
        Poll::Ready(())
    }
}
