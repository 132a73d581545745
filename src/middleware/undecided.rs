//! A handshake that waits for an asynchronous predicate.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use tower_service::Service;

use super::{config::Config, deadline::Deadline, handling::Handling, handoff::Handoff, response::RejectionResponse};
use crate::{
    connections::ConnectionPermit,
    handshake::{Rejection, RejectionKind},
    policy::Deciding,
};

/// A handshake that waits for an asynchronous predicate, with the service that was ready for it.
pub(super) struct Undecided<S, ReqBody, R> {
    config: Arc<Config<R>>,
    deciding: Deciding,
    /// The deadline of the decision.
    deadline: Deadline,
    /// The deadline of the response, which also limits the handler.
    answer_deadline: Deadline,
    permit: Option<ConnectionPermit>,
    ready: S,
    request: Option<Request<ReqBody>>,
}

impl<S, ReqBody, R> Undecided<S, ReqBody, R> {
    pub(super) fn new(
        config: Arc<Config<R>>, deciding: Deciding, permit: Option<ConnectionPermit>, ready: S,
        request: Request<ReqBody>,
    ) -> Self {
        Self {
            config,
            deciding,
            deadline: Deadline::default(),
            answer_deadline: Deadline::default(),
            permit,
            ready,
            request: Some(request),
        }
    }

    pub(super) fn config(&self) -> &Arc<Config<R>> {
        &self.config
    }

    pub(super) fn take_answer_deadline(&mut self) -> Deadline {
        mem::take(&mut self.answer_deadline)
    }

    /// Returns the outcome of the decision: the inner service, which handles the handshake, or the refusal.
    #[expect(clippy::expect_used, reason = "a future may not be polled after completion")]
    pub(super) fn poll<ResBody>(&mut self, cx: &mut Context<'_>) -> Poll<Result<Handling<S::Future>, Response<ResBody>>>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        R: RejectionResponse<ResBody>,
    {
        let decision = match Pin::new(&mut self.deciding).poll(cx) {
            Poll::Ready(decision) => Some(decision),
            Poll::Pending => {
                let Config { decision_timeout, answer_timeout, .. } = *self.config;
                if self.answer_deadline.poll(answer_timeout, cx).is_pending() {
                    ready!(self.deadline.poll(decision_timeout, cx));
                }
                None
            }
        };
        let request = self.request.take().expect("`ResponseFuture` polled after completion");
        let reject = |kind| Rejection::new(kind, request.version());
        let mut decision = decision.unwrap_or_else(|| self.deciding.give_up(reject(RejectionKind::DecisionTimedOut)));
        let is_closed = self.permit.as_ref().is_some_and(ConnectionPermit::is_closed);
        if decision.is_ok() && (is_closed || Handoff::is_closed(request.extensions())) {
            // The connections were closed to new handshakes while the predicate decided.
            decision = Err(reject(RejectionKind::ServerDraining));
        }
        Poll::Ready(Handling::start(&self.config, decision, self.permit.take(), &mut self.ready, request))
    }
}
