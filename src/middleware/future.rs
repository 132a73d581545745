//! The future of [`WsHandshake`](super::WsHandshake).

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    config::Config,
    deadline::Deadline,
    handling::Handling,
    response::{EmptyBody, RejectionResponse},
    undecided::Undecided,
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
        /// A request that does not ask for a WebSocket.
        Passing { #[pin] future: S::Future },
        Refused { response: Option<S::Response> },
        Undecided { undecided: Box<Undecided<S, ReqBody, R>> },
        Handling { handling: Handling<S::Future>, config: Arc<Config<R>>, deadline: Deadline },
    }
}

impl<S, ReqBody, R> ResponseFuture<S, ReqBody, R>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn passing(future: S::Future) -> Self {
        Self { state: State::Passing { future } }
    }

    pub(super) fn refused(response: S::Response) -> Self {
        Self { state: State::Refused { response: Some(response) } }
    }

    pub(super) fn undecided(undecided: Undecided<S, ReqBody, R>) -> Self {
        Self { state: State::Undecided { undecided: Box::new(undecided) } }
    }

    pub(super) fn decided(outcome: Result<Handling<S::Future>, S::Response>, config: &Arc<Config<R>>) -> Self {
        match outcome {
            Ok(handling) => {
                let (config, deadline) = (Arc::clone(config), Deadline::default());
                Self { state: State::Handling { handling, config, deadline } }
            }
            Err(refusal) => Self::refused(refusal),
        }
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
                StateProj::Handling { handling, config, deadline } => return handle(handling, config, deadline, cx),
                StateProj::Undecided { undecided } => match ready!(undecided.poll(cx)) {
                    Ok(handling) => {
                        let (config, deadline) = (Arc::clone(undecided.config()), undecided.take_answer_deadline());
                        State::Handling { handling, config, deadline }
                    }
                    Err(refusal) => return Poll::Ready(Ok(refusal)),
                },
            };
            state.set(next);
        }
    }
}

/// Returns the inner service's response, or the layer's response if the inner service is too late. Not part of `poll`, so that plain
/// requests do not pay for this code.
#[inline(never)]
fn handle<F, R, B, E>(
    handling: &mut Handling<F>, config: &Config<R>, deadline: &mut Deadline, cx: &mut Context<'_>,
) -> Poll<Result<Response<B>, E>>
where
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    R: RejectionResponse<B>,
    B: EmptyBody,
{
    let polled = handling.poll(cx, config);
    if polled.is_pending() && deadline.poll(config.answer_timeout, cx).is_ready() {
        return Poll::Ready(Ok(handling.give_up(config)));
    }
    polled
}

impl<S, ReqBody, R> fmt::Debug for ResponseFuture<S, ReqBody, R>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
