//! The steps from a handler's acceptance to its stream.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{
    acceptance::{Acceptance, Agreed},
    deadline::Deadline,
    handoff::{Accept, Handoff, Upgrade},
    stream::WsStream,
    upgrade_error::UpgradeError,
};

/// Accepts a handshake and resolves to its stream: the future of [`WsUpgrade::accept`](super::WsUpgrade::accept).
///
/// Every handler that calls `accept` contains this future for as long as the handler runs. So the future is small, and never holds the
/// data of two steps at once.
pub(super) struct Accepting(Step);

enum Step {
    /// The layer has not answered yet.
    Asking {
        accept: Accept,
        handoff: Arc<Handoff>,
        agreed: Agreed,
    },
    TakingOver(TakeOver),
    Done,
}

impl Accepting {
    pub(super) fn new(handoff: Arc<Handoff>, acceptance: Acceptance) -> Self {
        let agreed = acceptance.agreed.clone();
        Self(Step::Asking { accept: Accept::new(Arc::clone(&handoff), acceptance), handoff, agreed })
    }
}

impl Future for Accepting {
    type Output = Result<WsStream, UpgradeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Step::Asking { accept, .. } = &mut self.0 {
            let upgrade = ready!(Pin::new(accept).poll(cx));
            // `accept` is dropped here, with any outcome.
            if let Step::Asking { handoff, agreed, .. } = mem::replace(&mut self.0, Step::Done) {
                self.0 = Step::TakingOver(TakeOver::new(upgrade?, handoff, agreed));
            }
        }
        match &mut self.0 {
            Step::TakingOver(take_over) => Pin::new(take_over).poll(cx),
            _ => Poll::Ready(Err(UpgradeError::NotAnswered)),
        }
    }
}

/// Waits for hyper to hand over the connection, after the layer has passed the response on.
pub(super) struct TakeOver {
    upgrade: Upgrade,
    handoff: Arc<Handoff>,
    agreed: Agreed,
    deadline: Deadline,
}

impl TakeOver {
    pub(super) fn new(upgrade: Upgrade, handoff: Arc<Handoff>, agreed: Agreed) -> Self {
        Self { upgrade, handoff, agreed, deadline: Deadline::default() }
    }
}

impl Future for TakeOver {
    type Output = Result<WsStream, UpgradeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { upgrade, handoff, agreed, deadline } = &mut *self;
        let upgraded = match Pin::new(&mut upgrade.on_upgrade).poll(cx) {
            Poll::Ready(upgraded) => upgraded.map_err(|error| UpgradeError::from_hyper(&error))?,
            Poll::Pending => {
                ready!(deadline.poll(handoff.timeout, cx));
                return Poll::Ready(Err(UpgradeError::TimedOut));
            }
        };
        let permit = upgrade.permit.take();
        let record = handoff.open_record(agreed, permit.as_ref());
        Poll::Ready(Ok(WsStream::new(upgraded, handoff.server.over_http1(), mem::take(agreed), permit, record)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_carries_little_for_its_acceptance() {
        assert!(size_of::<Accepting>() <= 128, "{} bytes", size_of::<Accepting>());
    }
}
