//! Acceptances that nobody waits for any more, and handlers that end badly: the gate shuts, and the permit is free again.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn},
    routing::any,
};
use tokio::{task::AbortHandle, time::sleep};
use ws_handshake::{Connections, WsHandshakeLayer, WsUpgrade, testing::TestServer};

use crate::{
    common::{Report, events},
    http_version::Over,
    support::{layer, len},
};

/// Two layers, and between them middleware that holds the answer of a handler whose acceptance is aborted meanwhile.
#[tokio::test(start_paused = true)]
async fn an_acceptance_that_is_dropped_while_its_answer_is_held_frees_its_permit() {
    for over in Over::ALL {
        let accepting = Arc::new(Mutex::new(None::<AbortHandle>));
        let kept = Arc::clone(&accepting);
        let handler = async move |ws: WsUpgrade, request: Request| {
            kept.lock().unwrap().replace(tokio::spawn(async { ws.accept().await.map(drop) }).abort_handle());
            // It keeps the request, and with it the handshake, for as long as it runs.
            std::future::pending::<()>().await;
            drop(request);
        };
        let hold = from_fn(move |request: Request, next: Next| {
            let accepting = Arc::clone(&accepting);
            async move {
                let answer = next.run(request).await;
                let accepting = accepting.lock().unwrap().take().expect("the handler has accepted");
                accepting.abort();
                sleep(Duration::from_millis(1)).await;
                answer
            }
        });
        let connections = Connections::new();
        let app = Router::new().route("/ws", any(handler)).layer(layer(&connections)).layer(hold);
        let server = TestServer::new(app.layer(WsHandshakeLayer::new()));
        let _ = over.ask(&server, "/ws").timeout(Duration::from_secs(1)).try_connect().await;
        len(&connections, 0).await;
    }
}

/// The client vanishes, and what the handler holds panics when it is dropped.
#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_leaves_no_acceptance_waiting() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "as it was told");
        }
    }
    async fn handler(State(report): State<Report>, ws: WsUpgrade) {
        tokio::spawn(async move {
            sleep(Duration::from_secs(3)).await;
            report.say(format!("{:?}", ws.accept().await.err()));
        });
        let _panics = Panics;
        std::future::pending::<()>().await;
    }
    for over in Over::ALL {
        let (report, mut events) = events();
        let connections = Connections::new();
        let app = Router::new().route("/ws", any(handler)).layer(layer(&connections)).with_state(report);
        let server = TestServer::new(app);
        let asked = over.ask(&server, "/ws").timeout(Duration::from_secs(1)).try_connect().await;
        assert!(asked.is_err(), "{over:?}: nobody answers");
        assert_eq!(events.next().await, "Some(ConnectionClosed)", "{over:?}");
        assert_eq!(connections.len(), 0, "{over:?}");
    }
}
