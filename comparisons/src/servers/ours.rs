//! Handlers behind this crate's layer.

use axum::{
    Router,
    routing::{any, get},
};
use tokio_websockets::{Config, Limits};
use ws_handshake::{AllowOrigin, Subprotocols, WsHandshakeLayer, WsStream, WsUpgrade};
use yawc::Options;

use super::{
    axums,
    checks::{SUBPROTOCOLS, origins},
    echo::{Ended, echo_bytes, echo_fastwebsockets, echo_messages, echo_yawc},
    others,
};

/// The same policy as the others check by hand: the server's own pages, a list of other origins, and 4 subprotocols.
pub fn layer(listed: u32) -> WsHandshakeLayer {
    let listed = AllowOrigin::list(origins(listed)).expect("origins");
    WsHandshakeLayer::new()
        .allow_origin(AllowOrigin::same_origin().or(listed))
        .subprotocols(Subprotocols::new(SUBPROTOCOLS).expect("subprotocols"))
}

pub fn router(name: &str, layer: WsHandshakeLayer) -> Option<Router> {
    let route = match name {
        "stream" => any(async |stream: WsStream| drop(by_tungstenite(stream).await)),
        "accept" => any(async |ws: WsUpgrade| {
            let Ok(stream) = ws.accept().await else { return };
            drop(by_tungstenite(stream).await);
        }),
        "callback" => any(async |ws: WsUpgrade| ws.on_upgrade(async |stream| drop(by_tungstenite(stream).await))),
        "stream-fastwebsockets" => any(async |stream: WsStream| drop(by_fastwebsockets(stream).await)),
        "stream-yawc" => any(async |stream: WsStream| drop(by_yawc(stream, Options::default()).await)),
        "stream-yawc-small" => any(async |stream: WsStream| drop(by_yawc(stream, others::small()).await)),
        "stream-tokio-websockets" => any(async |stream: WsStream| drop(by_tokio_websockets(stream).await)),
        "raw" => any(async |stream: WsStream| drop(echo_bytes(stream).await)),
        "behind" => any(axums::lean),
        _ => return None,
    };
    Some(Router::new().route("/", route).route("/page", get(async || "page")).layer(layer))
}

async fn by_tungstenite(stream: WsStream) -> Ended {
    echo_messages!(stream.into_tungstenite(None).await?)
}

async fn by_tokio_websockets(stream: WsStream) -> Ended {
    echo_messages!(stream.into_tokio_websockets(Config::default(), Limits::default())?)
}

async fn by_fastwebsockets(stream: WsStream) -> Ended {
    echo_fastwebsockets!(stream.into_fastwebsockets()?)
}

async fn by_yawc(stream: WsStream, options: Options) -> Ended {
    echo_yawc!(stream.into_yawc(options)?)
}
