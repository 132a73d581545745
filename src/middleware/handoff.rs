//! The gate between the answer and the stream.
//!
//! hyper hands an HTTP/1.1 connection over after *any* answer once the connection is closing: that its `OnUpgrade` has
//! resolved does not prove that a 101 was sent. So nobody polls `OnUpgrade` until the layer itself has passed on the very
//! answer that accepts this handshake. Any other answer shuts the gate for good.
//!
//! Where layers stand one inside the other, the inner one's gate is the one that a handler gets, and the outermost layer
//! is the one that opens it: an answer counts once it has passed them all.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{Extensions, HeaderMap, HeaderValue, Response};
use hyper::upgrade::OnUpgrade;

use super::{
    connections::{
        handle::Connections,
        permit::{ConnectionPermit, Membership},
    },
    observe,
    upgrade_error::UpgradeError,
};
use crate::{
    handshake::{DeflateParams, RejectionKind, ServerHandshake},
    policy::Subprotocols,
};

/// One approved handshake, shared by the layer that answers it and the handler that accepts it.
#[derive(Debug)]
pub(super) struct Handoff {
    pub(super) server: ServerHandshake,
    pub(super) subprotocols: Option<Subprotocols>,
    pub(super) timeout: Duration,
    pub(super) seen: observe::Approved,
    gate: Mutex<Gate>,
}

#[derive(Debug)]
struct Gate {
    state: State,
    /// Gone once the gate is shut, or somebody has passed it.
    way: Option<Way>,
    /// Whether a handler, or a layer further in, has taken the handshake.
    taken: bool,
    /// The task that polls the inner service, to be woken once a handler accepts.
    layer: Option<Waker>,
    /// The task that awaits the acceptance, to be woken once it is answered.
    handler: Option<Waker>,
}

/// What lies behind the gate.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) on_upgrade: OnUpgrade,
    pub(super) permit: Option<ConnectionPermit>,
}

enum State {
    /// No handler has said anything.
    Open,
    /// A handler accepts, and its layer has yet to answer.
    Accepting(Acceptance),
    /// The layer is answering a handler that accepts.
    Answered,
    /// The answer is on its way out, and this is to run once it has left.
    Answering(Continuation),
    /// A layer further in has taken over.
    Delegated(Arc<Handoff>),
    Released,
    Shut(UpgradeError),
}

/// What runs behind an answer: the callback of `on_upgrade`, or the rest of a handler that accepted.
///
/// It begins by asking for the [`verdict`](Handoff::verdict).
pub(super) type Continuation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a handler wants to see in the answer that accepts.
#[derive(Debug, Default)]
pub(super) struct Acceptance {
    pub(super) agreed: Agreed,
    /// What the handler itself has selected. Boxed, for few do.
    pub(super) extensions: Option<Box<HeaderValue>>,
    pub(super) headers: Option<Box<HeaderMap>>,
}

/// What is spoken on the stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Agreed {
    pub(super) subprotocol: Option<HeaderValue>,
    pub(super) deflate: Option<DeflateParams>,
}

impl Agreed {
    pub(super) fn is_empty(&self) -> bool {
        self.subprotocol.is_none() && self.deflate.is_none()
    }

    pub(super) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_ref().and_then(|name| name.to_str().ok())
    }
}

/// Where the layer leaves an approved handshake for a handler, in the request's extensions.
#[derive(Clone)]
struct Slot(Arc<Handoff>);

/// Marks the answer that accepts a handshake, in the response's extensions.
#[derive(Clone)]
struct Mark(Arc<Handoff>);

impl Handoff {
    /// Leaves an approved handshake in `extensions`, in the place of one that a layer further out has left there.
    ///
    /// The second value says whether there was one. If that has been handed out before, nobody could open this gate: the
    /// handshake is extracted a second time.
    pub(super) fn offer(
        mut server: ServerHandshake, subprotocols: Option<Subprotocols>, timeout: Duration, seen: observe::Approved,
        way: Way, extensions: &mut Extensions,
    ) -> Result<(Arc<Self>, bool), RejectionKind> {
        let outer = extensions.get::<Slot>().map(|slot| Arc::clone(&slot.0));
        if let Some(outer) = &outer {
            server.follow(&outer.server);
        }
        let gate = Gate { state: State::Open, way: Some(way), taken: false, layer: None, handler: None };
        let handoff = Arc::new(Self { server, subprotocols, timeout, seen, gate: Mutex::new(gate) });
        if let Some(outer) = &outer {
            let mut gate = outer.lock();
            if !gate.take() {
                return Err(RejectionKind::UpgradeTaken);
            }
            // The permit goes where the stream will be.
            handoff.adopt(gate.way.as_mut().and_then(|way| way.permit.take()));
            if let State::Shut(error) = gate.state {
                // The request has been answered while it was still on its way in.
                drop(gate);
                handoff.shut(error);
            } else {
                gate.state = State::Delegated(Arc::clone(&handoff));
            }
        }
        extensions.insert(Slot(Arc::clone(&handoff)));
        Ok((handoff, outer.is_some()))
    }

    /// Holds the permit of a layer further out too.
    fn adopt(&self, outer: Option<ConnectionPermit>) {
        if let Some(way) = &mut self.lock().way {
            way.permit = match way.permit.take() {
                Some(permit) => Some(permit.with_outer(outer)),
                None => outer,
            };
        }
    }

    /// How a request that a layer further out has approved stands with `connections`.
    pub(super) fn membership(extensions: &Extensions, connections: &Connections) -> Option<Membership> {
        let Slot(outer) = extensions.get()?;
        outer.lock().way.as_ref()?.permit.as_ref().map(|permit| connections.membership(permit))
    }

    /// Whether a layer further out has approved the request for connections that take no more by now.
    pub(super) fn is_closed(extensions: &Extensions) -> bool {
        let Some(Slot(outer)) = extensions.get() else { return false };
        let gate = outer.lock();
        gate.way.as_ref().and_then(|way| way.permit.as_ref()).is_some_and(ConnectionPermit::is_closed)
    }

    /// Takes the approved handshake of a request; `None` if no layer has left one.
    pub(super) fn take(extensions: &Extensions) -> Option<Result<Arc<Self>, RejectionKind>> {
        let Slot(handoff) = extensions.get()?;
        let first = handoff.lock().take();
        Some(if first { Ok(Arc::clone(handoff)) } else { Err(RejectionKind::UpgradeTaken) })
    }

    /// The answer that accepts.
    pub(super) fn answer<B: Default>(&self, acceptance: Acceptance) -> Response<B> {
        let Agreed { subprotocol, deflate } = acceptance.agreed;
        let extensions = acceptance.extensions.map(|extensions| *extensions);
        let extensions = extensions.or_else(|| deflate.and_then(DeflateParams::to_field));
        let mut response = self.server.response_with(subprotocol, extensions);
        for (name, value) in acceptance.headers.iter().flat_map(|headers| headers.iter()) {
            let owned = RESERVED.contains(&name.as_str()) || name.as_str().starts_with("sec-websocket-");
            if !owned {
                // More fields than a `HeaderMap` holds are left out.
                let _ = response.headers_mut().try_append(name, value.clone());
            }
        }
        response
    }

    /// Marks `response` as the one that accepts this handshake, with what is to run once it has left.
    pub(super) fn mark<B>(self: &Arc<Self>, response: &mut Response<B>, continuation: Continuation) {
        let mut gate = self.lock();
        if let State::Shut(_) = gate.state {
            // Too late: the request has had another answer. The continuation finds that out.
            drop(gate);
            spawn(observe::in_current_span(continuation));
            return;
        }
        gate.state = State::Answering(continuation);
        drop(gate);
        response.extensions_mut().insert(Mark(Arc::clone(self)));
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
        self.innermost().lock().taken
    }

    /// What a handler that accepts wants answered, if one does; else `layer` is woken when one does.
    pub(super) fn accepted(&self, layer: &Waker) -> Option<Acceptance> {
        let mut gate = self.lock();
        match mem::replace(&mut gate.state, State::Answered) {
            State::Accepting(acceptance) => return Some(acceptance),
            state => gate.state = state,
        }
        let before = store(&mut gate.layer, layer);
        drop(gate);
        drop(before);
        None
    }

    /// Opens the gate: the layer is passing the answer on. Runs what waits behind it, and gives the span for what else is
    /// to run.
    pub(super) fn release(&self) -> Option<observe::ConnectionSpan> {
        self.settle(State::Released)
    }

    /// Shuts the gate: the request has another answer, or none.
    pub(super) fn shut(&self, error: UpgradeError) {
        let _ = self.settle(State::Shut(error));
    }

    /// Gives the verdict to the handler, through whatever layers have taken over further in.
    fn settle(&self, verdict: State) -> Option<observe::ConnectionSpan> {
        let mut gate = self.lock();
        if matches!(gate.state, State::Released | State::Shut(_)) {
            return None;
        }
        if let State::Delegated(inner) = &gate.state {
            let inner = Arc::clone(inner);
            drop(gate);
            return inner.settle(verdict);
        }
        let shut = matches!(verdict, State::Shut(_));
        let before = mem::replace(&mut gate.state, verdict);
        let handler = gate.handler.take();
        // Wakers, IO and permits are foreign code: they are dropped once the lock is gone.
        let _dropped = (gate.layer.take(), if shut { gate.way.take() } else { None });
        drop(gate);
        let span = if shut { None } else { self.seen.answered(&self.server) };
        if let Some(handler) = handler {
            handler.wake();
        }
        if let State::Answering(continuation) = before {
            spawn(observe::within(span.clone(), continuation));
        }
        span
    }

    /// Whether the connection may be taken over; `None` while the answer is still out.
    pub(super) fn verdict(&self) -> Option<Result<Way, UpgradeError>> {
        self.lock().verdict()
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

    fn lock(&self) -> MutexGuard<'_, Gate> {
        // Nothing is left half done under the lock, and nothing foreign is woken or dropped there.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    fn verdict(&mut self) -> Option<Result<Way, UpgradeError>> {
        match self.state {
            State::Released => Some(self.way.take().ok_or(UpgradeError::NotAnswered)),
            State::Shut(error) => Some(Err(error)),
            _ => None,
        }
    }

    /// Whether this is the first to take the handshake.
    fn take(&mut self) -> bool {
        !mem::replace(&mut self.taken, true)
    }
}

/// A handler's acceptance on its way to the layer, and the verdict on its way back.
///
/// Dropped before its answer has been given, it is withdrawn, and the handler may still answer otherwise.
#[derive(Debug)]
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
    type Output = Result<Way, UpgradeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { handoff, acceptance } = &mut *self;
        let mut gate = handoff.lock();
        if let Some(verdict) = gate.verdict() {
            return Poll::Ready(verdict);
        }
        let before = store(&mut gate.handler, cx.waker());
        let layer = acceptance.take().and_then(|acceptance| {
            gate.state = State::Accepting(acceptance);
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
        let abandoned = match gate.state {
            State::Accepting(_) => {
                gate.state = State::Open;
                None
            }
            // Nobody will come for the stream.
            State::Released => gate.way.take(),
            _ => None,
        };
        drop(gate);
        drop(abandoned);
    }
}

/// Runs a future in a task of its own.
pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(future)),
        Err(_) => observe::no_runtime(),
    }
}

/// Keeps a waker, and gives back the one before it, to be dropped once the lock is gone.
fn store(slot: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    if slot.as_ref().is_some_and(|stored| stored.will_wake(waker)) { None } else { slot.replace(waker.clone()) }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Accepting(_) => "Accepting",
            Self::Answered => "Answered",
            Self::Answering(_) => "Answering",
            Self::Delegated(_) => "Delegated",
            Self::Released => "Released",
            Self::Shut(_) => "Shut",
        })
    }
}

/// Fields of the answer that are the handshake's own, beside every `Sec-WebSocket-*`.
pub(crate) const RESERVED: [&str; 4] = ["connection", "upgrade", "content-length", "transfer-encoding"];
