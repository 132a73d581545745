//! `ConnectionPermit` beside another extractor: limits, counts, the signal and drains cover its socket.

use std::time::Duration;

use axum::{
    Router,
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
    routing::any,
};
use futures_util::{SinkExt, TryStreamExt};
use ws_handshake::{
    ConnectionPermit, Connections, Rejection, WsHandshakeLayer, WsStream, WsUpgrade,
    testing::{TestRequest, TestServer},
};

use crate::{
    common::{Report, echo, events},
    http_version::Over,
    support::{layer, len, refusal},
};

/// axum's extractor with a permit: echoes, and says goodbye when it is asked to close.
async fn counted(ws: WebSocketUpgrade, permit: ConnectionPermit) -> Response {
    async fn converse(mut socket: WebSocket, permit: ConnectionPermit) {
        let mut closing = permit.closing();
        loop {
            let message = tokio::select! {
                message = socket.recv() => message,
                () = &mut closing => break,
            };
            let Some(Ok(Message::Text(text))) = message else { return };
            socket.send(Message::Text(text)).await.unwrap();
        }
        socket.send(Message::Text("bye".into())).await.unwrap();
    }
    ws.on_upgrade(|socket| converse(socket, permit))
}

async fn status(request: TestRequest<Router>) -> u16 {
    refusal(request).await.status().as_u16()
}

#[tokio::test(start_paused = true)]
async fn limits_and_counts_cover_the_socket_of_another_extractor() {
    let connections = Connections::new().limit_per(1, |_| None);
    let server = TestServer::new(Router::new().route("/ws", any(counted)).layer(layer(&connections)));
    for over in Over::ALL {
        let (stream, _) = over.ask(&server, "/ws").connect().await.unwrap();
        let mut socket = stream.into_tungstenite(None).await.unwrap();
        socket.send("hello".into()).await.unwrap();
        assert_eq!(socket.try_next().await.unwrap(), Some("hello".into()), "{over:?}");
        assert_eq!((connections.len(), connections.len_of(None)), (1, 1), "{over:?}");
        assert_eq!(status(over.ask(&server, "/ws")).await, 429, "{over:?}");
        drop(socket);
        len(&connections, 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_reaches_the_socket_of_another_extractor() {
    for over in Over::ALL {
        let connections = Connections::new();
        let server = TestServer::new(Router::new().route("/ws", any(counted)).layer(layer(&connections)));
        let (stream, _) = over.ask(&server, "/ws").connect().await.unwrap();
        let mut socket = stream.into_tungstenite(None).await.unwrap();
        let draining = tokio::spawn(connections.drain().over(Duration::ZERO).into_future());
        assert_eq!(socket.try_next().await.unwrap(), Some("bye".into()), "{over:?}");
        let drained = draining.await.unwrap();
        assert_eq!((drained.closed, drained.aborted), (1, 0), "{over:?}");
    }
}

/// The permit is held by the callback alone: a handler that answers otherwise gives it back.
#[tokio::test(start_paused = true)]
async fn a_handler_that_refuses_gives_the_permit_back() {
    async fn refuses(_: WebSocketUpgrade, _permit: ConnectionPermit) -> http::StatusCode {
        http::StatusCode::UNAUTHORIZED
    }
    let connections = Connections::new();
    let server = TestServer::new(Router::new().route("/ws", any(refuses)).layer(layer(&connections)));
    for over in Over::ALL {
        assert_eq!(status(over.ask(&server, "/ws")).await, 401, "{over:?}");
        len(&connections, 0).await;
    }
}

/// Nested layers give one permit, which counts among the connections of both.
#[tokio::test(start_paused = true)]
async fn nested_layers_give_one_permit_of_both() {
    for over in Over::ALL {
        let (outer, inner) = (Connections::new(), Connections::new());
        let app = Router::new().route("/ws", any(counted)).layer(layer(&inner)).layer(layer(&outer));
        let server = TestServer::new(app);
        let (stream, _) = over.ask(&server, "/ws").connect().await.unwrap();
        assert_eq!((outer.len(), inner.len()), (1, 1), "{over:?}");
        drop(stream);
        len(&outer, 0).await;
        len(&inner, 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_mistake_of_a_handler_has_its_own_reason() {
    async fn says(State(report): State<Report>, permit: Result<ConnectionPermit, Rejection>) {
        report.say(permit.map_or_else(|rejection| rejection.kind().as_str(), |_| "a permit"));
    }
    async fn twice(
        State(report): State<Report>, _first: ConnectionPermit, second: Result<ConnectionPermit, Rejection>,
    ) {
        report.say(second.unwrap_err().kind().as_str());
    }
    async fn behind_the_stream(
        State(report): State<Report>, _ws: WsUpgrade, permit: Result<ConnectionPermit, Rejection>,
    ) {
        report.say(permit.unwrap_err().kind().as_str());
    }
    async fn before_the_stream(
        State(report): State<Report>, _permit: ConnectionPermit, ws: Result<WsUpgrade, Rejection>,
    ) {
        report.say(ws.unwrap_err().kind().as_str());
    }
    let connections = Connections::new();
    let (report, mut events) = events();
    let app = Router::new()
        .route("/permit", any(says))
        .route("/twice", any(twice))
        .route("/behind", any(behind_the_stream))
        .route("/before", any(before_the_stream))
        .layer(layer(&connections))
        .merge(Router::new().route("/uncounted", any(says)).layer(WsHandshakeLayer::new()))
        .merge(Router::new().route("/bare", any(says)))
        .with_state(report);
    let server = TestServer::new(app.clone());
    let rows = [
        ("/permit", "a permit"),
        ("/twice", "PermitTaken"),
        ("/behind", "PermitTaken"),
        ("/before", "PermitTaken"),
        ("/uncounted", "ConnectionsMissing"),
        ("/bare", "LayerMissing"),
    ];
    for over in Over::ALL {
        for (path, said) in rows {
            let _ = over.ask(&server, path).connect().await;
            assert_eq!(events.next().await, said, "{over:?} {path}");
        }
        len(&connections, 0).await;
    }
    let page = http::Request::get("/permit").body(axum::body::Body::empty()).unwrap();
    tower::ServiceExt::oneshot(app, page).await.unwrap();
    assert_eq!(events.next().await, "HandshakeMissing");
}

#[tokio::test(start_paused = true)]
async fn a_stream_holds_its_own_permit() {
    let connections = Connections::new();
    let handler = async |stream: WsStream| echo(stream).await;
    let server = TestServer::new(Router::new().route("/ws", any(handler)).layer(layer(&connections)));
    let (_stream, _) = server.ws("/ws").connect().await.unwrap();
    assert_eq!(connections.len(), 1);
}
