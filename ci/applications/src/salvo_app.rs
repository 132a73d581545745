//! An application of salvo, which takes the layer as a hoop.

use std::io;

use salvo::{
    conn::tcp::TcpAcceptor,
    http::ReqBody,
    prelude::{Request, Response, Router, Server, StatusError, TowerLayerCompat, WebSocketUpgrade, handler},
    websocket::{Message, WebSocket},
};
use tokio::net::TcpListener;
use ws_handshake::{ConnectionPermit, Connections, WsHandshakeLayer};

pub(crate) async fn serve(listener: TcpListener, connections: Connections) -> io::Result<()> {
    let layer = WsHandshakeLayer::new().connections(connections);
    let router = Router::new()
        .hoop(layer.compat())
        .get(page)
        .push(Router::with_path("echo").goal(echo))
        .push(Router::with_path("limited").goal(limited));
    Server::new(TcpAcceptor::try_from(listener)?).serve(router).await;
    Ok(())
}

#[handler]
async fn page() -> &'static str {
    "The socket is at /echo."
}

/// From the documentation of salvo.
#[handler]
async fn echo(request: &mut Request, response: &mut Response) -> Result<(), StatusError> {
    WebSocketUpgrade::new().upgrade(request, response, send_back).await
}

/// The same with a permit, so that limits count the socket and a drain closes it.
#[handler]
async fn limited(request: &mut Request, response: &mut Response) -> Result<(), StatusError> {
    let permit = take_permit(request)?;
    let converse = async move |mut socket: WebSocket| {
        let mut closing = permit.closing();
        tokio::select! {
            () = send_back_to(&mut socket) => return,
            () = &mut closing => {}
        }
        let _ = socket.send(Message::close_with(closing.close_code(), "")).await;
        while let Some(Ok(_)) = socket.recv().await {}
    };
    WebSocketUpgrade::new().upgrade(request, response, converse).await
}

/// Turns salvo's request into one of the `http` crate and back, because the permit is taken from the latter.
fn take_permit(request: &mut Request) -> Result<ConnectionPermit, StatusError> {
    let mut http = request.strip_to_hyper::<ReqBody>().map_err(|_| StatusError::internal_server_error())?;
    let permit = ConnectionPermit::take_from(&mut http);
    request.merge_hyper(http);
    permit.map_err(|rejection| StatusError::from_code(rejection.status()).unwrap_or_else(StatusError::bad_request))
}

async fn send_back(mut socket: WebSocket) {
    send_back_to(&mut socket).await;
}

async fn send_back_to(socket: &mut WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        // Not every message: sending a close back fails, and then the client gets no answer to its close.
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visitor::{self, echoes};

    #[tokio::test]
    async fn salvos_own_upgrade_is_guarded_and_works() {
        let (server, _connections) = visitor::Server::start_with_room_for_one(serve).await;
        for path in ["/echo", "/limited"] {
            server.refuses_foreign_pages(path).await;
            echoes(server.open(path).await).await;
        }
        assert_eq!(server.get("/").await, (200, "The socket is at /echo.".to_owned()));
        assert_eq!(server.get("/limited").await.0, 426);
    }

    #[tokio::test]
    async fn the_limit_holds_and_a_drain_closes() {
        let (server, connections) = visitor::Server::start_with_room_for_one(serve).await;
        let mut socket = server.open("/limited").await;
        server.limits_and_drains(&connections, "/limited", None, &mut socket).await;
    }
}
