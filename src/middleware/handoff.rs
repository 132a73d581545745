//! The gate between the response and the stream.
//!
//! While an HTTP/1.1 connection is closing, hyper hands it over after *any* response. So a resolved `OnUpgrade` does not prove that a 101
//! was sent. Therefore no code polls `OnUpgrade` until the layer itself has passed on the response that accepts this handshake. Any other
//! response closes the gate for good.

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
    /// `None` after the gate is closed, or after the stream has been taken.
    upgrade: Option<Upgrade>,
    taken: Taken,
    /// The task that polls the inner service, woken when a handler accepts.
    layer: Option<Waker>,
    /// The task that awaits the acceptance, woken when the layer has answered.
    handler: Option<Waker>,
}

/// The connection and the permit that the gate protects.
pub(super) struct Upgrade {
    pub(super) on_upgrade: OnUpgrade,
    pub(super) permit: Option<ConnectionPermit>,
}

/// What has been extracted from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Nothing,
    /// The handshake, taken by a handler or an inner layer.
    Handshake,
    /// The permit alone: the handler uses another extractor.
    Permit,
}

enum State {
    /// No handler has accepted yet.
    Pending,
    /// A handler accepts, and its layer has not answered yet.
    Requested(Acceptance),
    /// The layer is answering a handler that accepts.
    Responding,
    /// The layer is passing the response on. The continuation runs after that.
    RespondingWith(Continuation),
    /// An inner layer has taken over.
    Delegated(Arc<Handoff>),
    Released,
    Failed(UpgradeError),
}

/// Runs after a response: the callback of `on_upgrade`, or the rest of a handler that accepted.
///
/// A continuation first asks for the [`verdict`](Handoff::verdict).
pub(super) type Continuation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Holds an approved handshake for a handler, in the request's extensions.
#[derive(Clone)]
struct Slot(Arc<Handoff>);

/// Marks the response that accepts a handshake, in the response's extensions.
#[derive(Clone)]
struct Mark(Arc<Handoff>);

/// # Called by the handler
impl Handoff {
    /// Takes the approved handshake of a request. Returns `None` if no layer has approved one.
    pub(super) fn take(extensions: &Extensions) -> Option<Result<Arc<Self>, RejectionKind>> {
        let Slot(handoff) = extensions.get()?;
        let taken = handoff.lock().take();
        Some(taken.map(|()| Arc::clone(handoff)))
    }

    /// Takes the permit of a request whose handshake another extractor takes. Returns `None` if no layer has approved a handshake.
    pub(super) fn take_permit(extensions: &Extensions) -> Option<Result<ConnectionPermit, RejectionKind>> {
        let Slot(handoff) = extensions.get()?;
        Some(handoff.lock().take_permit())
    }

    /// Marks `response` as the one that accepts this handshake. `continuation` runs after the layer has passed the response on.
    pub(super) fn mark<B>(self: &Arc<Self>, response: &mut Response<B>, continuation: Continuation) {
        let mut gate = self.lock();
        if let State::Failed(_) = gate.state {
            // Too late: the request has had another response. The continuation finds that out.
            drop(gate);
            spawn(within(None, continuation));
            return;
        }
        gate.state = State::RespondingWith(continuation);
        drop(gate);
        response.extensions_mut().insert(Mark(Arc::clone(self)));
    }

    /// Whether the handler may take over the connection. Returns `None` until the layer has passed on a response.
    pub(super) fn verdict(&self) -> Option<Result<Upgrade, UpgradeError>> {
        self.lock().verdict()
    }

    /// Whether the request got another response, or none.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.lock().state, State::Failed(_))
    }

    /// The path of the request, if a subscriber is interested.
    pub(super) fn path(&self) -> Option<&str> {
        self.span.path()
    }

    /// Starts the connection's record, when there is a stream.
    pub(super) fn open_record(&self, agreed: &Agreed, permit: Option<&ConnectionPermit>) -> ConnectionRecord {
        let origin = || self.server.origin().map(Origin::as_str);
        let closing = || permit.map_or_else(Closing::never, ConnectionPermit::closing);
        self.span.open(origin, self.server.http_version(), || agreed.subprotocol(), closing)
    }
}

/// # Called by the layer
impl Handoff {
    pub(super) fn new(
        id: ConnectionId, server: ServerHandshake, subprotocols: Option<Subprotocols>, timeout: Duration,
        span: PendingSpan, upgrade: Upgrade,
    ) -> Self {
        let gate =
            Gate { state: State::Pending, upgrade: Some(upgrade), taken: Taken::Nothing, layer: None, handler: None };
        Self { id, server, subprotocols, timeout, span, gate: Mutex::new(gate) }
    }

    /// Returns the acceptance of a handler that accepts. If none accepts yet, `layer` is woken when one does.
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

    /// Whether `response` is the one that accepts this handshake. Removes the mark, unless `kept` is set.
    pub(super) fn is_accepted_by<B>(self: &Arc<Self>, response: &mut Response<B>, kept: bool) -> bool {
        let innermost = self.innermost();
        let marked = response.extensions().get::<Mark>().is_some_and(|mark| Arc::ptr_eq(&mark.0, &innermost));
        if !kept {
            response.extensions_mut().remove::<Mark>();
        }
        marked && response.status() == innermost.server.status()
    }

    /// Whether a handler has taken the handshake, accepted or not.
    pub(super) fn is_taken(self: &Arc<Self>) -> bool {
        self.innermost().lock().taken == Taken::Handshake
    }

    /// Warns once for its connections, if no handler has taken the permit of a handshake that another extractor accepts.
    ///
    /// Over HTTP/2, the response of an extractor looks like a bare 200 of a handler that does not know about handshakes. Each HTTP version
    /// has its own warning, so that a stray request over HTTP/2 does not use up the warning for HTTP/1.1.
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

    /// Opens the gate, because the layer is passing the response on. Runs the continuation, and returns the span for other code that has
    /// to run.
    pub(super) fn release(&self) -> Option<ConnectionSpan> {
        self.settle(State::Released)
    }

    /// Closes the gate, because the request got another response, or none.
    pub(super) fn fail(&self, error: UpgradeError) {
        let _ = self.settle(State::Failed(error));
    }

    /// Passes the verdict to the handler, through all inner layers that have taken over.
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
        // Wakers, IO and permits run foreign code when dropped, so they are dropped after the lock is released.
        let _dropped = (gate.layer.take(), if failed { gate.upgrade.take() } else { None });
        drop(gate);
        // A subscriber may panic. The handler is then woken too.
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
        // No foreign code is woken or dropped under this lock.
        lock(&self.gate)
    }
}

/// # Nested layers
///
/// Each nested layer has its own `Handoff`. The inner one replaces the outer one in the request, so that a handler gets the inner one. The
/// outer one becomes `Delegated` to the inner one, which also gets the permit. The outermost layer opens the gate, because a response
/// counts only after it has passed all layers. The verdict goes through to the innermost `Handoff`. An inner layer leaves the mark in the
/// response for the outer layers.
impl Handoff {
    /// Puts an approved handshake into `extensions`, and replaces an outer layer's handshake there.
    ///
    /// The second value says whether there was one. If a handler already has the outer handshake, nobody could open this gate: the
    /// handshake is being extracted a second time.
    pub(super) fn offer(mut self, extensions: &mut Extensions) -> Result<(Arc<Self>, bool), RejectionKind> {
        let outer = extensions.get::<Slot>().map(|slot| Arc::clone(&slot.0));
        if let Some(outer) = &outer {
            self.server.follow(&outer.server);
        }
        let handoff = Arc::new(self);
        if let Some(outer) = &outer {
            let mut gate = outer.lock();
            gate.take()?;
            // The permit goes to the `Handoff` that will have the stream.
            handoff.adopt(gate.upgrade.as_mut().and_then(|upgrade| upgrade.permit.take()));
            if let State::Failed(error) = gate.state {
                // The request was answered before it reached the inner layer.
                drop(gate);
                handoff.fail(error);
            } else {
                gate.state = State::Delegated(Arc::clone(&handoff));
            }
        }
        extensions.insert(Slot(Arc::clone(&handoff)));
        Ok((handoff, outer.is_some()))
    }

    /// Also holds the permit of an outer layer.
    fn adopt(&self, outer: Option<ConnectionPermit>) {
        if let Some(upgrade) = &mut self.lock().upgrade {
            upgrade.permit = match upgrade.permit.take() {
                Some(permit) => Some(permit.with_outer(outer)),
                None => outer,
            };
        }
    }

    /// Returns how `connections` already count a request that an outer layer has approved.
    pub(super) fn membership(extensions: &Extensions, connections: &Connections) -> Option<Membership> {
        let Slot(outer) = extensions.get()?;
        let gate = outer.lock();
        let permit = gate.upgrade.as_ref()?.permit.as_ref();
        Some(permit.map_or_else(|| Membership::none(outer.id), |permit| connections.membership(permit)))
    }

    /// The ID of a request that an outer layer has approved.
    pub(super) fn id(extensions: &Extensions) -> Option<ConnectionId> {
        extensions.get().map(|Slot(outer)| outer.id)
    }

    /// Whether an outer layer approved the request for connections that are now closed to new handshakes.
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
        // The request was given up before it reached the handler: the handler made no mistake, and nobody reads the response.
        let upgrade = self.upgrade.as_mut().ok_or(RejectionKind::HandshakeMissing)?;
        let permit = upgrade.permit.take().ok_or(RejectionKind::ConnectionsMissing)?;
        self.taken = Taken::Permit;
        Ok(permit)
    }
}

/// Carries a handler's acceptance to the layer, and the layer's verdict back.
///
/// If this future is dropped before the layer has answered, the acceptance is withdrawn, and the handler may answer otherwise.
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
        // Also if the layer runs in this same task, because the layer may have been polled before this future.
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
        // After the acceptance has been handed over, no other code takes the stream.
        let abandoned = if self.acceptance.is_none() { gate.upgrade.take() } else { None };
        drop(gate);
        // Foreign code is dropped after the lock is released.
        drop((withdrawn, abandoned));
    }
}

/// Wakes a task when dropped.
struct WakeOnDrop(Option<Waker>);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

/// Runs a future in its own task.
pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(future)),
        Err(_) => events::no_runtime(),
    }
}

#[cfg(all(test, ws_loom))]
mod models;
