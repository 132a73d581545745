//! The gate between the answer and the stream.
//!
//! hyper hands an HTTP/1.1 connection over after *any* answer once the connection is closing: that its `OnUpgrade` has
//! resolved does not prove that a 101 was sent. So nobody polls `OnUpgrade` until the layer itself has passed on the very
//! answer that accepts this handshake. Any other answer shuts the gate for good.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{Extensions, Response};
use hyper::upgrade::OnUpgrade;

use super::{
    acceptance::{Acceptance, Agreed},
    upgrade_error::UpgradeError,
};
use crate::{
    connections::{Closing, ConnectionId, ConnectionPermit, Connections, Membership, replace_waker},
    handshake::{Origin, RejectionKind, ServerHandshake},
    observe::{ConnectionRecord, ConnectionSpan, PendingSpan, events, within},
    policy::Subprotocols,
    sync::{Mutex, MutexGuard, lock},
};

/// One approved handshake, shared by the layer that answers it and the handler that accepts it.
pub(super) struct Handoff {
    pub(super) id: ConnectionId,
    pub(super) server: ServerHandshake,
    pub(super) subprotocols: Option<Subprotocols>,
    pub(super) timeout: Duration,
    span: PendingSpan,
    gate: Mutex<Gate>,
}

struct Gate {
    state: State,
    /// Gone once the gate is shut, or the stream has been taken through it.
    upgrade: Option<Upgrade>,
    taken: Taken,
    /// The task that polls the inner service, to be woken once a handler accepts.
    layer: Option<Waker>,
    /// The task that awaits the acceptance, to be woken once it is answered.
    handler: Option<Waker>,
}

/// What lies behind the gate.
pub(super) struct Upgrade {
    pub(super) on_upgrade: OnUpgrade,
    pub(super) permit: Option<ConnectionPermit>,
}

/// What has been extracted from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Nothing,
    /// The handshake, by a handler or a layer further in.
    Handshake,
    /// The permit alone: the handler uses another extractor.
    Permit,
}

enum State {
    /// No handler has said anything.
    Pending,
    /// A handler accepts, and its layer has yet to answer.
    Requested(Acceptance),
    /// The layer is answering a handler that accepts.
    Responding,
    /// The answer is on its way out, and the continuation runs once it has left.
    RespondingWith(Continuation),
    /// A layer further in has taken over.
    Delegated(Arc<Handoff>),
    Released,
    Failed(UpgradeError),
}

/// What runs behind an answer: the callback of `on_upgrade`, or the rest of a handler that accepted.
///
/// It begins by asking for the [`verdict`](Handoff::verdict).
pub(super) type Continuation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the layer leaves an approved handshake for a handler, in the request's extensions.
#[derive(Clone)]
struct Slot(Arc<Handoff>);

/// Marks the answer that accepts a handshake, in the response's extensions.
#[derive(Clone)]
struct Mark(Arc<Handoff>);

/// # The side of the handler
impl Handoff {
    /// Takes the approved handshake of a request; `None` if no layer has left one.
    pub(super) fn take(extensions: &Extensions) -> Option<Result<Arc<Self>, RejectionKind>> {
        let Slot(handoff) = extensions.get()?;
        let taken = handoff.lock().take();
        Some(taken.map(|()| Arc::clone(handoff)))
    }

    /// Takes the permit of a request whose handshake another extractor takes; `None` if no layer has left a handshake.
    pub(super) fn take_permit(extensions: &Extensions) -> Option<Result<ConnectionPermit, RejectionKind>> {
        let Slot(handoff) = extensions.get()?;
        Some(handoff.lock().take_permit())
    }

    /// Marks `response` as the one that accepts this handshake, with what is to run once it has left.
    pub(super) fn mark<B>(self: &Arc<Self>, response: &mut Response<B>, continuation: Continuation) {
        let mut gate = self.lock();
        if let State::Failed(_) = gate.state {
            // Too late: the request has had another answer. The continuation finds that out.
            drop(gate);
            spawn(within(None, continuation));
            return;
        }
        gate.state = State::RespondingWith(continuation);
        drop(gate);
        response.extensions_mut().insert(Mark(Arc::clone(self)));
    }

    /// Whether the connection may be taken over; `None` while the answer is still out.
    pub(super) fn verdict(&self) -> Option<Result<Upgrade, UpgradeError>> {
        self.lock().verdict()
    }

    /// Whether the request has had another answer, or none.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.lock().state, State::Failed(_))
    }

    /// The path of the request, where somebody looks.
    pub(super) fn path(&self) -> Option<&str> {
        self.span.path()
    }

    /// There is a stream: begins the record of its connection.
    pub(super) fn open_record(&self, agreed: &Agreed, permit: Option<&ConnectionPermit>) -> ConnectionRecord {
        let origin = || self.server.origin().map(Origin::as_str);
        let closing = || permit.map_or_else(Closing::never, ConnectionPermit::closing);
        self.span.open(origin, self.server.http_version(), || agreed.subprotocol(), closing)
    }
}

/// # The side of the layer
impl Handoff {
    pub(super) fn new(
        id: ConnectionId, server: ServerHandshake, subprotocols: Option<Subprotocols>, timeout: Duration,
        span: PendingSpan, upgrade: Upgrade,
    ) -> Self {
        let gate =
            Gate { state: State::Pending, upgrade: Some(upgrade), taken: Taken::Nothing, layer: None, handler: None };
        Self { id, server, subprotocols, timeout, span, gate: Mutex::new(gate) }
    }

    /// What a handler that accepts wants answered, if one does; else `layer` is woken when one does.
    pub(super) fn accepted(&self, layer: &Waker) -> Option<Acceptance> {
        let mut gate = self.lock();
        match mem::replace(&mut gate.state, State::Responding) {
            State::Requested(acceptance) => return Some(acceptance),
            state => gate.state = state,
        }
        let before = replace_waker(&mut gate.layer, layer);
        drop(gate);
        drop(before);
        None
    }

    /// Whether `response` is the one that accepts this handshake. The mark goes, unless it is to be `kept`.
    pub(super) fn is_accepted_by<B>(self: &Arc<Self>, response: &mut Response<B>, kept: bool) -> bool {
        let innermost = self.innermost();
        let marked = response.extensions().get::<Mark>().is_some_and(|mark| Arc::ptr_eq(&mark.0, &innermost));
        if !kept {
            response.extensions_mut().remove::<Mark>();
        }
        marked && response.status() == innermost.server.status()
    }

    /// Whether a handler has had the handshake, accepted or not.
    pub(super) fn is_taken(self: &Arc<Self>) -> bool {
        self.innermost().lock().taken == Taken::Handshake
    }

    /// Warns, once for its connections, if nobody has taken the permit of a handshake that another extractor accepts.
    ///
    /// Over HTTP/2 the answer of an extractor looks like the bare 200 of a handler that knows nothing of handshakes. So that
    /// a stray request does not use the warning up, each version of HTTP has its own.
    pub(super) fn warn_of_unclaimed_permit(self: &Arc<Self>) {
        let innermost = self.innermost();
        let gate = innermost.lock();
        let permit = gate.upgrade.as_ref().and_then(|upgrade| upgrade.permit.as_ref());
        let surely = innermost.server.over_http1();
        let is_unclaimed = gate.taken == Taken::Nothing;
        let is_first = is_unclaimed && permit.is_some_and(|permit| permit.is_first_unclaimed(surely));
        drop(gate);
        if is_first {
            events::permit_unclaimed(innermost.id, innermost.span.path());
        }
    }

    /// Opens the gate: the layer is passing the answer on. Runs what waits behind it, and gives the span for what else is
    /// to run.
    pub(super) fn release(&self) -> Option<ConnectionSpan> {
        self.settle(State::Released)
    }

    /// Shuts the gate: the request has another answer, or none.
    pub(super) fn fail(&self, error: UpgradeError) {
        let _ = self.settle(State::Failed(error));
    }

    /// Gives the verdict to the handler, through whatever layers have taken over further in.
    fn settle(&self, verdict: State) -> Option<ConnectionSpan> {
        let mut gate = self.lock();
        if matches!(gate.state, State::Released | State::Failed(_)) {
            return None;
        }
        if let State::Delegated(inner) = &gate.state {
            let inner = Arc::clone(inner);
            drop(gate);
            return inner.settle(verdict);
        }
        let failed = matches!(verdict, State::Failed(_));
        let before = mem::replace(&mut gate.state, verdict);
        let handler = gate.handler.take();
        // Wakers, IO and permits are foreign code: they are dropped once the lock is gone.
        let _dropped = (gate.layer.take(), if failed { gate.upgrade.take() } else { None });
        drop(gate);
        // A subscriber may panic: the handler is woken all the same.
        let wake = WakeOnDrop(handler);
        let span = if failed { None } else { self.begin_span() };
        drop(wake);
        if let State::RespondingWith(continuation) = before {
            spawn(within(span.clone(), continuation));
        }
        span
    }

    fn begin_span(&self) -> Option<ConnectionSpan> {
        self.span.begin(|| self.server.origin().map(Origin::as_str), self.server.http_version())
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        // Nothing foreign is woken or dropped under it.
        lock(&self.gate)
    }
}

/// # Nested layers
///
/// Where layers stand one inside the other, each has a `Handoff` of its own. The inner one takes the place of the outer one
/// in the request, so that a handler gets the inner one; the outer one is `Delegated` to it, and its permit moves along. The
/// outermost layer opens the gate, because an answer counts once it has passed all layers: its verdict goes through to the
/// innermost `Handoff`. An inner layer leaves the mark in the response for the layers outside.
impl Handoff {
    /// Leaves an approved handshake in `extensions`, in the place of one that a layer further out has left there.
    ///
    /// The second value says whether there was one. If that has been handed out before, nobody could open this gate: the
    /// handshake is extracted a second time.
    pub(super) fn offer(mut self, extensions: &mut Extensions) -> Result<(Arc<Self>, bool), RejectionKind> {
        let outer = extensions.get::<Slot>().map(|slot| Arc::clone(&slot.0));
        if let Some(outer) = &outer {
            self.server.follow(&outer.server);
        }
        let handoff = Arc::new(self);
        if let Some(outer) = &outer {
            let mut gate = outer.lock();
            gate.take()?;
            // The permit goes where the stream will be.
            handoff.adopt(gate.upgrade.as_mut().and_then(|upgrade| upgrade.permit.take()));
            if let State::Failed(error) = gate.state {
                // The request has been answered while it was still on its way in.
                drop(gate);
                handoff.fail(error);
            } else {
                gate.state = State::Delegated(Arc::clone(&handoff));
            }
        }
        extensions.insert(Slot(Arc::clone(&handoff)));
        Ok((handoff, outer.is_some()))
    }

    /// Holds the permit of a layer further out too.
    fn adopt(&self, outer: Option<ConnectionPermit>) {
        if let Some(upgrade) = &mut self.lock().upgrade {
            upgrade.permit = match upgrade.permit.take() {
                Some(permit) => Some(permit.with_outer(outer)),
                None => outer,
            };
        }
    }

    /// How a request that a layer further out has approved stands with `connections`.
    pub(super) fn membership(extensions: &Extensions, connections: &Connections) -> Option<Membership> {
        let Slot(outer) = extensions.get()?;
        let gate = outer.lock();
        let permit = gate.upgrade.as_ref()?.permit.as_ref();
        Some(permit.map_or_else(|| Membership::none(outer.id), |permit| connections.membership(permit)))
    }

    /// The id of a request that a layer further out has approved.
    pub(super) fn id(extensions: &Extensions) -> Option<ConnectionId> {
        extensions.get().map(|Slot(outer)| outer.id)
    }

    /// Whether a layer further out has approved the request for connections that take no more by now.
    pub(super) fn is_closed(extensions: &Extensions) -> bool {
        let Some(Slot(outer)) = extensions.get() else { return false };
        let gate = outer.lock();
        gate.upgrade.as_ref().and_then(|upgrade| upgrade.permit.as_ref()).is_some_and(ConnectionPermit::is_closed)
    }

    fn innermost(self: &Arc<Self>) -> Arc<Self> {
        let mut handoff = Arc::clone(self);
        loop {
            let inner = match &handoff.lock().state {
                State::Delegated(inner) => Arc::clone(inner),
                _ => break,
            };
            handoff = inner;
        }
        handoff
    }
}

impl Gate {
    fn verdict(&mut self) -> Option<Result<Upgrade, UpgradeError>> {
        match self.state {
            State::Released => Some(self.upgrade.take().ok_or(UpgradeError::NotAnswered)),
            State::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }

    fn take(&mut self) -> Result<(), RejectionKind> {
        match self.taken {
            Taken::Nothing => {
                self.taken = Taken::Handshake;
                Ok(())
            }
            Taken::Handshake => Err(RejectionKind::UpgradeTaken),
            Taken::Permit => Err(RejectionKind::PermitTaken),
        }
    }

    fn take_permit(&mut self) -> Result<ConnectionPermit, RejectionKind> {
        if self.taken != Taken::Nothing {
            return Err(RejectionKind::PermitTaken);
        }
        // The request was given up on its way in: no handler is at fault, and nobody reads the answer.
        let upgrade = self.upgrade.as_mut().ok_or(RejectionKind::HandshakeMissing)?;
        let permit = upgrade.permit.take().ok_or(RejectionKind::ConnectionsMissing)?;
        self.taken = Taken::Permit;
        Ok(permit)
    }
}

/// A handler's acceptance on its way to the layer, and the verdict on its way back.
///
/// Dropped before its answer has been given, it is withdrawn, and the handler may still answer otherwise.
pub(super) struct Accept {
    handoff: Arc<Handoff>,
    acceptance: Option<Acceptance>,
}

impl Accept {
    pub(super) fn new(handoff: Arc<Handoff>, acceptance: Acceptance) -> Self {
        Self { handoff, acceptance: Some(acceptance) }
    }
}

impl Future for Accept {
    type Output = Result<Upgrade, UpgradeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { handoff, acceptance } = &mut *self;
        let mut gate = handoff.lock();
        if let Some(verdict) = gate.verdict() {
            return Poll::Ready(verdict);
        }
        let before = replace_waker(&mut gate.handler, cx.waker());
        let layer = acceptance.take().and_then(|acceptance| {
            gate.state = State::Requested(acceptance);
            gate.layer.take()
        });
        drop(gate);
        drop(before);
        // Also where it is this very task: the layer may have been polled before this was.
        if let Some(layer) = layer {
            layer.wake();
        }
        Poll::Pending
    }
}

impl Drop for Accept {
    fn drop(&mut self) {
        let mut gate = self.handoff.lock();
        let withdrawn = match gate.state {
            State::Requested(_) => Some(mem::replace(&mut gate.state, State::Pending)),
            _ => None,
        };
        // Once the acceptance has been handed over, nobody else will come for the stream.
        let abandoned = if self.acceptance.is_none() { gate.upgrade.take() } else { None };
        drop(gate);
        // Foreign code is dropped once the lock is gone.
        drop((withdrawn, abandoned));
    }
}

/// Wakes a task when it is dropped.
struct WakeOnDrop(Option<Waker>);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

/// Runs a future in a task of its own.
pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(future)),
        Err(_) => events::no_runtime(),
    }
}

#[cfg(all(test, ws_loom))]
mod models;
