//! Run with `cargo run --example hijack`: cross-site WebSocket hijacking, live.
//!
//! Log in on the first page that the example prints, then open the last one, an attacker's page. The attacker's page opens a socket to the
//! bank with your cookie, and reads your account. The second bank is the same, with the layer around it.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::ws::{WebSocket, WebSocketUpgrade},
    http::{
        HeaderMap, StatusCode,
        header::{COOKIE, SET_COOKIE},
    },
    response::{Html, IntoResponse, Response},
    routing::{any, get},
};
use tokio::net::TcpListener;
use ws_handshake::WsHandshakeLayer;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let (unguarded, open) = listen("a bank").await?;
    let (guarded, closed) = listen("the same bank behind the layer").await?;
    let (attacker, _) = listen("a page of somebody else").await?;
    let attack = Router::new().route("/", get(Html(attack(open, closed))));
    tokio::try_join!(
        axum::serve(unguarded, bank()),
        axum::serve(guarded, bank().layer(WsHandshakeLayer::new())),
        axum::serve(attacker, attack),
    )?;
    Ok(())
}

async fn listen(name: &str) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}/ : {name}");
    Ok((listener, address))
}

/// Axum's own extractor, and a session in a cookie that no script can read and no other site sends.
fn bank() -> Router {
    Router::new().route("/", get(log_in)).route("/account", any(account))
}

async fn log_in() -> impl IntoResponse {
    let cookie = [(SET_COOKIE, "session=alice; HttpOnly; SameSite=Strict")];
    (cookie, Html(include_str!("bank.html")))
}

async fn account(headers: HeaderMap, ws: WebSocketUpgrade) -> Response {
    match session(&headers) {
        Some(user) => ws.on_upgrade(|socket| serve(socket, user)),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

fn session(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    cookies.split("; ").find_map(|cookie| cookie.strip_prefix("session=")).map(String::from)
}

async fn serve(mut socket: WebSocket, user: String) {
    let _ = socket.send(format!("{user} has 1,000 coins").into()).await;
    while let Some(Ok(message)) = socket.recv().await {
        if let Ok(order) = message.to_text()
            && !order.is_empty()
        {
            let _ = socket.send(format!("{user} has sent {order}").into()).await;
        }
    }
}

fn attack(open: SocketAddr, closed: SocketAddr) -> String {
    let page = include_str!("attack.html");
    page.replace("UNGUARDED", &open.to_string()).replace("GUARDED", &closed.to_string())
}
