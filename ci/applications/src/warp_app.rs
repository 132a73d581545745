//! An application of warp, which is a tower service behind the layer and in front of hyper-util's server.

use std::{io, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use http::Request;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use warp::{
    Filter,
    filters::ws::{Message, WebSocket, Ws},
    reply::Reply,
};
use ws_handshake::{ConnectionPermit, Connections, WsHandshakeLayer};

pub(crate) async fn serve(listener: TcpListener, connections: Connections) -> io::Result<()> {
    let warp = warp::service(routes());
    let service = ServiceBuilder::new()
        .layer(WsHandshakeLayer::new().connections(connections))
        // A filter sees the extensions only, and clones what it takes: hence the `Arc`.
        .map_request(|mut request: Request<_>| {
            if let Ok(permit) = ConnectionPermit::take_from(&mut request) {
                request.extensions_mut().insert(Arc::new(permit));
            }
            request
        })
        .service(warp);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Not `?`: out of files, this fails until some connections have ended.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
        });
    }
}

fn routes() -> impl Filter<Extract = (impl Reply,), Error = warp::Rejection> + Clone + Send + 'static {
    let page = warp::path::end().map(|| "The socket is at /echo.");
    let echo = warp::path!("echo").and(warp::ws()).map(|ws: Ws| ws.on_upgrade(send_back));
    let limited = warp::path!("limited")
        .and(warp::ws())
        .and(warp::ext::get::<Arc<ConnectionPermit>>())
        .map(|ws: Ws, permit| ws.on_upgrade(|socket| send_back_until_closing(socket, permit)));
    page.or(echo).or(limited)
}

async fn send_back(mut socket: WebSocket) {
    send_back_to(&mut socket).await;
}

async fn send_back_until_closing(mut socket: WebSocket, permit: Arc<ConnectionPermit>) {
    let mut closing = permit.closing();
    tokio::select! {
        () = send_back_to(&mut socket) => return,
        () = &mut closing => {}
    }
    let _ = socket.send(Message::close_with(closing.close_code(), "")).await;
    while let Some(Ok(_)) = socket.next().await {}
}

async fn send_back_to(socket: &mut WebSocket) {
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visitor::{Server, echoes};

    #[tokio::test]
    async fn warps_own_filter_is_guarded_and_works() {
        let (server, _connections) = Server::start_with_room_for_one(serve).await;
        for path in ["/echo", "/limited"] {
            server.refuses_foreign_pages(path).await;
            echoes(server.open(path).await).await;
        }
        assert_eq!(server.get("/").await, (200, "The socket is at /echo.".to_owned()));
    }

    #[tokio::test]
    async fn the_limit_holds_and_a_drain_closes() {
        let (server, connections) = Server::start_with_room_for_one(serve).await;
        let mut socket = server.open("/limited").await;
        server.limits_and_drains(&connections, "/limited", None, &mut socket).await;
    }
}
