//! Acceptances that nobody waits for any more, and handlers that end badly: the gate shuts, and the permit is free again.

use std::{
    convert::Infallible,
    future::Ready,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    error_handling::HandleErrorLayer,
    extract::{Request, State},
    middleware::{Next, from_fn},
    response::Response,
    routing::any,
};
use futures_util::poll;
use tokio::{task::AbortHandle, time::sleep};
use tower::{Layer, service_fn};
use ws_handshake::{Connections, UpgradeError, WsHandshakeLayer, WsUpgrade, testing::TestServer};

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

/// A service may do its work in `call`, before it has a future.
#[tokio::test(start_paused = true)]
async fn a_service_that_panics_in_its_call_leaves_no_acceptance_waiting() {
    for over in Over::ALL {
        for accepts in ["in the call", "in a task"] {
            let (report, mut events) = events();
            let connections = Connections::new().limit_per(1, |_| None);
            let service = service_fn(move |mut request: Request| -> Ready<Result<Response, Infallible>> {
                let ws = WsUpgrade::take_from(&mut request).unwrap();
                let said = report.clone();
                let failed = move |error: UpgradeError| said.say(format!("{error:?}"));
                if accepts == "in the call" {
                    let _answer: Response = ws.on_failed_upgrade(failed).on_upgrade_into(async |stream| drop(stream));
                } else {
                    tokio::spawn(async move { ws.accept().await.map_or_else(failed, drop) });
                }
                panic!("as it was told")
            });
            let app = Router::new().route_service("/ws", layer(&connections).layer(service));
            let asked = over.ask(&TestServer::new(app), "/ws").timeout(Duration::from_secs(1)).try_connect().await;
            assert!(asked.is_err(), "{over:?}: nobody answers");
            assert_eq!(events.next().await, "ConnectionClosed", "{over:?}, {accepts}");
            assert_eq!((connections.len(), connections.len_of(None)), (0, 0), "{over:?}, {accepts}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_shuts_the_gate() {
    let (report, mut events) = events();
    let service = service_fn(move |mut request: Request| {
        let ws = WsUpgrade::take_from(&mut request).unwrap();
        let report = report.clone();
        tokio::spawn(async move { report.say(format!("{:?}", ws.accept().await.err())) });
        std::future::ready(Err::<Response, _>("down"))
    });
    let connections = Connections::new();
    let failing = layer(&connections).layer(service);
    let app = HandleErrorLayer::new(async |error: &str| error.to_owned()).layer(failing);
    let answer = TestServer::new(Router::new().route_service("/ws", app)).ws("/ws").connect().await.unwrap_err();
    assert_eq!(answer.body(), "down");
    assert_eq!(events.next().await, "Some(NotAnswered)");
    assert_eq!(connections.len(), 0);
}

/// A handler begins to accept, and leaves the rest to a task; middleware between two layers holds the answer.
#[tokio::test(start_paused = true)]
async fn an_acceptance_that_moved_to_another_task_is_woken_there() {
    async fn handler(State(report): State<Report>, ws: WsUpgrade) {
        let mut accepting = Box::pin(ws.accept());
        assert!(poll!(&mut accepting).is_pending());
        tokio::spawn(async move { report.say(accepting.await.is_ok()) });
        std::future::pending::<()>().await;
    }
    for over in Over::ALL {
        let (report, mut events) = events();
        let hold = from_fn(async |request: Request, next: Next| {
            let answer = next.run(request).await;
            sleep(Duration::from_secs(1)).await;
            answer
        });
        let app = Router::new().route("/ws", any(handler)).with_state(report).layer(WsHandshakeLayer::new());
        let server = TestServer::new(app.layer(hold).layer(WsHandshakeLayer::new()));
        let _connected = over.ask(&server, "/ws").connect().await.unwrap();
        assert_eq!(events.next().await, "true", "{over:?}");
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
