//! Handlers that accept, by `WsUpgrade::accept`, a `WsStream` argument or `on_upgrade`: what the client is answered, and what
//! becomes of the rest of the handler.

use std::{pin::pin, task::Poll, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn},
    response::IntoResponse,
    routing::any,
};
use futures_util::future::join_all;
use http::StatusCode;
use ws_handshake::{WsHandshakeLayer, WsStream, WsUpgrade};

use crate::{
    gate::app,
    support::{Client, Handshake, Over, Report, both_forms, echo, serve},
};

pub(crate) async fn accept(ws: WsUpgrade, report: Report) {
    match ws.accept().await {
        Ok(_stream) => report.say("stream"),
        Err(error) => report.say(format!("{error:?}")),
    }
}

#[tokio::test]
async fn an_acceptance_in_another_task_beside_a_page_fails() {
    async fn beside(State(report): State<Report>, ws: WsUpgrade) -> &'static str {
        tokio::spawn(accept(ws, report));
        "page"
    }
    let (address, mut events) = app(beside).await;
    for over in Over::ALL {
        let (_client, head) = over.handshake(address, &Handshake::valid()).await;
        assert_eq!((head.status, head.get("connection")), (over.pick(200, 406), over.closing()));
        assert_eq!(events.next().await, "NotAnswered");
    }
}

#[tokio::test]
async fn an_acceptance_in_another_task_is_answered_while_the_handler_works() {
    async fn works(State(report): State<Report>, ws: WsUpgrade) {
        let task = tokio::spawn(accept(ws, report.clone()));
        task.await.unwrap();
        report.say("handler goes on");
    }
    let (address, mut events) = app(works).await;
    for over in Over::ALL {
        let (_client, head) = over.handshake(address, &Handshake::valid()).await;
        head.accepts(*over, "from another task");
        assert_eq!((events.next().await.as_str(), events.next().await.as_str()), ("stream", "handler goes on"));
    }
}

/// One task polls the layer first and the acceptance then.
#[tokio::test]
async fn an_acceptance_beside_the_layer_is_answered_at_once() {
    use std::sync::{Arc, Mutex};
    type Sender = Arc<Mutex<Option<tokio::sync::oneshot::Sender<WsUpgrade>>>>;
    let beside = from_fn(async |mut request: Request, next: Next| {
        let (sender, receiver) = tokio::sync::oneshot::channel::<WsUpgrade>();
        request.extensions_mut().insert::<Sender>(Arc::new(Mutex::new(Some(sender))));
        let mut accepting = Box::pin(async move { receiver.await.unwrap().accept().await.is_ok() });
        let response = tokio::select! {
            biased;
            response = next.run(request) => response,
            _ = &mut accepting => panic!("a stream before its answer"),
        };
        tokio::spawn(accepting);
        response
    });
    let handler = async |mut request: Request| {
        let sender = request.extensions_mut().remove::<Sender>().unwrap();
        let ws = WsUpgrade::take_from(&mut request).unwrap();
        let _ = sender.lock().unwrap().take().unwrap().send(ws);
        tokio::time::sleep(Duration::from_secs(2)).await;
        StatusCode::NO_CONTENT
    };
    let app = Router::new().route("/ws", any(handler)).layer(WsHandshakeLayer::new()).layer(beside);
    let address = serve(app).await;
    for over in Over::ALL {
        let (_client, head) = over.handshake(address, &Handshake::valid()).await;
        head.accepts(*over, "beside the layer");
    }
}

#[tokio::test]
async fn an_answer_stands_against_an_acceptance_in_the_same_poll() {
    async fn both(State(report): State<Report>, ws: WsUpgrade) -> &'static str {
        let mut accepting = Box::pin(accept(ws, report));
        let polled = std::future::poll_fn(|cx| Poll::Ready(accepting.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
        tokio::spawn(accepting);
        "page"
    }
    let (address, mut events) = app(both).await;
    for over in Over::ALL {
        let (_client, head) = over.handshake(address, &Handshake::valid()).await;
        assert_eq!(head.status, over.pick(200, 406));
        assert_eq!(events.next().await, "NotAnswered");
    }
}

#[tokio::test]
async fn an_acceptance_that_is_dropped_is_withdrawn() {
    async fn withdraws(ws: WsUpgrade) -> StatusCode {
        {
            let mut accepting = pin!(ws.accept());
            let polled = std::future::poll_fn(|cx| Poll::Ready(accepting.as_mut().poll(cx).is_pending())).await;
            assert!(polled);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        StatusCode::REQUEST_TIMEOUT
    }
    let address = serve(Router::new().route("/ws", any(withdraws)).layer(WsHandshakeLayer::new())).await;
    for over in Over::ALL {
        let (_client, head) = over.handshake(address, &Handshake::valid()).await;
        assert_eq!((head.status, head.get("connection")), (408, over.closing()));
    }
}

#[tokio::test]
async fn both_forms_echo() {
    let app = both_forms();
    let address = serve(app.layer(WsHandshakeLayer::new())).await;
    for over in Over::ALL {
        for path in ["/straight", "/callback"] {
            let (mut client, head) = over.handshake(address, &Handshake::valid().to(path)).await;
            head.accepts(*over, path);
            client.send(b"hello").await;
            assert_eq!(client.exactly(5).await, b"hello", "{over:?} {path}");
        }
    }
}

/// A `WsStream` argument is all that it takes.
#[tokio::test]
async fn the_rest_of_a_handler_is_dropped_with_its_answer() {
    async fn returns(State(report): State<Report>, _stream: WsStream) -> impl IntoResponse {
        report.say("returns");
        (StatusCode::IM_A_TEAPOT, "nobody reads this")
    }
    let (address, mut events) = app(returns).await;
    for over in Over::ALL {
        let (mut client, head) = over.handshake(address, &Handshake::valid()).await;
        head.accepts(*over, "what the handler returns is dropped");
        assert_eq!(events.next().await, "returns");
        assert_eq!(client.rest().await, b"");
    }
}

#[tokio::test]
async fn a_handler_that_panics_ends_its_own_connection() {
    async fn before(_ws: WsUpgrade) {
        panic!("before the answer");
    }
    async fn after(_stream: WsStream) {
        panic!("after the answer");
    }
    async fn in_the_callback(ws: WsUpgrade) -> axum::response::Response {
        ws.on_upgrade(async |_| panic!("in the callback"))
    }
    let app = Router::new()
        .route("/before", any(before))
        .route("/after", any(after))
        .route("/callback", any(in_the_callback))
        .route("/echo", any(echo))
        .layer(WsHandshakeLayer::new());
    let address = serve(app).await;
    for over in Over::ALL {
        for (path, accepted) in [("/before", false), ("/after", true), ("/callback", true)] {
            let mut client = over.ask(address, &Handshake::valid().to(path), b"").await;
            let status = client.answer().await.map(|head| head.status);
            assert_eq!(status, accepted.then_some(over.accepted()), "{over:?} {path}");
            assert_eq!(client.rest().await, b"", "{over:?} {path}");
        }
        let (mut client, head) = over.handshake(address, &Handshake::valid().to("/echo")).await;
        head.accepts(*over, "the next");
        client.send(b"hello").await;
        assert_eq!(client.exactly(5).await, b"hello");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_handshakes_at_once_are_accepted() {
    let app = both_forms();
    let address = serve(app.layer(WsHandshakeLayer::new())).await;
    let one = async |n: usize| {
        let handshake = Handshake::valid().to(if n.is_multiple_of(2) { "/straight" } else { "/callback" });
        let (mut client, head) = Client::handshake(address, &handshake).await;
        assert_eq!(head.status, 101);
        let said = format!("{n:08}");
        client.send(said.as_bytes()).await;
        assert_eq!(client.exactly(8).await, said.as_bytes());
        client
    };
    let clients = join_all((0..2000).map(one)).await;
    assert_eq!(clients.len(), 2000);
}
