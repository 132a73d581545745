//! No stream reaches a handler unless the layer itself has passed the answer on that accepts it.

use std::{pin::pin, task::Poll, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::any,
};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use ws_handshake::{WsHandshakeLayer, WsStream, WsUpgrade};

use crate::support::{Events, Handshake, Over, Report, echo, echo_by_callback, events, serve};

/// Says whether a stream was handed over, and what was read from it.
fn upgrade(ws: WsUpgrade, report: Report) -> Response {
    let failed = report.clone();
    ws.on_failed_upgrade(move |error| failed.say(format!("{error:?}"))).on_upgrade(async move |mut stream| {
        let mut bytes = [0; 4];
        let read = stream.read_exact(&mut bytes).await.is_ok();
        report.say(format!("stream {read}"));
    })
}

async fn accept(ws: WsUpgrade, report: Report) {
    match ws.accept().await {
        Ok(_stream) => report.say("stream"),
        Err(error) => report.say(format!("{error:?}")),
    }
}

async fn app<H, T>(handler: H) -> (std::net::SocketAddr, Events)
where
    H: axum::handler::Handler<T, Report>,
    T: 'static,
{
    let (report, events) = events();
    let app = Router::new().route("/ws", any(handler)).layer(WsHandshakeLayer::new()).with_state(report);
    (serve(app).await, events)
}

#[tokio::test]
async fn an_answer_taken_back_hands_nothing_over() {
    async fn taken_back(State(report): State<Report>, ws: WsUpgrade, request: Request) -> Response {
        drop(upgrade(ws, report));
        if request.uri().query() == Some("close") {
            return (StatusCode::UNAUTHORIZED, [("connection", "close")]).into_response();
        }
        StatusCode::UNAUTHORIZED.into_response()
    }
    let (address, mut events) = app(taken_back).await;
    for over in Over::ALL {
        for server_closes in [false, true] {
            for client_closes in [false, true] {
                for half_close in [false, true] {
                    let row = format!("{over:?} {server_closes} {client_closes} {half_close}");
                    let path = if server_closes { "/ws?close" } else { "/ws" };
                    let connection = if client_closes { "upgrade, close" } else { "upgrade" };
                    let handshake = Handshake::valid().to(path).set("connection", connection);
                    let mut client = over.ask(address, &handshake, b"data").await;
                    if half_close {
                        client.finish().await;
                    }
                    // With a half-close hyper may end an HTTP/1.1 connection without any answer.
                    let status = client.answer().await.map(|head| head.status);
                    assert!(status == Some(401) || half_close && status.is_none(), "{row}: {status:?}");
                    client.rest().await;
                    assert!(["NotAnswered", "ClientGone"].contains(&events.next().await.as_str()), "{row}");
                    assert_eq!(events.unread(), [""; 0], "{row}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_changed_status_hands_nothing_over() {
    let (report, mut events) = events();
    let spoil = from_fn(async |request: Request, next: Next| {
        let mut response = next.run(request).await;
        *response.status_mut() = StatusCode::ACCEPTED;
        response
    });
    let handler = async |State(report): State<Report>, ws: WsUpgrade| upgrade(ws, report);
    let app = Router::new().route("/ws", any(handler)).layer(spoil).layer(WsHandshakeLayer::new()).with_state(report);
    let address = serve(app).await;
    for over in Over::ALL {
        let (mut client, head) = over.handshake(address, &Handshake::valid()).await;
        assert_eq!((head.status, head.get("connection")), (over.pick(202, 406), over.closing()));
        client.rest().await;
        assert_eq!(events.next().await, "NotAnswered");
    }
}

#[tokio::test]
async fn an_answer_of_another_request_hands_nothing_over() {
    use std::sync::{Arc, Mutex};
    for over in Over::ALL {
        // A handler that keeps its answer for later, and returns the one of the request before.
        let (report, mut events) = events();
        let kept = Arc::new(Mutex::new(None::<Response>));
        let handler = async move |ws: WsUpgrade| {
            let answer = upgrade(ws, report.clone());
            kept.lock().unwrap().replace(answer).unwrap_or_else(|| StatusCode::IM_A_TEAPOT.into_response())
        };
        let address = serve(Router::new().route("/ws", any(handler)).layer(WsHandshakeLayer::new())).await;
        let (_first, head) = over.handshake(address, &Handshake::valid()).await;
        assert_eq!(head.status, 418, "{over:?}");
        assert_eq!(events.next().await, "NotAnswered");
        let mut second = over.ask(address, &Handshake::valid(), b"data").await;
        assert_eq!(second.head().await.status, over.pick(101, 406), "{over:?}");
        assert_eq!(events.next().await, "NotAnswered");
        assert_eq!(second.rest().await, b"");
    }
}

#[tokio::test]
async fn no_stream_without_an_answer() {
    // The stream is there once the answer has been sent, and what was sent with the request is in it.
    let (address, mut events) = app(async |State(report): State<Report>, ws: WsUpgrade| upgrade(ws, report)).await;
    for over in Over::ALL {
        let mut client = over.ask(address, &Handshake::valid(), b"data").await;
        client.head().await.accepts(*over, "data at once");
        assert_eq!(events.next().await, "stream true");
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
        let ws = WsUpgrade::from_request(&mut request).unwrap();
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
async fn a_handler_may_refuse_by_any_answer() {
    let handler = async |ws: WsUpgrade, request: Request| -> Result<Response, StatusCode> {
        match request.uri().query() {
            Some("login") => Ok((StatusCode::FOUND, [("location", "/login")]).into_response()),
            Some("auth") => Ok((StatusCode::UNAUTHORIZED, [("www-authenticate", "Basic")]).into_response()),
            Some("error") => Err(StatusCode::SERVICE_UNAVAILABLE),
            _ => Ok(ws.on_upgrade(echo)),
        }
    };
    let address = serve(Router::new().route("/ws", any(handler)).layer(WsHandshakeLayer::new())).await;
    for over in Over::ALL {
        for (query, status) in [("login", 302), ("auth", 401), ("error", 503)] {
            let (_, head) = over.handshake(address, &Handshake::valid().to(&format!("/ws?{query}"))).await;
            assert_eq!((head.status, head.get("connection")), (status, over.closing()), "{over:?} {query}");
            assert!(head.get("sec-websocket-accept").is_none(), "{query}");
        }
        let (_, head) = over.handshake(address, &Handshake::valid()).await;
        head.accepts(*over, "accepted");
    }
}

/// What an outer layer does to the answer cannot be seen from here, as the layer's documentation says.
#[tokio::test]
async fn an_outer_layer_that_replaces_the_answer() {
    for closes in [false, true] {
        let (report, mut events) = events();
        let replace = from_fn(move |request: Request, next: Next| async move {
            let _ = next.run(request).await;
            let mut response = Response::new(Body::from("replaced"));
            if closes {
                response.headers_mut().insert("connection", "close".parse().unwrap());
            }
            response
        });
        let handler = async |State(report): State<Report>, ws: WsUpgrade| upgrade(ws, report);
        let layer = WsHandshakeLayer::new().handoff_timeout(Duration::from_millis(300));
        let app = Router::new().route("/ws", any(handler)).layer(layer).layer(replace).with_state(report);
        let mut client = Over::Http1.ask(serve(app).await, &Handshake::valid(), b"data").await;
        assert_eq!(client.head().await.status, 200);
        assert_eq!(client.exactly(8).await, b"replaced");
        let event = events.next().await;
        if closes {
            // hyper hands the closing connection over, whatever was said on it.
            assert_eq!(event, "stream true");
        } else {
            assert!(["TimedOut", "ClientGone"].contains(&event.as_str()), "{event}");
        }
    }
}

/// The same over HTTP/2, where a stream belongs to whoever was told a 2xx, and to nobody else.
#[cfg(feature = "http2")]
#[tokio::test]
async fn an_outer_layer_that_replaces_the_answer_over_http2() {
    for (status, ends) in [(StatusCode::CREATED, "stream true"), (StatusCode::FORBIDDEN, "ClientGone")] {
        let (report, mut events) = events();
        let replace = from_fn(move |request: Request, next: Next| async move {
            let _ = next.run(request).await;
            status
        });
        let handler = async |State(report): State<Report>, ws: WsUpgrade| upgrade(ws, report);
        let app = Router::new().route("/ws", any(handler)).layer(WsHandshakeLayer::new()).layer(replace);
        let mut client = Over::Http2.ask(serve(app.with_state(report)).await, &Handshake::valid(), b"data").await;
        assert_eq!(client.head().await.status, status);
        assert_eq!(events.next().await, ends);
    }
}

#[tokio::test]
async fn a_server_that_hands_nothing_over_is_an_error() {
    use hyper_util::{rt::TokioIo, service::TowerToHyperService};
    let (report, mut events) = events();
    let handler = async |State(report): State<Report>, ws: WsUpgrade| upgrade(ws, report);
    let app = Router::new().route("/ws", any(handler)).layer(WsHandshakeLayer::new()).with_state(report);
    let (mut client, server) = tokio::io::duplex(4096);
    let service = TowerToHyperService::new(app);
    tokio::spawn(async move {
        // Without `with_upgrades`.
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
        let _ = connection.await;
    });
    client.write_all(&Handshake::valid().bytes()).await.unwrap();
    assert_eq!(events.next().await, "Unsupported");
}

#[tokio::test]
async fn a_client_that_vanishes_before_the_answer_is_an_error() {
    struct Dropped(Option<tokio::sync::oneshot::Sender<()>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.take().map(|gone| gone.send(()));
        }
    }
    async fn slow(State(report): State<Report>, ws: WsUpgrade) {
        let (gone, client_gone) = tokio::sync::oneshot::channel();
        let _dropped = Dropped(Some(gone));
        report.say("handler runs");
        tokio::spawn(async move {
            client_gone.await.unwrap();
            accept(ws, report).await;
        });
        std::future::pending::<()>().await;
    }
    let (address, mut events) = app(slow).await;
    for over in Over::ALL {
        let client = over.ask(address, &Handshake::valid(), b"").await;
        assert_eq!(events.next().await, "handler runs");
        drop(client);
        assert_eq!(events.next().await, "ClientGone");
    }
}

#[tokio::test]
async fn both_forms_echo() {
    let app = Router::new().route("/straight", any(echo)).route("/callback", any(echo_by_callback));
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
