//! No stream reaches a handler unless the layer itself has passed the answer on that accepts it.

use std::time::Duration;

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
use ws_handshake::{WsHandshakeLayer, WsUpgrade};

use crate::support::{Events, Handshake, Over, Report, events, serve};

/// Says whether a stream was handed over, and what was read from it.
fn upgrade(ws: WsUpgrade, report: Report) -> Response {
    let failed = report.clone();
    ws.on_failed_upgrade(move |error| failed.say(format!("{error:?}"))).on_upgrade(async move |mut stream| {
        let mut bytes = [0; 4];
        let read = stream.read_exact(&mut bytes).await.is_ok();
        report.say(format!("stream {read}"));
    })
}

pub(crate) async fn app<H, T>(handler: H) -> (std::net::SocketAddr, Events)
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
                    assert!(["NotAnswered", "ConnectionClosed"].contains(&events.next().await.as_str()), "{row}");
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
async fn the_stream_is_there_once_the_answer_is_sent() {
    // The stream is there once the answer has been sent, and what was sent with the request is in it.
    let (address, mut events) = app(async |State(report): State<Report>, ws: WsUpgrade| upgrade(ws, report)).await;
    for over in Over::ALL {
        let mut client = over.ask(address, &Handshake::valid(), b"data").await;
        client.head().await.accepts(*over, "data at once");
        assert_eq!(events.next().await, "stream true");
    }
}

/// What an outer layer does to the answer cannot be seen from here, as the layer's documentation says.
#[tokio::test]
async fn an_answer_replaced_by_an_outer_layer_goes_unnoticed() {
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
            assert!(["TimedOut", "ConnectionClosed"].contains(&event.as_str()), "{event}");
        }
    }
}

/// The same over HTTP/2, where a stream belongs to whoever was told a 2xx, and to nobody else.
#[cfg(feature = "http2")]
#[tokio::test]
async fn an_answer_replaced_by_an_outer_layer_goes_unnoticed_over_http2() {
    for (status, ends) in [(StatusCode::CREATED, "stream true"), (StatusCode::FORBIDDEN, "ConnectionClosed")] {
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
