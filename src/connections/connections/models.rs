use loom::{future::block_on, model, thread};

use super::*;
use crate::connections::CloseReason;

fn admit(connections: &Connections) -> Option<ConnectionPermit> {
    let (parts, ()) = http::Request::new(()).into_parts();
    connections.ask(&parts, None).and_then(Asking::enter).ok().flatten()
}

#[test]
fn whoever_has_waited_finds_the_key_free() {
    model(|| {
        let connections = Connections::new().limit_per(1, |_| None);
        let permit = admit(&connections).unwrap();
        let leaving = thread::spawn(move || drop(permit));
        block_on(connections.wait());
        assert_eq!(connections.len_of(None), 0);
        assert!(admit(&connections).is_some());
        leaving.join().unwrap();
    });
}

#[test]
fn a_limit_for_each_key_holds_while_one_leaves() {
    model(|| {
        let connections = Connections::new().limit_per(1, |_| None);
        let permit = admit(&connections).unwrap();
        let leaving = thread::spawn(move || drop(permit));
        let next = admit(&connections);
        assert!(connections.len_of(None) <= 1);
        leaving.join().unwrap();
        assert_eq!(connections.len_of(None), usize::from(next.is_some()));
    });
}

/// Does what a drain does, without timers.
#[test]
fn a_drain_ends_whoever_is_let_in_beside_it() {
    model(|| {
        let connections = Connections::new();
        let entering = thread::spawn({
            let connections = connections.clone();
            move || {
                // The permit is held until the connection is asked to close.
                if let Some(permit) = admit(&connections) {
                    block_on(permit.closing());
                }
            }
        });
        connections.close();
        for signal in connections.registry.signals() {
            signal.close(CloseReason::Drain);
        }
        block_on(connections.wait());
        entering.join().unwrap();
        assert_eq!(connections.len(), 0);
    });
}
