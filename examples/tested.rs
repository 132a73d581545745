//! Run with `cargo test --example tested`.
//!
//! A small app, and a test file to copy: state and extractors, cookies in the response, refusals, limits by address, timeouts and a drain.
//! The tests use the real layer, in memory, with and without a framing library.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use futures_util::{SinkExt, TryStreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use ws_handshake::{
    AllowOrigin, ConfigError, ConnectionKey, Connections, Subprotocols, WsHandshakeLayer, WsStream, WsUpgrade,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = app(Arc::default(), &Connections::new())?;
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on ws://{}/rooms/hall and /time", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

/// Tests pass in what they need: the state, and the connections.
fn app(visits: Arc<AtomicUsize>, connections: &Connections) -> Result<Router, ConfigError> {
    let connections = connections.clone().limit_per(2, |parts| {
        let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(ConnectionKey::network(peer.ip()))
    });
    let layer = WsHandshakeLayer::new()
        .allow_origin(AllowOrigin::list(["https://app.example.com"])?)
        .subprotocols(Subprotocols::new(["v1.chat"])?)
        .connections(connections);
    let routes = Router::new().route("/rooms/{room}", any(room)).route("/time", any(time));
    Ok(routes.layer(layer).with_state(visits))
}

/// Echoes, with the room's name before each message. Refuses visitors without a ticket, and tells the others how often that has happened.
async fn room(
    State(visits): State<Arc<AtomicUsize>>, Path(room): Path<String>, headers: HeaderMap, mut ws: WsUpgrade,
) -> Response {
    if !headers.contains_key("cookie") {
        return (StatusCode::UNAUTHORIZED, "no ticket").into_response();
    }
    let visit = visits.fetch_add(1, Ordering::Relaxed) + 1;
    if let Ok(cookie) = format!("visits={visit}").parse() {
        ws.headers_mut().append("set-cookie", cookie);
    }
    let Ok(stream) = ws.accept().await else { return StatusCode::BAD_REQUEST.into_response() };
    let mut closing = stream.closing();
    let Ok(mut socket) = stream.into_tungstenite(None).await else { return StatusCode::OK.into_response() };
    loop {
        tokio::select! {
            // A visitor who says nothing for a minute is considered gone.
            message = timeout(Duration::from_secs(60), socket.try_next()) => match message {
                Ok(Ok(Some(message))) if message.is_text() => {
                    let text = message.to_text().unwrap_or_default();
                    if socket.send(format!("{room}: {text}").into()).await.is_err() {
                        break;
                    }
                }
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None) | Err(_)) | Err(_) => break,
            },
            () = &mut closing => break,
        }
    }
    let _ = socket.close(None).await;
    while let Ok(Some(_)) = socket.try_next().await {}
    StatusCode::OK.into_response()
}

/// Bytes without frames: sends eight bytes for each byte that it gets.
async fn time(mut stream: WsStream) {
    while stream.read_u8().await.is_ok() {
        if stream.write_u64(0).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use tokio::time::Instant;
    use tokio_tungstenite::tungstenite::Message;
    use ws_handshake::testing::{TestRequest, TestServer};

    use super::*;

    const PAGE: &str = "https://app.example.com";

    fn server(connections: &Connections) -> TestServer<Router> {
        TestServer::new(app(Arc::default(), connections).unwrap())
    }

    /// A valid visitor with its own address.
    fn visitor(server: &TestServer<Router>, last: u8) -> TestRequest<Router> {
        let peer = SocketAddr::from(([192, 0, 2, last], 4711));
        server
            .ws("/rooms/hall")
            .origin(PAGE)
            .subprotocols(["v1.chat"])
            .header("cookie", "ticket=1")
            .extension(ConnectInfo(peer))
    }

    #[tokio::test]
    async fn a_visitor_is_echoed_over_both_versions_of_http() {
        let server = server(&Connections::new());
        for (visit, request) in [visitor(&server, 1), visitor(&server, 1).http2()].into_iter().enumerate() {
            let (stream, response) = request.connect().await.unwrap();
            assert_eq!(stream.subprotocol(), Some("v1.chat"));
            assert_eq!(response.headers()["set-cookie"], format!("visits={}", visit + 1));
            let mut socket = stream.into_tungstenite(None).await.unwrap();
            socket.send(Message::text("hello")).await.unwrap();
            assert_eq!(socket.try_next().await.unwrap(), Some(Message::text("hall: hello")));
        }
    }

    #[tokio::test]
    async fn bytes_need_no_frames() {
        let (mut stream, _) = server(&Connections::new()).ws("/time").origin(PAGE).connect().await.unwrap();
        stream.write_u8(1).await.unwrap();
        assert_eq!(stream.read_u64().await.unwrap(), 0);
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn refusals_are_answers_to_assert_on() {
        let server = server(&Connections::new());
        let foreign = server.ws("/rooms/hall").origin("https://evil.example").connect().await.unwrap_err();
        assert_eq!(
            (foreign.status(), &foreign.body()[..]),
            (StatusCode::FORBIDDEN, &b"pages of this origin may not connect"[..])
        );
        let unknown = server.ws("/rooms/hall").connect().await.unwrap_err();
        assert_eq!((unknown.status(), &unknown.body()[..]), (StatusCode::UNAUTHORIZED, &b"no ticket"[..]));
        let nowhere = server.ws("/nowhere").connect().await.unwrap_err();
        assert_eq!(nowhere.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn an_address_has_two_visits_at_once() {
        let server = server(&Connections::new());
        let first = visitor(&server, 1).connect().await.unwrap();
        let _second = visitor(&server, 1).connect().await.unwrap();
        assert_eq!(visitor(&server, 1).connect().await.unwrap_err().status(), StatusCode::TOO_MANY_REQUESTS);
        let _another = visitor(&server, 2).connect().await.unwrap();
        drop(first);
        // The server has to notice that the visitor has disconnected.
        while visitor(&server, 1).connect().await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    /// A paused clock: the minute takes no time.
    #[tokio::test(start_paused = true)]
    async fn a_visitor_who_says_nothing_is_sent_away() {
        let start = Instant::now();
        let (stream, _) = visitor(&server(&Connections::new()), 1).connect().await.unwrap();
        let mut socket = stream.into_tungstenite(None).await.unwrap();
        assert_eq!(socket.try_next().await.unwrap(), Some(Message::Close(None)));
        assert_eq!(start.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_asks_everybody_to_leave() {
        let connections = Connections::new();
        let server = server(&connections);
        let (polite, _) = visitor(&server, 1).connect().await.unwrap();
        let (_silent, _) = visitor(&server, 2).connect().await.unwrap();
        let draining = tokio::spawn(
            connections.drain().over(Duration::from_secs(10)).deadline(Duration::from_secs(30)).into_future(),
        );
        let mut polite = polite.into_tungstenite(None).await.unwrap();
        assert_eq!(polite.try_next().await.unwrap(), Some(Message::Close(None)));
        // Reading on sends the answer to the close.
        assert!(polite.try_next().await.unwrap().is_none());
        let refused = visitor(&server, 3).connect().await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        let drained = draining.await.unwrap();
        assert_eq!((drained.closed, drained.aborted), (1, 1));
    }
}
