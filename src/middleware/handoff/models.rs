use http::Request;
use loom::{future::block_on, model, thread};

use super::*;
use crate::{connections::Asking, policy::Policy};

/// An approved handshake, with a permit of `connections`.
fn approved(connections: &Connections) -> Handoff {
    let request = Request::get("/")
        .header("host", "example.com")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .unwrap();
    let client = crate::handshake::ClientHandshake::from_request(&request).unwrap().unwrap();
    let (parts, ()) = request.into_parts();
    let server = Policy::new().decide(&client, &parts).now().unwrap().unwrap();
    let on_upgrade = hyper::upgrade::on(Request::new(()));
    let permit = connections.ask(&parts, None).and_then(Asking::enter).unwrap();
    let id = ConnectionId::next();
    let span = PendingSpan::new(id, "/", false);
    Handoff::new(id, server, None, Duration::from_secs(1), span, Upgrade { on_upgrade, permit })
}

/// A handshake that a handler has taken.
fn taken(connections: &Connections) -> Arc<Handoff> {
    let mut extensions = Extensions::new();
    let (handoff, nested) = approved(connections).offer(&mut extensions).unwrap();
    assert!(!nested);
    Handoff::take(&extensions).unwrap().unwrap();
    handoff
}

/// A handler that accepts, in its own thread.
fn accept(handoff: &Arc<Handoff>) -> thread::JoinHandle<Result<Upgrade, UpgradeError>> {
    let accept = Accept::new(Arc::clone(handoff), Acceptance::default());
    thread::spawn(move || block_on(accept))
}

/// The layer, which waits for a handler to accept.
async fn accepted(handoff: &Handoff) {
    std::future::poll_fn(|cx| match handoff.accepted(cx.waker()) {
        Some(_) => Poll::Ready(()),
        None => Poll::Pending,
    })
    .await;
}

#[test]
fn a_handler_that_accepts_gets_the_stream_once_the_layer_has_answered() {
    model(|| {
        let connections = Connections::new();
        let handoff = taken(&connections);
        let accepting = accept(&handoff);
        block_on(accepted(&handoff));
        let _ = handoff.release();
        let upgrade = accepting.join().unwrap().unwrap();
        assert_eq!(connections.len(), 1);
        drop(upgrade);
        assert_eq!(connections.len(), 0);
    });
}

#[test]
fn a_handler_that_accepts_is_told_of_another_answer() {
    model(|| {
        let connections = Connections::new();
        let handoff = taken(&connections);
        let accepting = accept(&handoff);
        handoff.fail(UpgradeError::NotAnswered);
        assert_eq!(accepting.join().unwrap().err(), Some(UpgradeError::NotAnswered));
        assert_eq!(connections.len(), 0);
    });
}

#[test]
fn an_acceptance_that_is_dropped_leaves_no_permit_behind() {
    model(|| {
        let connections = Connections::new();
        let handoff = taken(&connections);
        let dropping = thread::spawn({
            let mut accept = Accept::new(Arc::clone(&handoff), Acceptance::default());
            move || {
                let _ = Pin::new(&mut accept).poll(&mut Context::from_waker(Waker::noop()));
                drop(accept);
            }
        });
        // The layer is polled once, and answers if the handler has accepted by then.
        if handoff.accepted(Waker::noop()).is_some() {
            let _ = handoff.release();
        } else {
            handoff.fail(UpgradeError::NotAnswered);
        }
        dropping.join().unwrap();
        assert_eq!(connections.len(), 0);
    });
}

#[test]
fn an_answer_that_comes_too_late_is_not_marked() {
    model(|| {
        let connections = Connections::new();
        let handoff = taken(&connections);
        let failing = thread::spawn({
            let handoff = Arc::clone(&handoff);
            move || handoff.fail(UpgradeError::ConnectionClosed)
        });
        let mut response = Response::new(());
        handoff.mark(&mut response, Box::pin(async {}));
        failing.join().unwrap();
        assert!(matches!(handoff.lock().state, State::Failed(_)), "whichever came first");
        assert_eq!(connections.len(), 0);
    });
}

/// The handshakes of an outer layer, and of an inner layer from which a handler has taken it.
fn nested(connections: &Connections) -> (Arc<Handoff>, Arc<Handoff>) {
    let mut extensions = Extensions::new();
    let (outer, _) = approved(connections).offer(&mut extensions).unwrap();
    let (inner, nested) = approved(&Connections::new()).offer(&mut extensions).unwrap();
    assert!(nested);
    Handoff::take(&extensions).unwrap().unwrap();
    (outer, inner)
}

#[test]
fn an_outer_layer_opens_the_gate_of_the_inner_one() {
    model(|| {
        let connections = Connections::new();
        let (outer, inner) = nested(&connections);
        let accepting = accept(&inner);
        block_on(accepted(&inner));
        assert!(inner.verdict().is_none(), "the outer layer has not passed the answer on");
        let _ = outer.release();
        let upgrade = accepting.join().unwrap().unwrap();
        assert_eq!(connections.len(), 1, "the outer layer's permit moved along");
        drop(upgrade);
        assert_eq!(connections.len(), 0);
    });
}

#[test]
fn an_outer_layer_shuts_the_gate_of_an_inner_one_that_is_on_its_way_in() {
    model(|| {
        let connections = Connections::new();
        let mut extensions = Extensions::new();
        let (outer, _) = approved(&connections).offer(&mut extensions).unwrap();
        // The request runs detached: its client disconnects before the request reaches the inner layer.
        let failing = thread::spawn({
            let outer = Arc::clone(&outer);
            move || outer.fail(UpgradeError::ConnectionClosed)
        });
        let (inner, _) = approved(&Connections::new()).offer(&mut extensions).unwrap();
        let accept = Accept::new(inner, Acceptance::default());
        assert_eq!(block_on(accept).err(), Some(UpgradeError::ConnectionClosed));
        failing.join().unwrap();
        assert_eq!(connections.len(), 0);
    });
}

#[test]
fn an_outer_layer_that_answers_by_itself_shuts_the_gate_of_a_detached_inner_one() {
    model(|| {
        let connections = Connections::new();
        let (outer, inner) = nested(&connections);
        let accepting = accept(&inner);
        // Middleware between the layers runs the inner layer in its own task, which is not polled again.
        let detached = thread::spawn({
            let inner = Arc::clone(&inner);
            move || inner.accepted(Waker::noop()).is_some()
        });
        outer.fail(UpgradeError::NotAnswered);
        assert_eq!(accepting.join().unwrap().err(), Some(UpgradeError::NotAnswered));
        let _ = detached.join().unwrap();
        assert_eq!(connections.len(), 0);
    });
}
