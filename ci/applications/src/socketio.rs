//! A Socket.IO server that echoes messages.
//!
//! socketioxide is a layer that answers before any route. So add `WsHandshakeLayer` after it, as the outer layer.

use std::io;

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode},
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use serde_json::Value;
use socketioxide::{
    SocketIo, SocketIoBuilder, TransportType,
    extract::{Data, SocketRef},
};
use tokio::net::TcpListener;
use tower_http::cors::CorsLayer;
use ws_handshake::{AllowHost, AllowOrigin, ConfigError, WsHandshakeLayer, handshake::request_authority};

/// WebSockets only: each connection begins with a handshake, which the layer checks.
pub(crate) async fn serve(listener: TcpListener) -> io::Result<()> {
    let app = with_socketio(SocketIo::builder().transports([TransportType::Websocket])).layer(WsHandshakeLayer::new());
    axum::serve(listener, app).await
}

/// WebSockets and long polling. The layer does not check polls, because they are plain requests. Two other layers do:
///
/// - `CorsLayer` lists one origin. Browsers hide the answers, and the session ID in them, from all other pages.
/// - `check_host` stops DNS rebinding.
pub(crate) async fn serve_with_polling(listener: TcpListener, origin: &str) -> io::Result<()> {
    let hosts = AllowHost::loopback();
    let layer = websockets(origin, hosts.clone()).map_err(io::Error::other)?;
    let origin = HeaderValue::from_str(origin).map_err(io::Error::other)?;
    let app = with_socketio(SocketIo::builder())
        .layer(CorsLayer::new().allow_origin([origin]).allow_credentials(true))
        .layer(from_fn(move |request, next| check_host(hosts.clone(), request, next)))
        .layer(layer);
    axum::serve(listener, app).await
}

/// The same origins and hosts for handshakes.
fn websockets(origin: &str, hosts: AllowHost) -> Result<WsHandshakeLayer, ConfigError> {
    Ok(WsHandshakeLayer::new().allow_origin(AllowOrigin::list([origin])?).allow_host(hosts))
}

async fn check_host(hosts: AllowHost, request: Request, next: Next) -> Result<Response, StatusCode> {
    let authority = request_authority(&request).map_err(|rejection| rejection.status())?;
    if hosts.allows(&authority) { Ok(next.run(request).await) } else { Err(StatusCode::FORBIDDEN) }
}

fn with_socketio(builder: SocketIoBuilder) -> Router {
    let (layer, io) = builder.build_layer();
    io.ns("/", async |socket: SocketRef| {
        socket.on("echo", async |socket: SocketRef, Data::<Value>(said)| {
            let _ = socket.emit("echo", &said);
        });
    });
    Router::new().route("/", get(async || "Socket.IO is at /socket.io/.")).layer(layer)
}

#[cfg(test)]
mod tests {
    use reqwest::{Client, Response};

    use super::*;
    use crate::visitor::{FOREIGN_ORIGIN, Server, Socket, hear, say, within};

    const SOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
    const POLL: &str = "/socket.io/?EIO=4&transport=polling";
    const PAGE: &str = "https://app.example.com";

    /// The next message, without the pings of Engine.IO.
    async fn next(socket: &mut Socket) -> String {
        loop {
            let text = hear(socket).await;
            if text != "2" {
                return text;
            }
        }
    }

    async fn echoes(mut socket: Socket) {
        assert!(next(&mut socket).await.starts_with("0{"), "no handshake of Engine.IO");
        say(&mut socket, "40").await;
        assert!(next(&mut socket).await.starts_with("40{"), "no namespace");
        say(&mut socket, r#"42["echo","hello"]"#).await;
        assert_eq!(next(&mut socket).await, r#"42["echo","hello"]"#);
    }

    async fn poll(server: &Server, headers: &[(&str, &str)]) -> Response {
        let request = Client::new().get(server.url(POLL));
        within(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn websockets_alone_are_guarded_and_work() {
        let server = Server::start(serve).await;
        server.refuses_foreign_pages(SOCKET).await;
        echoes(server.open(SOCKET).await).await;
        assert_eq!(server.get("/").await, (200, "Socket.IO is at /socket.io/.".to_owned()));
        // Polling is off: a page of another site has nothing to poll.
        assert_eq!(poll(&server, &[("origin", FOREIGN_ORIGIN)]).await.status(), 400);
    }

    #[tokio::test]
    async fn with_polling_both_transports_are_guarded_and_work() {
        let server = Server::start(|listener| serve_with_polling(listener, PAGE)).await;
        server.refuses_foreign_pages(SOCKET).await;
        echoes(server.handshake(SOCKET, PAGE, None).await.unwrap()).await;

        let own = poll(&server, &[("origin", PAGE)]).await;
        assert_eq!(
            (own.status().as_u16(), &own.headers()["access-control-allow-origin"]),
            (200, &PAGE.parse().unwrap())
        );
        let opening = within(own.text()).await.unwrap();
        assert!(opening.starts_with(r#"0{"sid":"#), "{opening}");

        // The server answers, and the browser hides the answer from the page.
        let foreign = poll(&server, &[("origin", FOREIGN_ORIGIN)]).await;
        assert_eq!(foreign.status(), 200);
        assert_ne!(foreign.headers().get("access-control-allow-origin"), Some(&FOREIGN_ORIGIN.parse().unwrap()));
        assert_ne!(foreign.headers().get("access-control-allow-origin"), Some(&"*".parse().unwrap()));

        let rebound = poll(&server, &[("host", "rebound.example")]).await;
        assert_eq!(rebound.status(), 403);
    }

    #[tokio::test]
    async fn a_session_that_began_by_polling_is_upgraded() {
        let server = Server::start(|listener| serve_with_polling(listener, PAGE)).await;
        let opening = within(poll(&server, &[("origin", PAGE)]).await.text()).await.unwrap();
        let opening: Value = serde_json::from_str(&opening[1..]).unwrap();
        let path = format!("{SOCKET}&sid={}", opening["sid"].as_str().unwrap());
        server.refuses_foreign_pages(&path).await;
        let mut socket = server.handshake(&path, PAGE, None).await.unwrap();
        say(&mut socket, "2probe").await;
        assert_eq!(hear(&mut socket).await, "3probe");
    }
}
